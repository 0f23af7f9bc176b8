/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How fast to copy so that clients hardly notice: a limit that falls by a factor while they wait
 * longer than they may and rises by a step while they do not (additive increase, multiplicative
 * decrease: Chiu and Jain 1989).  Pure arithmetic.
 */
#ifndef EXEC_SLOWDOWN_H
#define EXEC_SLOWDOWN_H

#include <stdint.h>

enum { SLOWDOWN_READ, SLOWDOWN_WRITE, SLOWDOWN_OPS };

/* Never slower than this, bytes a second: a move must end. */
#define SLOWDOWN_FLOOR (UINT64_C(1) << 20)

/* Zero-initialised it never limits. */
struct slowdown {
    unsigned percent;                 /* clients' latency may rise by so much; 0: by anything */
    uint64_t before_us[SLOWDOWN_OPS]; /* before the copy; 0: unknown, that operation is ignored */
    uint64_t peak;                    /* the highest rate seen, bytes a second */
    uint64_t limit;                   /* bytes a second; 0: none */
    uint64_t lowest;                  /* that the limit has ever been; 0: there was none */
};

/*
 * Clients wait NOW_US (0: unknown) while we copy at RATE bytes a second.  To be called at even
 * intervals; the new limit, 0: none.
 */
uint64_t slowdown_step(struct slowdown *s, const uint64_t now_us[SLOWDOWN_OPS], uint64_t rate);

#endif
