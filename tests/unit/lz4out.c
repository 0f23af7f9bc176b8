/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LZ4 frames that are written are what input.h reads. */
#include "common/record/lz4out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/rng.h"
#include "common/record/input.h"
#include "tests/unit/tap.h"

enum { MAX = 1 << 20 };

static char path[] = "/tmp/gs-lz4out-XXXXXX";

/* Fills DATA so that some of it packs and some does not. */
static void fill(struct rng *r, unsigned char *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        data[i] = i & 1 << 12 ? (unsigned char)rng_u64(r) : (unsigned char)(i >> 6);
}

/* Packs DATA in pieces of random lengths, SIZED or not. */
static void pack(struct rng *r, const unsigned char *data, size_t n, bool sized)
{
    struct lz4out *z = NULL;
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK((sized ? lz4out_new_sized(fd, n, &z) : lz4out_new(fd, &z)) == 0);
    for (size_t done = 0; done < n;) {
        size_t len = 1 + rng_below(r, 200000);
        if (len > n - done)
            len = n - done;
        CHECK(lz4out_write(z, data + done, len) == 0);
        done += len;
    }
    CHECK(lz4out_end(z) == 0);
    lz4out_free(z);
    CHECK(close(fd) == 0);
}

static size_t unpack(unsigned char *data, size_t max)
{
    struct input *in = NULL;
    size_t n = 0;
    ssize_t got = 1;
    CHECK(input_open(path, &in) == 0);
    while (got > 0 && n < max) {
        got = input_read(in, data + n, max - n);
        CHECK(got >= 0);
        n += got > 0 ? (size_t)got : 0;
    }
    input_close(in);
    return n;
}

static void test_round_trip(uint64_t seed)
{
    static unsigned char in[MAX], out[MAX + 1];
    static const size_t sizes[] = {0, 1, 3, 65535, 65536, 65537, 262144, 700001, MAX};
    struct rng r;
    rng_init(&r, seed);
    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill(&r, in, sizes[i / 2]);
        pack(&r, in, sizes[i / 2], i % 2);
        CHECK_EQ_U64(unpack(out, sizeof(out)), sizes[i / 2]);
        CHECK(memcmp(in, out, sizes[i / 2]) == 0);
    }
}

static void test_full_device(void)
{
    struct lz4out *z = NULL;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHECK(lz4out_new(fd, &z) == 0);
    CHECK(lz4out_write(z, "x", 1) == -ENOSPC);
    lz4out_free(z);
    CHECK(lz4out_new(fd, &z) == 0);
    CHECK(lz4out_end(z) == -ENOSPC);
    lz4out_free(z);
    close(fd);
}

int main(void)
{
    test_begin("lz4out");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    test_round_trip(1);
    test_full_device();
    unlink(path);
    return test_done();
}
