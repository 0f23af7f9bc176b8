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
    .max_block = NBD_PAYLOAD_MAX,
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

/* SET_ or LIST_META_CONTEXT; QUERIES end with NULL. */
static void add_contexts(struct buf *b, uint32_t option, const char *name,
                         const char *const *queries)
{
    struct buf data = {0};
    uint32_t n = 0;
    while (queries[n])
        n++;
    add32(&data, (uint32_t)strlen(name));
    buf_adds(&data, name);
    add32(&data, n);
    for (; *queries; queries++) {
        add32(&data, (uint32_t)strlen(*queries));
        buf_adds(&data, *queries);
    }
    add_option(b, option, data.data, data.len);
    buf_release(&data);
}

static void add_set(struct buf *b, const char *name, const char *query)
{
    const char *queries[] = {query, NULL};
    add_contexts(b, NBD_OPT_SET_META_CONTEXT, name, queries);
}

static void add_list(struct buf *b, const char *name, const char *query)
{
    const char *queries[] = {query, NULL};
    add_contexts(b, NBD_OPT_LIST_META_CONTEXT, name, queries);
}

static void add_context_reply(struct buf *b, uint32_t option, uint32_t id, const char *name)
{
    struct buf data = {0};
    add32(&data, id);
    buf_adds(&data, name);
    add_reply(b, option, NBD_REP_META_CONTEXT, data.data, data.len);
    buf_release(&data);
}

static void add_info_flags(struct buf *b, uint32_t option, uint16_t flags)
{
    struct buf data = {0};
    add16(&data, NBD_INFO_EXPORT);
    add64(&data, vol.size);
    add16(&data, flags);
    add_reply(b, option, NBD_REP_INFO, data.data, data.len);
    buf_release(&data);
}

static void add_info_export(struct buf *b, uint32_t option)
{
    add_info_flags(b, option, vol.flags);
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
    struct nbd_export e = vol;
    struct nbd_request df = {NBD_CMD_FLAG_DF, NBD_CMD_READ, 1, 0, 4096};
    struct nbd_request status = {NBD_CMD_FLAG_REQ_ONE, NBD_CMD_BLOCK_STATUS, 1, 0, 4096};
    CHECK_EQ_U64(nbd_request_check(&df, &e, vol.size), NBD_EINVAL);
    CHECK_EQ_U64(nbd_request_check(&status, &e, vol.size), NBD_EINVAL);
    e.allocation = true;
    CHECK_EQ_U64(nbd_request_check(&status, &e, vol.size), NBD_EINVAL);
    e.allocation = false;
    e.structured = true;
    CHECK_EQ_U64(nbd_request_check(&df, &e, vol.size), 0);
    CHECK_EQ_U64(nbd_request_check(&status, &e, vol.size), NBD_EINVAL);
    e.allocation = true;
    CHECK_EQ_U64(nbd_request_check(&status, &e, vol.size), 0);
    CHECK_EQ_U64(nbd_request_check(&status, &e, 4095), NBD_EINVAL);
    status.flags = NBD_CMD_FLAG_DF;
    CHECK_EQ_U64(nbd_request_check(&status, &e, vol.size), NBD_EINVAL);
    df.flags = NBD_CMD_FLAG_REQ_ONE;
    CHECK_EQ_U64(nbd_request_check(&df, &e, vol.size), NBD_EINVAL);
    df.type = NBD_CMD_WRITE;
    df.flags = NBD_CMD_FLAG_DF;
    CHECK_EQ_U64(nbd_request_check(&df, &e, vol.size), NBD_EINVAL);
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
    test_request_bytes();
    test_chunk_bytes();
    test_request_range();
    test_request_length();
    test_request_structured();
    test_request_alignment();
    test_request_needs();
    return test_done();
}
