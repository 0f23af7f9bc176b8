/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of requests: cookies that name one request of one leg only, and queues in order. */
#include "cmd/route-director/request.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { LIVE_MAX = 100, STEPS = 5000 };

struct fixture {
    struct requests table;
    struct chunk_pool pool;
};

/* The table never looks into a volume: any address will do. */
static struct volume *some_volume(void)
{
    static int place;
    return (struct volume *)&place;
}

static void fixture_release(struct fixture *f)
{
    requests_release(&f->table);
    chunk_pool_release(&f->pool);
}

static struct request *start(struct fixture *f, uint8_t waiting)
{
    struct request *r = request_new(&f->table, some_volume());
    CHECK(r != NULL);
    if (r)
        r->waiting = waiting;
    return r;
}

/* Connections to two gateways, never looked into. */
static const char owner_conn, target_conn;

static uint64_t sent(struct request *r, enum leg_role role)
{
    return request_sent(r, role, role == ROLE_OWNER ? &owner_conn : &target_conn);
}

/* What COOKIE names on either connection. */
static const struct request *find(const struct fixture *f, uint64_t cookie, enum leg_role *role)
{
    const struct request *r = request_find(&f->table, cookie, &owner_conn, role);
    return r ? r : request_find(&f->table, cookie, &target_conn, role);
}

/* Does COOKIE name R as ROLE? */
static bool names(const struct fixture *f, uint64_t cookie, const struct request *r,
                  enum leg_role role)
{
    enum leg_role found;
    return find(f, cookie, &found) == r && found == role;
}

static void test_cookies(void)
{
    struct fixture f = {.pool = {.kept_bytes = 0}};
    enum leg_role role;
    struct request *a = start(&f, ROLE_OWNER | ROLE_TARGET), *b = start(&f, ROLE_OWNER);
    uint64_t owner = sent(a, ROLE_OWNER), target = sent(a, ROLE_TARGET);
    CHECK(owner != target && owner != sent(b, ROLE_OWNER));
    CHECK(names(&f, owner, a, ROLE_OWNER));
    CHECK(names(&f, target, a, ROLE_TARGET));
    a->waiting = ROLE_TARGET; /* the owner has answered: a second answer is to nothing */
    CHECK(find(&f, owner, &role) == NULL);
    CHECK(names(&f, target, a, ROLE_TARGET));
    CHECK(find(&f, sent(b, ROLE_TARGET), &role) == NULL);
    CHECK(find(&f, owner + 2, &role) == NULL); /* behind the table */
    CHECK(find(&f, UINT64_MAX, &role) == NULL);
    fixture_release(&f);
}

/* A gateway that answers what only another was asked is not believed. */
static void test_answers_of_others(void)
{
    struct fixture f = {.pool = {.kept_bytes = 0}};
    enum leg_role role;
    struct request *r = start(&f, ROLE_OWNER | ROLE_TARGET);
    uint64_t owner = sent(r, ROLE_OWNER), target = sent(r, ROLE_TARGET);
    CHECK(request_find(&f.table, owner, &owner_conn, &role) == r);
    CHECK(request_find(&f.table, target, &target_conn, &role) == r);
    CHECK(request_find(&f.table, owner, &target_conn, &role) == NULL);
    CHECK(request_find(&f.table, target, &owner_conn, &role) == NULL);
    fixture_release(&f);
}

/* An answer that comes late must not be taken for that to the slot's next request. */
static void test_late_answers(void)
{
    struct fixture f = {.pool = {.kept_bytes = 0}};
    enum leg_role role;
    struct request *a = start(&f, ROLE_OWNER);
    uint64_t late = sent(a, ROLE_OWNER);
    request_free(&f.table, &f.pool, a);
    CHECK(find(&f, late, &role) == NULL);
    struct request *b = start(&f, ROLE_OWNER);
    CHECK(b == a); /* the slot is used again */
    CHECK(find(&f, late, &role) == NULL);
    CHECK(names(&f, sent(b, ROLE_OWNER), b, ROLE_OWNER));
    fixture_release(&f);
}

static void test_buffers_go_with_the_request(void)
{
    struct fixture f = {.pool = {.kept_bytes = 0}};
    struct request *r = start(&f, ROLE_OWNER);
    struct chunk *c = chunk_get(&f.pool, 100);
    r->wire = (struct slice){c, c->data, 28};
    CHECK(outq_push(&r->parts, (struct slice){chunk_ref(c), c->data, 10}) == 0);
    CHECK_EQ_U64(c->refs, 2);
    request_free(&f.table, &f.pool, r);
    CHECK_EQ_U64(f.pool.kept_bytes, CHUNK_SIZE + CHUNK_SLACK);
    r = start(&f, 0);
    CHECK(r->wire.chunk == NULL && r->parts.n == 0 && r->error == 0 && !r->mirrored);
    fixture_release(&f);
}

static void test_queue(void)
{
    struct requestq q;
    struct request r[3] = {{.slot = 0}, {.slot = 1}, {.slot = 2}};
    requestq_init(&q);
    CHECK(requestq_pop(&q) == NULL);
    requestq_push(&q, &r[0]);
    requestq_push(&q, &r[1]);
    CHECK(requestq_pop(&q) == &r[0]);
    requestq_push(&q, &r[2]);
    CHECK_EQ_U64(q.n, 2);
    CHECK(requestq_pop(&q) == &r[1]);
    CHECK(requestq_pop(&q) == &r[2]);
    CHECK(requestq_pop(&q) == NULL);
    requestq_push(&q, &r[1]);
    CHECK(requestq_pop(&q) == &r[1]);
    CHECK_EQ_U64(q.n, 0);
}

static void test_many(uint64_t seed)
{
    struct fixture f = {.pool = {.kept_bytes = 0}};
    struct request *live[LIVE_MAX];
    struct rng rng;
    size_t n = 0;
    rng_init(&rng, seed);
    for (size_t i = 0; i < STEPS; i++) {
        if (n == LIVE_MAX || (n && rng_below(&rng, 2))) {
            size_t k = rng_below(&rng, n);
            request_free(&f.table, &f.pool, live[k]);
            live[k] = live[--n];
        } else {
            live[n++] = start(&f, ROLE_OWNER);
        }
        size_t k = n ? rng_below(&rng, n) : 0;
        CHECK(!n || names(&f, sent(live[k], ROLE_OWNER), live[k], ROLE_OWNER));
    }
    CHECK(f.table.n <= LIVE_MAX);
    fixture_release(&f);
}

int main(void)
{
    test_begin("request");
    test_cookies();
    test_answers_of_others();
    test_late_answers();
    test_buffers_go_with_the_request();
    test_queue();
    test_many(1);
    return test_done();
}
