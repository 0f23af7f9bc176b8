/* links: cmd/affinity-profile */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Trained nets from any bytes, with a checksum that fits.  Held to: what is read is finite,
 * forecasts finite values, and saves to bytes that read back and save alike.
 */
#include <math.h>
#include <string.h>

#include "common/affinity/nets_file.h"
#include "common/affinity/pack.h"
#include "common/forecast/blas.h"
#include "fuzz.h"

enum { HOURS = 21 * HOURS_A_DAY, PADDING_MAX = 1 << 18 };

static void forecast(const struct nets *n)
{
    double y[HOURS], out[SAMPLE_AHEAD];
    struct sample s;
    require(blas_begin() >= 0);
    struct model m = {.kind = MODEL_WEEKLY, .weight = {0, 0, 1}};
    for (size_t i = 0; i < HOURS; i++)
        y[i] = (double)(i * 7 % 24);
    require(sample_for_forecast((struct series){y, HOURS, 0}, &m, &s) == 0);
    require(nets_forecast(n, &s, 1, out) == 0);
    for (size_t i = 0; i < SAMPLE_AHEAD; i++)
        require(isfinite(out[i]) && out[i] >= 0);
    sample_release(&s);
}

static bool read_nets(const struct buf *file, struct buf *again)
{
    struct nets n;
    bool ok = nets_unpack(file, &n) == 0;
    if (ok) {
        forecast(&n);
        require(nets_pack(&n, again) == 0);
    }
    nets_release(&n);
    return ok;
}

/* The first three bytes say how many zeros follow the rest: a net has thousands of weights. */
static void make_file(const uint8_t *data, size_t size, struct buf *file)
{
    struct buf body = {0};
    size_t zeros = ((size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) % PADDING_MAX;
    require(buf_add(&body, data + 3, size - 3) == 0 && buf_reserve(&body, zeros + 1) == 0);
    memset(body.data + body.len, 0, zeros);
    body.len += zeros;
    require(pack_file("GSNETS01", &body, file) == 0);
    buf_release(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf file = {0}, once = {0}, twice = {0};
    if (size < 3)
        return 0;
    make_file(data, size, &file);
    if (read_nets(&file, &once)) {
        require(read_nets(&once, &twice));
        require(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    }
    buf_release(&file);
    buf_release(&once);
    buf_release(&twice);
    return 0;
}
