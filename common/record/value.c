/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/value.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/parse.h"

/* How a real type prints and what it may be. */
struct real_form {
    double min;
    double max;
    int decimals; /* -1: six significant digits instead */
    bool trim;    /* drop zeros at the end of the fraction */
};

static const struct real_form *real_form(enum rec_type type)
{
    static const struct real_form forms[] = {
        [REC_TIME] = {0, REC_TIME_MAX, 6, true}, [REC_REAL] = {-HUGE_VAL, HUGE_VAL, -1, true},
        [REC_RATIO] = {0, 1, 4, false},          [REC_BENEFIT] = {-10, 10, 4, false},
        [REC_LATENCY] = {0, 1e12, 3, true},
    };
    switch (type) {
    case REC_TIME:
    case REC_REAL:
    case REC_RATIO:
    case REC_BENEFIT:
    case REC_LATENCY:
        return &forms[type];
    default:
        return NULL;
    }
}

static const double powers_of_ten[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/*
 * "DIGITS[.DIGITS]", with less than 2^53 as its digits.  Both they as a whole number and the power
 * of ten are exact doubles, so that the one division rounds correctly (Clinger 1990).
 */
static bool parse_short(const char *s, double *out)
{
    uint64_t digits = 0;
    const char *start = s;
    for (; *s >= '0' && *s <= '9'; s++)
        digits = digits * 10 + (uint64_t)(*s - '0');
    size_t n = (size_t)(s - start);
    if (n == 0 || n > 15)
        return false;
    size_t decimals = 0;
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++, decimals++)
            digits = digits * 10 + (uint64_t)(*s - '0');
    if (*s || decimals > 15 || n + decimals > 19 || digits > (uint64_t)1 << 53)
        return false;
    *out = decimals ? (double)digits / powers_of_ten[decimals] : (double)digits;
    return true;
}

static int parse_real(const struct real_form *f, const char *text, double *out)
{
    double v;
    assert(f); /* value_parse() knows which types have one */
    if (!parse_short(text, &v)) {
        int r = parse_f64(text, &v);
        if (r < 0)
            return r;
    }
    if (v < f->min || v > f->max)
        return -ERANGE;
    *out = v;
    return 0;
}

