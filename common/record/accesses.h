/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Access records, for who reads millions: lines that look as a director writes them are found,
 * checked and read in one pass, 64 bytes at a time; of others nothing is said.
 */
#ifndef GS_RECORD_ACCESSES_H
#define GS_RECORD_ACCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/record/record.h"

struct access_line {
    double time;
    uint64_t offset, length; /* their sum fits in 63 bits */
    uint64_t count;
    const char *route, *origin; /* in the lines' text: "VOLUME,GATEWAY" and "CLIENT,OP" */
    const char *end;            /* behind its newline */
    uint32_t route_len, origin_len;
};

enum { ACCESSES_MOST = 64 };

struct accesses {
    size_t n;
    double first, last; /* of their times, if there are any */
    struct access_line line[ACCESSES_MOST];
};

/*
 * The first LINES of rec_access into OUT, up to one that is not read.  Nobody looked at what stands
 * in the two pairs but a comma: a line is one, and value_parse() takes every other field with the
 * same number, if in both pairs there is nothing odd (access_is_odd()).  Error is empty.
 */
void accesses_read(const struct rec_lines *lines, struct accesses *out);
/* Is it worth asking?  No line is read by a processor without AVX2. */
bool accesses_quick(void);

/* Does the text hold a quote, a newline or another control character? */
bool access_is_odd(const char *text, size_t len);

#endif
