/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int parse_u64(const char *s, uint64_t *out)
{
    uint64_t v = 0;
    if (!*s)
        return -EINVAL;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return -ERANGE;
    }
    *out = v;
    return 0;
}

/* A number at the start of S; *END is what follows it. */
static int parse_prefix(const char *s, double *out, const char **end)
{
    /* strtod also takes blanks, hex, inf and nan: only digits, sign and point may begin here. */
    const char *p = s + (*s == '-' || *s == '+');
    if (!isdigit((unsigned char)*p) && !(*p == '.' && isdigit((unsigned char)p[1])))
        return -EINVAL;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
        return -EINVAL;
    char *stop;
    errno = 0;
    double v = strtod(s, &stop);
    if (!isfinite(v))
        return -ERANGE;
    *out = v;
    *end = stop;
    return 0;
}

int parse_f64(const char *s, double *out)
{
    double v;
    const char *end;
    int r = parse_prefix(s, &v, &end);
    if (r < 0)
        return r;
    if (*end)
        return -EINVAL;
    *out = v;
    return 0;
}

int parse_size(const char *s, uint64_t *bytes)
{
    /* Whole numbers keep all 64 bits; fractions go through a double. */
    static const char units[] = "KMGT";
    double v;
    const char *end;
    int r = parse_prefix(s, &v, &end);
    if (r < 0)
        return r;
    if (v < 0)
        return -EINVAL;
    unsigned shift = 0;
    size_t digits = strspn(s, "0123456789");
    const char *unit = end;
    if (*unit) {
        const char *u = strchr(units, toupper((unsigned char)*unit));
        if (!u || unit[1])
            return -EINVAL;
        shift = 10 * (unsigned)(u - units + 1);
    }
    if (s + digits == end) {
        uint64_t n = 0;
        for (const char *p = s; p < end; p++)
            if (__builtin_mul_overflow(n, 10, &n) ||
                __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
                return -ERANGE;
        if (shift && n >> (64 - shift))
            return -ERANGE;
        *bytes = n << shift;
        return 0;
    }
    v = ldexp(v, (int)shift);
    if (v >= 0x1p64)
        return -ERANGE;
    *bytes = (uint64_t)v;
    return 0;
}

int parse_duration(const char *s, double *seconds)
{
    static const struct {
        const char *name;
        double s;
    } units[] = {{"", 1},     {"ms", 1e-3}, {"s", 1},        {"m", 60},
                 {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}};
    double v;
    const char *end;
    int r = parse_prefix(s, &v, &end);
    if (r < 0)
        return r;
    if (v < 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(end, units[i].name) == 0) {
            *seconds = v * units[i].s;
            return 0;
        }
    return -EINVAL;
}

/* May C stand in a name?  strspn() would build such a table anew for every name. */
static bool in_name(unsigned char c)
{
    static const bool allowed[256] = {
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
        ['.'] = true,         ['_'] = true,         [':'] = true,
        ['@'] = true,         ['+'] = true,         ['-'] = true,
    };
    return allowed[c];
}

int parse_name(const char *s)
{
    size_t n = 0;
    while (in_name((unsigned char)s[n]))
        n++;
    if (n == 0 || n > NAME_LEN_MAX || s[n] || s[0] == '.' || s[0] == '-')
        return -EINVAL;
    return 0;
}
