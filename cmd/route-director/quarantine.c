/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quarantine.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

static void forget_old(struct director *d)
{
    for (size_t i = 0; i < d->n_quarantines;) {
        struct quarantine *q = &d->quarantines[i];
        if (q->writer || q->until_us > loop_now_us(d->loop)) {
            i++;
            continue;
        }
        free(q->volume);
        *q = d->quarantines[--d->n_quarantines];
    }
}

void quarantine_add(struct director *d, const char *volume, const void *writer)
{
    char *copy = strdup(volume);
    forget_old(d);
    if (!copy || vec_room(&d->quarantines, d->n_quarantines, &d->cap_quarantines,
                          sizeof(*d->quarantines)) < 0)
        abort(); /* going on without the note could lose a write */
    d->quarantines[d->n_quarantines++] =
        (struct quarantine){copy, writer, loop_now_us(d->loop) + d->set.quarantine_us};
}

void quarantine_writer_gone(struct director *d, const void *writer)
{
    for (size_t i = 0; i < d->n_quarantines; i++) {
        struct quarantine *q = &d->quarantines[i];
        if (q->writer != writer)
            continue;
        q->writer = NULL;
        q->until_us = loop_now_us(d->loop) + d->set.quarantine_us;
    }
}

uint64_t quarantine_left_us(struct director *d, const char *volume)
{
    uint64_t now = loop_now_us(d->loop);
    uint64_t until = now;
    forget_old(d);
    for (size_t i = 0; i < d->n_quarantines; i++) {
        const struct quarantine *q = &d->quarantines[i];
        uint64_t end = q->writer ? now + d->set.quarantine_us + 1 : q->until_us;
        if (strcmp(q->volume, volume) == 0 && end > until)
            until = end;
    }
    return until - now;
}

void quarantine_release(struct director *d)
{
    for (size_t i = 0; i < d->n_quarantines; i++)
        free(d->quarantines[i].volume);
    free(d->quarantines);
}
