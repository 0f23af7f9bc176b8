/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/affinity-profile/names.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/parse.h"
#include "common/record/schema.h"

/* So many are found without the tables behind them, as binary logarithms: 64 bytes each. */
enum { ROUTES_BITS = 12, ORIGINS_BITS = 12 };
_Static_assert(DEMAND_NO_GATEWAY == UINT32_MAX, "no gateway is 0, less 1");
_Static_assert(DEMAND_FLUSH < 1 << NAMES_KIND_BITS, "a kind has its bits");

int names_init(struct names *n, const struct fleet *fleet)
{
    *n = (struct names){.fleet = fleet};
    int failed = memo_init(&n->routes, ROUTES_BITS);
    failed |= memo_init(&n->origins, ORIGINS_BITS);
    return failed ? -ENOMEM : 0;
}

void names_release(struct names *n)
{
    memo_release(&n->routes);
    memo_release(&n->origins);
    buf_release(&n->text);
}

/* The texts of P, with NULs, into N's: 0 or -ENOMEM. */
static int divide(struct names *n, struct names_pair p, const char **first, const char **second)
{
    buf_clear(&n->text);
    if (buf_add(&n->text, p.at, p.len) < 0 || buf_add(&n->text, "", 1) < 0)
        return -ENOMEM;
    n->text.data[p.first] = 0;
    *first = n->text.data;
    *second = n->text.data + p.first + 1;
    return 0;
}

/* ---- volume and gateway ---- */

int names_add_route(struct names *n, struct demand *d, struct names_pair route,
                    struct demand_record *out)
{
    const char *first, *second;
    if (divide(n, route, &first, &second) < 0)
        return -ENOMEM;
    bool has_gateway = *second;
    if (parse_name(first) < 0 || (has_gateway && parse_name(second) < 0))
        return -EINVAL;
    long volume = demand_volume_id(d, first, strlen(first)), gateway = -1;
    if (volume >= 0 && has_gateway)
        gateway = demand_gateway_id(d, second, strlen(second));
    if (volume < 0 || (has_gateway && gateway < 0))
        return -ENOMEM;
    out->volume = (uint32_t)volume;
    out->gateway = has_gateway ? (uint32_t)gateway : DEMAND_NO_GATEWAY;
    /* Both as one number, if they are small enough. */
    if (!((gateway + 1) >> NAMES_GATEWAY_BITS) && !(volume >> (32 - NAMES_GATEWAY_BITS)))
        memo_put(&n->routes, route.at, route.len,
                 out->volume << NAMES_GATEWAY_BITS | (uint32_t)(gateway + 1));
    return 0;
}

/* ---- client and op ---- */

static const enum demand_op op_of[] = {
    [OP_READ] = DEMAND_READ,  [OP_WRITE] = DEMAND_WRITE, [OP_TRIM] = DEMAND_CLEAR,
    [OP_ZERO] = DEMAND_CLEAR, [OP_FLUSH] = DEMAND_FLUSH,
};

int names_add_origin(struct names *n, struct demand *d, struct names_pair origin,
                     struct demand_record *out)
{
    const char *client, *word;
    size_t op = 0;
    if (divide(n, origin, &client, &word) < 0)
        return -ENOMEM;
    while (rec_op_words[op] && strcmp(rec_op_words[op], word) != 0)
        op++;
    if (!*client || !rec_op_words[op])
        return -EINVAL;
    const char *name = fleet_site_of(n->fleet, client);
    long site = demand_site_id(d, name, strlen(name));
    if (site < 0)
        return -ENOMEM;
    out->site = (uint32_t)site;
    out->op = op_of[op];
    if (!(site >> (32 - NAMES_KIND_BITS)))
        memo_put(&n->origins, origin.at, origin.len, out->site << NAMES_KIND_BITS | out->op);
    return 0;
}
