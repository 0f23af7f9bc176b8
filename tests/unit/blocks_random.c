/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The block states of a move in step with a naive model, by seeded random operations. */
#include <errno.h>

#include "cmd/route-director/blocks.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { BLOCKS_MAX = 9, CLAIMS_MAX = 24, DRIVERS = 3, SEEDS = 60, STEPS = 1500 };

enum state { DIRTY, COPYING, SYNCED, HAUNTED };

struct model_claim {
    uint64_t id;
    enum claim_kind kind;
    unsigned driver;
    uint64_t offset, length;
    bool voided[BLOCKS_MAX];
    bool equal; /* it was told so: it may be adopted */
};

struct model {
    uint64_t size;
    size_t n;
    enum state state[BLOCKS_MAX];
    uint64_t haunted_until[BLOCKS_MAX];
    bool proved[BLOCKS_MAX * BLOCK_PAGES]; /* or need not be */
    bool exempt[BLOCKS_MAX];
    enum rec_verify verify;
    struct model_claim claims[CLAIMS_MAX];
    size_t n_claims;
    uint64_t now;
};

struct pair {
    struct rng rng;
    struct blocks *b;
    struct model m;
};

static const char drivers[DRIVERS];

/* ---- the model ---- */

static size_t page_end(const struct model *m)
{
    return (size_t)((m->size + PAGE_SIZE - 1) / PAGE_SIZE);
}

static size_t first_block(uint64_t offset)
{
    return (size_t)(offset / BLOCK_SIZE);
}

static size_t end_block(uint64_t offset, uint64_t length)
{
    return (size_t)((offset + length + BLOCK_SIZE - 1) / BLOCK_SIZE);
}

/* Is block I under a proof claim that still stands? */
static bool being_proved(const struct model *m, size_t i)
{
    for (size_t k = 0; k < m->n_claims; k++) {
        const struct model_claim *c = &m->claims[k];
        if (c->kind == CLAIM_PROVE && !c->voided[i] && i >= first_block(c->offset) &&
            i < end_block(c->offset, c->length))
            return true;
    }
    return false;
}

static void void_claims(struct model *m, size_t i)
{
    for (size_t k = 0; k < m->n_claims; k++)
        m->claims[k].voided[i] = true;
}

static void unprove_block(struct model *m, size_t i)
{
    for (size_t p = i * BLOCK_PAGES; p < (i + 1) * BLOCK_PAGES; p++)
        m->proved[p] = false;
}

static void set_state(struct model *m, size_t i, enum state s)
{
    m->state[i] = s;
    unprove_block(m, i);
    m->exempt[i] = false;
}

/* Block I counts as it is. */
static void exempt_block(struct model *m, size_t i)
{
    m->exempt[i] = true;
    for (size_t p = i * BLOCK_PAGES; p < (i + 1) * BLOCK_PAGES; p++)
        m->proved[p] = true;
}

static void set_synced(struct model *m, size_t i)
{
    set_state(m, i, SYNCED);
    if (m->verify == VERIFY_NONE)
        exempt_block(m, i);
}

static bool claimable(const struct model *m, enum claim_kind kind, size_t page)
{
    size_t i = page / BLOCK_PAGES;
    if (kind == CLAIM_COPY)
        return m->state[i] == DIRTY;
    return m->state[i] == SYNCED && !m->proved[page] && !being_proved(m, i);
}

static bool any_claimable(const struct model *m, enum claim_kind kind)
{
    for (size_t p = 0; p < page_end(m); p++)
        if (claimable(m, kind, p))
            return true;
    return false;
}

