/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/ahead.h"
#include "cmd/migrate-exec/behind.h"
#include "cmd/migrate-exec/lost.h"
#include "cmd/migrate-exec/missing.h"
#include "cmd/migrate-exec/retain.h"
#include "cmd/migrate-exec/story.h"
#include "cmd/migrate-exec/takeover.h"
#include "common/base/clock.h"
#include "common/base/error.h"

/*
 * What has stalled waits for somebody: in the words of who left it, in place of the end of a detail
 * that is too long.  Of a standby that was lost the detail says when it is tried again.
 */
static void say_what_to_type(const char *id, struct event *e)
{
    struct lost lost;
    char text[NAME_LEN_MAX + 64];
    size_t len = strlen(e->detail);
    const int n = snprintf(text, sizeof(text), "; go on with: migrate-exec --resume %s", id);
    if (lost_get(e, &lost) || n < 0 || (size_t)n >= sizeof(e->detail))
        return;
    if (len + (size_t)n >= sizeof(e->detail))
        len = sizeof(e->detail) - 1 - (size_t)n;
    memcpy(e->detail + len, text, (size_t)n + 1);
}

enum outcome status_print(const struct exec *x, const struct event *e)
{
    event_put(x->out, e);
    rec_write_now(x->out);
    return SETTLED;
}

static enum outcome print_last(const struct exec *x, const char *id)
{
    struct event e;
    int r = journal_last(x->dirs.state, id, &e);
    if (r == -ENOENT || r == -EINVAL) {
        err_warn("no such migration '%s'", id);
        return FAILED;
    }
    if (r < 0)
        return story_unreadable(x, id, r);
    if (r && !takeover_describe(x, id, &e))
        retain_describe(&e, clock_now());
    if (r)
        ahead_describe(x, id, &e);
    if (r && !behind_describe(x, id, &e) &&
        (e.event == EVENT_STALLED || e.event == EVENT_MANUAL_RECOVERY) &&
        !strstr(e.detail, " lacks "))
        missing_describe(x, e.volume, e.detail, sizeof(e.detail));
    if (r && e.event == EVENT_STALLED)
        say_what_to_type(id, &e);
    return r ? status_print(x, &e) : SETTLED;
}

enum outcome status_show(const struct exec *x, const char *id)
{
    char **ids;
    size_t n;
    enum outcome worst = GO;
    if (id)
        return print_last(x, id);
    int r = journal_ids(x->dirs.state, &ids, &n);
    if (r < 0)
        err_die(EX_NOINPUT, "cannot read '%s/migrations': %s", x->dirs.state, err_text(r));
    for (size_t i = 0; i < n; i++) {
        enum outcome o = print_last(x, ids[i]);
        worst = o > worst ? o : worst;
    }
    journal_ids_free(ids, n);
    return worst;
}
