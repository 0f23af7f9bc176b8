/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state of health-score on any bytes.  Held to: it is refused or it is whole; what was loaded
 * scores every gateway, takes more samples, and saves to bytes that load again.  Half of the inputs
 * get the header that fits them, or the checksum would stop nearly all at the door.
 */
#include <math.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/health/board.h"
#include "fuzz.h"

static const struct health_rules rules = {.horizon_s = 86400,
                                          .silent_after_s = 60,
                                          .max_series = 100000,
                                          .damping = SIGNAL_DAMPING_DEFAULT};

static void add_u64(struct buf *b, uint64_t v)
{
    require(buf_add(b, &v, sizeof(v)) == 0);
}

/* The bytes as the payload of a state. */
static void dress(const uint8_t *data, size_t size, struct buf *out)
{
    struct hash128 digest = hash128(data, size);
    require(buf_adds(out, "GSHEALTH") == 0);
    add_u64(out, 3);
    add_u64(out, size);
    require(buf_add(out, digest.bytes, sizeof(digest.bytes)) == 0);
    require(buf_add(out, data, size) == 0);
}

/* Uses what was loaded as the command does. */
static void use(struct health_board *b, const struct health_limits *limits)
{
    struct health_score s;
    struct buf out = {0};
    const char *why;
    double now = health_board_newest(b) + 10;
    for (size_t g = 0; g < health_board_gateways(b); g++) {
        const char *name = health_board_gateway(b, g);
        require(health_board_score(b, g, now, &s) == 0);
        require(health_board_add(b, now, name, "nbd_read_us", 400, NULL, NULL) == 0);
        require(health_board_score(b, g, now, &s) == 0);
        /* And once more after the clock was put right. */
        health_board_clock(b, now / 2);
        require(health_board_add(b, now / 2, name, "nbd_read_us", 400, NULL, NULL) == 0);
        require(health_board_score(b, g, now / 2, &s) == 0);
        health_board_clock(b, INFINITY);
    }
    require(health_board_save(b, &out) == 0);
    struct health_board *again = health_board_new(limits, &rules);
    require(again != NULL);
    /* Sums of wild numbers may have become infinite: then it is refused, which is right as well. */
    int r = health_board_load(again, out.data, out.len, &why);
    require(r == 0 || strcmp(why, "a number is not finite") == 0 ||
            strcmp(why, "times do not grow") == 0);
    health_board_free(again);
    buf_release(&out);
}

static void load(const struct health_limits *limits, const void *data, size_t size)
{
    const char *why;
    struct health_board *b = health_board_new(limits, &rules);
    require(b != NULL);
    if (health_board_load(b, data, size, &why) == 0)
        use(b, limits);
    health_board_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct health_limits limits = {0};
    struct buf dressed = {0};
    require(health_limits_builtin(&limits) == 0);
    load(&limits, data, size);
    dress(data, size, &dressed);
    load(&limits, dressed.data, dressed.len);
    buf_release(&dressed);
    health_limits_release(&limits);
    return 0;
}
