/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The block states in a small world with data: client writes that reach the two copies at any
 * moment between arrival and end, copiers and provers that read and write page by page, copiers
 * that die with writes on their way.  Whatever the interleaving: a volume that counts as complete
 * is equal on both sides, and a proof finds no difference but one that a write explains (S2,
 * S6-S8).
 */
#include <errno.h>

#include "cmd/route-director/blocks.h"
#include "cmd/route-director/ranges.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { BLOCKS = 4, PAGES = BLOCKS * BLOCK_PAGES, JOBS = 6, WRITES = 5, SEEDS = 300, STEPS = 2500 };
enum { QUARANTINE = 200 };

/* A copier's or prover's claim under way, a page at a time. */
struct job {
    int64_t claim; /* 0: the place is free */
    enum claim_kind kind;
    unsigned driver;
    uint64_t offset, length;
    size_t first, n; /* pages */
    size_t read, compared, written;
    uint32_t data[PAGES];
    bool compares; /* a copier that sends nothing where the target is equal */
    bool differs;
    uint64_t dead_until; /* its driver died: what is not written may land before; 0: alive */
};

struct write {
    size_t first, n; /* pages; n 0: the place is free */
    uint32_t value;
    bool mirrored, at_source, at_target;
};

struct world {
    struct rng rng;
    struct blocks *b;
    struct ranges ranges;
    uint32_t source[PAGES], target[PAGES];
    struct job jobs[JOBS];
    struct write writes[WRITES];
    uint32_t next_value;
    uint64_t now;
    size_t completions;
};

static const char drivers[2];

static bool chance(struct world *w, uint64_t one_in)
{
    return rng_below(&w->rng, one_in) == 0;
}

/* ---- clients ---- */

static void put(uint32_t *side, const struct write *x)
{
    for (size_t i = 0; i < x->n; i++)
        side[x->first + i] = x->value;
}

static void write_arrives(struct world *w, struct write *x)
{
    size_t first = rng_below(&w->rng, PAGES);
    size_t n = 1 + rng_below(&w->rng, chance(w, 4) ? 20 : 3);
    n = n < PAGES - first ? n : PAGES - first;
    uint64_t offset = first * PAGE_SIZE, length = n * PAGE_SIZE;
    if (ranges_take(&w->ranges, offset, length) < 0)
        return;
    *x = (struct write){.first = first, .n = n, .value = ++w->next_value};
    x->mirrored = !chance(w, 8) && blocks_all_synced(w->b, offset, length);
    blocks_written(w->b, offset, length, x->mirrored);
}

/* It ended: with an error on the second leg, perhaps, that may have applied it or not. */
static void write_ends(struct world *w, struct write *x)
{
    uint64_t offset = x->first * PAGE_SIZE, length = x->n * PAGE_SIZE;
    blocks_written(w->b, offset, length, x->mirrored && x->at_target);
    ranges_drop(&w->ranges, offset, length);
    x->n = 0;
}

static void step_write(struct world *w)
{
    struct write *x = &w->writes[rng_below(&w->rng, WRITES)];
    if (!x->n) {
        if (chance(w, 6))
            write_arrives(w, x);
    } else if (x->mirrored && !x->at_target && !chance(w, 3)) {
        put(w->target, x);
        x->at_target = true;
    } else if (!x->at_source) {
        put(w->source, x);
        x->at_source = true;
    } else {
        write_ends(w, x);
    }
}

/* ---- copiers and provers ---- */

static void start_job(struct world *w, struct job *j)
{
    enum claim_kind kind = chance(w, 2) ? CLAIM_PROVE : CLAIM_COPY;
    unsigned driver = (unsigned)rng_below(&w->rng, 2);
    *j = (struct job){.kind = kind, .driver = driver, .compares = chance(w, 2)};
    j->claim = blocks_claim(w->b, kind, rng_below(&w->rng, 3 * BLOCK_SIZE), &drivers[driver],
                            &j->offset, &j->length);
    j->first = j->offset / PAGE_SIZE;
    j->n = j->length / PAGE_SIZE;
}

static bool busy(void *arg, uint64_t offset, uint64_t length)
{
    return ranges_busy(arg, offset, length);
}

