/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The server's side of the NBD handshake: conversations compared byte by byte, cut into pieces at
 * every place and byte for byte, and malformed input.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/nbd/handshake.h"
#include "tests/unit/nbdwire.h"
#include "tests/unit/tap.h"

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

static struct talk start_talk(bool offer)
{
    struct talk t = {.last = NBD_SERVER_MORE};
    CHECK(nbd_server_start(&t.s, &t.out) == 0);
    t.s.offer_structured = offer;
    return t;
}

/* What all of a conversation comes to. */
struct end {
    int step;
    bool structured, allocation;
};

/*
 * The whole of IN at once, cut in two at every place, and byte for byte: WANT and END each time.
 */
static void expect_talk(const struct buf *in, const struct buf *want, bool offer, struct end end)
{
    for (size_t cut = 0; cut <= in->len + 1; cut++) {
        struct talk t = start_talk(offer);
        bool on = true;
        for (size_t n = 0; cut == in->len + 1 && n < in->len && on; n++)
            on = feed(&t, in, n + 1);
        if (cut <= in->len && feed(&t, in, cut))
            feed(&t, in, in->len);
        CHECK(same(&t.out, want));
        CHECK(t.last == end.step);
        CHECK(t.s.structured == end.structured);
        CHECK(nbd_server_allocation(&t.s) == end.allocation);
        CHECK_EQ_U64(t.eaten, in->len);
        buf_release(&t.out);
    }
}

static void begin_talk(struct buf *in, struct buf *want, uint32_t flags)
{
    add32(in, flags);
    add_greeting(want);
}

/* A conversation without structured replies: the same, offered or not. */
static void end_talk(struct buf *in, struct buf *want, int step)
{
    expect_talk(in, want, false, (struct end){.step = step});
    expect_talk(in, want, true, (struct end){.step = step});
    buf_release(in);
    buf_release(want);
}

