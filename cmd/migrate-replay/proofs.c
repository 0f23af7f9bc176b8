/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/proofs.h"

#include <math.h>

/* What a write makes a director prove anew: most writes are smaller. */
static const double write_bytes = 16 << 10;
/* What it proves at once; and the share of the time in which it does. */
static const double block_bytes = 64 << 10;
static const double busy_share = 1.0 / 16;

static double places(const struct run_volume *v)
{
    return (double)v->bytes / write_bytes;
}

double proofs_missing(const struct run_volume *v)
{
    return (double)v->bytes * v->unproved;
}

double proofs_step(struct run_volume *v, double writes, double took_us, double dt_s)
{
    if (!v->bytes)
        return 0;
    v->unproved += (1 - v->unproved) * -expm1(-writes * dt_s / places(v));
    if (!v->mirrored || !(v->unproved > 0))
        return 0;
    /* A block is read if anything of it is missing. */
    const double blocks = (double)v->bytes / block_bytes;
    const double missing = blocks * -expm1(block_bytes / write_bytes * log1p(-v->unproved));
    const double read = fmin(missing, dt_s * busy_share * 1e6 / took_us);
    v->unproved *= 1 - read / missing;
    return read / dt_s;
}
