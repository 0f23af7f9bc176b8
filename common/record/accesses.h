/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The numbers of access records, for who reads millions: a line is checked and read in one pass, 16
 * bytes at a time.  Lines that look as a director writes them are read, of others nothing is said.
 */
#ifndef GS_RECORD_ACCESSES_H
#define GS_RECORD_ACCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/record/record.h"

struct access_numbers {
    double time;
    uint64_t offset, length; /* their sum fits in 63 bits */
    uint64_t count;
};

/*
 * The numbers of the LINES of rec_access, at most MOST, into OUT, up to one that is not read: how
 * many were.  Of these, value_parse() takes every field with the same number, except for volume,
 * gateway, client and op, at which nobody looked; error is empty.
 */
size_t accesses_read(const struct rec_lines *lines, struct access_numbers *out, size_t most);
/* Is it worth asking?  No line is read by a processor without AVX2. */
bool accesses_quick(void);

#endif