static struct blocks_counts model_counts(const struct model *m)
{
    uint64_t count[4] = {0}, unproved = 0, exempt = 0;
    for (size_t i = 0; i < m->n; i++) {
        count[m->state[i]] += BLOCK_SIZE;
        exempt += m->exempt[i] ? BLOCK_SIZE : 0;
    }
    for (size_t p = 0; p < page_end(m); p++)
        if (m->state[p / BLOCK_PAGES] == SYNCED && !m->proved[p])
            unproved += PAGE_SIZE;
    struct blocks_counts n = {count[DIRTY],  count[COPYING], count[HAUNTED],
                              count[SYNCED], unproved,       exempt};
    uint64_t *all[] = {&n.dirty, &n.copying, &n.haunted, &n.synced, &n.unproved, &n.exempt};
    for (size_t k = 0; k < 6; k++)
        if (*all[k] > m->size)
            *all[k] = m->size;
    return n;
}

/* ---- operations on both ---- */

/* A claim that was given must be one that the rules allow. */
static void check_extent(const struct model *m, enum claim_kind kind, uint64_t max, uint64_t offset,
                         uint64_t length)
{
    uint64_t unit = kind == CLAIM_COPY ? BLOCK_SIZE : PAGE_SIZE;
    uint64_t end = offset + length;
    CHECK(length > 0 && end <= m->size);
    CHECK(length <= (max < unit ? unit : max));
    CHECK(offset % unit == 0 && (end % unit == 0 || end == m->size));
    /* A few proved pages may lie between two that are not, of a block that nobody else claims. */
    size_t gap = 0;
    bool allowed = true;
    for (size_t p = offset / PAGE_SIZE; p * PAGE_SIZE < end; p++) {
        size_t i = p / BLOCK_PAGES;
        bool between = kind == CLAIM_PROVE && p * PAGE_SIZE > offset && p % BLOCK_PAGES != 0 &&
                       m->state[i] == SYNCED && !being_proved(m, i);
        gap = claimable(m, kind, p) ? 0 : gap + 1;
        allowed &= gap == 0 || (between && gap <= 4);
    }
    CHECK(allowed && gap == 0);
}

/* As on the way back: a copy claim is cut to what the change map says of its beginning, and may be
 * equal by it. */
static void do_tell(struct pair *t, struct model_claim *c)
{
    const void *driver = &drivers[c->driver];
    uint64_t blocks = end_block(c->offset, c->length) - first_block(c->offset);
    uint64_t keep = (1 + rng_below(&t->rng, blocks)) * BLOCK_SIZE;
    blocks_cut(t->b, c->id, driver, keep);
    for (size_t i = first_block(c->offset + keep); i < end_block(c->offset, c->length); i++)
        set_state(&t->m, i, DIRTY);
    c->length = keep < c->length ? keep : c->length;
    c->equal = rng_below(&t->rng, 2);
    if (c->equal)
        blocks_claim_equal(t->b, c->id, driver);
}

/* Is there a dirty block that begins within [FROM, TO), and where is the first? */
static bool first_within(const struct model *m, uint64_t from, uint64_t to, uint64_t *offset)
{
    for (size_t i = 0; i < m->n; i++) {
        *offset = i * (uint64_t)BLOCK_SIZE;
        if (*offset >= from && *offset < to && m->state[i] == DIRTY)
            return true;
    }
    return false;
}

static void do_claim_in(struct pair *t)
{
    struct model *m = &t->m;
    unsigned driver = (unsigned)rng_below(&t->rng, DRIVERS);
    uint64_t from = rng_below(&t->rng, m->size + BLOCK_SIZE), first = 0;
    uint64_t to = from + rng_below(&t->rng, m->size + BLOCK_SIZE);
    uint64_t max = rng_below(&t->rng, 4 * BLOCK_SIZE), offset = 7, length = 7;
    if (m->n_claims == CLAIMS_MAX)
        return;
    bool any = first_within(m, from, to, &first);
    int64_t id = blocks_claim_in(t->b, from, to, max, &drivers[driver], &offset, &length);
    CHECK(id >= 0 && (id > 0) == any);
    if (id <= 0)
        return;
    check_extent(m, CLAIM_COPY, max, offset, length);
    CHECK_EQ_U64(offset, first);
    CHECK((end_block(offset, length) - 1) * (uint64_t)BLOCK_SIZE < to);
    m->claims[m->n_claims++] =
        (struct model_claim){(uint64_t)id, CLAIM_COPY, driver, offset, length, {0}, false};
    for (size_t i = first_block(offset); i < end_block(offset, length); i++)
        set_state(m, i, COPYING);
}

