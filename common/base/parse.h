/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Strict parsing of numbers, sizes, durations and names.  Each takes the whole string or nothing
 * (no blanks, no sign where none belongs, no hex, no "nan"), returns 0, -EINVAL (not of the form)
 * or -ERANGE (does not fit), and leaves *OUT alone on failure.
 */
#ifndef GS_BASE_PARSE_H
#define GS_BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>

/* The longest volume or gateway name, without the NUL. */
#define NAME_LEN_MAX 128

/* Decimal digits only. */
int parse_u64(const char *s, uint64_t *out);

/* A finite decimal number, with sign, fraction and exponent. */
int parse_f64(const char *s, double *out);

/* Bytes: a number, with an optional K, M, G or T (1024) and fraction ("1.5G"). */
int parse_size(const char *s, uint64_t *bytes);

/* Seconds: a number with an optional ms, s, m, h, d or w (default s). */
int parse_duration(const char *s, double *seconds);

/*
 * A volume's, gateway's or site's name: 1…NAME_LEN_MAX characters of [A-Za-z0-9._:@+-], the first
 * not '.' or '-', so that it is safe as a file name and as an argument.
 */
int parse_name(const char *s);

#endif
