/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The client's side of the NBD handshake: conversations compared byte by byte, cut into pieces at
 * every place and byte for byte, and malformed answers.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/nbd/handshake.h"
#include "tests/unit/nbdwire.h"
#include "tests/unit/tap.h"

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
    if (!part)
        abort();
    if (a->last != NBD_CLIENT_MORE)
        goto out;
    memcpy(part, in->data + a->eaten, len);
    a->last = nbd_client_input(&a->c, part, len, &used, &a->out);
    CHECK(used <= len);
    a->eaten += used;
out:
    free(part);
}

/* How a client's conversation ends. */
struct client_end {
    int last;
    const char *error;
    bool structured, allocation;
    uint32_t id;
};

static void check_client(const struct ask *a, const struct buf *in, const struct client_end *end)
{
    CHECK(a->last == end->last);
    CHECK_STR(a->c.error, end->error);
    if (end->last != NBD_CLIENT_DONE)
        return;
    CHECK_EQ_U64(a->eaten, in->len);
    CHECK_EQ_U64(a->c.export.size, vol.size);
    CHECK_EQ_U64(a->c.export.flags, vol.flags);
    CHECK(a->c.export.structured == end->structured);
    CHECK(a->c.export.allocation == end->allocation);
    CHECK_EQ_U64(a->c.export.allocation_id, end->id);
}

/* IN cut at every place, and byte for byte. */
static void expect_asking(const struct buf *in, const struct buf *want, bool want_structured,
                          struct client_end end)
{
    for (size_t cut = 0; cut <= in->len + 1; cut++) {
        struct ask a = {.last = NBD_CLIENT_MORE};
        nbd_client_start(&a.c, "vol-1");
        a.c.want_structured = want_structured;
        for (size_t n = 0; cut == in->len + 1 && n < in->len; n++)
            feed_client(&a, in, n + 1);
        if (cut <= in->len) {
            feed_client(&a, in, cut);
            feed_client(&a, in, in->len);
        }
        CHECK(!want || same(&a.out, want));
        check_client(&a, in, &end);
        buf_release(&a.out);
    }
}

