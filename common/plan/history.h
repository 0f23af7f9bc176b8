/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Past moves, from event records: what a volume's cooldown and the rule against returns rest on.
 * Only events that changed the owner count (switched, reverted); the `begin` event of the same
 * migration tells in its detail why it was made.  One without an event that ends it is under way,
 * or was left in the middle.
 */
#ifndef GS_PLAN_HISTORY_H
#define GS_PLAN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/intern.h"
#include "common/record/schema.h"

/* One change of owner. */
struct plan_trip {
    double time;
    const char *source; /* borrowed from the history */
    const char *target;
    bool mandatory;
    double das_gain; /* DAS(target) - DAS(source) as planned then; NaN: not known */
};

/* The trips of one volume, oldest first. */
struct plan_past {
    struct plan_trip *trips;
    size_t n;
    size_t cap;
};

struct plan_migration {
    const char *volume;
    const char *source;
    const char *target;
    double switched; /* NaN: not seen */
    double reverted;
    double failed;       /* NaN: not seen */
    double left;         /* when it ended and left something on its target; -INFINITY: it did not */
    double gone;         /* when that was said not to be there any more; -INFINITY: it was not */
    double began;        /* NaN: not seen */
    double last;         /* of its events */
    bool ended;          /* by one of them */
    bool stands_by;      /* that was its aim: it is a standby's … */
    double stood;        /* when it last did so; -INFINITY: never */
    double losses_at;    /* of the last `begin` that told of losses; -INFINITY: none did */
    unsigned losses;     /* so often in a row its standby had been lost by then */
    bool hands_over;     /* … which is to be the owner after all, as far as is known: */
    double handing;      /* when it last set out for that; -INFINITY: never */
    double resting;      /* when it last did anything else, or nobody drove it any more */
    double deferred;     /* when it first waited for somebody; INFINITY: never */
    uint64_t sent_bytes; /* as its switch says; 0: not known */
    bool mandatory;
    double das_gain;
};

/* Zero-initialise; plan_history_release() frees. */
struct plan_history {
    struct intern ids;
    struct intern text;
    struct plan_migration *migrations;
    size_t cap;
    uint64_t rated_bytes; /* by plan_history_settle() */
    uint64_t rated_us;
};

/*
 * Takes one event record; the order of events does not matter.  DETAIL is only read for `begin`,
 * in the words that plan_words_move() writes and for REC_STANDBY, REC_WAS_LOST and
 * REC_TO_HAND_OVER, for `deferred` (REC_STANDS_BY), and for `failed` and `aborted` (REC_LEFT,
 * REC_GONE).  0 or -ENOMEM.
 */
int plan_history_event(struct plan_history *h, double time, const char *migration,
                       const char *volume, const char *source, const char *target,
                       enum rec_event event, const char *detail);

/* MIGRATION, of which an event was taken, has sent BYTES by its switch.  Others are left out. */
void plan_history_sent(struct plan_history *h, const char *migration, uint64_t bytes);

/* Is migration ID, by its name, of another epoch than what is open at EPOCH?  Then, if it did not
 * end, it never will. */
bool plan_history_is_past(const char *id, uint64_t epoch);

/* To be called once, after the last event. */
void plan_history_settle(struct plan_history *h);

/* Bytes a second of all that was sent, begin to switch, by moves that tell both; 0: none does. */
double plan_history_rate(const struct plan_history *h);

/* Appends VOLUME's trip(s) of migration number I to P; trips are not in order yet. */
int plan_history_trips(const struct plan_history *h, size_t i, struct plan_past *p);

/* Puts the trips in order of time. */
void plan_past_sort(struct plan_past *p);
void plan_past_release(struct plan_past *p);

/* The last trip at all, or the last one that left GATEWAY; NULL if there is none. */
const struct plan_trip *plan_past_last(const struct plan_past *p);
const struct plan_trip *plan_past_left(const struct plan_past *p, const char *gateway);

/* Mandatory trips since SINCE that led back to a gateway left since then. */
unsigned plan_past_returns(const struct plan_past *p, double since);

void plan_history_release(struct plan_history *h);

#endif
