/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a leg makes of a gateway's answers: structured replies in any pieces and any order, errors,
 * what makes no sense, which loses the leg.  Each conversation is told at once and in two cuts.
 */
#include "tests/unit/legworld.h"
#include "tests/unit/tap.h"

/* What happens to the first request, a READ of 64 bytes at 4096, unless a test asks otherwise. */
enum { AT = 4096, N = 64 };

enum { STRUCTURED = WORLD_STRUCTURED | WORLD_ALLOCATION };

/* ---- what gateways say ---- */

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

static void add_chunk(struct buf *b, unsigned i, uint16_t type, bool done, uint32_t length)
{
    unsigned char h[NBD_CHUNK_LEN];
    const struct nbd_chunk k = {done ? NBD_CHUNK_DONE : 0, type, world_cookie(i), length};
    nbd_chunk_format(h, &k);
    buf_add(b, h, sizeof(h));
}

static void add_fill(struct buf *b, char fill, size_t n)
{
    while (n--)
        buf_add(b, &fill, 1);
}

static void add_data(struct buf *b, unsigned i, bool done, uint64_t offset, char fill, size_t n)
{
    add_chunk(b, i, NBD_CHUNK_OFFSET_DATA, done, (uint32_t)n + 8);
    add64(b, offset);
    add_fill(b, fill, n);
}

static void add_hole(struct buf *b, unsigned i, bool done, uint64_t offset, uint32_t n)
{
    add_chunk(b, i, NBD_CHUNK_OFFSET_HOLE, done, 12);
    add64(b, offset);
    add32(b, n);
}

static void add_none(struct buf *b, unsigned i)
{
    add_chunk(b, i, NBD_CHUNK_NONE, true, 0);
}

static void add_error(struct buf *b, unsigned i, bool done, uint32_t error)
{
    static const unsigned char no_text[2];
    add_chunk(b, i, NBD_CHUNK_ERROR, done, 6);
    add32(b, error);
    buf_add(b, no_text, sizeof(no_text));
}

static void add_error_offset(struct buf *b, unsigned i, bool done, uint32_t error, uint64_t at)
{
    static const unsigned char text[5] = "\0\3bad";
    add_chunk(b, i, NBD_CHUNK_ERROR_OFFSET, done, 4 + sizeof(text) + 8);
    add32(b, error);
    buf_add(b, text, sizeof(text));
    add64(b, at);
}

/* Extents of 512 bytes, all data. */
static void add_status(struct buf *b, unsigned i, bool done, uint32_t context, size_t extents)
{
    add_chunk(b, i, NBD_CHUNK_BLOCK_STATUS, done, (uint32_t)(4 + 8 * extents));
    add32(b, context);
    for (; extents; extents--) {
        add32(b, 512);
        add32(b, 0);
    }
}

static void add_simple(struct buf *b, unsigned i, uint32_t error)
{
    add32(b, NBD_SIMPLE_MAGIC);
    add32(b, error);
    add64(b, world_cookie(i));
}

/* ---- conversations ---- */

/* What a gateway of kind HOW answers to the requests, told whole and cut in two ways. */
struct talk {
    unsigned how;
    struct buf out;
    void (*ask)(struct leg_world *w);
    void (*check)(struct leg_world *w, const void *arg);
    const void *arg;
};

static void ask_one(struct leg_world *w)
{
    world_ask(w, NBD_CMD_READ, AT, N, 0);
}

static void converse(struct talk *t, const char *what)
{
    static const unsigned cuts[] = {0, 1, 77};
    struct test_state *st = test_state();
    unsigned long failed = st->failed;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct leg_world w;
        world_begin(&w, t->how);
        (t->ask ? t->ask : ask_one)(&w);
        world_tell(&w, t->out.data, t->out.len, cuts[i]);
        CHECK_STR(w.broken ? w.broken : "", "");
        t->check(&w, t->arg);
        world_end(&w);
    }
    if (st->failed != failed)
        fprintf(stderr, "in: %s\n", what);
    buf_release(&t->out);
}

/* The one READ gets the N bytes ARG. */
static void has_data(struct leg_world *w, const void *arg)
{
    CHECK_STR(w->error, "");
    CHECK_EQ_U64(w->asked[0].answers, 1);
    CHECK_EQ_U64(w->asked[0].error, 0);
    CHECK_EQ_U64(w->asked[0].delivered, N);
    CHECK(memcmp(w->asked[0].data, arg, N) == 0);
}