static void fail_client(struct buf *in, int last, const char *error)
{
    expect_asking(in, NULL, false, (struct client_end){.last = last, .error = error});
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
    expect_asking(&in, &want, false, (struct client_end){.last = NBD_CLIENT_DONE, .error = ""});
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

/* ---- the client: structured replies and base:allocation ---- */

enum { STRUCTURED = NBD_OPT_STRUCTURED_REPLY, CONTEXT = NBD_OPT_SET_META_CONTEXT };

static void begin_asking(struct buf *in, struct buf *want)
{
    add_greeting(in);
    add32(want, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    add_option(want, STRUCTURED, NULL, 0);
}

/* The server has structured replies. */
static void begin_context(struct buf *in, struct buf *want)
{
    begin_asking(in, want);
    add_reply(in, STRUCTURED, NBD_REP_ACK, NULL, 0);
    add_set(want, "vol-1", NBD_ALLOCATION);
}

static void end_asking(struct buf *in, struct buf *want, bool structured, bool allocation,
                       uint32_t id)
{
    add_go(want, NBD_OPT_GO, "vol-1", 1);
    add_info_export(in, NBD_OPT_GO);
    add_reply(in, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    expect_asking(in, want, true,
                  (struct client_end){NBD_CLIENT_DONE, "", structured, allocation, id});
    buf_release(in);
    buf_release(want);
}

static void test_client_structured(void)
{
    struct buf in = {0}, want = {0};
    begin_context(&in, &want);
    add_context_reply(&in, CONTEXT, 0xfedcba98, NBD_ALLOCATION);
    add_reply(&in, CONTEXT, NBD_REP_ACK, NULL, 0);
    end_asking(&in, &want, true, true, 0xfedcba98);
}

/* Whatever the server says no with, the client goes on without. */
static void test_client_structured_refused(void)
{
    static const uint32_t errors[] = {NBD_REP_ERR_UNSUP,   NBD_REP_ERR_POLICY, NBD_REP_ERR_INVALID,
                                      NBD_REP_ERR_UNKNOWN, 0x80000000,         0xffffffff};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct buf in = {0}, want = {0};
        begin_asking(&in, &want);
        add_text_reply(&in, STRUCTURED, errors[i], "no");
        end_asking(&in, &want, false, false, 0);

        begin_context(&in, &want);
        add_text_reply(&in, CONTEXT, errors[i], "no");
        end_asking(&in, &want, true, false, 0);

        /* A SET that fails after all selects nothing. */
        begin_context(&in, &want);
        add_context_reply(&in, CONTEXT, 7, NBD_ALLOCATION);
        add_text_reply(&in, CONTEXT, errors[i], "no");
        end_asking(&in, &want, true, false, 0);
    }
}

static void test_client_other_contexts(void)
{
    static const char *const names[] = {"", "base:", "base:allocations", "base:allocatio", "x:y"};
    struct buf in = {0}, want = {0};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        begin_context(&in, &want);
        add_context_reply(&in, CONTEXT, 7, names[i]);
        add_reply(&in, CONTEXT, NBD_REP_ACK, NULL, 0);
        end_asking(&in, &want, true, false, 0);
    }
    begin_context(&in, &want);
    add_reply(&in, CONTEXT, NBD_REP_ACK, NULL, 0);
    end_asking(&in, &want, true, false, 0);
}

/* The next option goes out when the last one is answered, and not before. */
static void test_client_one_option_at_a_time(void)
{
    struct buf in = {0}, want = {0};
    struct ask a = {.last = NBD_CLIENT_MORE};
    nbd_client_start(&a.c, "vol-1");
    a.c.want_structured = true;
    begin_asking(&in, &want);
    feed_client(&a, &in, in.len);
    CHECK(same(&a.out, &want));
    add_reply(&in, STRUCTURED, NBD_REP_ACK, NULL, 0);
    add_set(&want, "vol-1", NBD_ALLOCATION);
    feed_client(&a, &in, in.len);
    CHECK(same(&a.out, &want));
    add_context_reply(&in, CONTEXT, 1, NBD_ALLOCATION);
    feed_client(&a, &in, in.len);
    CHECK(same(&a.out, &want));
    add_reply(&in, CONTEXT, NBD_REP_ACK, NULL, 0);
    add_go(&want, NBD_OPT_GO, "vol-1", 1);
    feed_client(&a, &in, in.len);
    CHECK(same(&a.out, &want) && a.last == NBD_CLIENT_MORE);
    buf_release(&a.out);
    buf_release(&in);
    buf_release(&want);
}

static void fail_asking(struct buf *in, struct buf *want, const char *error)
{
    expect_asking(in, want, true, (struct client_end){.last = -EPROTO, .error = error});
    buf_release(in);
    buf_release(want);
}

static void test_client_malformed_structured(void)
{
    static const struct {
        uint32_t option, type;
        size_t len;
        const char *error;
    } bad[] = {
        {STRUCTURED, NBD_REP_ACK, 1, "unexpected option reply"},
        {STRUCTURED, NBD_REP_INFO, 12, "unexpected option reply"},
        {STRUCTURED, NBD_REP_META_CONTEXT, 19, "unexpected option reply"},
        {CONTEXT, NBD_REP_ACK, 0, "malformed option reply"},
        {NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, 0, "malformed option reply"},
    };
    static const char zeroes[NBD_NAME_MAX + 5];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf in = {0}, want = {0};
        begin_asking(&in, &want);
        add_reply(&in, bad[i].option, bad[i].type, zeroes, bad[i].len);
        fail_asking(&in, &want, bad[i].error);
    }
}

static void test_client_malformed_contexts(void)
{
    static const struct {
        uint32_t option, type;
        size_t len;
        const char *error;
    } bad[] = {
        {CONTEXT, NBD_REP_META_CONTEXT, 3, "malformed metadata context"},
        {CONTEXT, NBD_REP_META_CONTEXT, NBD_NAME_MAX + 5, "malformed metadata context"},
        {CONTEXT, NBD_REP_ACK, 4, "unexpected option reply"},
        {CONTEXT, NBD_REP_INFO, 12, "unexpected option reply"},
        {STRUCTURED, NBD_REP_ACK, 0, "malformed option reply"},
        {NBD_OPT_GO, NBD_REP_INFO, 12, "malformed option reply"},
    };
    static const char zeroes[NBD_NAME_MAX + 5];
    struct buf in = {0}, want = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin_context(&in, &want);
        add_reply(&in, bad[i].option, bad[i].type, zeroes, bad[i].len);
        fail_asking(&in, &want, bad[i].error);
    }
    for (size_t i = 0; i < 2; i++) {
        begin_context(&in, &want);
        add_context_reply(&in, CONTEXT, 1, i ? "x:y" : NBD_ALLOCATION);
        add_context_reply(&in, CONTEXT, 1, NBD_ALLOCATION);
        fail_asking(&in, &want, "more metadata contexts than were asked for");
    }
}

int main(void)
{
    test_begin("handshake_client");
    test_client_go();
    test_client_refused();
    test_client_not_a_server();
    test_client_malformed_replies();
    test_client_impossible_block_sizes();
    test_client_structured();
    test_client_structured_refused();
    test_client_other_contexts();
    test_client_one_option_at_a_time();
    test_client_malformed_structured();
    test_client_malformed_contexts();
    return test_done();
}