static void do_claim(struct pair *t)
{
    struct model *m = &t->m;
    enum claim_kind kind = rng_below(&t->rng, 2) ? CLAIM_COPY : CLAIM_PROVE;
    unsigned driver = (unsigned)rng_below(&t->rng, DRIVERS);
    uint64_t max = rng_below(&t->rng, 4 * BLOCK_SIZE), offset = 7, length = 7;
    if (m->n_claims == CLAIMS_MAX)
        return;
    int64_t id = blocks_claim(t->b, kind, max, &drivers[driver], &offset, &length);
    CHECK(id >= 0 && (id > 0) == any_claimable(m, kind));
    if (id <= 0)
        return;
    check_extent(m, kind, max, offset, length);
    m->claims[m->n_claims++] =
        (struct model_claim){(uint64_t)id, kind, driver, offset, length, {0}, false};
    for (size_t i = first_block(offset); kind == CLAIM_COPY && i < end_block(offset, length); i++)
        set_state(m, i, COPYING);
    if (kind == CLAIM_COPY && rng_below(&t->rng, 3) == 0)
        do_tell(t, &m->claims[m->n_claims - 1]);
}

static struct model_claim take(struct model *m, size_t k)
{
    struct model_claim c = m->claims[k];
    m->claims[k] = m->claims[--m->n_claims];
    return c;
}

static void model_done(struct model *m, const struct model_claim *c, bool in_flight)
{
    for (size_t i = first_block(c->offset); i < end_block(c->offset, c->length); i++)
        if (c->kind == CLAIM_COPY && (c->voided[i] || in_flight))
            set_state(m, i, DIRTY);
        else if (c->kind == CLAIM_COPY)
            set_synced(m, i);
    for (uint64_t p = c->offset / PAGE_SIZE; p * PAGE_SIZE < c->offset + c->length; p++)
        if (c->kind == CLAIM_PROVE && !c->voided[p / BLOCK_PAGES])
            m->proved[p] = true;
}

static bool busy(void *arg, uint64_t offset, uint64_t length)
{
    (void)offset, (void)length;
    return *(bool *)arg;
}

static void do_differ(struct pair *t, const struct model_claim *c)
{
    bool in_flight = rng_below(&t->rng, 4) == 0, raced = in_flight;
    for (size_t i = first_block(c->offset); i < end_block(c->offset, c->length); i++)
        raced |= c->voided[i];
    CHECK(blocks_differ(t->b, c->id, &drivers[c->driver], busy, &in_flight) == raced);
    for (size_t i = first_block(c->offset); !raced && i < end_block(c->offset, c->length); i++)
        set_state(&t->m, i, DIRTY);
}

/* What is adopted is synced, and needs no proof unless everything does. */
static void do_adopt(struct pair *t, const struct model_claim *c, bool in_flight)
{
    struct model *m = &t->m;
    CHECK(blocks_adopt(t->b, c->id, &drivers[(c->driver + 1) % DRIVERS], busy, &in_flight) ==
          -ESTALE);
    CHECK(blocks_adopt(t->b, c->id, &drivers[c->driver], busy, &in_flight) == 0);
    model_done(m, c, in_flight);
    for (size_t i = first_block(c->offset); i < end_block(c->offset, c->length); i++)
        if (m->state[i] == SYNCED && m->verify != VERIFY_FULL)
            exempt_block(m, i);
}

