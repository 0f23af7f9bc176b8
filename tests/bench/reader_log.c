/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reader_log COUNT SEED: prints COUNT access records, the same for the same seed. */
#include <stdio.h>

#include "common/base/error.h"
#include "common/base/parse.h"
#include "common/base/rng.h"
#include "common/record/schema.h"

#define VOLUMES  200
#define GATEWAYS 8
#define CLIENTS  50
#define WEEK_S   (7 * 86400)

static void put_name(struct rec_writer *w, size_t col, const char *fmt, uint64_t n)
{
    char name[32];
    snprintf(name, sizeof(name), "%s%llu", fmt, (unsigned long long)n);
    rec_put_text(w, col, name);
}

static void put_record(struct rec_writer *w, struct rng *rng, double time)
{
    uint64_t volume = rng_below(rng, VOLUMES);
    rec_put_real(w, ACCESS_TIME, time);
    put_name(w, ACCESS_VOLUME, "vol-", volume);
    put_name(w, ACCESS_GATEWAY, "gw-", volume % GATEWAYS);
    put_name(w, ACCESS_CLIENT, "192.0.2.", rng_below(rng, CLIENTS));
    rec_put_word(w, ACCESS_OP, rng_below(rng, 3) ? OP_READ : OP_WRITE);
    rec_put_uint(w, ACCESS_OFFSET, rng_below(rng, 1 << 20) * 4096);
    rec_put_uint(w, ACCESS_LENGTH, 4096u << rng_below(rng, 5));
    rec_put_real(w, ACCESS_LATENCY_US, 50 + 1000 * rng_unit(rng));
    if (rng_below(rng, 10000) == 0)
        rec_put_text(w, ACCESS_ERROR, "EIO");
}

int main(int argc, char **argv)
{
    uint64_t count;
    uint64_t seed;
    struct rng rng;
    if (argc != 3 || parse_u64(argv[1], &count) < 0 || parse_u64(argv[2], &seed) < 0)
        err_die(EX_USAGE, "usage: reader_log COUNT SEED");
    err_check_stdout();
    struct rec_writer *w = rec_writer_new(&rec_access, stdout);
    if (!w)
        err_die(EX_OSERR, "out of memory");
    rng_init(&rng, seed);
    for (uint64_t i = 0; i < count; i++) {
        put_record(w, &rng, 1700000000 + (double)i * WEEK_S / (double)count);
        int r = rec_write(w);
        if (r < 0)
            err_die(EX_IOERR, "write failed 'stdout': %s", err_text(r));
    }
    rec_writer_free(w);
    return 0;
}
