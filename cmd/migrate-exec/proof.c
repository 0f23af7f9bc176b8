/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/proof.h"

#include <errno.h>
#include <string.h>

static int decide(struct flow_extent *x)
{
    (void)x;
    return 0;
}

static int check(struct flow_extent *x)
{
    if (memcmp(x->source, x->target, x->claim.length) == 0)
        return 1;
    int r = director_differs(flow_director(x), x->claim.id);
    if (r == -EILSEQ) {
        flow_count_difference(x); /* its blocks are dirty again */
        return 0;
    }
    return r;
}

static void settled(struct flow_extent *x)
{
    const struct claim *c = &x->claim;
    if (flow_digests(x))
        digests_take(flow_digests(x), (uint32_t)c->id, c->offset, x->source, c->length);
}

const struct flow_job proof = {
    .kind = CLAIM_PROVE,
    .reads_target = true,
    .decide = decide,
    .check = check,
    .settled = settled,
};
