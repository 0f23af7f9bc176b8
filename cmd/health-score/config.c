/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/health-score/config.h"

#include <stdio.h>

#include "common/base/error.h"
#include "common/health/limits_file.h"
#include "common/record/schema.h"

void config_limits(const char *file, const char *dir, struct health_limits *l)
{
    struct refused e;
    const int err = file ? health_limits_read(l, file, &e) : health_limits_load(l, dir, &e);
    if (err < 0)
        err_die(e.status, "%s", e.text);
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