static void do_release(struct pair *t, const struct model_claim *c)
{
    CHECK(blocks_release(t->b, c->id, &drivers[c->driver]) == 0);
    for (size_t i = first_block(c->offset); i < end_block(c->offset, c->length); i++)
        set_state(&t->m, i, DIRTY);
}

static void do_end_claim(struct pair *t)
{
    struct model *m = &t->m;
    if (!m->n_claims)
        return;
    struct model_claim c = take(m, rng_below(&t->rng, m->n_claims));
    const void *driver = &drivers[c.driver], *other = &drivers[(c.driver + 1) % DRIVERS];
    bool in_flight = rng_below(&t->rng, 8) == 0;
    enum claim_kind wrong = c.kind == CLAIM_COPY ? CLAIM_PROVE : CLAIM_COPY;
    CHECK(blocks_done(t->b, c.id, c.kind, other, busy, &in_flight) == -ESTALE);
    CHECK(blocks_done(t->b, c.id, wrong, driver, busy, &in_flight) == -ESTALE);
    if (!c.equal)
        CHECK(blocks_adopt(t->b, c.id, driver, busy, &in_flight) ==
              (c.kind == CLAIM_COPY ? -EINVAL : -ESTALE));
    if (c.equal && rng_below(&t->rng, 2)) {
        do_adopt(t, &c, in_flight);
    } else if (rng_below(&t->rng, 3)) {
        CHECK(blocks_done(t->b, c.id, c.kind, driver, busy, &in_flight) == 0);
        model_done(m, &c, in_flight);
    } else if (c.kind == CLAIM_COPY) {
        do_release(t, &c);
    } else {
        do_differ(t, &c);
    }
    CHECK(blocks_done(t->b, c.id, c.kind, driver, busy, &in_flight) == -ESTALE);
}

static void do_write(struct pair *t)
{
    struct model *m = &t->m;
    uint64_t offset = rng_below(&t->rng, m->size);
    uint64_t length = 1 + rng_below(&t->rng, rng_below(&t->rng, 2) ? 9000 : 3 * BLOCK_SIZE);
    length = length < m->size - offset ? length : m->size - offset;
    bool all = true, mirrored;
    for (size_t i = first_block(offset); i < end_block(offset, length); i++)
        all &= m->state[i] == SYNCED;
    CHECK(blocks_all_synced(t->b, offset, length) == all);
    mirrored = rng_below(&t->rng, 4) && all;
    blocks_written(t->b, offset, length, mirrored);
    for (size_t i = first_block(offset); i < end_block(offset, length); i++) {
        void_claims(m, i);
        if (m->state[i] == SYNCED && !mirrored)
            set_state(m, i, DIRTY);
    }
    for (uint64_t p = offset / PAGE_SIZE; p * PAGE_SIZE < offset + length; p++)
        if (m->state[p / BLOCK_PAGES] != SYNCED || m->verify != VERIFY_NONE)
            m->proved[p] = false;
}

static void haunt(struct model *m, const struct model_claim *c, uint64_t until)
{
    for (size_t i = first_block(c->offset); i < end_block(c->offset, c->length); i++) {
        set_state(m, i, HAUNTED);
        m->haunted_until[i] = until;
    }
}

static void do_driver_gone(struct pair *t)
{
    struct model *m = &t->m;
    unsigned driver = (unsigned)rng_below(&t->rng, DRIVERS);
    uint64_t until = m->now + 1 + rng_below(&t->rng, 100);
    size_t n = 0;
    for (size_t k = 0; k < m->n_claims;) {
        if (m->claims[k].driver != driver) {
            k++;
            continue;
        }
        struct model_claim c = take(m, k);
        if (c.kind == CLAIM_COPY) {
            haunt(m, &c, until);
            n += end_block(c.offset, c.length) - first_block(c.offset);
        }
    }
    CHECK_EQ_U64(blocks_driver_gone(t->b, &drivers[driver], until), n);
}

