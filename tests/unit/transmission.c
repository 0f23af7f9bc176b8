/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What follows the NBD handshake: requests' and chunks' headers, and which requests are allowed. */
#include <errno.h>

#include "common/nbd/handshake.h"
#include "tests/unit/tap.h"

static void test_request_bytes(void)
{
    unsigned char p[NBD_REQUEST_LEN], q[NBD_REQUEST_LEN];
    static const unsigned char want[NBD_REQUEST_LEN] =
        "\x25\x60\x95\x13\0\1\0\6\1\2\3\4\5\6\7\x8\x11\x12\x13\x14\x15\x16\x17\x18\x21\x22\x23\x24";
    struct nbd_request r = {NBD_CMD_FLAG_FUA, NBD_CMD_WRITE_ZEROES, 0x0102030405060708,
                            0x1112131415161718, 0x21222324};
    struct nbd_request back = {0};
    nbd_request_format(p, &r);
    CHECK(memcmp(p, want, sizeof(p)) == 0);
    CHECK(nbd_request_parse(p, &back) == 0);
    nbd_request_format(q, &back);
    CHECK(memcmp(p, q, sizeof(p)) == 0);
    p[3]++;
    CHECK(nbd_request_parse(p, &back) == -EPROTO);
}

static void test_chunk_bytes(void)
{
    unsigned char p[NBD_CHUNK_LEN];
    static const unsigned char want[NBD_CHUNK_LEN] =
        "\x66\x8e\x33\xef\0\1\x80\2\1\2\3\4\5\6\7\x8\x21\x22\x23\x24";
    struct nbd_chunk c = {NBD_CHUNK_DONE, NBD_CHUNK_ERROR_OFFSET, 0x0102030405060708, 0x21222324};
    struct nbd_chunk back = {0};
    nbd_chunk_format(p, &c);
    CHECK(memcmp(p, want, sizeof(p)) == 0);
    CHECK(nbd_chunk_parse(p, &back) == 0);
    CHECK_EQ_U64(back.flags, c.flags);
    CHECK_EQ_U64(back.type, c.type);
    CHECK_EQ_U64(back.cookie, c.cookie);
    CHECK_EQ_U64(back.length, c.length);
    p[3]++;
    CHECK(nbd_chunk_parse(p, &back) == -EPROTO);
}

enum { SIZE = 1 << 20, ALL = 0xffff & ~NBD_TF_READ_ONLY };

static uint32_t check(uint16_t type, uint16_t flags, uint64_t offset, uint32_t length,
                      uint16_t offers, uint32_t min_block)
{
    struct nbd_request r = {flags, type, 1, offset, length};
    struct nbd_export e = {.size = SIZE,
                           .flags = offers,
                           .min_block = min_block,
                           .pref_block = 4096,
                           .max_block = NBD_PAYLOAD_MAX};
    return nbd_request_check(&r, &e, SIZE);
}

static void test_request_range(void)
{
    CHECK_EQ_U64(check(NBD_CMD_READ, 0, 0, SIZE, ALL, 1), 0);
    CHECK_EQ_U64(check(NBD_CMD_READ, 0, SIZE, 0, ALL, 1), 0);
    CHECK_EQ_U64(check(NBD_CMD_READ, 0, 1, SIZE, ALL, 1), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_READ, 0, UINT64_MAX, 2, ALL, 1), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_WRITE, 0, SIZE - 1, 1, ALL, 1), 0);
    CHECK_EQ_U64(check(NBD_CMD_WRITE, 0, SIZE - 1, 2, ALL, 1), NBD_ENOSPC);
    CHECK_EQ_U64(check(NBD_CMD_WRITE, 0, UINT64_MAX, UINT32_MAX, ALL, 1), NBD_ENOSPC);
    CHECK_EQ_U64(check(NBD_CMD_WRITE_ZEROES, 0, SIZE, 1, ALL, 1), NBD_ENOSPC);
    CHECK_EQ_U64(check(NBD_CMD_TRIM, 0, SIZE, 1, ALL, 1), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_FLUSH, 0, 0, 0, ALL, 1), 0);
    CHECK_EQ_U64(check(NBD_CMD_FLUSH, 0, 1, 0, ALL, 1), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_FLUSH, 0, 0, 1, ALL, 1), NBD_EINVAL);
}

/* A command of LENGTH bytes to an export that takes at most MAX_BLOCK at once. */
static uint32_t check_length(uint16_t type, uint32_t length, uint32_t max_block)
{
    struct nbd_request r = {0, type, 1, 0, length};
    struct nbd_export e = {.size = 1 << 30,
                           .flags = ALL,
                           .min_block = 1,
                           .pref_block = 4096,
                           .max_block = max_block,
                           .structured = true,
                           .allocation = true};
    return nbd_request_check(&r, &e, 1 << 30);
}

static void test_request_length(void)
{
    CHECK_EQ_U64(check_length(NBD_CMD_READ, NBD_PAYLOAD_MAX, UINT32_MAX), 0);
    CHECK_EQ_U64(check_length(NBD_CMD_READ, NBD_PAYLOAD_MAX + 1, UINT32_MAX), NBD_EOVERFLOW);
    CHECK_EQ_U64(check_length(NBD_CMD_READ, NBD_PAYLOAD_MAX + 1, 4096), NBD_EOVERFLOW);
    CHECK_EQ_U64(check_length(NBD_CMD_WRITE, NBD_PAYLOAD_MAX, UINT32_MAX), 0);
    CHECK_EQ_U64(check_length(NBD_CMD_READ, 4096, 4096), 0);
    CHECK_EQ_U64(check_length(NBD_CMD_READ, 4097, 4096), NBD_EINVAL);
    CHECK_EQ_U64(check_length(NBD_CMD_WRITE, 4096, 4096), 0);
    CHECK_EQ_U64(check_length(NBD_CMD_WRITE, 4097, 4096), NBD_EINVAL);
    /* The bound is for data on the wire only. */
    CHECK_EQ_U64(check_length(NBD_CMD_TRIM, 1 << 30, 4096), 0);
    CHECK_EQ_U64(check_length(NBD_CMD_WRITE_ZEROES, 1 << 30, 4096), 0);
    CHECK_EQ_U64(check_length(NBD_CMD_BLOCK_STATUS, 1 << 30, 4096), 0);
    CHECK_EQ_U64(check_length(NBD_CMD_BLOCK_STATUS, 0, UINT32_MAX), NBD_EINVAL);
}

