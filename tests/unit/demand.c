/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counting, merging, spreading and saving of demand: mostly properties, on seeded random records.
 */
#include "common/affinity/demand.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/affinity/adding.h"
#include "common/affinity/heat.h"
#include "common/affinity/sources.h"
#include "common/affinity/weekfile.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { KEEP = 5 * HOURS_A_WEEK, RECORDS = 3000, FIRST = 2645 * HOURS_A_WEEK, VOLUMES = 3 };

/* A record by names, so that it can be added to any demand. */
struct access {
    struct demand_record r;
    char volume[16], site[16], gateway[16];
};

static struct demand_record record_in(struct demand *d, const struct access *a)
{
    struct demand_record r = a->r;
    r.volume = (uint32_t)demand_volume_id(d, a->volume, strlen(a->volume));
    r.site = (uint32_t)demand_site_id(d, a->site, strlen(a->site));
    r.gateway = DEMAND_NO_GATEWAY;
    if (*a->gateway)
        r.gateway = (uint32_t)demand_gateway_id(d, a->gateway, strlen(a->gateway));
    return r;
}

static void add(struct demand *d, const struct access *a)
{
    struct demand_record r = record_in(d, a);
    CHECK(demand_add(d, &r) == 0);
}

static void add_all(struct demand *d, const struct access *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add(d, &a[i]);
}

/*
 * Records over seven weeks, in random order: some older than what is kept, and of so many SITES and
 * as many gateways.
 */
static void make_accesses(struct access *a, size_t n, unsigned sites, uint64_t seed)
{
    struct rng g;
    rng_init(&g, seed);
    for (size_t i = 0; i < n; i++) {
        a[i].r = (struct demand_record){
            .hour = FIRST + (int64_t)rng_below(&g, 7 * HOURS_A_WEEK),
            .op = (enum demand_op)rng_below(&g, 4),
            .offset = rng_below(&g, UINT64_C(1) << (20 + rng_below(&g, 14))),
            .length = rng_below(&g, 1 << 20),
            .count = rng_below(&g, 100) ? 1 + rng_below(&g, 50) : UINT64_MAX - 5,
        };
        snprintf(a[i].volume, sizeof(a[i].volume), "v%u", (unsigned)rng_below(&g, VOLUMES));
        snprintf(a[i].site, sizeof(a[i].site), "s%u", (unsigned)rng_below(&g, sites));
        snprintf(a[i].gateway, sizeof(a[i].gateway), "g%u", (unsigned)rng_below(&g, sites));
        if (rng_below(&g, 3) == 0)
            a[i].gateway[0] = 0;
    }
}

static void shuffle(struct access *a, size_t n, uint64_t seed)
{
    struct rng g;
    rng_init(&g, seed);
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(&g, i);
        struct access t = a[i - 1];
        a[i - 1] = a[j];
        a[j] = t;
    }
}

/* The bytes of all weeks that D remembers. */
static struct buf saved(struct demand *d)
{
    struct buf b = {0};
    demand_trim(d);
    for (int64_t w = demand_first_week(d); w <= d->newest_hour / HOURS_A_WEEK; w++)
        for (int k = 0; k < WEEKFILE_KINDS; k++)
            CHECK(weekfile_pack(d, (enum weekfile_kind)k, w, &b) == 0);
    return b;
}

