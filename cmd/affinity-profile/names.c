/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/affinity-profile/names.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/parse.h"
#include "common/record/accesses.h"
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

/* The texts of P, with NULs, into N's: 0, -ENOMEM or -EINVAL. */
static int divide(struct names *n, struct names_pair p, const char **first, const char **second)
{
    if (!p.first && access_is_odd(p.at, p.len))
        return -EINVAL;
    const char *comma = memchr(p.at, ',', p.len);
    size_t len = p.first || !comma ? p.first : (size_t)(comma - p.at);
    buf_clear(&n->text);
    if (buf_add(&n->text, p.at, p.len) < 0 || buf_add(&n->text, "", 1) < 0)
        return -ENOMEM;
    n->text.data[len] = 0;
    *first = n->text.data;
    *second = n->text.data + len + 1;
    return 0;
}

/* Remembers P, unless that would let a line pass that has to be looked at. */
static void remember(struct memo *m, struct names_pair p, uint32_t number)
{
    if (!access_is_odd(p.at, p.len))
        memo_put(m, p.at, p.len, number);
}

/* ---- volume and gateway ---- */

static int add_route(struct names *n, struct demand *d, struct names_pair route,
                     struct demand_record *out)
{
    const char *first, *second;
    int r = divide(n, route, &first, &second);
    if (r < 0)
        return r;
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
        remember(&n->routes, route, out->volume << NAMES_GATEWAY_BITS | (uint32_t)(gateway + 1));
    return 0;
}

/* ---- client and op ---- */

static const enum demand_op op_of[] = {
    [OP_READ] = DEMAND_READ,  [OP_WRITE] = DEMAND_WRITE, [OP_TRIM] = DEMAND_CLEAR,
    [OP_ZERO] = DEMAND_CLEAR, [OP_FLUSH] = DEMAND_FLUSH,
};

static int add_origin(struct names *n, struct demand *d, struct names_pair origin,
                      struct demand_record *out)
{
    const char *client, *word;
    size_t op = 0;
    int r = divide(n, origin, &client, &word);
    if (r < 0)
        return r;
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
        remember(&n->origins, origin, out->site << NAMES_KIND_BITS | out->op);
    return 0;
}

/* ---- both ---- */

int names_find(struct names *n, struct demand *d, struct names_pair route, struct names_pair origin,
               struct demand_record *out)
{
    struct names_numbers known;
    struct demand_record r;
    if (names_known(n, route, origin, &known)) {
        r = names_record(known);
        *out = r;
        return 0;
    }
    int e = add_origin(n, d, origin, &r);
    if (e == 0)
        e = add_route(n, d, route, &r);
    if (e == 0)
        *out = r;
    return e;
}
