/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/proof.h"

#include <errno.h>
#include <string.h>

static int decide(struct flow_extent *x)
{
    (void)x;
    return 0;
}

static int prove(const struct flow_extent *x, uint64_t *left)
{
    const struct claim *c = &x->claim;
    int r = director_proved(flow_director(x), c->id, left);
    if (r == 0 && flow_digests(x))
        digests_take(flow_digests(x), (uint32_t)c->id, c->offset, x->source, c->length);
    return r;
}

static int settle(struct flow_extent *x, uint64_t *left)
{
    struct director *d = flow_director(x);
    if (memcmp(x->source, x->target, x->claim.length) == 0)
        return prove(x, left);
    int r = director_differs(d, x->claim.id);
    if (r == -EILSEQ) {
        flow_count_difference(x); /* its blocks are dirty again */
        return 0;
    }
    return r;
}

const struct flow_job proof = {
    .kind = CLAIM_PROVE,
    .reads_target = true,
    .decide = decide,
    .settle = settle,
};
