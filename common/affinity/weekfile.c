/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/weekfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/pack.h"
#include "common/base/parse.h"

/* Bytes, but for the last volume's: they stay in the second-level cache. */
#define PIECE ((size_t)64 << 10)

static const char *const magic[WEEKFILE_KINDS] = {"GSDEMND2", "GSHEAT02"};

/* A thing of a week with its name, to be put in order. */
struct named {
    const char *name;
    const void *thing;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* ---- out ---- */

static void pack_hours(struct packer *p, const struct tally_row *h)
{
    unsigned from = 0, to = HOURS_A_WEEK;
    while (from < to && h->count[from] == 0)
        from++;
    while (to > from && h->count[to - 1] == 0)
        to--;
    pack_uint(p, from < to ? from : 0);
    pack_uint(p, to - from);
    for (unsigned i = from; i < to; i++)
        pack_uint(p, h->count[i]);
}

static void rows_by_name(const struct tally *t, const struct intern *names,
                         struct named out[DEMAND_SITES])
{
    for (size_t i = 0; i < t->n; i++)
        out[i] = (struct named){names->names[t->row[i].name], &t->row[i]};
    qsort(out, t->n, sizeof(*out), by_name);
}

static void pack_demand(struct packer *p, const struct demand *d, const struct demand_week *w)
{
    struct named site[DEMAND_SITES] = {0}, served[DEMAND_SITES] = {0};
    rows_by_name(&w->sites, &d->sites, site);
    rows_by_name(&w->served, &d->gateways, served);
    pack_uint(p, w->sites.n);
    for (size_t i = 0; i < w->sites.n; i++) {
        pack_text(p, site[i].name);
        pack_hours(p, site[i].thing);
    }
    pack_uint(p, w->served.n);
    for (size_t i = 0; i < w->served.n; i++) {
        const struct tally_row *s = served[i].thing;
        pack_text(p, served[i].name);
        pack_uint(p, *s->count);
    }
}

static void pack_heat(struct packer *p, const struct cells *c)
{
    pack_uint(p, c->shift);
    for (unsigned h = 0; h < HOURS_A_WEEK; h++)
        row_put(&c->row[h], p);
}

static const struct demand_week *week_of(const struct demand_volume *v, int64_t week)
{
    for (size_t i = v->n_weeks; i-- > 0;)
        if (v->weeks[i]->week == week)
            return v->weeks[i];
    return NULL;
}

static bool has_any(const struct demand_week *w, enum weekfile_kind kind)
{
    return w && (kind == WEEKFILE_DEMAND ? w->sites.n : w->cells.n) > 0;
}

/* The volumes that have anything to say of WEEK, by name; N of them. */
struct week {
    const struct demand *d;
    enum weekfile_kind kind;
    int64_t week;
    struct named *volume; /* owned */
    size_t n;
};

static int find_volumes(struct week *k)
{
    k->volume = calloc(k->d->volumes.n + 1, sizeof(*k->volume));
    if (!k->volume)
        return -ENOMEM;
    for (size_t i = 0; i < k->d->volumes.n; i++) {
        const struct demand_week *w = week_of(&k->d->volume[i], k->week);
        if (has_any(w, k->kind))
            k->volume[k->n++] = (struct named){k->d->volume[i].volume, w};
    }
    qsort(k->volume, k->n, sizeof(*k->volume), by_name);
    return 0;
}

static void pack_volume(struct packer *p, const struct week *k, const struct named *volume)
{
    const struct demand_week *w = volume->thing;
    pack_text(p, volume->name);
    if (k->kind == WEEKFILE_DEMAND)
        pack_demand(p, k->d, w);
    else
        pack_heat(p, &w->cells);
}

/* Hands what P holds to TAKE, and empties it. */
static int hand_on(struct packer *p, weekfile_take *take, void *ctx)
{
    int r = p->failed ? -ENOMEM : 0;
    if (r == 0 && p->out->len)
        r = take(ctx, p->out->data, p->out->len);
    buf_clear(p->out);
    return r;
}

/* What follows the head: small enough pieces that one is still near when it is taken. */
static int put_body(const struct week *k, weekfile_take *take, void *ctx)
{
    struct buf piece = {0};
    struct packer p = {&piece, false};
    int r = 0;
    pack_int(&p, k->week);
    pack_uint(&p, k->n);
    for (size_t i = 0; r == 0 && i < k->n; i++) {
        pack_volume(&p, k, &k->volume[i]);
        if (p.failed || piece.len >= PIECE)
            r = hand_on(&p, take, ctx);
    }
    if (r == 0)
        r = hand_on(&p, take, ctx);
    buf_release(&piece);
    return r;
}

static int put_head(const struct week *k, const struct hash128 *body, weekfile_take *take,
                    void *ctx)
{
    struct buf piece = {0};
    struct packer p = {&piece, false};
    pack_file_head(&p, magic[k->kind], body);
    int r = hand_on(&p, take, ctx);
    buf_release(&piece);
    return r;
}

static int add_to_digest(void *ctx, const void *data, size_t len)
{
    hash_stream_add(ctx, data, len);
    return 0;
}

/*
 * The body's digest stands before it.  To pack it twice costs less than to keep it: memory that was
 * never used is slow.
 */
int weekfile_put(const struct demand *d, enum weekfile_kind kind, int64_t week, weekfile_take *take,
                 void *ctx)
{
    struct week k = {.d = d, .kind = kind, .week = week};
    struct hash_stream *digest = hash_stream_new();
    int r = digest ? find_volumes(&k) : -ENOMEM;
    if (r == 0)
        r = put_body(&k, add_to_digest, digest);
    if (r == 0) {
        const struct hash128 body = hash_stream_end(digest);
        r = put_head(&k, &body, take, ctx);
    }
    if (r == 0)
        r = put_body(&k, take, ctx);
    hash_stream_free(digest);
    free(k.volume);
    return r;
}

static int add_to_buf(void *ctx, const void *data, size_t len)
{
    return buf_add(ctx, data, len);
}

int weekfile_pack(const struct demand *d, enum weekfile_kind kind, int64_t week, struct buf *out)
{
    size_t before = out->len;
    int r = weekfile_put(d, kind, week, add_to_buf, out);
    if (r < 0)
        out->len = before;
    return r;
}

/* ---- in: each returns 0, -ENOMEM, or sets u->failed ---- */

static int unpack_site(struct unpacker *u, struct demand *d, struct demand_week *w)
{
    char name[NAME_LEN_MAX + 1];
    unpack_name(u, name, sizeof(name));
    unsigned from = (unsigned)unpack_uint(u, HOURS_A_WEEK - 1);
    size_t n = unpack_count(u, HOURS_A_WEEK - from, 1);
    if (u->failed)
        return 0;
    long id = demand_site_id(d, name, strlen(name));
    /* Even one that has only sent records that count nothing. */
    int r = id < 0 ? (int)id : demand_week_hour(d, w, (uint32_t)id, from, 0);
    for (unsigned i = 0; r == 0 && i < n; i++) {
        uint64_t count = unpack_uint(u, UINT64_MAX);
        r = demand_week_hour(d, w, (uint32_t)id, from + i, count);
    }
    return r;
}

static int unpack_served(struct unpacker *u, struct demand *d, struct demand_week *w)
{
    char name[NAME_LEN_MAX + 1];
    unpack_name(u, name, sizeof(name));
    uint64_t requests = unpack_uint(u, UINT64_MAX);
    if (u->failed)
        return 0;
    long id = demand_gateway_id(d, name, strlen(name));
    return id < 0 ? (int)id : demand_week_served(d, w, (uint32_t)id, requests);
}

static int unpack_demand(struct unpacker *u, struct demand *d, struct demand_week *w)
{
    int r = 0;
    size_t n = unpack_count(u, DEMAND_SITES, 3);
    for (size_t i = 0; r == 0 && !u->failed && i < n; i++)
        r = unpack_site(u, d, w);
    n = unpack_count(u, DEMAND_SITES, 2);
    for (size_t i = 0; r == 0 && !u->failed && i < n; i++)
        r = unpack_served(u, d, w);
    return r;
}

static int unpack_row(struct unpacker *u, struct cells *c, unsigned hour)
{
    uint32_t next = 0;
    int r = 0;
    size_t n = unpack_count(u, CELLS_ROW, CELLS_KINDS + 1);
    for (size_t i = 0; r == 0 && !u->failed && i < n; i++) {
        uint64_t of[CELLS_KINDS];
        if (next >= CELLS_ROW)
            u->failed = true;
        uint32_t segment = next + (uint32_t)unpack_uint(u, CELLS_ROW - 1 - next);
        for (size_t k = 0; k < CELLS_KINDS; k++)
            of[k] = unpack_uint(u, UINT64_MAX);
        next = segment + 1;
        if (!u->failed)
            r = cells_put(c, hour, segment, of);
    }
    return r;
}

static int unpack_heat(struct unpacker *u, struct demand_week *w)
{
    struct cells c;
    int r = 0;
    cells_init(&c);
    unsigned shift = c.shift = (unsigned)unpack_uint(u, CELLS_SHIFT_MAX);
    if (shift < CELLS_SHIFT_MIN)
        u->failed = true;
    for (unsigned h = 0; r == 0 && !u->failed && h < HOURS_A_WEEK; h++)
        r = unpack_row(u, &c, h);
    if (r == 0)
        r = cells_settle(&c);
    if (c.shift != shift)
        u->failed = true; /* more than we write */
    if (r == 0 && !u->failed)
        r = cells_merge(&w->cells, &c);
    cells_release(&c);
    return r;
}

/* A volume; *LAST, of NAME_LEN_MAX + 1 bytes, is the name of the one before: they ascend. */
static int unpack_volume(struct unpacker *u, enum weekfile_kind kind, int64_t week,
                         struct demand *d, char *last)
{
    char name[NAME_LEN_MAX + 1];
    unpack_name(u, name, sizeof(name));
    if (strcmp(last, name) >= 0)
        u->failed = true;
    if (u->failed)
        return 0;
    memcpy(last, name, strlen(name) + 1);
    long id = demand_volume_id(d, name, strlen(name));
    struct demand_week *w = id < 0 ? NULL : demand_week(d, (uint32_t)id, week);
    if (!w)
        return -ENOMEM;
    return kind == WEEKFILE_DEMAND ? unpack_demand(u, d, w) : unpack_heat(u, w);
}

int weekfile_unpack(const struct buf *file, enum weekfile_kind kind, int64_t week, struct demand *d)
{
    struct unpacker u;
    char last[NAME_LEN_MAX + 1] = "";
    int r = unpack_file(magic[kind], file, &u);
    if (r < 0)
        return r;
    if (unpack_int(&u, 0, WEEKFILE_HOUR_MAX) != week)
        u.failed = true;
    size_t n = unpack_count(&u, SIZE_MAX, 1);
    for (size_t i = 0; r == 0 && !u.failed && i < n; i++)
        r = unpack_volume(&u, kind, week, d, last);
    if (r == 0 && (u.failed || u.at != u.end))
        r = -EBADMSG;
    return r;
}
