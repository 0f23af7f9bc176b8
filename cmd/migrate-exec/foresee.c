/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/foresee.h"

#include "cmd/migrate-exec/overwrite.h"
#include "cmd/migrate-exec/reach.h"
#include "cmd/migrate-exec/shared.h"

/* The export that the target has, if its hook does not say that there is none. */
static enum outcome look_at_target(struct move *m)
{
    struct hook hook = move_hook(m, m->target);
    char why[200];
    uint64_t bytes;
    int r = hook_there(&hook) ? hook_size(&hook, &bytes, why, sizeof(why)) : HOOK_DONE;
    if (r == HOOK_ABSENT)
        return GO;
    if (r != HOOK_DONE && r != HOOK_CANNOT)
        return move_fails(m, "hook of %s, size: %s", m->target, why);
    enum outcome o = reach_target(m);
    return o == GO && !m->shared && !m->exec->overwrite ? overwrite_ask(m) : o;
}

enum outcome foresee(struct move *m)
{
    enum outcome o = move_find_director(m);
    if (o == GO)
        o = shared_ask(m);
    if (o == GO && !m->shared)
        o = reach_source(m);
    return o == GO ? look_at_target(m) : o;
}