/* It gets the error ARG. */
static void has_error(struct leg_world *w, const void *arg)
{
    CHECK_STR(w->error, "");
    CHECK_EQ_U64(w->asked[0].answers, 1);
    CHECK_EQ_U64(w->asked[0].error, *(const uint32_t *)arg);
}

/* The leg is lost with the text ARG, and nothing is answered. */
static void loses_leg(struct leg_world *w, const void *arg)
{
    CHECK(w->lost);
    CHECK_STR(w->error, arg);
    for (unsigned i = 0; i < w->n_asked; i++)
        CHECK_EQ_U64(w->asked[i].answers, 0);
}

static void expect_data(struct talk *t, const char want[static N], const char *what)
{
    t->check = has_data;
    t->arg = want;
    converse(t, what);
}

static void expect_error(struct talk *t, uint32_t error, const char *what)
{
    t->check = has_error;
    t->arg = &error;
    converse(t, what);
}

static void expect_loss(struct talk *t, const char *what)
{
    t->check = loses_leg;
    t->arg = "gw: malformed reply, or to nothing that was asked";
    converse(t, what);
}

/* N bytes: three parts, each of one letter (0: zeros), the first two of 16 bytes. */
static const char *parts(char out[static N], char a, char b, char c)
{
    memset(out, a, 16);
    memset(out + 16, b, 16);
    memset(out + 32, c, N - 32);
    return out;
}

/* ---- data ---- */

static void test_whole(void)
{
    char want[N];
    struct talk t = {.how = STRUCTURED};
    add_data(&t.out, 0, true, AT, 'a', N);
    expect_data(&t, parts(want, 'a', 'a', 'a'), "one chunk");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, false, AT, 'a', N);
    add_none(&t.out, 0);
    expect_data(&t, want, "one chunk, and the end in another");

    t = (struct talk){.how = 0};
    add_simple(&t.out, 0, 0);
    add_fill(&t.out, 'a', N);
    expect_data(&t, want, "a simple reply");

    t = (struct talk){.how = STRUCTURED};
    add_simple(&t.out, 0, 0);
    add_fill(&t.out, 'a', N);
    expect_data(&t, want, "a simple reply where structured ones are due");
}

static void test_pieces(void)
{
    char want[N];
    struct talk t = {.how = STRUCTURED};
    add_data(&t.out, 0, false, AT, 'a', 16);
    add_data(&t.out, 0, false, AT + 16, 'b', 16);
    add_data(&t.out, 0, true, AT + 32, 'c', N - 32);
    expect_data(&t, parts(want, 'a', 'b', 'c'), "in order");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, false, AT + 32, 'c', N - 32);
    add_data(&t.out, 0, false, AT, 'a', 16);
    add_data(&t.out, 0, false, AT + 16, 'b', 16);
    add_none(&t.out, 0);
    expect_data(&t, parts(want, 'a', 'b', 'c'), "out of order");

    t = (struct talk){.how = STRUCTURED};
    add_hole(&t.out, 0, false, AT + 16, 16);
    add_data(&t.out, 0, false, AT + 32, 'c', N - 32);
    add_data(&t.out, 0, true, AT, 'a', 16);
    expect_data(&t, parts(want, 'a', 0, 'c'), "with a hole");

    t = (struct talk){.how = STRUCTURED};
    add_hole(&t.out, 0, true, AT, N);
    expect_data(&t, parts(want, 0, 0, 0), "nothing but a hole");
}

static void ask_two(struct leg_world *w)
{
    world_ask(w, NBD_CMD_READ, AT, N, 0);
    world_ask(w, NBD_CMD_READ, 0, N, 0);
}

/* Pieces of two answers, mixed. */
static void has_both(struct leg_world *w, const void *arg)
{
    char other[N];
    has_data(w, arg);
    parts(other, 'x', 'x', 'y');
    CHECK_EQ_U64(w->asked[1].answers, 1);
    CHECK_EQ_U64(w->asked[1].error, 0);
    CHECK(memcmp(w->asked[1].data, other, N) == 0);
}

static void test_mixed(void)
{
    char want[N];
    struct talk t = {
        .how = STRUCTURED, .ask = ask_two, .check = has_both, .arg = parts(want, 'a', 'a', 'b')};
    add_data(&t.out, 0, false, AT, 'a', 32);
    add_data(&t.out, 1, false, 0, 'x', 32);
    add_data(&t.out, 0, true, AT + 32, 'b', 32);
    add_data(&t.out, 1, true, 32, 'y', 32);
    converse(&t, "two answers");
}

