/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Prefixes, to be found by an address that they hold: of two, one holds the other or they lie
 * apart, so that each but the widest has one that is the next around it.
 */
#ifndef GS_FLEET_PREFIXSET_H
#define GS_FLEET_PREFIXSET_H

#include <stddef.h>

#include "common/fleet/prefix.h"

struct prefix_node {
    struct fleet_prefix prefix; /* the bits behind its own are 0 */
    size_t number;
    size_t around; /* the node that holds it, or PREFIX_NONE */
};

#define PREFIX_NONE ((size_t)-1)

/* Zero-initialise; prefix_set_release() frees. */
struct prefix_set {
    struct prefix_node *node; /* [n], ascending by address, the wider first; owned */
    size_t n, cap;
};

/* Adds P under NUMBER; nothing is found before prefix_set_sort().  0, -EINVAL: none, or -ENOMEM. */
int prefix_set_add(struct prefix_set *s, const struct fleet_prefix *p, size_t number);

/* Once all are added.  Of equal ones the smallest number stays. */
void prefix_set_sort(struct prefix_set *s);

/* The number of the longest prefix that holds ADDRESS, or PREFIX_NONE. */
size_t prefix_set_find(const struct prefix_set *s, const struct fleet_prefix *address);

void prefix_set_release(struct prefix_set *s);

#endif
