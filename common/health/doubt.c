/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/doubt.h"

#include <string.h>

/* A factor of a thousand between two units, with room for noise. */
#define UNIT_FACTOR 500.0

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s);
    size_t m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

bool health_impossible(const char *metric, double value)
{
    static const char *const positive[] = {"_us", "_rate", "_ratio", "_total"};
    if (!(value < 0))
        return false;
    for (size_t i = 0; i < sizeof(positive) / sizeof(*positive); i++)
        if (ends_with(metric, positive[i]))
            return true;
    return false;
}

bool health_doubtful(const struct signal *s, const struct health_limit *l)
{
    double low, high;
    double value = signal_now(s);
    return l->critical > l->warn && ends_with(l->metric, "_us") && signal_usual(s, &low, &high) &&
           value > 0 && value * UNIT_FACTOR < s->mean && value < low;
}