static void test_bad_pieces(void)
{
    struct talk t = {.how = STRUCTURED};
    add_data(&t.out, 0, false, AT, 'a', 40);
    add_data(&t.out, 0, true, AT + 32, 'b', 32);
    expect_loss(&t, "overlapping pieces that are too much");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, true, AT, 'a', 32);
    expect_loss(&t, "the end, with a half missing");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, false, AT, 'a', 32);
    add_none(&t.out, 0);
    expect_loss(&t, "the end alone, with a half missing");

    t = (struct talk){.how = STRUCTURED};
    add_none(&t.out, 0);
    expect_loss(&t, "no data at all");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, false, AT - 1, 'a', 16);
    expect_loss(&t, "before what was asked");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, false, AT + N - 15, 'a', 16);
    expect_loss(&t, "behind what was asked");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, false, UINT64_MAX - 3, 'a', 16);
    expect_loss(&t, "around the end of all offsets");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, true, AT, 'a', N + 1);
    expect_loss(&t, "more than was asked");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, false, AT, 'a', 0);
    add_fill(&t.out, 0, 1);
    expect_loss(&t, "a piece of nothing");
}

static void test_bad_holes(void)
{
    static const uint32_t lengths[] = {0, N + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct talk t = {.how = STRUCTURED};
        add_hole(&t.out, 0, false, AT, lengths[i]);
        expect_loss(&t, "a hole of an impossible length");
    }
    struct talk t = {.how = STRUCTURED};
    add_hole(&t.out, 0, false, AT, N);
    add_hole(&t.out, 0, true, AT, 1);
    expect_loss(&t, "a hole too much");

    t = (struct talk){.how = STRUCTURED};
    add_chunk(&t.out, 0, NBD_CHUNK_OFFSET_HOLE, true, 11);
    add_fill(&t.out, 0, 11);
    expect_loss(&t, "a hole's header too short");
}

/* ---- ends and errors ---- */

static void loses_after_answer(struct leg_world *w, const void *arg)
{
    CHECK_STR(w->error, arg);
    CHECK_EQ_U64(w->asked[0].answers, 1);
}

static void test_twice(void)
{
    struct talk t = {.how = STRUCTURED,
                     .check = loses_after_answer,
                     .arg = "gw: malformed reply, or to nothing that was asked"};
    add_data(&t.out, 0, true, AT, 'a', N);
    add_none(&t.out, 0);
    converse(&t, "an end behind the end");

    t.out = (struct buf){0};
    add_simple(&t.out, 0, NBD_EIO);
    add_simple(&t.out, 0, NBD_EIO);
    converse(&t, "two simple replies");
}

static void test_errors(void)
{
    struct talk t = {.how = STRUCTURED};
    add_error(&t.out, 0, true, NBD_ENOMEM);
    expect_error(&t, NBD_ENOMEM, "an error");

    t = (struct talk){.how = STRUCTURED};
    add_error(&t.out, 0, false, NBD_ENOMEM);
    add_none(&t.out, 0);
    expect_error(&t, NBD_ENOMEM, "an error, and the end");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, false, AT, 'a', 16);
    add_error_offset(&t.out, 0, false, NBD_EIO, AT + 16);
    add_error(&t.out, 0, false, NBD_ENOMEM);
    add_data(&t.out, 0, true, AT + 32, 'a', 16);
    expect_error(&t, NBD_EIO, "the first of two errors, among data");

    t = (struct talk){.how = STRUCTURED};
    add_error(&t.out, 0, false, NBD_EIO);
    add_data(&t.out, 0, true, AT, 'a', N);
    expect_error(&t, NBD_EIO, "an error before all data");

    t = (struct talk){.how = STRUCTURED};
    add_error(&t.out, 0, true, 0);
    expect_error(&t, NBD_EIO, "an error that is none");

    t = (struct talk){.how = STRUCTURED};
    add_chunk(&t.out, 0, NBD_CHUNK_IS_ERROR | 99, true, 6);
    add32(&t.out, NBD_EPERM);
    add_fill(&t.out, 0, 2);
    expect_error(&t, NBD_EPERM, "an error of an unknown type");

    t = (struct talk){.how = STRUCTURED};
    add_simple(&t.out, 0, NBD_EPERM);
    expect_error(&t, NBD_EPERM, "a simple error");

    t = (struct talk){.how = 0};
    add_simple(&t.out, 0, NBD_EPERM);
    expect_error(&t, NBD_EPERM, "a simple error where all is simple");
}

