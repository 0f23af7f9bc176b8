/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/setting.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/parse.h"

/* More runs than this are a mistake. */
enum { VALUES_MAX = 1000 };
/* Sums of steps are a little off. */
static const double rounding = 1e-9;

/* Takes the numbers apart; false: they are not three, ascending, with a step. */
static bool parse_range(struct sweep *s, char *range)
{
    char *second = strchr(range, ':'), *third = second ? strchr(second + 1, ':') : NULL;
    if (!third)
        return false;
    *second++ = '\0';
    *third++ = '\0';
    return parse_f64(range, &s->from) == 0 && parse_f64(second, &s->to) == 0 &&
           parse_f64(third, &s->step) == 0 && s->step > 0 && s->to >= s->from &&
           (s->to - s->from) / s->step < VALUES_MAX;
}

void sweep_parse(struct sweep *s, const struct argp_state *st, const char *arg)
{
    sweep_release(s);
    s->name = strdup(arg);
    if (!s->name)
        err_die(EX_OSERR, "out of memory");
    char *range = strchr(s->name, '=');
    if (range)
        *range++ = '\0';
    if (!range || !parse_range(s, range))
        argp_error(st, "sweep: '%s' is not of the form NAME=FROM:TO:STEP, with at most %d values",
                   arg, VALUES_MAX);
}

void sweep_release(struct sweep *s)
{
    free(s->name);
    *s = (struct sweep){0};
}

size_t sweep_count(const struct sweep *s)
{
    return s->name ? 1 + (size_t)floor((s->to - s->from) / s->step + rounding) : 1;
}

struct plan_limits sweep_limits(const struct sweep *s, const struct knobs *k, size_t i,
                                char setting[SETTING_MAX])
{
    struct knobs with = *k;
    char value[32];
    *setting = '\0';
    if (!s->name)
        return with.limits;
    /* What is swept over replaces what was given. */
    with.set = 0;
    snprintf(value, sizeof(value), "%.10g", s->from + (double)i * s->step);
    snprintf(setting, SETTING_MAX, "%.30s=%s", s->name, value);
    const int err = knobs_restore(&with, s->name, value);
    if (err == -ENOENT)
        err_die(EX_USAGE, "sweep: '%s' is no limit of the planner", s->name);
    if (err < 0)
        err_die(EX_USAGE, "sweep: '%s' does not take %s", s->name, value);
    return with.limits;
}

void sweep_check(const struct sweep *s, const struct knobs *k)
{
    char setting[SETTING_MAX];
    for (size_t i = 0; i < sweep_count(s); i++)
        sweep_limits(s, k, i, setting);
}
