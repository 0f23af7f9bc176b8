/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Standbys that are lost again and again, to a target that is too slow or goes away: each one that
 * is made anew costs reading both sides, so the pause before it grows.  The first is made at once;
 * the second after a minute, counted from the loss, and then twice the pause before, up to an hour;
 * after one that stood by for a day it begins again.  Pure text and numbers.
 */
#ifndef EXEC_LOST_H
#define EXEC_LOST_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/migrate-exec/journal.h"

/* How often in a row, the last time included.  Zero-initialised: never. */
struct lost {
    unsigned times;
    double until; /* Unix seconds: not made again before */
};

/* It was lost once more, at TIME (Unix seconds), after it had stood by for STOOD_S seconds. */
void lost_add(struct lost *l, double stood_s, double time);

/* Seconds from NOW until it may be made again; 0: it may.  Of a clock that was set back no more
 * than the longest pause is believed. */
double lost_left_s(const struct lost *l, double now);

/*
 * The detail of the note in its journal, an event `stalled` that the history does not get, with the
 * second that has begun, so that what needs no pause has none; and back: is E that note?  Then *L
 * is what it says.
 */
void lost_put(char *detail, size_t size, const struct lost *l, double stood_s);
bool lost_get(const struct event *e, struct lost *l);

#endif
