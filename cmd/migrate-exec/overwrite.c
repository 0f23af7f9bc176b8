/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/overwrite.h"

#include <errno.h>
#include <string.h>

#include "cmd/migrate-exec/shared.h"
#include "common/base/error.h"

/* What journals tell of an export: was it the volume's copy before? */
struct past {
    const struct move *m;
    bool ours;
    bool shared; /* with the source: it is no copy at all */
};

static int look_back(const struct event *e, void *arg)
{
    struct past *p = arg;
    const struct move *m = p->m;
    bool same = strcmp(e->volume, m->volume) == 0 &&
                (strcmp(e->target, m->target) == 0 || strcmp(e->source, m->target) == 0);
    bool pair = strcmp(e->target, m->source) == 0 || strcmp(e->source, m->source) == 0;
    p->shared = p->shared || (same && pair && shared_says(e));
    /* A move that was refused before it touched the export says nothing of it. */
    p->ours = p->ours ||
              (same && (e->phase != PHASE_REDIRECT || strcmp(e->detail, MOVE_TAKES_EXPORT) == 0));
    return 0;
}

/* Is ID the name of a migration of VOLUME? */
static bool is_of(const char *id, const char *volume)
{
    const char *dash = strrchr(id, '-');
    const size_t len = strlen(volume);
    return dash && (size_t)(dash - id) == len && strncmp(id, volume, len) == 0;
}

/* 0, or -errno: a journal of the volume that can't be read to its end may have said anything. */
static int look_into(const char *id, struct past *p)
{
    const int r = journal_each(p->m->exec->dirs.state, id, look_back, p);
    return r == -ENOENT || !is_of(id, p->m->volume) ? 0 : r;
}

enum outcome overwrite_ask(struct move *m)
{
    struct past past = {.m = m};
    enum outcome o = GO;
    char **ids;
    size_t n;
    int r = journal_ids(m->exec->dirs.state, &ids, &n);
    if (r < 0)
        return move_fails(m, "cannot read the journals: %s", err_text(r));
    for (size_t i = 0; o == GO && i < n; i++)
        if ((r = look_into(ids[i], &past)) < 0)
            o = move_fails(m,
                           "%s has an export '%s', and the journal of '%s' cannot be read: %s; "
                           "--overwrite takes the export",
                           m->target, m->volume, ids[i],
                           r == -EBADMSG ? "a damaged record" : err_text(r));
    journal_ids_free(ids, n);
    if (o != GO)
        return o;
    if (past.shared) /* what the hooks have forgotten, and a copy onto itself would ruin it */
        return move_fails(m,
                          "%s and %s had '%s' on shared storage, which their hooks do not say any "
                          "more; --overwrite takes the export",
                          m->source, m->target, m->volume);
    if (past.ours)
        return GO;
    return move_fails(m,
                      "%s has an export '%s' that no move of the volume left there; "
                      "--overwrite takes it",
                      m->target, m->volume);
}
