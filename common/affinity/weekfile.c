/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/weekfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/pack.h"
#include "common/base/parse.h"

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

/* About the bytes that the cells of N volumes take, which are nearly all of their file. */
static size_t heat_size(const struct named *volume, size_t n)
{
    size_t bytes = n * (NAME_LEN_MAX + 2);
    for (size_t i = 0; i < n; i++) {
        const struct demand_week *w = volume[i].thing;
        for (unsigned h = 0; h < HOURS_A_WEEK; h++)
            bytes += w->cells.row[h].size + 2;
    }
    return bytes;
}

int weekfile_pack(const struct demand *d, enum weekfile_kind kind, int64_t week, struct buf *out)
{
    struct named *volume = calloc(d->volumes.n + 1, sizeof(*volume));
    struct packer p = {out, false};
    size_t n = 0;
    if (!volume)
        return -ENOMEM;
    size_t place = pack_begin(&p, magic[kind]);
    for (size_t i = 0; i < d->volumes.n; i++) {
        const struct demand_week *w = week_of(&d->volume[i], week);
        if (has_any(w, kind))
            volume[n++] = (struct named){d->volume[i].volume, w};
    }
    qsort(volume, n, sizeof(*volume), by_name);
    if (kind == WEEKFILE_HEAT)
        pack_room(&p, heat_size(volume, n));
    pack_int(&p, week);
    pack_uint(&p, n);
    for (size_t i = 0; i < n; i++) {
        const struct demand_week *w = volume[i].thing;
        pack_text(&p, volume[i].name);
        if (kind == WEEKFILE_DEMAND)
            pack_demand(&p, d, w);
        else
            pack_heat(&p, &w->cells);
    }
    free(volume);
    return pack_end(&p, place);
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