static void check_same(struct demand *x, struct demand *y)
{
    struct buf a = saved(x), b = saved(y);
    CHECK(a.len > 1000 && a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    buf_release(&a);
    buf_release(&b);
}

/* Also with more sites and gateways than are told apart. */
static void test_order(void)
{
    static struct access a[RECORDS];
    const unsigned sites[] = {3, 100};
    for (size_t i = 0; i < 2; i++) {
        struct demand x, y;
        demand_init(&x, KEEP);
        demand_init(&y, KEEP);
        make_accesses(a, RECORDS, sites[i], 1);
        add_all(&x, a, RECORDS);
        shuffle(a, RECORDS, 2);
        add_all(&y, a, RECORDS);
        check_same(&x, &y);
        demand_release(&x);
        demand_release(&y);
    }
}

/* As who adds millions does it; how many were easy. */
static size_t add_many(struct demand *d, const struct access *a, size_t n)
{
    size_t easy = 0;
    for (size_t i = 0; i < n; i++) {
        struct demand_record r = record_in(d, &a[i]);
        if (r.volume < d->n_spots && demand_spot_takes(&d->spot[r.volume], r))
            easy++;
        else
            CHECK(demand_add_later(d, &r) == 0);
    }
    return easy;
}

/* Many at a time, in any order or by the hour, are counted as one by one. */
static void test_many(void)
{
    static struct access a[RECORDS];
    for (unsigned round = 0; round < 8; round++) {
        bool in_order = round % 2;
        unsigned sites = round % 4 < 2 ? 3 : 100;
        struct demand one, many;
        demand_init(&one, KEEP);
        demand_init(&many, KEEP);
        make_accesses(a, RECORDS, sites, 20 + round);
        for (size_t i = 0; in_order && i < RECORDS; i++) {
            a[i].r.hour = FIRST + (int64_t)(i / 50);
            snprintf(a[i].gateway, sizeof(a[i].gateway), "g%s", a[i].volume);
        }
        add_all(&one, a, RECORDS);
        size_t easy = add_many(&many, a, RECORDS / 2);
        CHECK(round < 4 || demand_settle(&many) == 0);
        easy += add_many(&many, a + RECORDS / 2, RECORDS - RECORDS / 2);
        CHECK(!in_order || sites > 3 || easy > RECORDS / 10);
        CHECK(demand_settle(&many) == 0);
        check_same(&one, &many);
        demand_release(&one);
        demand_release(&many);
    }
}

/* Parts that are counted apart, in any order, and merged in any order. */
static void test_merge(void)
{
    static struct access a[RECORDS];
    enum { PARTS = 5 };
    for (unsigned round = 0; round < 4; round++) {
        struct demand whole, merged, part[PARTS];
        demand_init(&whole, KEEP);
        demand_init(&merged, KEEP);
        make_accesses(a, RECORDS, round % 2 ? 3 : 100, 10 + round);
        add_all(&whole, a, RECORDS);
        shuffle(a, RECORDS, round);
        for (size_t i = 0; i < PARTS; i++) {
            demand_init(&part[i], KEEP);
            add_all(&part[i], a + i * RECORDS / PARTS, RECORDS / PARTS);
        }
        for (size_t i = 0; i < PARTS; i++)
            CHECK(demand_merge(&merged, &part[(i * 2 + round) % PARTS]) == 0);
        check_same(&whole, &merged);
        for (size_t i = 0; i < PARTS; i++)
            demand_release(&part[i]);
        demand_release(&whole);
        demand_release(&merged);
    }
}

/* Reads what saved() wrote, week by week; the result of the first that fails. */
static int read_back(struct demand *d, const struct demand *from)
{
    d->newest_hour = from->newest_hour;
    for (int64_t w = demand_first_week(from); w <= from->newest_hour / HOURS_A_WEEK; w++)
        for (int k = 0; k < WEEKFILE_KINDS; k++) {
            struct buf b = {0};
            CHECK(weekfile_pack(from, (enum weekfile_kind)k, w, &b) == 0);
            int r = weekfile_unpack(&b, (enum weekfile_kind)k, w, d);
            buf_release(&b);
            if (r < 0)
                return r;
        }
    return 0;
}

static void test_save_and_load(void)
{
    static struct access a[RECORDS];
    struct demand whole, half, rest;
    demand_init(&whole, KEEP);
    demand_init(&half, KEEP);
    demand_init(&rest, KEEP);
    make_accesses(a, RECORDS, 3, 3);
    add_all(&whole, a, RECORDS);
    add_all(&half, a, RECORDS / 2);
    CHECK(read_back(&rest, &half) == 0);
    add_all(&rest, a + RECORDS / 2, RECORDS - RECORDS / 2);
    check_same(&whole, &rest);
    demand_release(&whole);
    demand_release(&half);
    demand_release(&rest);
}

struct limited {
    size_t pieces, most;
};

static int take_some(void *ctx, const void *data, size_t len)
{
    struct limited *l = ctx;
    CHECK(data && len);
    return l->pieces++ < l->most ? 0 : -ENOSPC;
}

/* Who cannot take a piece is not handed another. */
static void test_pieces(void)
{
    static struct access a[RECORDS];
    struct demand d;
    struct limited l = {.most = SIZE_MAX};
    demand_init(&d, KEEP);
    for (unsigned seed = 0; seed < 20; seed++) {
        make_accesses(a, RECORDS, 3, seed);
        for (size_t i = 0; i < RECORDS; i++)
            a[i].r.hour = FIRST + (int64_t)i % HOURS_A_WEEK;
        add_all(&d, a, RECORDS);
    }
    int64_t week = FIRST / HOURS_A_WEEK;
    CHECK(weekfile_put(&d, WEEKFILE_HEAT, week, take_some, &l) == 0);
    size_t all = l.pieces;
    CHECK(all > 2);
    for (l.most = 0; l.most < all; l.most++) {
        l.pieces = 0;
        CHECK(weekfile_put(&d, WEEKFILE_HEAT, week, take_some, &l) == -ENOSPC);
        CHECK(l.pieces == l.most + 1);
    }
    demand_release(&d);
}

/* Any changed byte is noticed, any shortened file, and a file of another week. */
static void test_damage(void)
{
    static struct access a[50];
    struct demand d, back;
    struct buf file = {0};
    demand_init(&d, KEEP);
    demand_init(&back, KEEP);
    make_accesses(a, 50, 3, 4);
    for (size_t i = 0; i < 50; i++)
        a[i].r.hour = FIRST + (int64_t)i;
    add_all(&d, a, 50);
    int64_t week = FIRST / HOURS_A_WEEK;
    CHECK(weekfile_pack(&d, WEEKFILE_DEMAND, week, &file) == 0);
    for (size_t i = 0; i < file.len; i++) {
        file.data[i] ^= 0x20;
        int r = weekfile_unpack(&file, WEEKFILE_DEMAND, week, &back);
        CHECK(r == (i < 8 ? -EPROTO : -EBADMSG));
        file.data[i] ^= 0x20;
    }
    CHECK(weekfile_unpack(&file, WEEKFILE_HEAT, week, &back) == -EPROTO);
    CHECK(weekfile_unpack(&file, WEEKFILE_DEMAND, week + 1, &back) == -EBADMSG);
    file.len--;
    CHECK(weekfile_unpack(&file, WEEKFILE_DEMAND, week, &back) == -EBADMSG);
    buf_release(&file);
    demand_release(&d);
    demand_release(&back);
}

/* All that C has counted of KIND. */
static uint64_t sum_of(const struct cells *c, enum cells_kind kind)
{
    struct cell cell[CELLS_ROW];
    uint64_t sum = 0;
    for (unsigned h = 0; h < HOURS_A_WEEK; h++) {
        size_t n = cells_hour(c, h, cell);
        for (size_t i = 0; i < n; i++) {
            CHECK(i == 0 || cell[i].segment1 > cell[i - 1].segment1);
            sum += cell[i].of[kind];
        }
    }
    return sum;
}

/* Segments stay few however large the volume turns out, and no byte is lost on the way. */
static void test_segments(void)
{
    struct cells c;
    cells_init(&c);
    for (unsigned shift = 0; shift < 62; shift++)
        CHECK(cells_add(&c, shift, CELLS_WRITES, UINT64_C(1) << shift, 3, 2) == 0);
    CHECK(cells_settle(&c) == 0);
    CHECK_EQ_U64(sum_of(&c, CELLS_WRITES), 2 * 62);
    CHECK_EQ_U64(sum_of(&c, CELLS_BYTES), 6 * 62);
    CHECK_EQ_U64(c.shift, 52);
    cells_release(&c);
}

/* Everything touched in every hour: the number of cells stays within its bound. */
static void test_cells_bound(void)
{
    struct cells c;
    cells_init(&c);
    for (unsigned hour = 0; hour < HOURS_A_WEEK; hour++)
        for (uint64_t s = 0; s < CELLS_SEGMENTS; s += 2)
            CHECK(cells_add(&c, hour, CELLS_READS, s << CELLS_SHIFT_MIN, 1, 1) == 0);
    CHECK(cells_settle(&c) == 0);
    CHECK(c.n <= CELLS_MAX && c.n > CELLS_MAX / 4);
    CHECK_EQ_U64(sum_of(&c, CELLS_READS), HOURS_A_WEEK * CELLS_SEGMENTS / 2);
    cells_release(&c);
}

/* A number of any length. */
static uint64_t any_number(struct rng *g)
{
    return rng_below(g, 50) ? rng_u64(g) >> rng_below(g, 64) >> rng_below(g, 64) : UINT64_MAX;
}

/* Random cells, most of them small as those of a real hour, into T. */
static void draw_cells(struct rng *g, struct row_table *t)
{
    uint64_t one_in = 1 + rng_below(g, 200), small = rng_below(g, 2);
    row_table_clear(t);
    for (uint32_t i = 0; i < CELLS_ROW; i++) {
        if (rng_below(g, one_in))
            continue;
        uint64_t *of = row_table_at(t, i);
        for (size_t k = 0; k < CELLS_KINDS; k++)
            of[k] = small ? rng_u64(g) >> (36 + rng_below(g, 28)) : any_number(g);
    }
}

static bool is_in_table(const struct row *r, struct row_table *t)
{
    struct cell cell[CELLS_ROW];
    size_t n = row_cells(r, cell), used = 0;
    bool same = true;
    for (size_t w = 0; w < sizeof(t->used) / sizeof(t->used[0]); w++)
        used += (size_t)__builtin_popcountll(t->used[w]);
    for (size_t i = 0; i < n; i++)
        same = same &&
               memcmp(cell[i].of, row_table_at(t, cell[i].segment1 - 1), sizeof(cell[i].of)) == 0;
    return same && n == used;
}

/* A row's cells are read as they were written, and joined in place as a table would join them. */
static void test_rows(void)
{
    struct rng g;
    rng_init(&g, 11);
    for (int round = 0; round < 2000; round++) {
        struct row_table t;
        struct row a = {0}, b = {0};
        unsigned by = 1 + (unsigned)rng_below(&g, round % 2 ? 3 : 40);
        draw_cells(&g, &t);
        CHECK(row_set(&a, &t) == 0 && is_in_table(&a, &t));
        row_table_clear(&t);
        row_sum(&a, by, &t);
        CHECK(row_set(&b, &t) == 0 && row_coarsen(&a, by) == 0);
        CHECK(a.n == b.n && a.size == b.size && memcmp(a.packed, b.packed, a.size) == 0);
        free(a.packed);
        free(b.packed);
    }
}

/* What lies at the beginning of a volume stays there, however far away the next access is. */
static void test_far(void)
{
    const uint64_t near = 100 << CELLS_SHIFT_MIN, far = UINT64_C(1) << 62;
    for (unsigned settled = 0; settled < 2; settled++) {
        struct cells c;
        struct cell cell[CELLS_ROW];
        cells_init(&c);
        CHECK(cells_add(&c, 7, CELLS_READS, near, 1, 1) == 0);
        CHECK(!settled || cells_settle(&c) == 0);
        CHECK(cells_add(&c, 7, CELLS_READS, far, 1, 1) == 0 && cells_settle(&c) == 0);
        CHECK(cells_hour(&c, 7, cell) == 2 && cell[0].segment1 == 1);
        cells_release(&c);
    }
}

static void test_bounds(void)
{
    struct demand d;
    demand_init(&d, KEEP);
    struct access a = {.r = {.hour = FIRST, .op = DEMAND_READ, .length = 1, .count = 1}};
    snprintf(a.volume, sizeof(a.volume), "v");
    for (unsigned i = 0; i < 200; i++) {
        snprintf(a.site, sizeof(a.site), "n%u", i);
        snprintf(a.gateway, sizeof(a.gateway), "n%u", i);
        add(&d, &a);
    }
    CHECK(d.overflowed && demand_gather(&d) == 0);
    const struct demand_volume *v = &d.volume[0];
    CHECK_EQ_U64(v->n_sites, DEMAND_SITES);
    CHECK_EQ_U64(v->weeks[0]->sites.n, DEMAND_SITES);
    CHECK_EQ_U64(v->weeks[0]->served.n, DEMAND_SITES);
    double sum = 0;
    for (size_t i = 0; i < v->n_sites; i++) {
        double *y;
        struct series s;
        CHECK(demand_series(&d, &v->sites[i], FIRST + 1, &y, &s) == 0 && s.n == 1);
        CHECK(y[0] == (strcmp(v->sites[i].site, DEMAND_OTHER) == 0 ? 168 : 1));
        sum += y[0];
        free(y);
    }
    CHECK(sum == 200);
    struct demand_record beyond = {.hour = FIRST, .offset = INT64_MAX, .length = 1, .count = 1};
    CHECK(demand_add(&d, &beyond) == -ERANGE);
    /* Who goes back in time, a record a week, fills no memory. */
    for (int64_t week = FIRST / HOURS_A_WEEK; week >= 0; week--) {
        a.r.hour = week * HOURS_A_WEEK;
        add(&d, &a);
    }
    CHECK(d.volume[0].n_weeks <= KEEP / HOURS_A_WEEK + 2);
    demand_release(&d);
}

static void test_series(void)
{
    struct demand d;
    demand_init(&d, KEEP);
    const int64_t at[] = {300, 203, 301, 300, 304};
    for (size_t i = 0; i < 5; i++) {
        struct access a = {
            .r = {.hour = at[i], .op = DEMAND_FLUSH, .count = i + 1}, .volume = "v", .site = "s"};
        add(&d, &a);
    }
    CHECK(demand_gather(&d) == 0);
    const struct demand_site *s = &d.volume[0].sites[0];
    double *y;
    struct series out;
    CHECK(demand_series(&d, s, 307, &y, &out) == 0);
    CHECK(out.start == 203 && out.n == 104 && out.y == y);
    CHECK(y[0] == 2 && y[97] == 5 && y[98] == 3 && y[101] == 5 && y[103] == 0);
    free(y);
    CHECK(demand_series(&d, s, 203, &y, &out) == 0);
    CHECK(out.n == 0 && !y);
    demand_release(&d);
}

static void test_share(void)
{
    static struct access a[RECORDS];
    struct demand d;
    demand_init(&d, KEEP);
    make_accesses(a, RECORDS, 2, 5);
    add_all(&d, a, RECORDS);
    for (size_t i = 0; i < VOLUMES; i++) {
        const struct demand_volume *v = &d.volume[i];
        CHECK(fabs(demand_share(&d, v, "g0") + demand_share(&d, v, "g1") - 1) < 1e-12);
        CHECK(demand_share(&d, v, "elsewhere") == 0);
    }
    demand_release(&d);
}

static void test_heat_sums_up(void)
{
    static struct access a[RECORDS];
    struct demand d;
    demand_init(&d, KEEP);
    make_accesses(a, RECORDS, 3, 6);
    for (size_t i = 0; i < RECORDS; i++) {
        a[i].r.op = (enum demand_op)(i % 3); /* no flushes */
        a[i].r.count %= 1000;
    }
    add_all(&d, a, RECORDS);
    struct heat h;
    CHECK(heat_make(&d, &d.volume[0], &h) == 0);
    struct heat_cell *cell = calloc(h.n, sizeof(*cell));
    for (int64_t hour = FIRST; hour < FIRST + HOURS_A_WEEK; hour++) {
        double sum = 0;
        heat_spread(&h, hour, 1000, cell);
        for (size_t i = 0; i < h.n; i++)
            sum += cell[i].of[CELLS_READS] + cell[i].of[CELLS_WRITES];
        CHECK(fabs(sum - 1000) < 1e-6);
    }
    free(cell);
    heat_release(&h);
    demand_release(&d);
}

/* A rhythm of the week shows where it was seen often enough. */
static void test_heat_by_hour_of_week(void)
{
    struct demand d;
    struct heat h;
    struct heat_cell cell[2];
    demand_init(&d, KEEP);
    for (int64_t hour = FIRST; hour < FIRST + 3 * HOURS_A_WEEK; hour++) {
        struct access a = {.r = {.hour = hour, .op = DEMAND_READ, .length = 1, .count = 1000},
                           .volume = "v",
                           .site = "s"};
        a.r.offset = hour % HOURS_A_WEEK == 60 ? 1 << 20 : 0;
        add(&d, &a);
    }
    CHECK(heat_make(&d, &d.volume[0], &h) == 0 && h.n == 2);
    heat_spread(&h, FIRST + 3 * HOURS_A_WEEK + 60, 100, cell);
    CHECK(cell[1].of[CELLS_READS] > 95 && cell[0].of[CELLS_READS] < 5);
    heat_spread(&h, FIRST + 3 * HOURS_A_WEEK + 84, 100, cell);
    CHECK(cell[0].of[CELLS_READS] > 95 && cell[1].of[CELLS_READS] < 5);
    heat_release(&h);
    demand_release(&d);
}

static void test_sources(void)
{
    struct sources s = {0}, back = {0};
    struct source *log = sources_at(&s, "log");
    struct buf b = {0};
    struct packer p = {&b, false};
    const char *which;
    CHECK(!source_find(log, "head and more", 13));
    CHECK(source_note(log, "head and more", 13, 8, 5) == 0);
    CHECK(source_find(log, "head and else", 13)->offset == 8);
    CHECK(!source_find(log, "HEAD and more", 13) && !source_find(log, "head", 4));
    /* The same file, further on. */
    CHECK(source_note(log, "head and more", 13, 13, 4) == 0);
    CHECK(log->n_files == 1 && log->file[0].offset == 13 && log->file[0].newest == 5);
    CHECK(!source_find(log, "head and else", 13));
    sources_pack(&p, &s);
    struct unpacker u = {(unsigned char *)b.data, (unsigned char *)b.data + b.len, false};
    CHECK(sources_unpack(&u, &back) == 0 && !u.failed);
    CHECK(source_find(sources_at(&back, "log"), "head and more", 13)->offset == 13);
    CHECK(sources_merge(&back, &s, &which) == -EEXIST);
    CHECK_STR(which, "log");
    char head[16];
    for (unsigned i = 0; i < 2 * SOURCES_FILES; i++) {
        snprintf(head, sizeof(head), "%u", 1000000 + i);
        CHECK(source_note(log, head, 7, 7, i) == 0);
    }
    CHECK_EQ_U64(log->n_files, SOURCES_FILES);
    CHECK(!source_find(log, "1000000", 7) && source_find(log, "1000511", 7));
    buf_release(&b);
    sources_release(&s);
    sources_release(&back);
}

int main(void)
{
    test_begin("demand");
    test_order();
    test_many();
    test_merge();
    test_save_and_load();
    test_pieces();
    test_damage();
    test_segments();
    test_cells_bound();
    test_rows();
    test_far();
    test_bounds();
    test_series();
    test_share();
    test_heat_sums_up();
    test_heat_by_hour_of_week();
    test_sources();
    return test_done();
}
