/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/health-score/config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/record/schema.h"

static void add_record(struct rec_reader *r, struct health_limits *l)
{
    int e = health_limits_add(l, rec_text(r, HEALTH_LIMIT_METRIC), rec_text(r, HEALTH_LIMIT_GROUP),
                              rec_real(r, HEALTH_LIMIT_WEIGHT), rec_real(r, HEALTH_LIMIT_WARN),
                              rec_real(r, HEALTH_LIMIT_CRITICAL),
                              rec_word(r, HEALTH_LIMIT_VITAL) == YESNO_YES);
    const char *where = rec_reader_where(r);
    if (e == -EEXIST)
        err_die(EX_CONFIG, "%s: metric '%s' is listed twice", where,
                rec_text(r, HEALTH_LIMIT_METRIC));
    if (e == -ERANGE)
        err_die(EX_CONFIG, "%s: weight must lie above 0 and up to 1, and warn not be critical",
                where);
    if (e < 0)
        err_die(EX_OSERR, "out of memory");
}

static void read_limits(char *path, struct health_limits *l)
{
    struct rec_reader *r = rec_reader_new(&rec_health_limit);
    int got;
    if (!r)
        err_die(EX_OSERR, "out of memory");
    rec_reader_files(r, &path, 1);
    while ((got = rec_reader_next(r)) > 0)
        add_record(r, l);
    if (got < 0)
        err_die(got == -EBADMSG ? EX_CONFIG : rec_reader_status(r), "%s", rec_reader_error(r));
    if (l->metrics.n == 0)
        err_die(EX_CONFIG, "no limits in '%s'", path);
    rec_reader_free(r);
}

void config_limits(const char *file, const char *dir, struct health_limits *l)
{
    struct buf path = {0};
    int r = file ? buf_adds(&path, file) : buf_printf(&path, "%s/health.csv", dir);
    if (r == 0 && !file && access(path.data, F_OK) < 0 && errno == ENOENT)
        r = health_limits_builtin(l);
    else if (r == 0)
        read_limits(path.data, l);
    if (r < 0)
        err_die(EX_OSERR, "out of memory");
    buf_release(&path);
}

void config_print(const struct health_limits *l)
{
    struct rec_writer *w = rec_writer_new(&rec_health_limit, stdout);
    if (!w)
        err_die(EX_OSERR, "out of memory");
    for (size_t i = 0; i < l->metrics.n; i++) {
        const struct health_limit *m = &l->items[i];
        rec_put_text(w, HEALTH_LIMIT_METRIC, m->metric);
        rec_put_text(w, HEALTH_LIMIT_GROUP, l->groups.names[m->group]);
        rec_put_real(w, HEALTH_LIMIT_WEIGHT, m->weight);
        rec_put_real(w, HEALTH_LIMIT_WARN, m->warn);
        rec_put_real(w, HEALTH_LIMIT_CRITICAL, m->critical);
        rec_put_word(w, HEALTH_LIMIT_VITAL, m->vital ? YESNO_YES : YESNO_NO);
        int r = rec_write(w);
        if (r < 0)
            err_die(EX_IOERR, "write failed 'stdout': %s", err_text(r));
    }
    rec_writer_free(w);
}
