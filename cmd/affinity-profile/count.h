/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread's counting of access records. */
#ifndef GS_AFFINITY_PROFILE_COUNT_H
#define GS_AFFINITY_PROFILE_COUNT_H

#include "cmd/affinity-profile/access.h"
#include "cmd/affinity-profile/names.h"
#include "cmd/affinity-profile/profile.h"
#include "common/record/record.h"

/* A part of the input. */
struct count_part {
    char *const *path;
    bool in_range; /* bytes FROM … TO − 1 of a file, else all of PATH */
    uint64_t from, to;
    /* Results. */
    uint64_t end;  /* in a range: up to here everything was counted or left out for good */
    double newest; /* of the records counted; −1: none */
    int status;    /* why counting ended early: an exit status, 0 if it did not */
    char message[1200];
};

/* Where records are counted. */
struct count_into {
    struct demand demand;
    struct names names; /* numbers in DEMAND */
};

/* An hour of a pipe that is not known to be complete. */
struct count_hour {
    int64_t hour;
    struct count_into into;
};

struct counter {
    struct profile *p; /* read only, but for p->index.seen, which has a lock */
    const struct ingest *how;
    struct rec_reader *reader;
    struct count_into all;
    struct seen_run seen;
    struct buf scratch;
    bool by_hour;            /* of a pipe with a name: hours are kept apart while they are open */
    int64_t from_hour;       /* … and earlier ones skipped */
    struct count_hour *open; /* owned, ascending */
    size_t n_open, cap_open;
    int64_t hour;  /* of the record before */
    double newest; /* of the part */
    double last;   /* no time may be later */
    uint64_t records, later;
    int status; /* 65 after a record that was skipped */
};

/* 0 or -ENOMEM; counter_release() is due in both cases. */
int counter_init(struct counter *c, struct profile *p, const struct ingest *how);
void counter_release(struct counter *c);

/*
 * Ends counting by hour: the hours that ended LATENESS_S or more before the newest record are
 * counted, later ones are dropped.  The first hour dropped, or -ENOMEM.
 */
int64_t counter_close(struct counter *c, double lateness_s);

/*
 * The newest time among the records behind byte FROM of the plain file PATH that counter_run()
 * would count if they are new; −1: there are none.
 */
double counter_peek(struct counter *c, char *const *path, uint64_t from);

/* Counts PART, whose results say how it went. */
void counter_run(struct counter *c, struct count_part *part);

#endif
