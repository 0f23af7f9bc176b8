/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state of affinity-profile from any bytes, with a checksum that fits.  Held to: what is read
 * is within its bounds, and saves to bytes that read back and save alike.
 */
#include <stdlib.h>
#include <string.h>

#include "common/affinity/models.h"
#include "common/affinity/pack.h"
#include "common/affinity/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool read_state(const struct buf *file, struct buf *again)
{
    struct demand d;
    struct seen s;
    demand_init(&d, HOURS_A_WEEK);
    seen_init(&s, 60);
    bool ok = state_unpack(file, &d, &s) == 0;
    for (size_t i = 0; ok && i < d.volumes.n; i++)
        require(d.volume[i].n_segments <= DEMAND_SEGMENTS && d.volume[i].n_sites <= DEMAND_SITES);
    if (ok)
        require(state_pack(&d, &s, again) == 0);
    demand_release(&d);
    seen_release(&s);
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
    check("GSAFFIN1", &body, read_state);
    check("GSMODEL1", &body, read_models);
    buf_release(&body);
    return 0;
}
