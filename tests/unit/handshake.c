/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Both sides of the NBD handshake and the check of requests: conversations compared byte by byte,
 * cut into pieces at every place and byte for byte, and malformed input.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/nbd/handshake.h"
#include "tests/unit/tap.h"

static const struct nbd_export vol = {
    .size = 0x123456789a,
    .flags = NBD_TF_HAS_FLAGS | NBD_TF_FLUSH | NBD_TF_FUA,
    .min_block = 1,
    .pref_block = 4096,
    .max_block = 1 << 20,
};

/* ---- writing what the other side would send ---- */

static void add16(struct buf *b, uint16_t v)
{
    unsigned char p[2];
    nbd_put16(p, v);
    buf_add(b, p, sizeof(p));
}

static void add32(struct buf *b, uint32_t v)
{
    unsigned char p[4];
    nbd_put32(p, v);
    buf_add(b, p, sizeof(p));
}

static void add64(struct buf *b, uint64_t v)
{
    unsigned char p[8];
    nbd_put64(p, v);
    buf_add(b, p, sizeof(p));
}

static void add_option(struct buf *b, uint32_t option, const void *data, size_t len)
{
    add64(b, NBD_OPTS_MAGIC);
    add32(b, option);
    add32(b, (uint32_t)len);
    buf_add(b, data, len);
}

/* GO or INFO; REQUESTS: block sizes are asked for so many times. */
static void add_go(struct buf *b, uint32_t option, const char *name, size_t requests)
{
    struct buf data = {0};
    add32(&data, (uint32_t)strlen(name));
    buf_adds(&data, name);
    add16(&data, (uint16_t)requests);
    for (size_t i = 0; i < requests; i++)
        add16(&data, NBD_INFO_BLOCK_SIZE);
    add_option(b, option, data.data, data.len);
    buf_release(&data);
}

static void add_reply(struct buf *b, uint32_t option, uint32_t type, const void *data, size_t len)
{
    add64(b, NBD_REPLY_MAGIC);
    add32(b, option);
    add32(b, type);
    add32(b, (uint32_t)len);
    buf_add(b, data, len);
}

static void add_text_reply(struct buf *b, uint32_t option, uint32_t type, const char *text)
{
    add_reply(b, option, type, text, strlen(text));
}

static void add_info_export(struct buf *b, uint32_t option)
{
    struct buf data = {0};
    add16(&data, NBD_INFO_EXPORT);
    add64(&data, vol.size);
    add16(&data, vol.flags);
    add_reply(b, option, NBD_REP_INFO, data.data, data.len);
    buf_release(&data);
}

static void add_info_blocks(struct buf *b, uint32_t option, uint32_t min, uint32_t pref,
                            uint32_t max)
{
    struct buf data = {0};
    add16(&data, NBD_INFO_BLOCK_SIZE);
    add32(&data, min);
    add32(&data, pref);
    add32(&data, max);
    add_reply(b, option, NBD_REP_INFO, data.data, data.len);
    buf_release(&data);
}

