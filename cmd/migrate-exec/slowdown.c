/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/slowdown.h"

#include <stdbool.h>

enum {
    FALL_TENTHS = 7, /* of the rate, while clients wait too long */
    STEPS = 16,      /* from nothing to the peak */
};

static bool too_slow(const struct slowdown *s, const uint64_t now_us[SLOWDOWN_OPS])
{
    for (int op = 0; op < SLOWDOWN_OPS; op++)
        if (s->before_us[op] &&
            (double)now_us[op] > (double)s->before_us[op] * (100 + s->percent) / 100)
            return true;
    return false;
}

static uint64_t fallen(const struct slowdown *s, uint64_t rate)
{
    uint64_t from = s->limit && s->limit < rate ? s->limit : rate;
    uint64_t to = from / 10 * FALL_TENTHS;
    return to > SLOWDOWN_FLOOR ? to : SLOWDOWN_FLOOR;
}

uint64_t slowdown_step(struct slowdown *s, const uint64_t now_us[SLOWDOWN_OPS], uint64_t rate)
{
    if (!s->percent)
        return 0;
    if (rate > s->peak)
        s->peak = rate;
    if (too_slow(s, now_us)) {
        s->limit = fallen(s, rate);
        if (!s->lowest || s->limit < s->lowest)
            s->lowest = s->limit;
    } else if (s->limit) {
        s->limit += s->peak / STEPS + SLOWDOWN_FLOOR / STEPS;
        if (s->limit > 2 * s->peak)
            s->limit = 0;
    }
    return s->limit;
}