static void test_bad_chunks(void)
{
    static const struct {
        uint16_t type;
        uint32_t length;
    } bad[] = {{NBD_CHUNK_NONE, 1},
               {77, 4},
               {NBD_CHUNK_IS_ERROR | 99, 5},
               {NBD_CHUNK_ERROR, 0},
               {NBD_CHUNK_ERROR, UINT32_MAX},
               {NBD_CHUNK_NONE, UINT32_MAX},
               {77, UINT32_MAX},
               {NBD_CHUNK_OFFSET_DATA, 0},
               {NBD_CHUNK_OFFSET_DATA, 8},
               {NBD_CHUNK_OFFSET_DATA, UINT32_MAX},
               {NBD_CHUNK_OFFSET_HOLE, UINT32_MAX},
               {NBD_CHUNK_BLOCK_STATUS, UINT32_MAX},
               {NBD_CHUNK_BLOCK_STATUS, 12}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct talk t = {.how = STRUCTURED};
        add_chunk(&t.out, 0, bad[i].type, true, bad[i].length);
        add_fill(&t.out, 0, 16);
        expect_loss(&t, "a chunk that makes no sense");
    }
    struct talk t = {.how = STRUCTURED};
    add_chunk(&t.out, 0, NBD_CHUNK_NONE, false, 0);
    expect_loss(&t, "nothing, and no end");
}

static void test_unasked(void)
{
    struct talk t = {.how = 0};
    add_data(&t.out, 0, true, AT, 'a', N);
    expect_loss(&t, "chunks that were not negotiated");

    t = (struct talk){.how = STRUCTURED};
    add_none(&t.out, 1);
    expect_loss(&t, "a chunk for nobody");

    t = (struct talk){.how = STRUCTURED};
    add_simple(&t.out, 1, 0);
    expect_loss(&t, "a reply for nobody");

    t = (struct talk){.how = STRUCTURED};
    add32(&t.out, 0x12345678);
    add_fill(&t.out, 0, 16);
    expect_loss(&t, "another magic number");

    t = (struct talk){.how = STRUCTURED};
    add_data(&t.out, 0, false, AT, 'a', 16);
    add_simple(&t.out, 0, 0);
    add_fill(&t.out, 'a', N);
    expect_loss(&t, "a simple reply among chunks");
}

static void test_shutdown(void)
{
    struct talk t = {.how = STRUCTURED, .check = loses_leg, .arg = "gw: the gateway shuts down"};
    add_error(&t.out, 0, true, NBD_ESHUTDOWN);
    converse(&t, "a chunk says so");
    t.how = 0;
    t.out = (struct buf){0};
    add_simple(&t.out, 0, NBD_ESHUTDOWN);
    add_simple(&t.out, 0, NBD_EIO);
    converse(&t, "a simple reply says so");
}

static void test_closes(void)
{
    struct talk t = {.how = STRUCTURED | WORLD_CLOSES,
                     .check = loses_leg,
                     .arg = "gw: the gateway closed the connection"};
    add_data(&t.out, 0, false, AT, 'a', 16);
    converse(&t, "between pieces");
    t.out = (struct buf){0};
    add_data(&t.out, 0, true, AT, 'a', N);
    t.out.len--;
    converse(&t, "before the last byte");
}

/* ---- other commands ---- */

static void ask_status(struct leg_world *w)
{
    world_ask(w, NBD_CMD_BLOCK_STATUS, 0, 1024, 0);
}

static void has_status(struct leg_world *w, const void *arg)
{
    CHECK_STR(w->error, "");
    CHECK_EQ_U64(w->asked[0].answers, 1);
    CHECK_EQ_U64(w->asked[0].error, 0);
    CHECK_EQ_U64(w->asked[0].status.len, 8 * *(const size_t *)arg);
}