static void end_job(struct world *w, struct job *j)
{
    const void *driver = &drivers[j->driver];
    if (j->kind == CLAIM_PROVE && j->differs) {
        /* Nobody here writes anything wrong: a difference can only be a write that interfered. */
        CHECK(blocks_differ(w->b, (uint64_t)j->claim, driver, busy, &w->ranges) == 1);
    } else if (j->kind == CLAIM_COPY && j->compares && !j->differs) {
        blocks_claim_equal(w->b, (uint64_t)j->claim, driver);
        CHECK(blocks_adopt(w->b, (uint64_t)j->claim, driver, busy, &w->ranges) == 0);
    } else if (j->kind == CLAIM_COPY && chance(w, 8)) {
        CHECK(blocks_release(w->b, (uint64_t)j->claim, driver) == 0);
    } else {
        CHECK(blocks_done(w->b, (uint64_t)j->claim, j->kind, driver, busy, &w->ranges) == 0);
    }
    j->claim = 0;
}

static void write_page(struct world *w, struct job *j)
{
    w->target[j->first + j->written] = j->data[j->written];
    j->written++;
}

/* Does a copier know by now that it sends what it has read? */
static bool sends(const struct job *j)
{
    return !j->compares || (j->compared == j->n && j->differs);
}

static void step_job(struct world *w)
{
    struct job *j = &w->jobs[rng_below(&w->rng, JOBS)];
    if (!j->claim) {
        start_job(w, j);
    } else if (j->dead_until) {
        if (sends(j) && j->written < j->read && chance(w, 40)) /* stalled somewhere */
            write_page(w, j);
    } else if (j->read < j->n) {
        j->data[j->read] = w->source[j->first + j->read];
        j->read++;
    } else if ((j->kind == CLAIM_PROVE || j->compares) && j->compared < j->n) {
        j->differs |= j->data[j->compared] != w->target[j->first + j->compared];
        j->compared++;
    } else if (j->kind == CLAIM_COPY && sends(j) && j->written < j->n) {
        write_page(w, j);
    } else {
        end_job(w, j);
    }
}

static void driver_dies(struct world *w)
{
    unsigned driver = (unsigned)rng_below(&w->rng, 2);
    blocks_driver_gone(w->b, &drivers[driver], w->now + QUARANTINE);
    for (size_t i = 0; i < JOBS; i++) {
        struct job *j = &w->jobs[i];
        if (!j->claim || j->dead_until || j->driver != driver)
            continue;
        if (j->kind == CLAIM_COPY)
            j->dead_until = w->now + QUARANTINE;
        else
            j->claim = 0;
    }
}

/* The quarantine's assumption: what has not landed by then never will. */
static void pass_time(struct world *w)
{
    w->now++;
    for (size_t i = 0; i < JOBS; i++)
        if (w->jobs[i].dead_until && w->jobs[i].dead_until <= w->now)
            w->jobs[i] = (struct job){.claim = 0};
    blocks_exorcise(w->b, w->now);
}

/* ---- what must hold ---- */

static bool being_written(const struct world *w, size_t page)
{
    return ranges_busy(&w->ranges, page * PAGE_SIZE, 1);
}

static void check_complete(struct world *w)
{
    bool equal = true;
    if (!blocks_complete(w->b))
        return;
    w->completions++;
    for (size_t p = 0; p < PAGES; p++)
        equal &= w->source[p] == w->target[p] || being_written(w, p);
    CHECK(equal);
}

static void step(struct world *w)
{
    uint64_t dice = rng_below(&w->rng, 1000);
    pass_time(w);
    /* Clients rest now and then, or nothing would ever be complete. */
    bool restless = w->now / 400 % 2 == 0;
    for (size_t i = 0; i < WRITES && !restless; i++)
        if (w->writes[i].n)
            restless = true;
    if (dice < 5)
        driver_dies(w);
    else if (dice < 6)
        blocks_unprove(w->b);
    else if (dice < 200 && restless)
        step_write(w);
    else
        for (int i = 0; i < 8; i++)
            step_job(w);
    check_complete(w);
}

static size_t test_seed(uint64_t seed)
{
    struct world w = {.now = 0};
    rng_init(&w.rng, seed);
    for (size_t p = 0; p < PAGES; p++)
        w.source[p] = ++w.next_value;
    w.b = blocks_new(PAGES * (uint64_t)PAGE_SIZE);
    CHECK(w.b != NULL);
    if (w.b)
        blocks_set_verify(w.b, (enum rec_verify)(seed % (VERIFY_NONE + 1)));
    for (size_t i = 0; w.b && i < STEPS; i++) {
        step(&w);
        if (!test_state()->failed)
            continue;
        fprintf(stderr, "seed %" PRIu64 ", step %zu\n", seed, i);
        break;
    }
    blocks_free(w.b);
    ranges_release(&w.ranges);
    return w.completions;
}

int main(void)
{
    size_t completions = 0;
    test_begin("blocks_world");
    for (uint64_t seed = 1; seed <= SEEDS && !test_state()->failed; seed++)
        completions += test_seed(seed);
    CHECK(completions > SEEDS);
    return test_done();
}
