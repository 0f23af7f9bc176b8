/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "copiers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "io.h"
#include "move_priv.h"
#include "worker.h"

static struct client **list_of(struct move *m, enum leg_role side)
{
    return &m->copiers.connected[side == ROLE_TARGET];
}

/* ---- who is let in ---- */

static int add_word(char *words, const char *key, const char *value)
{
    size_t len = strlen(words);
    int n = snprintf(words + len, COPIER_WORDS - len, " %s%s", key, value);
    return n < 0 || (size_t)n >= COPIER_WORDS - len ? -ENAMETOOLONG : 0;
}

static int add_export(const struct move *m, enum leg_role side, const char *key, char *words)
{
    char text[COPY_NAME_SIZE];
    struct copy_name n = {.worker = m->v->d->worker, .side = side};
    memcpy(n.token, m->copiers.token, sizeof(n.token));
    copy_name_format(&n, text);
    return add_word(words, key, text);
}

int copiers_let_in(struct move *m, char *words)
{
    *words = 0;
    /* Nothing is copied, nothing is read of the target yet, and the owner may be away. */
    if (m->shared)
        return 0;
    bool source = leg_is_private(m->v->owner.leg);
    bool target = leg_is_private(m->leg);
    if (!source && !target)
        return 0;
    int r = copy_token(m->copiers.token);
    if (r == 0 && source)
        r = add_export(m, ROLE_OWNER, "source=", words);
    if (r == 0 && target)
        r = add_export(m, ROLE_TARGET, "target=", words);
    if (r == 0)
        r = add_word(words, "at ", m->v->d->workers->copy_path);
    if (r < 0)
        *m->copiers.token = *words = 0;
    return r;
}

void copiers_close(struct move *m, enum leg_role side)
{
    struct client **list = list_of(m, side);
    while (*list)
        client_drop(*list);
}

void copiers_shut_out(struct move *m)
{
    *m->copiers.token = 0;
    copiers_close(m, ROLE_OWNER);
    copiers_close(m, ROLE_TARGET);
}

/* May a copier use that side now?  What is committed, or given up, is not touched any more. */
static bool is_open(const struct move *m, enum leg_role side)
{
    if (side == ROLE_TARGET)
        return move_is_open(m) && m->leg && !m->leg->lost;
    return m->v->owner.place == OWNER_HERE && m->phase != MOVE_COMMIT && m->phase != MOVE_DOUBT &&
           m->phase != MOVE_RETIRE;
}

struct director *copiers_home(const struct director *d, const char *name)
{
    struct copy_name n;
    if (copy_name_parse(name, &n) < 0 || n.worker >= d->workers->n)
        return NULL;
    return workers_director(d->workers, n.worker);
}

struct volume *copiers_find(struct director *d, const char *name, enum leg_role *side)
{
    struct copy_name n;
    if (copy_name_parse(name, &n) < 0)
        return NULL;
    for (struct volume *v = d->volumes; v; v = v->next) {
        struct move *m = v->move;
        if (!m || strcmp(m->copiers.token, n.token) != 0 || !is_open(m, n.side))
            continue;
        if (!leg_is_private(n.side == ROLE_TARGET ? m->leg : v->owner.leg))
            continue;
        *side = n.side;
        return v;
    }
    return NULL;
}

struct nbd_export copiers_export(const struct volume *v, enum leg_role side)
{
    struct nbd_export e = side == ROLE_TARGET ? v->move->leg->export : v->owner.has;
    uint16_t zeroes = e.flags & NBD_TF_WRITE_ZEROES;
    /* Several connections see the same here, which all use one. */
    e.flags = NBD_TF_HAS_FLAGS | NBD_TF_MULTI_CONN;
    e.flags |= side == ROLE_TARGET ? zeroes : NBD_TF_READ_ONLY;
    e.size = v->route.size_bytes;
    if (e.max_block > NBD_PAYLOAD_MAX)
        e.max_block = NBD_PAYLOAD_MAX;
    return e;
}

void copiers_attach(struct volume *v, struct client *c, enum leg_role side)
{
    client_link(c, list_of(v->move, side));
}

