/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A line of the route log: the record as route-set prints it, without an empty column verify, and,
 * behind its last comma, the XXH3-64 of what stands before that comma, as 16 hexadecimal digits.
 */
#ifndef GS_ROUTE_LINE_H
#define GS_ROUTE_LINE_H

#include "common/route/store.h"

/* The log's first line. */
#define LINE_HEADER "volume,gateway,epoch,state,target,size_bytes,time,xxh3\n"

/*
 * Appends R's line, newline included, to OUT; W is a writer of rec_route.  0 or -errno, then OUT
 * may hold a part.
 */
int line_format(struct rec_writer *w, const struct route *r, struct buf *out);

/*
 * Parses the LEN bytes at DATA, without newline, into R.  NULL, or why they are no line of a log;
 * R is then undefined.
 */
const char *line_parse(const char *data, size_t len, struct route *r);

#endif