/* What only structured replies and base:allocation allow. */
static void test_request_structured(void)
{
    struct nbd_export e = {
        .size = SIZE, .min_block = 1, .pref_block = 4096, .max_block = NBD_PAYLOAD_MAX};
    struct nbd_request df = {NBD_CMD_FLAG_DF, NBD_CMD_READ, 1, 0, 4096};
    struct nbd_request status = {NBD_CMD_FLAG_REQ_ONE, NBD_CMD_BLOCK_STATUS, 1, 0, 4096};
    CHECK_EQ_U64(nbd_request_check(&df, &e, SIZE), NBD_EINVAL);
    CHECK_EQ_U64(nbd_request_check(&status, &e, SIZE), NBD_EINVAL);
    e.allocation = true;
    CHECK_EQ_U64(nbd_request_check(&status, &e, SIZE), NBD_EINVAL);
    e.allocation = false;
    e.structured = true;
    CHECK_EQ_U64(nbd_request_check(&df, &e, SIZE), 0);
    CHECK_EQ_U64(nbd_request_check(&status, &e, SIZE), NBD_EINVAL);
    e.allocation = true;
    CHECK_EQ_U64(nbd_request_check(&status, &e, SIZE), 0);
    CHECK_EQ_U64(nbd_request_check(&status, &e, 4095), NBD_EINVAL);
    status.flags = NBD_CMD_FLAG_DF;
    CHECK_EQ_U64(nbd_request_check(&status, &e, SIZE), NBD_EINVAL);
    df.flags = NBD_CMD_FLAG_REQ_ONE;
    CHECK_EQ_U64(nbd_request_check(&df, &e, SIZE), NBD_EINVAL);
    df.type = NBD_CMD_WRITE;
    df.flags = NBD_CMD_FLAG_DF;
    CHECK_EQ_U64(nbd_request_check(&df, &e, SIZE), NBD_EINVAL);
}

static void test_request_alignment(void)
{
    CHECK_EQ_U64(check(NBD_CMD_READ, 0, 512, 512, ALL, 512), 0);
    CHECK_EQ_U64(check(NBD_CMD_READ, 0, 511, 512, ALL, 512), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_WRITE, 0, 512, 513, ALL, 512), NBD_EINVAL);
    struct nbd_request tail = {0, NBD_CMD_READ, 1, 512, 100};
    struct nbd_export e = {.size = 1024,
                           .flags = ALL,
                           .min_block = 512,
                           .pref_block = 4096,
                           .max_block = NBD_PAYLOAD_MAX};
    CHECK_EQ_U64(nbd_request_check(&tail, &e, 612), 0);
    CHECK_EQ_U64(nbd_request_check(&tail, &e, 613), NBD_EINVAL);
}

static void test_request_needs(void)
{
    static const struct {
        uint16_t type, flags, needs;
    } table[] = {
        {NBD_CMD_FLUSH, 0, NBD_TF_FLUSH},
        {NBD_CMD_TRIM, 0, NBD_TF_TRIM},
        {NBD_CMD_CACHE, 0, NBD_TF_CACHE},
        {NBD_CMD_WRITE_ZEROES, 0, NBD_TF_WRITE_ZEROES},
        {NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_FAST_ZERO, NBD_TF_FAST_ZERO},
        {NBD_CMD_WRITE, NBD_CMD_FLAG_FUA, NBD_TF_FUA},
        {NBD_CMD_READ, NBD_CMD_FLAG_FUA, NBD_TF_FUA},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint16_t type = table[i].type, flags = table[i].flags;
        CHECK_EQ_U64(check(type, flags, 0, 0, ALL, 1), 0);
        CHECK_EQ_U64(check(type, flags, 0, 0, (uint16_t)(ALL & ~table[i].needs), 1), NBD_EINVAL);
    }
    CHECK_EQ_U64(check(NBD_CMD_BLOCK_STATUS, 0, 0, 1, ALL, 1), NBD_EINVAL);
    CHECK_EQ_U64(check(0xffff, 0, 0, 1, ALL, 1), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_READ, NBD_CMD_FLAG_DF, 0, 1, ALL, 1), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_WRITE, NBD_CMD_FLAG_NO_HOLE, 0, 1, ALL, 1), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_READ, 0x8000, 0, 1, ALL, 1), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_READ, 0, 0, 1, ALL | NBD_TF_READ_ONLY, 1), 0);
    CHECK_EQ_U64(check(NBD_CMD_WRITE, 0, 0, 1, ALL | NBD_TF_READ_ONLY, 1), NBD_EPERM);
    CHECK_EQ_U64(check(NBD_CMD_TRIM, 0, 0, 1, ALL | NBD_TF_READ_ONLY, 1), NBD_EPERM);
}

int main(void)
{
    test_begin("transmission");
    test_request_bytes();
    test_chunk_bytes();
    test_request_range();
    test_request_length();
    test_request_structured();
    test_request_alignment();
    test_request_needs();
    return test_done();
}
