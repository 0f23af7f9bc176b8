/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/doubt.h"

#include <stddef.h>

/* A factor of a thousand between two units, with room for noise. */
#define UNIT_FACTOR 500.0

bool health_impossible(const char *metric, double value)
{
    static const char *const positive[] = {"_us", "_rate", "_ratio", "_total"};
    if (!(value < 0))
        return false;
    for (size_t i = 0; i < sizeof(positive) / sizeof(*positive); i++)
        if (health_name_ends(metric, positive[i]))
            return true;
    return false;
}

bool health_doubtful(const struct signal *s, const struct health_limit *l)
{
    double low, high;
    double value = signal_now(s);
    return l->critical > l->warn && health_name_ends(l->metric, "_us") &&
           signal_usual(s, &low, &high) && value > 0 && value * UNIT_FACTOR < s->mean &&
           value < low;
}
