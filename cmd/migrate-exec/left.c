/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/left.h"

#include <string.h>

#include "cmd/migrate-exec/hook.h"
#include "common/base/clock.h"

enum { TOLD_S = 86400 }; /* --expire is called more often */

/* Is it in use again, as an owner's or a kept copy?  Also if nobody can tell. */
static bool is_used(const struct exec *x, const struct event *e)
{
    struct route route;
    if (!x->store || route_store_get(x->store, e->volume, &route) != 1)
        return true;
    return strcmp(route.gateway, e->target) == 0 || strcmp(route.target, e->target) == 0;
}

static bool ended_in_vain(const struct story *s)
{
    return s->any && !s->switched &&
           (s->last.event == EVENT_FAILED || s->last.event == EVENT_ABORTED);
}

static bool is_gone(const struct story *s)
{
    return strncmp(s->last.detail, REC_GONE, strlen(REC_GONE)) == 0;
}

bool left_is_open(const struct exec *x, const struct story *s)
{
    if (!ended_in_vain(s))
        return false;
    if (is_gone(s))
        return clock_now() - s->last.time < TOLD_S;
    return strstr(s->last.detail, REC_LEFT) && !is_used(x, &s->last);
}

/* Under the journal's lock: another run may have said it meanwhile; and the history is complete. */
static enum outcome look(struct move *m, struct story *s)
{
    struct hook hook = move_hook(m, m->target);
    char text[160];
    uint64_t bytes;
    if (!left_is_open(m->exec, s) || is_gone(s) || !hook_there(&hook) ||
        hook_size(&hook, &bytes, text, sizeof(text)) != HOOK_ABSENT)
        return GO;
    m->phase = s->last.phase;
    int r = move_event(m, EVENT_ABORTED, REC_GONE "%.60s: export %.60s", m->target, m->volume);
    return r < 0 ? move_journal_failed(m, r) : GO;
}

enum outcome left_look(const struct exec *x, const char *id)
{
    return story_with(x, id, story_take, look);
}
