/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/copy.h"

#include <string.h>

enum {
    PAGE = 4096,            /* what a difference is rounded to */
    ZERO_BLOCK = 64 * 1024, /* smaller holes in data cost more requests than they save bytes */
};

/* What to do with a piece of an extent. */
enum action { SKIP, ZERO, SEND };

typedef enum action chooser(const struct flow_extent *x, uint64_t offset, uint64_t length);

static bool all_zero(const unsigned char *p, uint64_t length)
{
    return p[0] == 0 && memcmp(p, p + 1, length - 1) == 0;
}

static enum action zero_or_send(const struct flow_extent *x, uint64_t offset, uint64_t length)
{
    return flow_can_zero(x) && all_zero(x->source + offset, length) ? ZERO : SEND;
}

static enum action skip_equal(const struct flow_extent *x, uint64_t offset, uint64_t length)
{
    if (memcmp(x->source + offset, x->target + offset, length) == 0)
        return SKIP;
    return zero_or_send(x, offset, length);
}

static int act(struct flow_extent *x, enum action a, uint64_t offset, uint64_t length)
{
    if (a == SKIP)
        return 0;
    x->equal = false;
    return a == ZERO ? flow_zero(x, offset, length) : flow_write(x, offset, length);
}

/* Cuts the extent into PIECEs, joins neighbours of equal action, and acts. */
static int act_in_runs(struct flow_extent *x, uint64_t piece, chooser *choose)
{
    uint64_t run = 0; /* where the present run begins */
    enum action action = SKIP;
    for (uint64_t at = 0; at < x->claim.length; at += piece) {
        uint64_t rest = x->claim.length - at;
        enum action a = choose(x, at, rest < piece ? rest : piece);
        if (at > 0 && a == action)
            continue;
        int r = at > run ? act(x, action, run, at - run) : 0;
        if (r < 0)
            return r;
        run = at;
        action = a;
    }
    return act(x, action, run, x->claim.length - run);
}

static int decide_all(struct flow_extent *x)
{
    if (x->zero && flow_can_zero(x))
        return flow_zero(x, 0, x->claim.length);
    return act_in_runs(x, ZERO_BLOCK, zero_or_send);
}

static int decide_differences(struct flow_extent *x)
{
    x->equal = true; /* until something is sent */
    return act_in_runs(x, PAGE, skip_equal);
}

const struct flow_job copy_all = {
    .kind = CLAIM_COPY,
    .asks_status = true,
    .decide = decide_all,
};

const struct flow_job copy_differences = {
    .kind = CLAIM_COPY,
    .reads_target = true,
    .asks_status = true,
    .decide = decide_differences,
};