static void add_greeting(struct buf *b)
{
    add64(b, NBD_MAGIC);
    add64(b, NBD_OPTS_MAGIC);
    add16(b, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

/* ---- the server ---- */

/* A server that has the volume "v" alone. */
struct talk {
    struct nbd_server s;
    struct buf out;
    int last; /* the last step */
    size_t eaten;
};

static int answer_step(struct talk *t, int step)
{
    if (step == NBD_SERVER_EXPORT)
        return strcmp(t->s.name, "v") == 0
                   ? nbd_server_answer(&t->s, &vol, &t->out)
                   : nbd_server_refuse(&t->s, NBD_REP_ERR_UNKNOWN, "no", &t->out);
    if (step != NBD_SERVER_LIST)
        return step;
    CHECK(nbd_server_list(&t->s, "v", &t->out) == 0);
    CHECK(nbd_server_list(&t->s, NULL, &t->out) == 0);
    return NBD_SERVER_MORE;
}

/* Feeds the server bytes [eaten, UPTO) of IN, as a socket's buffer would: what is not eaten stays.
 * False: the conversation is over. */
static bool feed(struct talk *t, const struct buf *in, size_t upto)
{
    for (;;) {
        size_t used = 99;
        /* A copy that ends where the input ends, for the sanitizer to watch. */
        size_t len = upto - t->eaten;
        unsigned char *part = malloc(len ? len : 1);
        if (!part)
            abort();
        memcpy(part, in->data + t->eaten, len);
        int step = nbd_server_input(&t->s, part, len, &used, &t->out);
        free(part);
        CHECK(used <= len);
        t->eaten += used;
        t->last = answer_step(t, step);
        if (t->last != NBD_SERVER_MORE)
            return false;
        if (step == NBD_SERVER_MORE)
            return true;
    }
}

static struct talk start_talk(void)
{
    struct talk t = {.last = NBD_SERVER_MORE};
    CHECK(nbd_server_start(&t.s, &t.out) == 0);
    return t;
}

/*
 * The whole of IN at once, cut in two at every place, and byte for byte: WANT and STEP each time.
 */
static void expect_talk(const struct buf *in, const struct buf *want, int step, size_t eaten)
{
    for (size_t cut = 0; cut <= in->len + 1; cut++) {
        struct talk t = start_talk();
        bool on = true;
        for (size_t n = 0; cut == in->len + 1 && n < in->len && on; n++)
            on = feed(&t, in, n + 1);
        if (cut <= in->len && feed(&t, in, cut))
            feed(&t, in, in->len);
        CHECK(same(&t.out, want));
        CHECK(t.last == step);
        CHECK_EQ_U64(t.eaten, eaten);
        buf_release(&t.out);
    }
}

static void begin_talk(struct buf *in, struct buf *want, uint32_t flags)
{
    add32(in, flags);
    add_greeting(want);
}

static void end_talk(struct buf *in, struct buf *want, int step)
{
    expect_talk(in, want, step, in->len);
    buf_release(in);
    buf_release(want);
}

static void test_server_go(void)
{
    struct buf in = {0}, want = {0};
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    add_option(&in, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    add_text_reply(&want, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_UNSUP, "unknown option");
    add_option(&in, NBD_OPT_STARTTLS, NULL, 0);
    add_text_reply(&want, NBD_OPT_STARTTLS, NBD_REP_ERR_POLICY, "TLS is not offered here");
    add_option(&in, NBD_OPT_LIST, NULL, 0);
    add_reply(&want, NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\0\1v", 5);
    add_reply(&want, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
    add_go(&in, NBD_OPT_INFO, "v", 0);
    add_info_export(&want, NBD_OPT_INFO);
    add_reply(&want, NBD_OPT_INFO, NBD_REP_ACK, NULL, 0);
    add_go(&in, NBD_OPT_GO, "nowhere", 1);
    add_text_reply(&want, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, "no");
    add_go(&in, NBD_OPT_GO, "v", 2);
    add_info_export(&want, NBD_OPT_GO);
    add_info_blocks(&want, NBD_OPT_GO, vol.min_block, vol.pref_block, vol.max_block);
    add_reply(&want, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    end_talk(&in, &want, NBD_SERVER_DONE);
}

static void test_server_stops_at_the_first_request(void)
{
    struct buf in = {0}, want = {0};
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE);
    add_go(&in, NBD_OPT_GO, "v", 0);
    add_info_export(&want, NBD_OPT_GO);
    add_reply(&want, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    size_t handshake = in.len;
    add32(&in, NBD_REQUEST_MAGIC);
    /* All at once, as a client in a hurry sends it. */
    struct talk t = start_talk();
    CHECK(!feed(&t, &in, in.len));
    CHECK(t.last == NBD_SERVER_DONE && same(&t.out, &want));
    CHECK_EQ_U64(t.eaten, handshake);
    buf_release(&t.out);
    buf_release(&in);
    buf_release(&want);
}

static void test_server_export_name(uint32_t flags)
{
    struct buf in = {0}, want = {0};
    static const char zeroes[124];
    begin_talk(&in, &want, flags);
    add_option(&in, NBD_OPT_EXPORT_NAME, "v", 1);
    add64(&want, vol.size);
    add16(&want, vol.flags);
    if (!(flags & NBD_FLAG_NO_ZEROES))
        buf_add(&want, zeroes, sizeof(zeroes));
    end_talk(&in, &want, NBD_SERVER_DONE);
    begin_talk(&in, &want, flags);
    add_option(&in, NBD_OPT_EXPORT_NAME, "nowhere", 7);
    end_talk(&in, &want, NBD_SERVER_ABORT);
}

static void test_server_abort(void)
{
    struct buf in = {0}, want = {0};
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE);
    add_option(&in, NBD_OPT_ABORT, NULL, 0);
    add_reply(&want, NBD_OPT_ABORT, NBD_REP_ACK, NULL, 0);
    end_talk(&in, &want, NBD_SERVER_ABORT);
}

/* Options that are wrong in themselves are refused, and the client may go on. */
static void test_server_malformed_options(void)
{
    static const struct {
        uint32_t option;
        const char *data;
        size_t len;
        const char *text;
    } bad[] = {
        {NBD_OPT_LIST, "x", 1, "LIST takes no data"},
        {NBD_OPT_GO, "", 0, "malformed option"},
        {NBD_OPT_GO, "\0\0\0\0\0", 5, "malformed option"},
        {NBD_OPT_GO, "\0\0\0\1\0\0", 6, "malformed option"},
        {NBD_OPT_GO, "\xff\xff\xff\xffv\0\0", 7, "malformed option"},
        {NBD_OPT_GO, "\0\0\0\1v\0\1", 7, "malformed option"},
        {NBD_OPT_INFO, "\0\0\0\1v\0\0\0", 8, "malformed option"},
        {NBD_OPT_INFO, "\0\0\0\1v\xff\xff\0\0", 9, "malformed option"},
        {NBD_OPT_GO, "\0\0\0\2v\0\0\0", 8, "export name is not text"},
        {0xffffffff, "xyz", 3, "unknown option"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf in = {0}, want = {0};
        uint32_t error =
            strcmp(bad[i].text, "unknown option") ? NBD_REP_ERR_INVALID : NBD_REP_ERR_UNSUP;
        begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE);
        add_option(&in, bad[i].option, bad[i].data, bad[i].len);
        add_text_reply(&want, bad[i].option, error, bad[i].text);
        add_go(&in, NBD_OPT_GO, "v", 0);
        add_info_export(&want, NBD_OPT_GO);
        add_reply(&want, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
        end_talk(&in, &want, NBD_SERVER_DONE);
    }
}

/* Not this protocol: EATEN bytes are read, then it is over. */
static void expect_protest(struct buf *in, const char *why)
{
    struct talk t = start_talk();
    CHECK(!feed(&t, in, in->len));
    CHECK(t.last == -EPROTO);
    CHECK_STR(t.s.error, why);
    buf_release(&t.out);
    buf_release(in);
}

static void test_server_not_nbd(void)
{
    struct buf in = {0};
    buf_adds(&in, "GET / HTTP/1.1\r\n");
    expect_protest(&in, "unknown client flags");
    add32(&in, 0);
    expect_protest(&in, "client does not speak fixed newstyle");
    add32(&in, NBD_FLAG_FIXED_NEWSTYLE);
    add64(&in, NBD_OPTS_MAGIC + 1);
    add64(&in, 0);
    expect_protest(&in, "wrong option magic");
    add32(&in, NBD_FLAG_FIXED_NEWSTYLE);
    add64(&in, NBD_OPTS_MAGIC);
    add32(&in, NBD_OPT_GO);
    add32(&in, NBD_OPTION_MAX + 1);
    expect_protest(&in, "option too long");
    add32(&in, NBD_FLAG_FIXED_NEWSTYLE);
    add_option(&in, NBD_OPT_EXPORT_NAME, "v\0w", 3);
    expect_protest(&in, "export name is not text");
}

static void test_server_longest_name(void)
{
    char name[NBD_NAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[NBD_NAME_MAX] = 0;
    struct buf in = {0}, want = {0};
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE);
    add_go(&in, NBD_OPT_GO, name, 0);
    add_text_reply(&want, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, "no");
    struct talk t = start_talk();
    CHECK(feed(&t, &in, in.len));
    CHECK(same(&t.out, &want));
    CHECK_STR(t.s.name, name);
    name[NBD_NAME_MAX] = 'n';
    name[NBD_NAME_MAX + 1] = 0;
    add_go(&in, NBD_OPT_GO, name, 0);
    add_text_reply(&want, NBD_OPT_GO, NBD_REP_ERR_INVALID, "export name is not text");
    CHECK(feed(&t, &in, in.len));
    CHECK(same(&t.out, &want));
    buf_release(&t.out);
    buf_release(&in);
    buf_release(&want);
}

static void test_server_minimum_block(void)
{
    struct nbd_export e = vol;
    struct buf out = {0};
    struct nbd_server s = {.option = NBD_OPT_GO};
    e.min_block = 512;
    CHECK(nbd_server_answer(&s, &e, &out) == NBD_SERVER_MORE);
    CHECK(nbd_get32((unsigned char *)out.data + 12) == NBD_REP_ERR_BLOCK_SIZE_REQD);
    s.wants_block_size = true;
    CHECK(nbd_server_answer(&s, &e, &out) == NBD_SERVER_DONE);
    buf_release(&out);
}

/* ---- the client ---- */

struct ask {
    struct nbd_client c;
    struct buf out;
    size_t eaten;
    int last;
};

static void feed_client(struct ask *a, const struct buf *in, size_t upto)
{
    size_t used = 99, len = upto - a->eaten;
    unsigned char *part = malloc(len ? len : 1);
    if (a->last != NBD_CLIENT_MORE)
        goto out;
    memcpy(part, in->data + a->eaten, len);
    a->last = nbd_client_input(&a->c, part, len, &used, &a->out);
    CHECK(used <= len);
    a->eaten += used;
out:
    free(part);
}

/* IN cut at every place, and byte for byte. */
static void expect_client(const struct buf *in, const struct buf *want, int last, const char *error)
{
    for (size_t cut = 0; cut <= in->len + 1; cut++) {
        struct ask a = {.last = NBD_CLIENT_MORE};
        nbd_client_start(&a.c, "vol-1");
        for (size_t n = 0; cut == in->len + 1 && n < in->len; n++)
            feed_client(&a, in, n + 1);
        if (cut <= in->len) {
            feed_client(&a, in, cut);
            feed_client(&a, in, in->len);
        }
        CHECK(a.last == last);
        CHECK(!want || same(&a.out, want));
        CHECK_STR(a.c.error, error);
        if (last == NBD_CLIENT_DONE) {
            CHECK_EQ_U64(a.eaten, in->len);
            CHECK_EQ_U64(a.c.export.size, vol.size);
            CHECK_EQ_U64(a.c.export.flags, vol.flags);
        }
        buf_release(&a.out);
    }
}

static void fail_client(struct buf *in, int last, const char *error)
{
    expect_client(in, NULL, last, error);
    buf_release(in);
}

static void test_client_go(void)
{
    struct buf in = {0}, want = {0};
    add_greeting(&in);
    add32(&want, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    add_go(&want, NBD_OPT_GO, "vol-1", 1);
    add_reply(&in, NBD_OPT_GO, NBD_REP_INFO, "\0\1name", 6); /* not asked for: passed over */
    add_info_export(&in, NBD_OPT_GO);
    add_info_blocks(&in, NBD_OPT_GO, 512, 4096, 1 << 20);
    add_reply(&in, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    expect_client(&in, &want, NBD_CLIENT_DONE, "");
    buf_release(&in);
    buf_release(&want);
}

static void test_client_refused(void)
{
    static const struct {
        uint32_t type;
        int err;
        const char *text;
    } errors[] = {
        {NBD_REP_ERR_UNKNOWN, -ENOENT, "no such export (be\?gone)"},
        {NBD_REP_ERR_POLICY, -EPERM, "refused by the server's policy (be\?gone)"},
        {NBD_REP_ERR_TLS_REQD, -EPROTO, "the server wants TLS (be\?gone)"},
        {NBD_REP_ERR_UNSUP, -EPROTO, "the server does not know GO (be\?gone)"},
        {NBD_REP_ERR_SHUTDOWN, -EPROTO, "refused by the server (be\?gone)"},
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct buf in = {0};
        add_greeting(&in);
        add_text_reply(&in, NBD_OPT_GO, errors[i].type, "be\ngone");
        fail_client(&in, errors[i].err, errors[i].text);
    }
    struct buf in = {0};
    add_greeting(&in);
    add_reply(&in, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, NULL, 0);
    fail_client(&in, -ENOENT, "no such export");
}

static void test_client_not_a_server(void)
{
    struct buf in = {0};
    buf_adds(&in, "SSH-2.0-OpenSSH_9.2p1 Debian\r\n");
    fail_client(&in, -EPROTO, "not an NBD server");
    add64(&in, NBD_MAGIC);
    add64(&in, UINT64_C(0x00420281861253));
    add16(&in, 0);
    fail_client(&in, -EPROTO, "an old-style NBD server");
    add64(&in, NBD_MAGIC);
    add64(&in, NBD_OPTS_MAGIC);
    add16(&in, 0);
    fail_client(&in, -EPROTO, "server does not speak fixed newstyle");
}

static void test_client_malformed_replies(void)
{
    struct buf in = {0};
    add_greeting(&in);
    add_reply(&in, NBD_OPT_INFO, NBD_REP_ACK, NULL, 0);
    fail_client(&in, -EPROTO, "malformed option reply");
    add_greeting(&in);
    add_reply(&in, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    fail_client(&in, -EPROTO, "unexpected option reply");
    add_greeting(&in);
    add_reply(&in, NBD_OPT_GO, NBD_REP_SERVER, NULL, 0);
    fail_client(&in, -EPROTO, "unexpected option reply");
    add_greeting(&in);
    add_reply(&in, NBD_OPT_GO, NBD_REP_INFO, "\0", 1);
    fail_client(&in, -EPROTO, "malformed information reply");
    add_greeting(&in);
    add_reply(&in, NBD_OPT_GO, NBD_REP_INFO, "\0\0\1", 3);
    fail_client(&in, -EPROTO, "malformed export information");
    add_greeting(&in);
    add_reply(&in, NBD_OPT_GO, NBD_REP_INFO, "\0\3\1", 3);
    fail_client(&in, -EPROTO, "malformed block-size information");
    add_greeting(&in);
    add_reply(&in, NBD_OPT_GO, NBD_REP_INFO, "\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\1", 12);
    fail_client(&in, -EPROTO, "export size is out of range");
    add_greeting(&in);
    add64(&in, NBD_REPLY_MAGIC);
    add32(&in, NBD_OPT_GO);
    add32(&in, NBD_REP_INFO);
    add32(&in, NBD_OPTION_MAX + 1);
    fail_client(&in, -EPROTO, "option reply too long");
}

static void test_client_impossible_block_sizes(void)
{
    static const uint32_t sizes[][3] = {
        {0, 4096, 1 << 20},  {3, 4096, 1 << 20},   {1 << 17, 1 << 17, 1 << 20},
        {512, 256, 1 << 20}, {512, 4095, 1 << 20}, {4096, 4096, 512},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf in = {0};
        add_greeting(&in);
        add_info_blocks(&in, NBD_OPT_GO, sizes[i][0], sizes[i][1], sizes[i][2]);
        fail_client(&in, -EPROTO, "impossible block sizes");
    }
}

/* ---- requests ---- */

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

enum { SIZE = 1 << 20, ALL = 0xffff & ~NBD_TF_READ_ONLY };

static uint32_t check(uint16_t type, uint16_t flags, uint64_t offset, uint32_t length,
                      uint16_t offers, uint32_t min_block)
{
    struct nbd_request r = {flags, type, 1, offset, length};
    struct nbd_export e = {SIZE, offers, min_block, 4096, NBD_PAYLOAD_MAX};
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
    struct nbd_request r = {0, NBD_CMD_READ, 1, 0, NBD_PAYLOAD_MAX + 1};
    struct nbd_export e = {1 << 30, ALL, 1, 4096, NBD_PAYLOAD_MAX};
    CHECK_EQ_U64(nbd_request_check(&r, &e, 1 << 30), NBD_EOVERFLOW);
}

static void test_request_alignment(void)
{
    CHECK_EQ_U64(check(NBD_CMD_READ, 0, 512, 512, ALL, 512), 0);
    CHECK_EQ_U64(check(NBD_CMD_READ, 0, 511, 512, ALL, 512), NBD_EINVAL);
    CHECK_EQ_U64(check(NBD_CMD_WRITE, 0, 512, 513, ALL, 512), NBD_EINVAL);
    struct nbd_request tail = {0, NBD_CMD_READ, 1, 512, 100};
    struct nbd_export e = {1024, ALL, 512, 4096, NBD_PAYLOAD_MAX};
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
    test_begin("handshake");
    test_server_go();
    test_server_stops_at_the_first_request();
    test_server_export_name(NBD_FLAG_FIXED_NEWSTYLE);
    test_server_export_name(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    test_server_abort();
    test_server_malformed_options();
    test_server_not_nbd();
    test_server_longest_name();
    test_server_minimum_block();
    test_client_go();
    test_client_refused();
    test_client_not_a_server();
    test_client_malformed_replies();
    test_client_impossible_block_sizes();
    test_request_bytes();
    test_request_range();
    test_request_alignment();
    test_request_needs();
    return test_done();
}
