/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/limits_file.h"

#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/record/schema.h"

static int add_record(struct rec_reader *r, struct health_limits *l, struct refused *e)
{
    const char *metric = rec_text(r, HEALTH_LIMIT_METRIC);
    const int err = health_limits_add(
        l, metric, rec_text(r, HEALTH_LIMIT_GROUP), rec_real(r, HEALTH_LIMIT_WEIGHT),
        rec_real(r, HEALTH_LIMIT_WARN), rec_real(r, HEALTH_LIMIT_CRITICAL),
        rec_word(r, HEALTH_LIMIT_VITAL) == YESNO_YES);
    if (err == -EEXIST)
        return refused(e, EX_CONFIG, err, "%s: metric '%s' is listed twice", rec_reader_where(r),
                       metric);
    if (err == -ERANGE)
        return refused(e, EX_CONFIG, err,
                       "%s: weight must lie above 0 and up to 1, and warn not be critical",
                       rec_reader_where(r));
    return err < 0 ? refused_memory(e) : 0;
}

static int read_all(struct rec_reader *r, struct health_limits *l, const char *path,
                    struct refused *e)
{
    char *paths[] = {(char *)path};
    int got = 0, err = 0;
    rec_reader_files(r, paths, 1);
    while (!err && (got = rec_reader_next(r)) > 0)
        err = add_record(r, l, e);
    if (!err && got < 0)
        return refused(e, got == -EBADMSG ? EX_CONFIG : rec_reader_status(r), got, "%s",
                       rec_reader_error(r));
    if (!err && l->metrics.n == 0)
        return refused(e, EX_CONFIG, -EINVAL, "no limits in '%s'", path);
    return err;
}

int health_limits_read(struct health_limits *l, const char *path, struct refused *e)
{
    struct rec_reader *r = rec_reader_new(&rec_health_limit);
    if (!r)
        return refused_memory(e);
    const int err = read_all(r, l, path, e);
    rec_reader_free(r);
    return err;
}

int health_limits_load(struct health_limits *l, const char *dir, struct refused *e)
{
    struct buf path = {0};
    if (buf_printf(&path, "%s/health.csv", dir) < 0)
        return refused_memory(e);
    const bool none = access(path.data, F_OK) < 0 && errno == ENOENT;
    int err = 0;
    if (!none)
        err = health_limits_read(l, path.data, e);
    else if (health_limits_builtin(l) < 0)
        err = refused_memory(e);
    buf_release(&path);
    return err;
}