/* One where they are negotiated. */
static void begin_structured(struct buf *in, struct buf *want)
{
    begin_talk(in, want, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    add_option(in, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    add_reply(want, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
}

/* It ends with GO for the volume. */
static void end_structured(struct buf *in, struct buf *want, bool allocation)
{
    add_go(in, NBD_OPT_GO, "v", 0);
    add_info_flags(want, NBD_OPT_GO, vol.flags | NBD_TF_DF);
    add_reply(want, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    expect_talk(in, want, true, (struct end){NBD_SERVER_DONE, true, allocation});
    buf_release(in);
    buf_release(want);
}

static void test_server_go(void)
{
    struct buf in = {0}, want = {0};
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    add_option(&in, 11, NULL, 0); /* extended headers */
    add_text_reply(&want, 11, NBD_REP_ERR_UNSUP, "unknown option");
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
    struct talk t = start_talk(true);
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
    struct talk t = start_talk(true);
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
    char name[NBD_NAME_MAX + 1];
    memset(name, 'n', sizeof(name));
    add32(&in, NBD_FLAG_FIXED_NEWSTYLE);
    add_option(&in, NBD_OPT_EXPORT_NAME, name, sizeof(name));
    expect_protest(&in, "export name is not text");
}

/* GO for a name of LEN bytes gets ERROR and TEXT. */
static void refuse_long_name(size_t len, uint32_t error, const char *text)
{
    char name[NBD_NAME_MAX + 2] = "";
    struct buf in = {0}, want = {0};
    memset(name, 'n', len);
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE);
    add_go(&in, NBD_OPT_GO, name, 0);
    add_text_reply(&want, NBD_OPT_GO, error, text);
    end_talk(&in, &want, NBD_SERVER_MORE);
}

static void test_server_long_names(void)
{
    static const char longer[] = "no such volume: not a volume's name";
    refuse_long_name(NAME_LEN_MAX, NBD_REP_ERR_UNKNOWN, "no");
    refuse_long_name(NAME_LEN_MAX + 1, NBD_REP_ERR_UNKNOWN, longer);
    refuse_long_name(NBD_NAME_MAX, NBD_REP_ERR_UNKNOWN, longer);
    refuse_long_name(NBD_NAME_MAX + 1, NBD_REP_ERR_INVALID, "export name is not text");
    char name[NAME_LEN_MAX + 1];
    struct buf in = {0}, want = {0};
    memset(name, 'n', sizeof(name));
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE);
    add_option(&in, NBD_OPT_EXPORT_NAME, name, sizeof(name));
    end_talk(&in, &want, NBD_SERVER_ABORT);
}

/* Only who asks for block sizes may open a volume that does not take every size. */
static void expect_blocks_needed(uint32_t min, uint32_t max, bool needed)
{
    struct nbd_export e = vol;
    struct buf out = {0};
    struct nbd_server s = {.option = NBD_OPT_GO};
    e.min_block = min;
    e.max_block = max;
    CHECK(nbd_server_answer(&s, &e, &out) == (needed ? NBD_SERVER_MORE : NBD_SERVER_DONE));
    CHECK((nbd_get32(out.data + 12) == NBD_REP_ERR_BLOCK_SIZE_REQD) == needed);
    s.wants_block_size = true;
    CHECK(nbd_server_answer(&s, &e, &out) == NBD_SERVER_DONE);
    s.option = NBD_OPT_EXPORT_NAME;
    s.wants_block_size = false;
    CHECK(nbd_server_answer(&s, &e, &out) == NBD_SERVER_DONE);
    buf_release(&out);
}

static void test_server_block_sizes(void)
{
    expect_blocks_needed(512, NBD_PAYLOAD_MAX, true);
    expect_blocks_needed(1, NBD_PAYLOAD_MAX - 1, true);
    expect_blocks_needed(1, NBD_PAYLOAD_MAX, false);
    expect_blocks_needed(1, UINT32_MAX, false);
}

static void test_server_info_name(void)
{
    struct buf in = {0}, want = {0};
    static const char ask[] = "\0\0\0\1v\0\3\0\1\0\2\0\1"; /* name, description, name */
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE);
    add_option(&in, NBD_OPT_INFO, ask, sizeof(ask) - 1);
    add_info_export(&want, NBD_OPT_INFO);
    add_reply(&want, NBD_OPT_INFO, NBD_REP_INFO, "\0\1v", 3);
    add_reply(&want, NBD_OPT_INFO, NBD_REP_ACK, NULL, 0);
    add_go(&in, NBD_OPT_GO, "v", 0);
    add_info_export(&want, NBD_OPT_GO);
    add_reply(&want, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    end_talk(&in, &want, NBD_SERVER_DONE);
}

/* ---- the server: structured replies and metadata contexts ---- */

static void test_server_structured_not_offered(void)
{
    static const uint32_t options[] = {NBD_OPT_STRUCTURED_REPLY, NBD_OPT_LIST_META_CONTEXT,
                                       NBD_OPT_SET_META_CONTEXT};
    struct buf in = {0}, want = {0};
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE);
    for (size_t i = 0; i < 3; i++) {
        add_option(&in, options[i], NULL, 0);
        add_text_reply(&want, options[i], NBD_REP_ERR_UNSUP, "unknown option");
    }
    expect_talk(&in, &want, false, (struct end){NBD_SERVER_MORE, false, false});
    buf_release(&in);
    buf_release(&want);
}

static void test_server_structured(void)
{
    struct buf in = {0}, want = {0};
    begin_structured(&in, &want);
    add_option(&in, NBD_OPT_STRUCTURED_REPLY, "x", 1);
    add_text_reply(&want, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_INVALID,
                   "STRUCTURED_REPLY takes no data");
    add_option(&in, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    add_reply(&want, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    end_structured(&in, &want, false);
}

static void test_server_structured_export_name(void)
{
    struct buf in = {0}, want = {0};
    begin_structured(&in, &want);
    add_set(&in, "v", NBD_ALLOCATION);
    add_context_reply(&want, NBD_OPT_SET_META_CONTEXT, 1, NBD_ALLOCATION);
    add_reply(&want, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL, 0);
    add_option(&in, NBD_OPT_EXPORT_NAME, "v", 1);
    add64(&want, vol.size);
    add16(&want, vol.flags | NBD_TF_DF);
    expect_talk(&in, &want, true, (struct end){NBD_SERVER_DONE, true, true});
    buf_release(&in);
    buf_release(&want);
}

/* The export's own DF says nothing about this connection. */
static void test_server_df_is_the_connection_s(void)
{
    struct nbd_export e = vol;
    struct buf out = {0};
    struct nbd_server s = {.option = NBD_OPT_GO};
    e.flags |= NBD_TF_DF;
    CHECK(nbd_server_answer(&s, &e, &out) == NBD_SERVER_DONE);
    CHECK_EQ_U64(nbd_get16(out.data + 20 + 10), vol.flags);
    buf_release(&out);
}

static void test_server_list_contexts(void)
{
    static const struct {
        const char *query;
        bool found;
    } lists[] = {
        {NULL, true},
        {"base:", true},
        {"base:allocation", true},
        {"base", false},
        {"", false},
        {"base:allocatio", false},
        {"qemu:", false},
        {"bases:", false},
        {"base:allocations", false},
        {"Base:allocation", false},
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct buf in = {0}, want = {0};
        begin_structured(&in, &want);
        add_list(&in, "v", lists[i].query);
        if (lists[i].found)
            add_context_reply(&want, NBD_OPT_LIST_META_CONTEXT, 0, NBD_ALLOCATION);
        add_reply(&want, NBD_OPT_LIST_META_CONTEXT, NBD_REP_ACK, NULL, 0);
        end_structured(&in, &want, false);
    }
}

/* Selects base:allocation for NAME, as it goes well. */
static void select_allocation(struct buf *in, struct buf *want, const char *name)
{
    add_set(in, name, NBD_ALLOCATION);
    add_context_reply(want, NBD_OPT_SET_META_CONTEXT, 1, NBD_ALLOCATION);
    add_reply(want, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL, 0);
}

static void test_server_set_context(void)
{
    struct buf in = {0}, want = {0};
    begin_structured(&in, &want);
    select_allocation(&in, &want, "v");
    end_structured(&in, &want, true);

    /* Neither a list nor a look at another export changes it. */
    begin_structured(&in, &want);
    select_allocation(&in, &want, "v");
    add_list(&in, "w", "x:");
    add_reply(&want, NBD_OPT_LIST_META_CONTEXT, NBD_REP_ACK, NULL, 0);
    add_go(&in, NBD_OPT_INFO, "w", 0);
    add_text_reply(&want, NBD_OPT_INFO, NBD_REP_ERR_UNKNOWN, "no");
    end_structured(&in, &want, true);

    /* However often it is found, it is one context. */
    begin_structured(&in, &want);
    const char *queries[] = {"x:y", NBD_ALLOCATION, "", NBD_ALLOCATION, NULL};
    add_contexts(&in, NBD_OPT_SET_META_CONTEXT, "v", queries);
    add_context_reply(&want, NBD_OPT_SET_META_CONTEXT, 1, NBD_ALLOCATION);
    add_reply(&want, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL, 0);
    end_structured(&in, &want, true);
}

static void test_server_context_of_another_export(void)
{
    struct buf in = {0}, want = {0};
    begin_structured(&in, &want);
    select_allocation(&in, &want, "w");
    end_structured(&in, &want, false);

    begin_structured(&in, &want);
    select_allocation(&in, &want, "w");
    select_allocation(&in, &want, "v");
    end_structured(&in, &want, true);
}

/* The last SET holds, also one that selects nothing. */
static void test_server_context_dropped(void)
{
    static const char *const queries[] = {NULL, "base:", "base:allocations", "x:y"};
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        struct buf in = {0}, want = {0};
        begin_structured(&in, &want);
        select_allocation(&in, &want, "v");
        add_set(&in, "v", queries[i]);
        add_reply(&want, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL, 0);
        end_structured(&in, &want, false);
    }
}

static void test_server_contexts_too_early(void)
{
    static const char text[] = "structured replies come first";
    struct buf in = {0}, want = {0};
    begin_talk(&in, &want, NBD_FLAG_FIXED_NEWSTYLE);
    add_list(&in, "v", NULL);
    add_text_reply(&want, NBD_OPT_LIST_META_CONTEXT, NBD_REP_ERR_INVALID, text);
    add_set(&in, "v", NBD_ALLOCATION);
    add_text_reply(&want, NBD_OPT_SET_META_CONTEXT, NBD_REP_ERR_INVALID, text);
    expect_talk(&in, &want, true, (struct end){NBD_SERVER_MORE, false, false});
    buf_release(&in);
    buf_release(&want);
}

/* OPTION with DATA, after a SET that went well: refused, and only a SET undoes the earlier one. */
static void refuse_contexts(uint32_t option, const void *data, size_t len, uint32_t error,
                            const char *text)
{
    struct buf in = {0}, want = {0};
    begin_structured(&in, &want);
    select_allocation(&in, &want, "v");
    add_option(&in, option, data, len);
    add_text_reply(&want, option, error, text);
    end_structured(&in, &want, option == NBD_OPT_LIST_META_CONTEXT);
}

static void test_server_malformed_contexts(void)
{
    static const struct {
        const char *data;
        size_t len;
        const char *text;
    } bad[] = {
        {"", 0, "malformed option"},
        {"\0\0\0\0\0\0\0", 7, "malformed option"},
        {"\0\0\0\2v\0\0\0\0", 9, "malformed option"},
        {"\xff\xff\xff\xffv\0\0\0\0", 9, "malformed option"},
        {"\0\0\0\1v\0\0\0\0x", 10, "malformed option"},
        {"\0\0\0\1v\0\0\0\1", 9, "malformed option"},
        {"\0\0\0\1v\0\0\0\1\0\0\0", 12, "malformed option"},
        {"\0\0\0\1v\0\0\0\1\0\0\0\1", 13, "malformed option"},
        {"\0\0\0\1v\0\0\0\1\0\0\0\1xy", 15, "malformed option"},
        {"\0\0\0\1v\0\0\0\1\xff\xff\xff\xffx", 14, "malformed option"},
        {"\0\0\0\1v\0\0\0\1\0\0\0\17base:", 18, "malformed option"},
        {"\0\0\0\1v\0\0\0\2\0\0\0\1x", 14, "malformed option"},
        {"\0\0\0\1v\xff\xff\xff\xff\0\0\0\1x", 14, "malformed option"},
        {"\0\0\0\2v\0\0\0\0\0", 10, "export name is not text"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (uint32_t o = NBD_OPT_LIST_META_CONTEXT; o <= NBD_OPT_SET_META_CONTEXT; o++)
            refuse_contexts(o, bad[i].data, bad[i].len, NBD_REP_ERR_INVALID, bad[i].text);
}

static void test_server_long_queries_and_names(void)
{
    unsigned char data[8 + NBD_NAME_MAX + 5] = {0};
    memset(data + 8, 'n', sizeof(data) - 8);
    for (uint32_t o = NBD_OPT_LIST_META_CONTEXT; o <= NBD_OPT_SET_META_CONTEXT; o++) {
        /* No name, one query that is too long. */
        nbd_put32(data, 0);
        nbd_put32(data + 4, 1);
        nbd_put32(data + 8, NBD_NAME_MAX + 1);
        refuse_contexts(o, data, sizeof(data), NBD_REP_ERR_INVALID, "malformed option");
        /* A name that no volume has, no query. */
        nbd_put32(data, NAME_LEN_MAX + 1);
        memset(data + 4, 'n', NAME_LEN_MAX + 1);
        nbd_put32(data + 4 + NAME_LEN_MAX + 1, 0);
        refuse_contexts(o, data, 8 + NAME_LEN_MAX + 1, NBD_REP_ERR_UNKNOWN,
                        "no such volume: not a volume's name");
    }
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
    test_server_long_names();
    test_server_block_sizes();
    test_server_info_name();
    test_server_structured_not_offered();
    test_server_structured();
    test_server_structured_export_name();
    test_server_df_is_the_connection_s();
    test_server_list_contexts();
    test_server_set_context();
    test_server_context_of_another_export();
    test_server_context_dropped();
    test_server_contexts_too_early();
    test_server_malformed_contexts();
    test_server_long_queries_and_names();
    return test_done();
}
