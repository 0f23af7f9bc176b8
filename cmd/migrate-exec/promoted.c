/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/promoted.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/signals.h"
#include "common/base/clock.h"

enum {
    NOTICE_US = 1000000,     /* for a director that has yet to notice that the source is gone */
    PROMOTION_US = 30000000, /* for one that waits to be sure that it is dead */
    NAP_MS = 20,
};

static bool is_one_of(const char *word, const char *const words[])
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* Is what becomes of the volume still open, so long after the drive ended? */
static bool undecided(const struct move *m, const struct director_status *s, uint64_t since_us)
{
    static const char *const deciding[] = {"promote", "commit", "doubt", NULL};
    static const char *const open[] = {"replicate", "mirror", "hold", NULL};
    if (is_one_of(s->phase, deciding) || (strcmp(s->phase, "stalled") == 0 && s->promotable))
        return since_us < PROMOTION_US;
    bool gone = m->from && !nbd_export_alive(m->from);
    return gone && is_one_of(s->phase, open) && since_us < NOTICE_US;
}

enum outcome promoted(struct move *m, enum outcome o)
{
    struct director_status s;
    uint64_t begin_us = clock_mono_us();
    bool open = (o == FAILED || o == DEFERRED) && m->begun;
    while (open && m->director && director_status(m->director, &s) == 0) {
        if (s.promoted && s.epoch == m->epoch + 1 && strcmp(s.owner, m->target) == 0) {
            m->promoted = true;
            m->unproved = s.unproved;
            m->pause_us = s.pause_us;
            m->has_pause = true;
            return SWITCHED;
        }
        if (!undecided(m, &s, clock_mono_us() - begin_us) || signals_pending()) {
            bool kept = o == FAILED && strcmp(s.phase, "stalled") == 0;
            return kept ? move_stalls(m, "%s is away", m->source) : o;
        }
        poll(NULL, 0, NAP_MS);
    }
    return o;
}