static int parse_int(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    uint64_t v;
    int r = parse_u64(text + negative, &v);
    if (r < 0)
        return r;
    if (v > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *out = (int64_t)(negative ? -v : v);
    return 0;
}

static int parse_word(const char *const *words, const char *text, uint64_t *out)
{
    for (size_t i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return 0;
        }
    return -EINVAL;
}

static int parse_errno(const char *text, uint64_t *out)
{
    int e = err_number(text);
    if (e < 0)
        return e;
    *out = (uint64_t)e;
    return 0;
}

int value_parse(const struct rec_column *c, const char *text, union value *v)
{
    switch (c->type) {
    case REC_TEXT:
        return 0;
    case REC_NAME:
        return parse_name(text);
    case REC_UINT:
        return parse_u64(text, &v->uint);
    case REC_INT:
        return parse_int(text, &v->sint);
    case REC_ERRNO:
        return parse_errno(text, &v->uint);
    case REC_WORD:
        return parse_word(c->words, text, &v->uint);
    default:
        return parse_real(real_form(c->type), text, &v->real);
    }
}

static void list_words(const char *const *words, char text[VALUE_EXPECTED_MAX])
{
    size_t n = (size_t)snprintf(text, VALUE_EXPECTED_MAX, "one of");
    for (size_t i = 0; words[i] && n < VALUE_EXPECTED_MAX; i++)
        n += (size_t)snprintf(text + n, VALUE_EXPECTED_MAX - n, "%s %s", i ? "," : "", words[i]);
}

void value_expected(const struct rec_column *c, char text[VALUE_EXPECTED_MAX])
{
    static const char *const expected[] = {
        [REC_TEXT] = "text",
        [REC_NAME] = "a name",
        [REC_TIME] = "a time in Unix seconds",
        [REC_UINT] = "a whole number from 0 to 2^64-1",
        [REC_INT] = "a whole number",
        [REC_REAL] = "a number",
        [REC_RATIO] = "a number from 0 to 1",
        [REC_BENEFIT] = "a number from -10 to 10",
        [REC_LATENCY] = "a number of microseconds from 0 to 1e12",
        [REC_ERRNO] = "an errno name",
    };
    if (c->type == REC_WORD)
        list_words(c->words, text);
    else
        snprintf(text, VALUE_EXPECTED_MAX, "%s", expected[c->type]);
}

double value_real(const struct rec_column *c, union value v)
{
    switch (c->type) {
    case REC_TEXT:
    case REC_NAME:
        return 0;
    case REC_UINT:
    case REC_ERRNO:
    case REC_WORD:
        return (double)v.uint;
    case REC_INT:
        return (double)v.sint;
    default:
        return v.real;
    }
}

uint64_t value_uint(const struct rec_column *c, union value v)
{
    if (real_form(c->type))
        return v.real <= 0 ? 0 : v.real >= 0x1p64 ? UINT64_MAX : (uint64_t)v.real;
    if (c->type == REC_INT)
        return v.sint < 0 ? 0 : (uint64_t)v.sint;
    return v.uint;
}

int64_t value_int(const struct rec_column *c, union value v)
{
    if (real_form(c->type))
        return v.real <= -0x1p63 ? INT64_MIN : v.real >= 0x1p63 ? INT64_MAX : (int64_t)v.real;
    if (c->type == REC_INT)
        return v.sint;
    return v.uint > INT64_MAX ? INT64_MAX : (int64_t)v.uint;
}

/* V in decimal, ending right before END; the start. */
static char *digits_before(char *end, uint64_t v)
{
    do
        *--end = (char)('0' + v % 10);
    while (v /= 10);
    return end;
}

static int format_whole(bool negative, uint64_t v, char *text)
{
    char digits[24];
    char *end = digits + sizeof(digits);
    char *p = digits_before(end, v);
    if (negative)
        *--p = '-';
    int len = (int)(end - p);
    memcpy(text, p, (size_t)len);
    text[len] = 0;
    return len;
}

/* Drops the zeros at the end of a fraction, and the point if nothing else is left of it. */
static int trim_zeros(char *text, int len)
{
    if (!memchr(text, '.', (size_t)len))
        return len;
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    text[len] = 0;
    return len;
}

/* 0 ≤ |V| · 10^DECIMALS < 2^51: the digits as one whole number, without printf. */
static int format_scaled(double v, int decimals, char *text)
{
    char digits[32];
    char *end = digits + sizeof(digits);
    uint64_t scaled = (uint64_t)(fabs(v) * powers_of_ten[decimals] + 0.5);
    bool negative = v < 0 && scaled; /* never "-0.0000" */
    uint64_t unit = (uint64_t)powers_of_ten[decimals];
    char *p = end;
    uint64_t fraction = scaled % unit;
    for (int i = 0; i < decimals; i++, fraction /= 10)
        *--p = (char)('0' + fraction % 10);
    if (decimals)
        *--p = '.';
    p = digits_before(p, scaled / unit);
    if (negative)
        *--p = '-';
    int len = (int)(end - p);
    memcpy(text, p, (size_t)len);
    text[len] = 0;
    return len;
}

/* Six significant digits, as a plain decimal where that is not much longer. */
static int format_significant(double v, char *text)
{
    int len = snprintf(text, VALUE_TEXT_MAX, "%.6g", v == 0 ? 0.0 : v);
    double rounded;
    if (fabs(v) >= 1e5 && fabs(v) < 1e15 && strchr(text, 'e') && parse_f64(text, &rounded) == 0)
        len = snprintf(text, VALUE_TEXT_MAX, "%.0f", rounded);
    return len;
}

static int format_fixed(const struct real_form *f, double v, char *text)
{
    int len;
    if (fabs(v) * powers_of_ten[f->decimals] < 0x1p51)
        len = format_scaled(v, f->decimals, text);
    else
        len = snprintf(text, VALUE_TEXT_MAX, "%.*f", f->decimals, v);
    return f->trim ? trim_zeros(text, len) : len;
}

int value_format_real(const struct rec_column *c, double v, char text[VALUE_TEXT_MAX])
{
    const struct real_form *f = real_form(c->type);
    if (!isfinite(v))
        return -EINVAL;
    if (f && f->decimals >= 0) {
        /* What rounding alone put outside still rounds back inside. */
        double slack = 0.5 / powers_of_ten[f->decimals];
        if ((v < f->min && v <= f->min - slack) || (v > f->max && v >= f->max + slack))
            return -EINVAL;
        return format_fixed(f, v, text);
    }
    if (f)
        return format_significant(v, text);
    /* A whole type: the nearest whole number. */
    if (c->type == REC_INT && v < 0)
        return v < -0x1p63 ? -EINVAL : value_format_int(c, llrint(v), text);
    v = rint(v);
    if (v < 0 || v >= 0x1p64)
        return -EINVAL;
    return value_format_uint(c, (uint64_t)v, text);
}

int value_format_uint(const struct rec_column *c, uint64_t v, char text[VALUE_TEXT_MAX])
{
    if (real_form(c->type))
        return value_format_real(c, (double)v, text);
    if (c->type == REC_INT && v > INT64_MAX)
        return -EINVAL;
    if (c->type == REC_ERRNO) {
        const char *name = v <= INT32_MAX ? err_name((int)v) : "E?";
        return name[0] == 'E' && name[1] == '?' ? -EINVAL
                                                : snprintf(text, VALUE_TEXT_MAX, "%s", name);
    }
    return format_whole(false, v, text);
}

int value_format_int(const struct rec_column *c, int64_t v, char text[VALUE_TEXT_MAX])
{
    if (c->type == REC_ERRNO && v < 0)
        v = -v; /* our results are negative errno values */
    if (v >= 0)
        return value_format_uint(c, (uint64_t)v, text);
    if (real_form(c->type))
        return value_format_real(c, (double)v, text);
    return c->type == REC_UINT ? -EINVAL : format_whole(true, -(uint64_t)v, text);
}
