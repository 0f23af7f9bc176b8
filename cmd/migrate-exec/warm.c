/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/warm.h"

#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/label.h"
#include "common/base/error.h"

/* The copy is of no use: out of service again, with nothing changed.  GO or FAILED. */
static enum outcome put_away(struct move *m, const struct hook *hook)
{
    char why[200];
    if (hook_run(hook, "cold", why, sizeof(why)) == HOOK_DONE)
        return GO;
    return move_fails(m, "hook of %s, cold: %s", m->target, why);
}

static enum outcome say(struct move *m, bool known)
{
    int r = known ? move_event(m, EVENT_PASS, "the cold copy on %s is the one that was left there",
                               m->target)
                  : move_event(m, EVENT_PASS,
                               "the cold copy on %s is not known to be the one that was left there",
                               m->target);
    return r < 0 ? move_journal_failed(m, r) : GO;
}

enum outcome warm_cold_copy(struct move *m, bool *there)
{
    struct hook hook = move_hook(m, m->target);
    char label[LABEL_SIZE];
    char text[LABEL_SIZE];
    char why[200];
    uint64_t bytes = 0;
    *there = false;
    int r = label_find(m->exec->dirs.state, m->volume, m->target, label);
    if (r < 0)
        return move_fails(m, "cannot read the journals: %s", err_text(r));
    if (r == 0)
        return GO;
    r = verify_cold(m); /* before it is one no longer */
    if (r < 0)
        return move_journal_failed(m, r);
    r = hook_run(&hook, "unfence", text, sizeof(text));
    if (r == HOOK_ABSENT || r == HOOK_CANNOT)
        return GO;
    if (r != HOOK_DONE)
        return move_fails(m, "hook of %s, unfence: %.200s", m->target, text);
    if (hook_size(&hook, &bytes, why, sizeof(why)) == HOOK_DONE && bytes < m->size_bytes)
        return put_away(m, &hook);
    *there = true;
    return say(m, strcmp(text, label) == 0);
}
