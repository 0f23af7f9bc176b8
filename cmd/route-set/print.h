/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Route records on standard output.  Whatever fails ends the program. */
#ifndef ROUTE_SET_PRINT_H
#define ROUTE_SET_PRINT_H

#include <stdio.h>

#include "common/record/record.h"
#include "common/route/store.h"

struct rec_writer *print_new(const struct rec_schema *schema);
/* Of route records to OUT, with every column. */
struct rec_writer *print_new_routes(FILE *out);
/* A failed write is found at exit; lack of memory is not. */
void print_check(int err);
/* For route_store_each(): ARG is the writer. */
int print_route(const struct route *r, void *arg);

/* Ends the message about a damaged store. */
#define PRINT_WHAT_TO_DO "; nothing was changed: see route-set(1), FILES"

/* Ends the program because of ERR of store S. */
_Noreturn void die_of_store(const struct route_store *s, int err);

#endif
