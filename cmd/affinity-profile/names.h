/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names in access records and the numbers that a demand has for them, found again quickly. */
#ifndef GS_AFFINITY_PROFILE_NAMES_H
#define GS_AFFINITY_PROFILE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/affinity/demand.h"
#include "common/base/buf.h"
#include "common/base/memo.h"
#include "common/fleet/fleet.h"

/* names_init(); names_release() frees. */
struct names {
    const struct fleet *fleet; /* borrowed */
    struct memo routes, origins;
    struct buf text;
};

/* Sites are as FLEET (stored) says.  0 or -ENOMEM; names_release() is due in both cases. */
int names_init(struct names *n, const struct fleet *fleet);
void names_release(struct names *n);

/*
 * Two columns side by side: "FIRST,SECOND", LEN bytes, of which FIRST has so many.  0: they stand
 * in a line, at whose bytes nobody looked but to find that one comma.
 */
struct names_pair {
    const char *at;
    size_t len, first;
};

/*
 * A route and an origin are one number each: of the gateway + 1, and of the kind, so many bits;
 * what is left is the volume, and the site.
 */
enum { NAMES_GATEWAY_BITS = 10, NAMES_KIND_BITS = 2 };
struct names_numbers {
    uint32_t route, origin;
};

/* The numbers of two pairs, if they were met lately. */
static inline bool names_known(const struct names *n, struct names_pair route,
                               struct names_pair origin, struct names_numbers *out)
{
    long r = memo_get_short(&n->routes, route.at, route.len);
    long o = memo_get_short(&n->origins, origin.at, origin.len);
    *out = (struct names_numbers){(uint32_t)r, (uint32_t)o};
    return (r | o) >= 0;
}

/* What they say of a record. */
static inline struct demand_record names_record(struct names_numbers n)
{
    return (struct demand_record){
        .volume = n.route >> NAMES_GATEWAY_BITS,
        /* Less 1: 0 becomes DEMAND_NO_GATEWAY. */
        .gateway = (n.route & ((1u << NAMES_GATEWAY_BITS) - 1)) - 1,
        .site = n.origin >> NAMES_KIND_BITS,
        .op = (enum demand_op)(n.origin & ((1u << NAMES_KIND_BITS) - 1)),
    };
}

/*
 * The numbers of "VOLUME,GATEWAY" and "CLIENT,OP" in D, always the same ones, into OUT.  0,
 * -ENOMEM, or -EINVAL: one is no name (the gateway may be empty), or they stand in a line that is
 * not plain.
 */
int names_find(struct names *n, struct demand *d, struct names_pair route, struct names_pair origin,
               struct demand_record *out);

#endif
