/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state of affinity-profile from any bytes, with a checksum that fits.  Held to: what is read
 * is within its bounds, and saves to bytes that read back and save alike.
 */
#include <string.h>

#include "common/affinity/index.h"
#include "common/affinity/models.h"
#include "common/affinity/pack.h"
#include "fuzz.h"

enum { WEEK = 5 };

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void check_bounds(const struct demand_week *w)
{
    require(w->sites.n <= DEMAND_SITES && w->served.n <= DEMAND_SITES);
    require(w->cells.n <= CELLS_MAX && w->cells.shift <= CELLS_SHIFT_MAX);
}

static bool read_week(enum weekfile_kind kind, const struct buf *file, struct buf *again)
{
    struct demand d;
    demand_init(&d, HOURS_A_WEEK);
    bool ok = weekfile_unpack(file, kind, WEEK, &d) == 0;
    for (size_t i = 0; ok && i < d.volumes.n; i++)
        for (size_t k = 0; k < d.volume[i].n_weeks; k++)
            check_bounds(d.volume[i].weeks[k]);
    if (ok)
        require(weekfile_pack(&d, kind, WEEK, again) == 0);
    demand_release(&d);
    return ok;
}

static bool read_demand(const struct buf *file, struct buf *again)
{
    return read_week(WEEKFILE_DEMAND, file, again);
}

static bool read_heat(const struct buf *file, struct buf *again)
{
    return read_week(WEEKFILE_HEAT, file, again);
}

static bool read_index(const struct buf *file, struct buf *again)
{
    struct index x;
    index_init(&x, 60);
    bool ok = index_unpack(file, &x) == 0;
    if (ok)
        require(index_pack(&x, again) == 0);
    index_release(&x);
    return ok;
}

static bool read_models(const struct buf *file, struct buf *again)
{
    struct models m = {0};
    bool ok = models_unpack(file, &m) == 0;
    if (ok)
        require(models_pack(&m, again) == 0);
    models_release(&m);
    return ok;
}

static void check(const char *magic, const struct buf *body,
                  bool (*reads)(const struct buf *file, struct buf *again))
{
    struct buf file = {0}, once = {0}, twice = {0};
    require(pack_file(magic, body, &file) == 0);
    if (reads(&file, &once)) {
        require(reads(&once, &twice));
        require(same(&once, &twice));
    }
    buf_release(&file);
    buf_release(&once);
    buf_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf body = {0};
    require(buf_add(&body, data, size) == 0);
    check("GSDEMND2", &body, read_demand);
    check("GSHEAT02", &body, read_heat);
    check("GSINDEX2", &body, read_index);
    check("GSMODEL3", &body, read_models);
    buf_release(&body);
    return 0;
}
