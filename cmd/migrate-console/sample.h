/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the watch knows of the moves: the events of migrate-exec --status and the live figures of
 * route-director --status, from one look to the next. */
#ifndef GS_CONSOLE_SAMPLE_H
#define GS_CONSOLE_SAMPLE_H

#include <stdint.h>

#include "cmd/migrate-console/console.h"

struct track {
    char id[NAME_LEN_MAX + 1], volume[NAME_LEN_MAX + 1];
    char source[NAME_LEN_MAX + 1], target[NAME_LEN_MAX + 1];
    char phase[32];           /* the director's, or the event that ended or stopped the move */
    bool over;                /* switched or ended */
    double done, total;       /* bytes copied and compared; total 0: not known */
    double rate;              /* bytes a second of late; 0: not known */
    double pause_us;          /* of the last hold; NaN: there was none */
    double read_us, write_us; /* p99 of late; NaN: no request */
    struct latency before;    /* p99 before the move */
    uint64_t seen_us;         /* when DONE was, on clock_mono_us(); 0: never */
};

/* Zero-initialise; sample_release() frees. */
struct sample {
    struct track *track; /* in order of first sight */
    size_t n, cap;
    double since; /* Unix time: moves that ended before are left out */
};

/*
 * Takes in what the two printed just now.  Migrations that end stay; those that had ended, or were
 * switched, before SINCE do not come in.  0, or -EBADMSG: EVENTS are no event records.
 */
int sample_take(struct sample *s, struct console *c, const struct buf *events,
                const struct buf *director);
/* Notes of each volume that stands still how long its requests take now. */
void sample_note_latencies(struct console *c, const struct buf *director);
void sample_release(struct sample *s);

/* The moves as a table, for WIDTH columns. */
void sample_table(const struct sample *s, size_t width, struct buf *out);

#endif
