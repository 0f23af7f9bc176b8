/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void event_put(struct rec_writer *w, const struct event *e)
{
    rec_put_real(w, EVENT_TIME, e->time);
    rec_put_text(w, EVENT_MIGRATION, e->migration);
    rec_put_text(w, EVENT_VOLUME, e->volume);
    rec_put_text(w, EVENT_SOURCE, e->source);
    rec_put_text(w, EVENT_TARGET, e->target);
    rec_put_word(w, EVENT_PHASE, e->phase);
    rec_put_word(w, EVENT_EVENT, e->event);
    rec_put_uint(w, EVENT_BYTES_DONE, e->bytes_done);
    rec_put_uint(w, EVENT_BYTES_TOTAL, e->bytes_total);
    if (e->has_pause)
        rec_put_uint(w, EVENT_PAUSE_US, e->pause_us);
    rec_put_text(w, EVENT_WHO, e->who);
    rec_put_text(w, EVENT_DETAIL, e->detail);
}

static void get_text(const struct rec_reader *r, size_t col, char *out, size_t size)
{
    snprintf(out, size, "%s", rec_text(r, col));
}

void event_get(const struct rec_reader *r, struct event *e)
{
    *e = (struct event){
        .time = rec_real(r, EVENT_TIME),
        .phase = rec_word(r, EVENT_PHASE),
        .event = rec_word(r, EVENT_EVENT),
        .bytes_done = rec_uint(r, EVENT_BYTES_DONE),
        .bytes_total = rec_uint(r, EVENT_BYTES_TOTAL),
        .has_pause = rec_present(r, EVENT_PAUSE_US),
        .pause_us = rec_uint(r, EVENT_PAUSE_US),
    };
    get_text(r, EVENT_MIGRATION, e->migration, sizeof(e->migration));
    get_text(r, EVENT_VOLUME, e->volume, sizeof(e->volume));
    get_text(r, EVENT_SOURCE, e->source, sizeof(e->source));
    get_text(r, EVENT_TARGET, e->target, sizeof(e->target));
    get_text(r, EVENT_WHO, e->who, sizeof(e->who));
    get_text(r, EVENT_DETAIL, e->detail, sizeof(e->detail));
}

/* ---- identity ---- */

int migration_id(const char *volume, uint64_t epoch, unsigned attempt, char id[NAME_LEN_MAX + 1])
{
    char text[NAME_LEN_MAX + 64];
    int n = snprintf(text, sizeof(text), "%s-%llu", volume, (unsigned long long)epoch);
    if (attempt > 1)
        n += snprintf(text + n, sizeof(text) - (size_t)n, ".%u", attempt);
    if (n > NAME_LEN_MAX)
        return -ENAMETOOLONG;
    memcpy(id, text, (size_t)n + 1);
    return 0;
}

int migration_epoch(const char *id, uint64_t *epoch)
{
    const char *dash = strrchr(id, '-');
    char number[32];
    if (!dash || dash == id || parse_name(id) < 0)
        return -EINVAL;
    int n = snprintf(number, sizeof(number), "%.*s", (int)strcspn(dash + 1, "."), dash + 1);
    return n < (int)sizeof(number) && parse_u64(number, epoch) == 0 ? 0 : -EINVAL;
}

bool event_is_final(enum rec_event e)
{
    return e == EVENT_SWITCHED || e == EVENT_FAILED || e == EVENT_ABORTED || e == EVENT_REVERTED ||
           e == EVENT_COMMITTED;
}
