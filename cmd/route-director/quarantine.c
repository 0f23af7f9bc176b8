/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quarantine.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

static void forget_old(struct director *d)
{
    for (size_t i = 0; i < d->n_quarantines;) {
        struct quarantine *q = &d->quarantines[i];
        if (q->until_us > loop_now_us(d->loop)) {
            i++;
            continue;
        }
        free(q->volume);
        *q = d->quarantines[--d->n_quarantines];
    }
}

void quarantine_add(struct director *d, const char *volume)
{
    char *copy = strdup(volume);
    forget_old(d);
    if (!copy || vec_room(&d->quarantines, d->n_quarantines, &d->cap_quarantines,
                          sizeof(*d->quarantines)) < 0)
        abort(); /* going on without the note could lose a write */
    d->quarantines[d->n_quarantines++] =
        (struct quarantine){copy, loop_now_us(d->loop) + d->set.quarantine_us};
}

uint64_t quarantine_left_us(struct director *d, const char *volume)
{
    uint64_t now = loop_now_us(d->loop);
    uint64_t until = 0;
    forget_old(d);
    for (size_t i = 0; i < d->n_quarantines; i++)
        if (strcmp(d->quarantines[i].volume, volume) == 0 && d->quarantines[i].until_us > until)
            until = d->quarantines[i].until_us;
    return until > now ? until - now : 0;
}

void quarantine_release(struct director *d)
{
    for (size_t i = 0; i < d->n_quarantines; i++)
        free(d->quarantines[i].volume);
    free(d->quarantines);
}
