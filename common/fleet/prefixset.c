/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/fleet/prefixset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

static void cut(struct fleet_prefix *p)
{
    for (int i = 0; i < (int)sizeof(p->address); i++) {
        const int kept = p->bits - 8 * i;
        if (kept < 8)
            p->address[i] &= kept > 0 ? 0xff00u >> kept & 0xff : 0;
    }
}

int prefix_set_add(struct prefix_set *s, const struct fleet_prefix *p, size_t number)
{
    if (p->bits < 0)
        return -EINVAL;
    if (vec_room(&s->node, s->n, &s->cap, sizeof(*s->node)) < 0)
        return -ENOMEM;
    struct prefix_node *node = &s->node[s->n++];
    *node = (struct prefix_node){*p, number, PREFIX_NONE};
    cut(&node->prefix);
    return 0;
}

static int by_address(const struct fleet_prefix *p, const struct fleet_prefix *q)
{
    return memcmp(p->address, q->address, sizeof(p->address));
}

static int ascending(const void *a, const void *b)
{
    const struct prefix_node *x = a, *y = b;
    int r = by_address(&x->prefix, &y->prefix);
    if (r == 0)
        r = (x->prefix.bits > y->prefix.bits) - (x->prefix.bits < y->prefix.bits);
    return r ? r : (x->number > y->number) - (x->number < y->number);
}

/* The first node from AT outwards that holds ADDRESS. */
static size_t holder(const struct prefix_set *s, size_t at, const struct fleet_prefix *address)
{
    while (at != PREFIX_NONE && !prefix_holds(&s->node[at].prefix, address))
        at = s->node[at].around;
    return at;
}

void prefix_set_sort(struct prefix_set *s)
{
    size_t kept = 0;
    if (s->n)
        qsort(s->node, s->n, sizeof(*s->node), ascending);
    for (size_t i = 0; i < s->n; i++) {
        struct prefix_node *node = &s->node[kept];
        const struct prefix_node *last = kept ? node - 1 : NULL;
        *node = s->node[i];
        if (last && last->prefix.bits == node->prefix.bits &&
            by_address(&last->prefix, &node->prefix) == 0)
            continue;
        node->around = holder(s, kept ? kept - 1 : PREFIX_NONE, &node->prefix);
        kept++;
    }
    s->n = kept;
}

/*
 * The last node that does not lie behind ADDRESS: whatever holds ADDRESS begins no later and ends
 * no sooner, and so holds that node, or is it.
 */
static size_t last_before(const struct prefix_set *s, const struct fleet_prefix *address)
{
    size_t from = 0, to = s->n;
    while (from < to) {
        const size_t mid = from + (to - from) / 2;
        if (by_address(&s->node[mid].prefix, address) <= 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from ? from - 1 : PREFIX_NONE;
}

size_t prefix_set_find(const struct prefix_set *s, const struct fleet_prefix *address)
{
    const size_t at = holder(s, last_before(s, address), address);
    return at == PREFIX_NONE ? PREFIX_NONE : s->node[at].number;
}

void prefix_set_release(struct prefix_set *s)
{
    free(s->node);
    *s = (struct prefix_set){0};
}
