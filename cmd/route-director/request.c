/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "request.h"

#include <stdlib.h>

#include "common/base/buf.h"

/* cookie = role (1 bit) . generation (31 bits) . slot (32 bits) */
enum { GENERATION_MASK = 0x7fffffff };

void requestq_init(struct requestq *q)
{
    *q = (struct requestq){.last = &q->first};
}

void requestq_push(struct requestq *q, struct request *r)
{
    r->next = NULL;
    *q->last = r;
    q->last = &r->next;
    q->n++;
}

struct request *requestq_pop(struct requestq *q)
{
    struct request *r = q->first;
    if (!r)
        return NULL;
    q->first = r->next;
    if (!q->first)
        q->last = &q->first;
    q->n--;
    return r;
}

struct request *request_new(struct requests *t, struct volume *v)
{
    struct request *r = t->free;
    if (r) {
        t->free = r->next;
    } else {
        if (vec_room(&t->slots, t->n, &t->cap, sizeof(struct request *)) < 0)
            return NULL;
        r = calloc(1, sizeof(*r));
        if (!r)
            return NULL;
        r->slot = (uint32_t)t->n;
        t->slots[t->n++] = r;
    }
    *r = (struct request){
        .volume = v, .slot = r->slot, .generation = (r->generation + 1) & GENERATION_MASK};
    return r;
}

void request_reset(struct chunk_pool *pool, struct request *r)
{
    chunk_put(pool, r->whole.chunk);
    chunk_put(pool, r->status.chunk);
    r->whole = r->status = (struct slice){0};
    r->gathered = r->failed = r->done_bytes = 0;
    r->skip = r->delivered;
    r->conn[0] = NULL;
}

void request_free(struct requests *t, struct chunk_pool *pool, struct request *r)
{
    chunk_put(pool, r->wire.chunk);
    r->wire.chunk = NULL;
    request_reset(pool, r);
    outq_release(&r->parts, pool);
    r->volume = NULL;
    r->client = NULL;
    r->waiting = 0;
    r->next = t->free;
    t->free = r;
}

void requests_release(struct requests *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->slots[i]);
    free(t->slots);
    *t = (struct requests){0};
}

uint64_t request_sent(struct request *r, enum leg_role role, const void *conn)
{
    r->conn[role == ROLE_TARGET] = conn;
    return (uint64_t)(role == ROLE_TARGET) << 63 | (uint64_t)r->generation << 32 | r->slot;
}

struct request *request_find(const struct requests *t, uint64_t cookie, const void *conn,
                             enum leg_role *role)
{
    uint32_t slot = (uint32_t)cookie;
    *role = cookie >> 63 ? ROLE_TARGET : ROLE_OWNER;
    if (slot >= t->n)
        return NULL;
    struct request *r = t->slots[slot];
    if (!r->volume || r->generation != (cookie >> 32 & GENERATION_MASK) || !(r->waiting & *role) ||
        r->conn[*role == ROLE_TARGET] != conn)
        return NULL;
    return r;
}
