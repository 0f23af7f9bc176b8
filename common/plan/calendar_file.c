/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/calendar_file.h"

#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/record/schema.h"

static int add_rule(struct rec_reader *r, struct plan_calendar *c, struct refused *e)
{
    const char *from = rec_text(r, CALENDAR_FROM), *until = rec_text(r, CALENDAR_UNTIL);
    const bool window = rec_word(r, CALENDAR_RULE) == CALENDAR_RULE_WINDOW;
    const int err =
        window ? plan_calendar_window(c, from, until) : plan_calendar_blackout(c, from, until);
    if (err == -EINVAL)
        return refused(e, EX_CONFIG, err, "%s: no %s '%s' to '%s'", rec_reader_where(r),
                       window ? "window HH:MM to HH:MM" : "days YYYY-MM-DD to YYYY-MM-DD", from,
                       until);
    return err < 0 ? refused_memory(e) : 0;
}

static int read_all(const char *path, struct plan_calendar *c, struct refused *e)
{
    char *paths[] = {(char *)path};
    struct rec_reader *r = rec_reader_new(&rec_calendar);
    int got = 0, err = 0;
    if (!r)
        return refused_memory(e);
    rec_reader_files(r, paths, 1);
    while (!err && (got = rec_reader_next(r)) > 0)
        err = add_rule(r, c, e);
    if (!err && got < 0)
        err = refused(e, got == -EBADMSG ? EX_CONFIG : rec_reader_status(r), got, "%s",
                      rec_reader_error(r));
    rec_reader_free(r);
    return err;
}

int plan_calendar_load(struct plan_calendar *c, const char *dir, struct refused *e)
{
    struct buf path = {0};
    if (buf_printf(&path, "%s/calendar.csv", dir) < 0)
        return refused_memory(e);
    const bool none = access(path.data, F_OK) < 0 && errno == ENOENT;
    const int err = none ? 0 : read_all(path.data, c, e);
    buf_release(&path);
    return err;
}