static void do_exorcise(struct pair *t)
{
    struct model *m = &t->m;
    uint64_t next = 0;
    m->now += rng_below(&t->rng, 60);
    for (size_t i = 0; i < m->n; i++) {
        if (m->state[i] != HAUNTED)
            continue;
        if (m->haunted_until[i] <= m->now)
            set_state(m, i, DIRTY);
        else if (!next || m->haunted_until[i] < next)
            next = m->haunted_until[i];
    }
    CHECK_EQ_U64(blocks_exorcise(t->b, m->now), next);
}

static void do_void(struct pair *t)
{
    blocks_void(t->b);
    for (size_t i = 0; i < t->m.n; i++)
        void_claims(&t->m, i);
}

static void do_unprove(struct pair *t)
{
    enum rec_verify verify = t->m.verify;
    if (rng_below(&t->rng, 2)) {
        blocks_unprove(t->b);
    } else {
        verify = (enum rec_verify)rng_below(&t->rng, VERIFY_NONE + 1);
        blocks_set_verify(t->b, verify);
        if (verify == t->m.verify)
            return;
    }
    t->m.verify = verify;
    for (size_t i = 0; i < t->m.n; i++) {
        if (t->m.state[i] != SYNCED)
            continue;
        set_synced(&t->m, i);
        void_claims(&t->m, i);
    }
}

/* ---- in step ---- */

static void compare(const struct pair *t)
{
    struct blocks_counts a = blocks_counts(t->b), b = model_counts(&t->m);
    CHECK_EQ_U64(a.dirty, b.dirty);
    CHECK_EQ_U64(a.copying, b.copying);
    CHECK_EQ_U64(a.haunted, b.haunted);
    CHECK_EQ_U64(a.synced, b.synced);
    CHECK_EQ_U64(a.unproved, b.unproved);
    CHECK_EQ_U64(a.exempt, b.exempt);
    for (size_t i = 0; i < t->m.n; i++)
        CHECK(blocks_all_synced(t->b, i * BLOCK_SIZE, 1) == (t->m.state[i] == SYNCED));
    bool complete = true, exempt = false;
    for (size_t p = 0; p < page_end(&t->m); p++)
        complete &= t->m.state[p / BLOCK_PAGES] == SYNCED && t->m.proved[p];
    for (size_t i = 0; i < t->m.n; i++)
        exempt |= t->m.exempt[i];
    CHECK(blocks_complete(t->b) == complete);
    CHECK(blocks_proved(t->b) == (!complete ? VERIFY_NONE : exempt ? t->m.verify : VERIFY_FULL));
}

static void step(struct pair *t)
{
    uint64_t op = rng_below(&t->rng, 100);
    if (op < 32)
        do_claim(t);
    else if (op < 40)
        do_claim_in(t);
    else if (op < 78)
        do_end_claim(t);
    else if (op < 90)
        do_write(t);
    else if (op < 93)
        do_driver_gone(t);
    else if (op < 99)
        do_exorcise(t);
    else if (rng_below(&t->rng, 2))
        do_unprove(t);
    else
        do_void(t);
    compare(t);
}

static void test_seed(uint64_t seed)
{
    struct pair t = {.m = {.n = 0}};
    rng_init(&t.rng, seed);
    t.m.n = 1 + rng_below(&t.rng, BLOCKS_MAX);
    t.m.size = (t.m.n - 1) * BLOCK_SIZE + 1 + rng_below(&t.rng, BLOCK_SIZE);
    t.b = blocks_new(t.m.size);
    CHECK(t.b != NULL);
    for (size_t i = 0; t.b && i < STEPS; i++) {
        step(&t);
        if (!test_state()->failed)
            continue;
        fprintf(stderr, "seed %" PRIu64 ", step %zu\n", seed, i);
        break;
    }
    blocks_free(t.b);
}

int main(void)
{
    test_begin("blocks_random");
    for (uint64_t seed = 1; seed <= SEEDS && !test_state()->failed; seed++)
        test_seed(seed);
    return test_done();
}