static void test_status(void)
{
    static const size_t two = 2, many = 131072;
    struct talk t = {.how = STRUCTURED, .ask = ask_status, .check = has_status, .arg = &two};
    add_status(&t.out, 0, true, WORLD_CONTEXT, 2);
    converse(&t, "extents");

    t.out = (struct buf){0};
    add_status(&t.out, 0, false, WORLD_CONTEXT, 2);
    add_none(&t.out, 0);
    converse(&t, "extents, and the end");

    t = (struct talk){.how = STRUCTURED, .ask = ask_status};
    add_error(&t.out, 0, true, NBD_EINVAL);
    expect_error(&t, NBD_EINVAL, "an error instead of extents");

    struct leg_world w;
    struct buf out = {0};
    world_begin(&w, STRUCTURED);
    ask_status(&w);
    add_status(&out, 0, true, WORLD_CONTEXT, many);
    world_tell(&w, out.data, out.len, 0);
    has_status(&w, &many);
    world_end(&w);
    buf_release(&out);
}

static void expect_no_status(struct talk *t, const char *what)
{
    t->how = STRUCTURED;
    t->ask = ask_status;
    expect_loss(t, what);
    *t = (struct talk){0};
}

static void test_bad_status(void)
{
    struct talk t = {0};
    add_status(&t.out, 0, true, WORLD_CONTEXT + 1, 2);
    expect_no_status(&t, "another context");
    add_status(&t.out, 0, false, WORLD_CONTEXT, 2);
    add_status(&t.out, 0, true, WORLD_CONTEXT, 2);
    expect_no_status(&t, "twice the same context");
    add_status(&t.out, 0, true, WORLD_CONTEXT, 0);
    expect_no_status(&t, "no extents");
    add_status(&t.out, 0, true, WORLD_CONTEXT, 131073);
    expect_no_status(&t, "more than anybody needs");
    add_none(&t.out, 0);
    expect_no_status(&t, "the end without extents");
    add_simple(&t.out, 0, 0);
    expect_no_status(&t, "a simple reply");
    add_chunk(&t.out, 0, NBD_CHUNK_BLOCK_STATUS, true, 13);
    add32(&t.out, WORLD_CONTEXT);
    add_fill(&t.out, 1, 9);
    expect_no_status(&t, "half an extent");
    add_chunk(&t.out, 0, NBD_CHUNK_BLOCK_STATUS, true, 20);
    add32(&t.out, WORLD_CONTEXT);
    add32(&t.out, 512);
    add_fill(&t.out, 0, 12);
    expect_no_status(&t, "an extent of no length");

    t = (struct talk){.how = WORLD_STRUCTURED, .ask = ask_status};
    add_status(&t.out, 0, true, WORLD_CONTEXT, 2);
    expect_loss(&t, "extents of a context that was not negotiated");
}

static void ask_others(struct leg_world *w)
{
    world_ask(w, NBD_CMD_WRITE, AT, N, 0);
    world_ask(w, NBD_CMD_FLUSH, 0, 0, 0);
    world_ask(w, NBD_CMD_TRIM, AT, N, 0);
}

/* Commands without data: all are answered, the last with an error. */
static void has_others(struct leg_world *w, const void *arg)
{
    (void)arg;
    CHECK_STR(w->error, "");
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ_U64(w->asked[i].answers, 1);
        CHECK_EQ_U64(w->asked[i].error, i == 2 ? NBD_EIO : 0);
    }
}

static void test_others(void)
{
    struct talk t = {.how = STRUCTURED, .ask = ask_others, .check = has_others};
    add_simple(&t.out, 2, NBD_EIO);
    add_simple(&t.out, 0, 0);
    add_none(&t.out, 1);
    converse(&t, "simple replies, and an end");

    t.out = (struct buf){0};
    add_error(&t.out, 2, false, NBD_EIO);
    add_none(&t.out, 1);
    add_none(&t.out, 2);
    add_simple(&t.out, 0, 0);
    converse(&t, "chunks");

    t = (struct talk){.how = STRUCTURED, .ask = ask_others};
    add_data(&t.out, 0, true, AT, 'a', N);
    expect_loss(&t, "data for a write");

    t = (struct talk){.how = STRUCTURED, .ask = ask_others};
    add_hole(&t.out, 2, true, AT, N);
    expect_loss(&t, "a hole for a trim");
}

int main(void)
{
    test_begin("leg");
    test_whole();
    test_pieces();
    test_mixed();
    test_bad_pieces();
    test_bad_holes();
    test_twice();
    test_errors();
    test_bad_chunks();
    test_unasked();
    test_shutdown();
    test_closes();
    test_status();
    test_bad_status();
    test_others();
    return test_done();
}
