/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The route store as an input: a failure ends the program, as with any other input. */
#ifndef PLAN_ROUTES_H
#define PLAN_ROUTES_H

#include "common/route/store.h"

/* Calls FN for each route in the folder STATE, as route_store_each() does. */
void routes_each(const char *state, int (*fn)(const struct route *r, void *arg), void *arg);

#endif
