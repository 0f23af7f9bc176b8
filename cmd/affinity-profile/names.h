/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names in access records and the numbers that a demand has for them, found again quickly. */
#ifndef GS_AFFINITY_PROFILE_NAMES_H
#define GS_AFFINITY_PROFILE_NAMES_H

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

/* Two columns side by side: "FIRST,SECOND", LEN bytes without a NUL, of which FIRST has so many. */
struct names_pair {
    const char *at;
    size_t len, first;
};

/* A route and an origin are one number: of the gateway + 1, and of the kind, so many bits. */
enum { NAMES_GATEWAY_BITS = 10, NAMES_KIND_BITS = 2 };

/* What names_route() and names_origin() do with those that were not met lately. */
int names_add_route(struct names *n, struct demand *d, struct names_pair route,
                    struct demand_record *out);
int names_add_origin(struct names *n, struct demand *d, struct names_pair origin,
                     struct demand_record *out);

/*
 * The numbers of "VOLUME,GATEWAY" in D, always the same one, into OUT.  0, -ENOMEM, or -EINVAL: one
 * is no name (the gateway may be empty).
 */
static inline int names_route(struct names *n, struct demand *d, struct names_pair route,
                              struct demand_record *out)
{
    long number = memo_get(&n->routes, route.at, route.len);
    if (number < 0)
        return names_add_route(n, d, route, out);
    out->volume = (uint32_t)number >> NAMES_GATEWAY_BITS;
    /* Less 1: 0 becomes DEMAND_NO_GATEWAY. */
    out->gateway = ((uint32_t)number & ((1u << NAMES_GATEWAY_BITS) - 1)) - 1;
    return 0;
}

/* Site and kind of "CLIENT,OP"; the same. */
static inline int names_origin(struct names *n, struct demand *d, struct names_pair origin,
                               struct demand_record *out)
{
    long number = memo_get(&n->origins, origin.at, origin.len);
    if (number < 0)
        return names_add_origin(n, d, origin, out);
    out->site = (uint32_t)number >> NAMES_KIND_BITS;
    out->op = (enum demand_op)(number & ((1 << NAMES_KIND_BITS) - 1));
    return 0;
}

#endif