void copiers_detach(struct volume *v, struct client *c)
{
    const struct requests *t = &v->d->requests;
    client_unlink(c);
    for (size_t i = 0; i < t->n; i++) {
        struct request *r = t->slots[i];
        if (r->client != c)
            continue;
        r->client = NULL;
        if (r->waiting && nbd_changes_data(r->nbd.type))
            v->move->copiers.orphans++;
    }
}

/* ---- their requests ---- */

bool copiers_write(const struct volume *v, uint64_t offset, uint64_t length)
{
    return v->move && ranges_busy(&v->move->copiers.writing, offset, length);
}

bool copiers_wait(const struct volume *v, enum leg_role side)
{
    const struct requests *t = &v->d->requests;
    for (size_t i = 0; i < t->n; i++)
        if (t->slots[i]->volume == v && t->slots[i]->copier && t->slots[i]->waiting & side)
            return true;
    return false;
}

/* A write has been sent and will be answered, or its leg is lost. */
static void write_over(struct move *m, const struct request *r)
{
    ranges_drop(&m->copiers.writing, r->nbd.offset, r->nbd.length);
    if (!r->client)
        m->copiers.orphans--;
    m->flushed = m->copies_flushed = false;
}

static void answer(struct request *r)
{
    struct outq parts = r->parts;
    struct slice sl;
    struct chunk_pool *pool = &r->volume->d->pool;
    r->parts = (struct outq){0};
    while (!r->error && r->client && outq_pop(&parts, &sl)) {
        uint32_t n = (uint32_t)sl.len;
        client_data(r->client, r, sl, 0);
        r->delivered += n;
    }
    outq_release(&parts, pool);
    if (r->client)
        client_answer(r->client, r);
}

/* The leg has answered, or is gone; then whoever asked is gone, too. */
static void done(struct request *r)
{
    if (nbd_changes_data(r->nbd.type))
        write_over(r->volume->move, r);
    answer(r);
}

/* R is over before it began. */
static void answer_now(struct volume *v, struct request *r, uint32_t error)
{
    r->error = error;
    client_answer(r->client, r);
    request_free(&v->d->requests, &v->d->pool, r);
}

static void start(struct volume *v, struct request *r, enum leg_role side)
{
    r->waiting = (uint8_t)side;
    r->done = done;
    r->client_name = NULL; /* it is in no log and no statistics */
    r->copier = true;
    v->inflight++;
}

static void read_source(struct volume *v, struct request *r)
{
    if (io_answers_here(v, r)) {
        answer_now(v, r, r->error);
        return;
    }
    start(v, r, ROLE_OWNER);
    io_transmit(v, r);
}

/* 0, or the error: a write must be claimed, and none is sent over another. */
static uint32_t may_write(struct move *m, const struct request *r)
{
    if (!blocks_may_copy(m->blocks, r->nbd.offset, r->nbd.length, m->driver))
        return NBD_EPERM;
    int e = ranges_take(&m->copiers.writing, r->nbd.offset, r->nbd.length);
    return e == 0 ? 0 : e == -EBUSY ? NBD_EINVAL : NBD_ENOMEM;
}

/* Is R, for the target, answered without it?  Then R->error is the answer. */
static bool answers_for_target(struct volume *v, struct request *r)
{
    if (!r->nbd.length)
        return true;
    if (r->nbd.type == NBD_CMD_BLOCK_STATUS && !v->move->leg->export.allocation) {
        r->error = io_all_data(v, r);
        return true;
    }
    if (nbd_changes_data(r->nbd.type))
        r->error = may_write(v->move, r);
    return r->error != 0;
}

static void use_target(struct volume *v, struct request *r)
{
    struct move *m = v->move;
    if (answers_for_target(v, r)) {
        answer_now(v, r, r->error);
        return;
    }
    if (nbd_changes_data(r->nbd.type))
        m->flushed = m->copies_flushed = false;
    start(v, r, ROLE_TARGET);
    leg_send(m->leg, r, ROLE_TARGET, 0);
}

void copiers_submit(struct volume *v, struct request *r, enum leg_role side)
{
    if (!is_open(v->move, side))
        answer_now(v, r, NBD_ESHUTDOWN);
    else if (side == ROLE_TARGET)
        use_target(v, r);
    else
        read_source(v, r);
}
