/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/record.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/parse.h"
#include "common/base/rng.h"
#include "common/record/check.h"
#include "common/record/plain.h"
#include "common/record/schema.h"
#include "common/record/split.h"
#include "common/record/value.h"
#include "tests/unit/tap.h"

static const char *const colour_words[] = {"red", "green", NULL};
enum { ALL_TEXT, ALL_NAME, ALL_TIME, ALL_UINT, ALL_INT, ALL_REAL, ALL_RATIO, ALL_BENEFIT };
enum { ALL_LATENCY = ALL_BENEFIT + 1, ALL_ERRNO, ALL_WORD, ALL_N };
static const struct rec_column all_columns[] = {
    {"text", REC_TEXT, REC_EMPTY, NULL},         {"name", REC_NAME, REC_EMPTY, NULL},
    {"time", REC_TIME, REC_EMPTY, NULL},         {"uint", REC_UINT, REC_EMPTY, NULL},
    {"int", REC_INT, REC_EMPTY, NULL},           {"real", REC_REAL, REC_EMPTY, NULL},
    {"ratio", REC_RATIO, REC_EMPTY, NULL},       {"benefit", REC_BENEFIT, REC_EMPTY, NULL},
    {"latency", REC_LATENCY, REC_EMPTY, NULL},   {"errno", REC_ERRNO, REC_EMPTY, NULL},
    {"word", REC_WORD, REC_EMPTY, colour_words},
};
static const struct rec_schema all = {"all", all_columns, ALL_N};

static const struct rec_column pair_columns[] = {
    {"a", REC_UINT, 0, NULL},
    {"b", REC_TEXT, REC_EMPTY, NULL},
    {"c", REC_UINT, REC_EMPTY | REC_OPTIONAL, NULL},
};
static const struct rec_schema pair = {"pair", pair_columns, 3};

/* ---- helpers ---- */

static char file_names[2][32] = {"/tmp/gs-record-XXXXXX", "/tmp/gs-record-XXXXXX"};
static char *files[2] = {file_names[0], file_names[1]};

static void make_files(void)
{
    for (size_t i = 0; i < 2; i++) {
        int fd = mkstemp(file_names[i]);
        CHECK(fd >= 0);
        close(fd);
    }
}

static void remove_files(void)
{
    unlink(file_names[0]);
    unlink(file_names[1]);
}

static void put_file(size_t i, const void *data, size_t len)
{
    FILE *f = fopen(files[i], "w");
    CHECK(f && fwrite(data, 1, len, f) == len);
    if (f)
        fclose(f);
}

/* A reader of the first file, which is to hold DATA. */
static struct rec_reader *reader_of(const struct rec_schema *s, const void *data, size_t len)
{
    put_file(0, data, len);
    struct rec_reader *r = rec_reader_new(s);
    rec_reader_files(r, files, 1);
    return r;
}

static struct rec_reader *reader_of_text(const struct rec_schema *s, const char *text)
{
    return reader_of(s, text, strlen(text));
}

/* What the error says behind the file's name. */
static const char *error_of(const struct rec_reader *r)
{
    const char *e = rec_reader_error(r);
    size_t n = strlen(files[0]);
    return strncmp(e, files[0], n) == 0 ? e + n + 1 : e;
}

static const char *where_of(struct rec_reader *r)
{
    return rec_reader_where(r) + strlen(files[0]) + 1;
}

/* ---- reading ---- */

static void test_columns(void)
{
    struct rec_reader *r = reader_of_text(&pair, "y,b,x,a\n1,two,3,4\n5,,6,7\n");
    CHECK(rec_reader_next(r) == 1);
    CHECK_EQ_U64(rec_uint(r, 0), 4);
    CHECK_STR(rec_text(r, 1), "two");
    CHECK(!rec_present(r, 2));
    CHECK_STR(rec_text(r, 2), "");
    CHECK_EQ_U64(rec_uint(r, 2), 0);
    CHECK_EQ_U64(rec_extras(r), 2);
    CHECK_STR(rec_extra_name(r, 0), "y");
    CHECK_STR(rec_extra(r, 0), "1");
    CHECK_STR(rec_extra_name(r, 1), "x");
    CHECK_STR(rec_extra(r, 1), "3");
    CHECK_STR(where_of(r), "2");
    CHECK(rec_reader_next(r) == 1);
    CHECK(!rec_present(r, 1));
    CHECK_STR(rec_extra_name(r, 0), "y");
    CHECK_STR(rec_extra(r, 0), "5");
    CHECK(rec_reader_next(r) == 0);
    CHECK(rec_reader_next(r) == 0);
    rec_reader_free(r);
    rec_reader_free(NULL);
}

static void test_lines(void)
{
    struct rec_reader *r =
        reader_of_text(&pair, "a,b\r\n1, x \r\n2,\"p,\"\"q\"\"\"\n3,\" \"\r\n4,end");
    static const char *const texts[] = {" x ", "p,\"q\"", " ", "end"};
    for (size_t i = 0; i < 4; i++) {
        CHECK(rec_reader_next(r) == 1);
        CHECK_EQ_U64(rec_uint(r, 0), i + 1);
        CHECK_STR(rec_text(r, 1), texts[i]);
    }
    CHECK(rec_reader_next(r) == 0);
    rec_reader_free(r);
}

static void test_bad_lines(void)
{
    static const struct {
        const char *line;
        const char *reason;
    } cases[] = {
        {"", "empty line"},
        {"\r", "empty line"},
        {"1", "1 fields where the header has 2"},
        {"1,2,3", "3 fields where the header has 2"},
        {"1,\"open", "quote is not closed"},
        {"1,stray\"quote", "misplaced quote"},
        {"1,\"a\"b", "misplaced quote"},
        {"1,\"a\" ", "misplaced quote"},
        {"1, \"a\"", "misplaced quote"},
        {"1,a\rb", "carriage return in a field"},
        {"1,\"a\rb\"", "carriage return in a field"},
        {"1,\"a\r\"", "carriage return in a field"},
        {",x", "a is empty"},
        {"-1,x", "a '-1' is not a whole number from 0 to 2^64-1"},
        {"a,b", "a second header: files that are joined have one, or are given one by one"},
        {"1\033[2J,x", "a '1?[2J' is not a whole number from 0 to 2^64-1"},
        {"\"1\n\",x", "quote is not closed"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b = {0};
        char expected[128];
        buf_printf(&b, "a,b\n%s\n7,\"good\"\n", cases[i].line);
        struct rec_reader *r = reader_of_text(&pair, b.data);
        CHECK(rec_reader_next(r) == -EBADMSG);
        snprintf(expected, sizeof(expected), "2: %s", cases[i].reason);
        CHECK_STR(error_of(r), expected);
        CHECK(rec_reader_status(r) == EX_DATAERR);
        int got = rec_reader_next(r);
        if (got == -EBADMSG) /* the one with a newline in it: two bad lines */
            got = rec_reader_next(r);
        CHECK(got == 1);
        CHECK_EQ_U64(rec_uint(r, 0), 7);
        CHECK_STR(rec_text(r, 1), "good");
        CHECK(rec_reader_next(r) == 0);
        rec_reader_free(r);
        buf_release(&b);
    }
}

static void test_nul(void)
{
    static const char plain[] = "a,b\n1,x\0y\n2,z\n";
    static const char quoted[] = "a,b\n1,\"x\0y\"\n2,z\n";
    struct rec_reader *r = reader_of(&pair, plain, sizeof(plain) - 1);
    CHECK(rec_reader_next(r) == -EBADMSG);
    CHECK_STR(error_of(r), "2: NUL byte in a field");
    CHECK(rec_reader_next(r) == 1);
    rec_reader_free(r);
    r = reader_of(&pair, quoted, sizeof(quoted) - 1);
    CHECK(rec_reader_next(r) == -EBADMSG);
    CHECK_STR(error_of(r), "2: NUL byte in a field");
    CHECK(rec_reader_next(r) == 1);
    rec_reader_free(r);
}

static void test_bad_headers(void)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"", "1: no header"},
        {"\n", "1: empty line"},
        {"a\n", "1: column 'b' of pair records is missing"},
        {"a,b,a\n1,2,3\n", "1: column 'a' stands twice"},
        {"a,b,x,x\n1,2,3,4\n", "1: column 'x' stands twice"},
        {"a,,b\n1,2,3\n", "1: column 2 has no name"},
        {"a,\"b\n", "1: quote is not closed"},
        {"1,2\n", "1: no header: the first line is not the columns' names"},
        {"1,1\n", "1: no header: the first line is not the columns' names"},
        {"1a,a\n", "1: column 'b' of pair records is missing"},
        {"\xef\xbb\xbf"
         "a,b\n",
         "1: a byte order mark before the header: save as UTF-8 without one"},
        {"a;b\n", "1: fields are not separated by commas"},
        {"a\tb\n", "1: fields are not separated by commas"},
        {"x;y,a\n", "1: column 'b' of pair records is missing"},
    };
    put_file(1, "a,b\n9,next\n", 11);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rec_reader *r = reader_of_text(&pair, cases[i].text);
        rec_reader_files(r, files, 2);
        CHECK(rec_reader_next(r) == -EBADMSG);
        CHECK_STR(error_of(r), cases[i].error);
        CHECK(rec_reader_status(r) == EX_DATAERR);
        CHECK(rec_reader_next(r) == 1); /* goes on with the next file */
        CHECK_EQ_U64(rec_uint(r, 0), 9);
        CHECK(rec_reader_next(r) == 0);
        rec_reader_free(r);
    }
}

static void test_header_only(void)
{
    struct rec_reader *r = reader_of_text(&pair, "a,b");
    CHECK(rec_reader_next(r) == 0);
    rec_reader_free(r);
}

static void test_too_many_fields(void)
{
    struct buf b = {0};
    buf_adds(&b, "a,b");
    for (int i = 2; i < REC_COLUMNS_MAX; i++)
        buf_printf(&b, ",x%d", i);
    buf_adds(&b, "\n1");
    for (int i = 1; i <= REC_COLUMNS_MAX; i++)
        buf_adds(&b, ",");
    buf_adds(&b, "\n2");
    for (int i = 1; i < REC_COLUMNS_MAX; i++)
        buf_adds(&b, i == 1 ? ",\"q\"" : ",");
    struct rec_reader *r = reader_of_text(&pair, b.data);
    CHECK(rec_reader_next(r) == -EBADMSG);
    CHECK_STR(error_of(r), "2: more than 64 fields");
    CHECK(rec_reader_next(r) == 1);
    CHECK_EQ_U64(rec_extras(r), REC_COLUMNS_MAX - 2);
    rec_reader_free(r);
    buf_release(&b);
}

/* Lines around the limit, between lines that must not suffer. */
static void test_long_lines(void)
{
    static const size_t sizes[] = {100 * 1024, REC_LINE_MAX, REC_LINE_MAX + 1, 3 * REC_LINE_MAX};
    struct buf b = {0};
    buf_adds(&b, "a,b\n");
    for (size_t i = 0; i < 4; i++) {
        buf_adds(&b, "1,");
        buf_reserve(&b, sizes[i]);
        memset(b.data + b.len, 'x', sizes[i] - 2);
        b.len += sizes[i] - 2;
        buf_adds(&b, i == 1 ? "\r\n2,y\n" : "\n2,y\n");
    }
    struct rec_reader *r = reader_of(&pair, b.data, b.len);
    for (size_t i = 0; i < 4; i++) {
        int got = rec_reader_next(r);
        if (sizes[i] > REC_LINE_MAX) {
            CHECK(got == -EBADMSG);
            CHECK(strstr(rec_reader_error(r), ": line is longer than 1048576 bytes"));
        } else {
            CHECK(got == 1);
            CHECK_EQ_U64(strlen(rec_text(r, 1)), sizes[i] - 2);
        }
        CHECK(rec_reader_next(r) == 1);
        CHECK_EQ_U64(rec_uint(r, 0), 2);
    }
    CHECK_STR(where_of(r), "9");
    CHECK(rec_reader_next(r) == 0);
    rec_reader_free(r);
    buf_release(&b);
}

/* Every record of an input of many blocks comes, whole and in order. */
static void test_many_lines(void)
{
    struct buf b = {0};
    struct rng rng;
    rng_init(&rng, 7);
    buf_adds(&b, "a,b\n");
    for (unsigned i = 0; i < 20000; i++)
        buf_printf(&b, "%u,%.*s\n", i, (int)rng_below(&rng, 40),
                   "0123456789012345678901234567890123456789");
    struct rec_reader *r = reader_of(&pair, b.data, b.len);
    unsigned n = 0;
    while (rec_reader_next(r) == 1 && rec_uint(r, 0) == n)
        n++;
    CHECK_EQ_U64(n, 20000);
    CHECK(rec_reader_next(r) == 0);
    rec_reader_free(r);
    buf_release(&b);
}

static void test_cannot_open(void)
{
    char *paths[] = {(char[]){"/nonexistent/x"}, (char[]){"/"}, files[0]};
    struct rec_reader *r = reader_of_text(&pair, "a,b\n1,2\n");
    rec_reader_files(r, paths, 3);
    CHECK(rec_reader_next(r) == -ENOENT);
    CHECK_STR(rec_reader_error(r), "cannot open '/nonexistent/x': no such file or directory");
    CHECK(rec_reader_status(r) == EX_NOINPUT);
    CHECK(rec_reader_next(r) == -EISDIR);
    CHECK_STR(rec_reader_error(r), "cannot open '/': is a directory");
    CHECK(rec_reader_status(r) == EX_NOINPUT);
    CHECK(rec_reader_next(r) == 1);
    rec_reader_free(r);
}

/* Each file has its own header, its own order and its own extra columns. */
static void test_several_files(void)
{
    put_file(1, "b,a\nx,2\n", 8);
    struct rec_reader *r = reader_of_text(&pair, "z,a,b,c\nZ,1,y,3");
    rec_reader_files(r, files, 2);
    CHECK(rec_reader_next(r) == 1);
    CHECK_EQ_U64(rec_uint(r, 2), 3);
    CHECK_EQ_U64(rec_extras(r), 1);
    CHECK(rec_reader_next(r) == 1);
    CHECK_EQ_U64(rec_uint(r, 0), 2);
    CHECK(!rec_present(r, 2));
    CHECK_EQ_U64(rec_uint(r, 2), 0);
    CHECK_EQ_U64(rec_extras(r), 0);
    CHECK(strncmp(rec_reader_where(r), files[1], strlen(files[1])) == 0);
    CHECK(rec_reader_next(r) == 0);
    rec_reader_free(r);
}

static void test_stdin(void)
{
    int ends[2] = {-1, -1};
    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], "a,b\n1,x\nbad\n", 12) == 12);
    close(ends[1]);
    int saved = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    struct rec_reader *r = rec_reader_new(&pair);
    CHECK(rec_reader_next(r) == 1);
    CHECK_STR(rec_reader_where(r), "stdin:2");
    CHECK(rec_reader_next(r) == -EBADMSG);
    CHECK_STR(rec_reader_error(r), "stdin:3: 1 fields where the header has 2");
    CHECK(rec_reader_next(r) == 0);
    rec_reader_free(r);
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(ends[0]);
}

/* What was written is out before the reader waits for more. */
static void test_tie(void)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    char text[64];
    CHECK(pipe(in) == 0 && pipe(out) == 0);
    CHECK(write(in[1], "a,b\n1,x\n", 8) == 8);
    FILE *f = fdopen(out[1], "w");
    CHECK(f != NULL);
    int saved = dup(STDIN_FILENO);
    dup2(in[0], STDIN_FILENO);
    struct rec_reader *r = rec_reader_new(&pair);
    struct rec_writer *w = rec_writer_new(&pair, f);
    rec_reader_tie(r, w);
    CHECK(rec_reader_next(r) == 1);
    rec_put_uint(w, 0, rec_uint(r, 0));
    CHECK(rec_write(w) == 0);
    close(in[1]);
    CHECK(rec_reader_next(r) == 0);
    CHECK(read(out[0], text, sizeof(text)) == 7);
    CHECK(memcmp(text, "a,b\n1,\n", 7) == 0);
    rec_writer_free(w);
    rec_reader_free(r);
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(in[0]);
    close(out[0]);
    fclose(f);
}

/* ---- LZ4 ---- */

/* Appends a frame that holds TEXT in one stored block. */
static void add_frame(struct buf *b, const char *text)
{
    static const unsigned char head[] = {0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82};
    uint32_t len = (uint32_t)strlen(text);
    unsigned char size[4] = {(unsigned char)len, (unsigned char)(len >> 8),
                             (unsigned char)(len >> 16), 0x80};
    buf_add(b, head, sizeof(head));
    buf_add(b, size, sizeof(size));
    buf_add(b, text, len);
    buf_add(b, "\0\0\0\0", 4);
}

static void test_lz4(void)
{
    struct buf b = {0};
    add_frame(&b, "a,b\n1,x\n2,");
    add_frame(&b, "y\n3,z\n");
    struct rec_reader *r = reader_of(&pair, b.data, b.len);
    for (uint64_t i = 1; i <= 3; i++) {
        CHECK(rec_reader_next(r) == 1);
        CHECK_EQ_U64(rec_uint(r, 0), i);
    }
    CHECK(rec_reader_next(r) == 0);
    rec_reader_free(r);
    buf_release(&b);
}

/* However short a frame is cut, the end is told, and no half line is taken for a record. */
static void test_lz4_truncated(void)
{
    struct buf b = {0};
    add_frame(&b, "a,b\n1,x\n2,yyyy\n");
    for (size_t len = 4; len < b.len; len++) {
        struct rec_reader *r = reader_of(&pair, b.data, len);
        int got;
        while ((got = rec_reader_next(r)) == 1)
            CHECK(rec_uint(r, 0) == 1 || strcmp(rec_text(r, 1), "yyyy") == 0);
        CHECK(got == -EBADMSG);
        CHECK(strstr(rec_reader_error(r), ": lz4 frame is damaged or ends early"));
        CHECK(rec_reader_status(r) == EX_DATAERR);
        CHECK(rec_reader_next(r) == 0);
        rec_reader_free(r);
    }
    b.data[5] ^= 0x10; /* the descriptor's checksum no longer fits */
    struct rec_reader *r = reader_of(&pair, b.data, b.len);
    CHECK(rec_reader_next(r) == -EBADMSG);
    rec_reader_free(r);
    buf_release(&b);
}

/* ---- values ---- */

/* Is TEXT a value of the column?  What the quick look takes, the parser must take too. */
static bool accepted(const struct rec_column *c, const char *text)
{
    union value v;
    char padded[256] = {0};
    double real;
    uint64_t whole;
    snprintf(padded, sizeof(padded) - SPLIT_SLACK, "%s", text);
    bool good = value_parse(c, text, &v) == 0;
    struct check look;
    struct split one = {0};
    check_clear(&look);
    check_add(&look, 0, c);
    bool taken = *text && !split_line(&one, padded, strlen(padded)) && one.marks && one.n == 1 &&
                 check_plain(&look, &one);
    split_release(&one);
    CHECK(good || !taken);
    if (taken && c->type == REC_UINT)
        CHECK(plain_digits(padded, (unsigned)strlen(padded)) == v.uint);
    if (taken && c->type == REC_TIME && plain_real(padded, strlen(padded), &real))
        CHECK(real == v.real && plain_whole(padded, strlen(padded), &whole) &&
              whole == (uint64_t)real);
    return good;
}

static void test_ranges(void)
{
    static const struct {
        size_t col;
        const char *good[6];
        const char *bad[11];
    } cases[] = {
        {ALL_NAME, {"vol-1", "a", "A:b@c+d_e.f"}, {".x", "-x", "a b", "a/b", "é"}},
        {ALL_TIME,
         {"0", "1700000000.123456", "253402300799", "1e9", "-0"},
         {"-1", "253402300800", "253402300799.5", "1.2.3", "nan", "inf", " 1", "1 ", "0x1", "12a",
          "."}},
        {ALL_UINT,
         {"0", "18446744073709551615", "007"},
         {"18446744073709551616", "-1", "+1", "1.0"}},
        {ALL_INT,
         {"-9223372036854775808", "9223372036854775807", "0"},
         {"9223372036854775808", "-9223372036854775809", "-", "--1", "+1", "1.5"}},
        {ALL_REAL, {"-1e300", "1.5", ".5", "1e-400"}, {"1e999", "nan", "-inf", "1e", "1,5"}},
        {ALL_RATIO, {"0", "1", "0.5", "1.0000"}, {"1.00001", "-0.1", "2"}},
        {ALL_BENEFIT, {"-10", "10", "-0.25"}, {"10.1", "-11"}},
        {ALL_LATENCY, {"0", "1e12", "12.345"}, {"1.1e12", "-1"}},
        {ALL_ERRNO, {"EIO", "ENOSPC"}, {"5", "EFOO", "eio", "E?"}},
        {ALL_WORD, {"red", "green"}, {"Red", "re", "redd", "0"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct rec_column *c = &all_columns[cases[i].col];
        for (size_t j = 0; j < 6 && cases[i].good[j]; j++)
            if (!accepted(c, cases[i].good[j]))
                CHECK_STR(cases[i].good[j], "accepted");
        for (size_t j = 0; j < 11 && cases[i].bad[j]; j++)
            if (accepted(c, cases[i].bad[j]))
                CHECK_STR(cases[i].bad[j], "refused");
    }
}

static void test_conversions(void)
{
    struct rec_reader *r =
        reader_of_text(&all, "text,name,time,uint,int,real,ratio,benefit,latency,errno,word\n"
                             "1,2,1.75,18446744073709551615,-3,-2.5,0.5,-9,1.25,EIO,green\n");
    CHECK(rec_reader_next(r) == 1);
    CHECK(rec_real(r, ALL_TEXT) == 0);
    CHECK(rec_real(r, ALL_TIME) == 1.75);
    CHECK_EQ_U64(rec_uint(r, ALL_TIME), 1);
    CHECK(rec_real(r, ALL_UINT) == 0x1p64);
    CHECK(rec_int(r, ALL_UINT) == INT64_MAX);
    CHECK(rec_int(r, ALL_INT) == -3);
    CHECK_EQ_U64(rec_uint(r, ALL_INT), 0);
    CHECK(rec_int(r, ALL_REAL) == -2);
    CHECK_EQ_U64(rec_uint(r, ALL_REAL), 0);
    CHECK_EQ_U64(rec_uint(r, ALL_ERRNO), EIO);
    CHECK(rec_int(r, ALL_ERRNO) == EIO);
    CHECK_EQ_U64(rec_word(r, ALL_WORD), 1);
    rec_reader_free(r);
}

static void check_format(size_t col, double v, const char *expected)
{
    char text[VALUE_TEXT_MAX] = "refused";
    value_format_real(&all_columns[col], v, text);
    CHECK_STR(text, expected);
}

static void test_printing(void)
{
    check_format(ALL_TIME, 1700000000, "1700000000");
    check_format(ALL_TIME, 1700000000.5, "1700000000.5");
    check_format(ALL_TIME, 1700000000.123456, "1700000000.123456");
    check_format(ALL_TIME, 253402300799.0, "253402300799");
    check_format(ALL_TIME, -0.0, "0");
    check_format(ALL_TIME, -1, "refused");
    check_format(ALL_REAL, 0.1, "0.1");
    check_format(ALL_REAL, 123456789, "123457000");
    check_format(ALL_REAL, -1e14, "-100000000000000");
    check_format(ALL_REAL, 1e20, "1e+20");
    check_format(ALL_REAL, 0.00001234567, "1.23457e-05");
    check_format(ALL_REAL, -0.0, "0");
    check_format(ALL_REAL, NAN, "refused");
    check_format(ALL_REAL, HUGE_VAL, "refused");
    check_format(ALL_RATIO, 0.5, "0.5000");
    check_format(ALL_RATIO, 1, "1.0000");
    check_format(ALL_RATIO, 1 + 1e-9, "1.0000");
    check_format(ALL_RATIO, -1e-9, "0.0000");
    check_format(ALL_RATIO, 1.001, "refused");
    check_format(ALL_BENEFIT, -0.25, "-0.2500");
    check_format(ALL_BENEFIT, -0.00001, "0.0000");
    check_format(ALL_LATENCY, 12.5, "12.5");
    check_format(ALL_LATENCY, 1e12, "1000000000000");
    check_format(ALL_LATENCY, 0.0004, "0");
    check_format(ALL_UINT, 2.5e9, "2500000000");
    check_format(ALL_UINT, -1, "refused");
    check_format(ALL_UINT, 0x1p64, "refused");
    check_format(ALL_INT, -7, "-7");
    check_format(ALL_ERRNO, 5, "EIO");
}

/* The short way to a number gives what the long one gives. */
static void test_short_numbers(void)
{
    struct rng rng;
    rng_init(&rng, 11);
    for (int i = 0; i < 20000; i++) {
        char text[64];
        union value v;
        double expected;
        snprintf(text, sizeof(text), "%llu.%0*llu", (unsigned long long)rng_below(&rng, 1000000000),
                 (int)rng_below(&rng, 9), (unsigned long long)rng_below(&rng, 1000));
        CHECK(value_parse(&all_columns[ALL_REAL], text, &v) == 0);
        CHECK(parse_f64(text, &expected) == 0);
        if (v.real != expected)
            CHECK_STR(text, "read as parse_f64() reads it");
    }
}

/* Random values print, read back and print the same. */
static void test_round_trip(void)
{
    struct rng rng;
    rng_init(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        size_t col = ALL_TIME + rng_below(&rng, ALL_LATENCY - ALL_TIME + 1);
        double scale = pow(10, (double)rng_below(&rng, 14) - 6);
        char first[VALUE_TEXT_MAX];
        char second[VALUE_TEXT_MAX];
        union value v;
        double x = rng_normal(&rng) * scale;
        if (value_format_real(&all_columns[col], x, first) < 0)
            continue;
        CHECK(value_parse(&all_columns[col], first, &v) == 0);
        int len = value_format_real(&all_columns[col], value_real(&all_columns[col], v), second);
        CHECK(len == (int)strlen(first));
        CHECK_STR(second, first);
    }
}

/* ---- writing ---- */

static const char *formatted(struct rec_writer *w, struct buf *b)
{
    buf_clear(b);
    CHECK(rec_format(w, b) == 0);
    return b->data;
}

static void test_writer(void)
{
    struct buf b = {0};
    struct rec_writer *w = rec_writer_new(&all, NULL);
    rec_put_text(w, ALL_TEXT, "a,\"b\" ");
    rec_put_word(w, ALL_WORD, 1);
    rec_put_int(w, ALL_INT, INT64_MIN);
    rec_put_uint(w, ALL_UINT, UINT64_MAX);
    rec_put_int(w, ALL_ERRNO, -EIO);
    rec_put_uint(w, ALL_RATIO, 1);
    CHECK_STR(formatted(w, &b), "\"a,\"\"b\"\" \",,,18446744073709551615,-9223372036854775808,,"
                                "1.0000,,,EIO,green\n");
    CHECK_STR(formatted(w, &b), ",,,,,,,,,,\n"); /* cleared */
    buf_clear(&b);
    CHECK(rec_format_header(w, &b) == 0);
    CHECK_STR(b.data, "text,name,time,uint,int,real,ratio,benefit,latency,errno,word\n");
    rec_put_text(w, ALL_TEXT, "first");
    rec_put_text(w, ALL_TEXT, "second");
    rec_put_text(w, ALL_UINT, "12"); /* as it was read, by a filter */
    CHECK_STR(formatted(w, &b), "second,,,12,,,,,,,\n");
    rec_writer_free(w);
    rec_writer_free(NULL);
    buf_release(&b);
}

static void test_writer_refuses(void)
{
    struct buf b = {0};
    struct rec_writer *w = rec_writer_new(&all, NULL);
    for (int i = 0; i < 6; i++) {
        rec_put_text(w, ALL_NAME, "x");
        if (i == 0)
            rec_put_text(w, ALL_TEXT, "a\nb");
        else if (i == 1)
            rec_put_text(w, ALL_TEXT, "a,b\r");
        else if (i == 2)
            rec_put_real(w, ALL_REAL, NAN);
        else if (i == 3)
            rec_put_word(w, ALL_WORD, 2);
        else if (i == 4)
            rec_put_uint(w, ALL_ERRNO, 100000);
        else
            rec_put_int(w, ALL_UINT, -1);
        CHECK(rec_format(w, &b) == -EINVAL);
        CHECK_EQ_U64(b.len, 0);
        CHECK_STR(formatted(w, &b), ",,,,,,,,,,\n");
        buf_clear(&b);
    }
    rec_writer_free(w);
    buf_release(&b);
}

static void test_writer_file(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    struct rec_writer *w = rec_writer_new(&pair, f);
    rec_writer_with(w, 2);
    CHECK(rec_writer_header(w) == 0);
    CHECK(rec_writer_header(w) == 0);
    rec_put_uint(w, 0, 1);
    rec_put_uint(w, 2, 3);
    CHECK(rec_write(w) == 0);
    rec_put_text(w, 1, "\n");
    CHECK(rec_write(w) == -EINVAL);
    rec_put_uint(w, 0, 2);
    CHECK(rec_write_now(w) == 0);
    CHECK_STR(text, "a,b,c\n1,,3\n2,,\n");
    rec_writer_free(w);
    fclose(f);
    free(text);
    f = fopen("/dev/full", "w");
    w = rec_writer_new(&pair, f);
    CHECK(rec_write_now(w) == -ENOSPC);
    rec_writer_free(w);
    fclose(f);
}

static void test_single_empty_field(void)
{
    static const struct rec_column column = {"t", REC_TEXT, REC_EMPTY, NULL};
    static const struct rec_schema single = {"single", &column, 1};
    struct buf b = {0};
    struct rec_writer *w = rec_writer_new(&single, NULL);
    CHECK(rec_format_header(w, &b) == 0);
    CHECK(rec_format(w, &b) == 0);
    CHECK_STR(b.data, "t\n\"\"\n");
    struct rec_reader *r = reader_of_text(&single, b.data);
    CHECK(rec_reader_next(r) == 1);
    CHECK_STR(rec_text(r, 0), "");
    rec_reader_free(r);
    rec_writer_free(w);
    buf_release(&b);
}

/* ---- splitting ---- */

/* The short way and libcsv agree: on what is refused, and on every field. */
static void check_split(const char *line, size_t len)
{
    struct split fast = {0};
    struct split csv = {0};
    char a[512] = {0};
    char b[512] = {0};
    memcpy(a, line, len + 1);
    memcpy(b, line, len + 1);
    const char *reason = split_line(&fast, a, len);
    const char *expected = split_line_csv(&csv, b, len);
    bool same = !reason == !expected && (reason || fast.n == csv.n);
    for (size_t i = 0; same && !reason && i < fast.n; i++)
        same = strcmp(split_text(&fast, i), split_text(&csv, i)) == 0;
    if (!same)
        CHECK_STR(line, "split alike (seed 5)");
    split_release(&fast);
    split_release(&csv);
}

static void test_split(void)
{
    static const char alphabet[] = ",,,ab \t\"\r\0;";
    struct rng rng;
    rng_init(&rng, 5);
    for (int i = 0; i < 50000; i++) {
        char line[256];
        size_t len = rng_below(&rng, i % 8 ? 20 : 200); /* commas beyond what is allowed, too */
        for (size_t j = 0; j < len; j++)
            line[j] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
        line[len] = 0;
        check_split(line, len);
    }
    CHECK(true);
}

/* ---- whole records ---- */

/* Does the quick look at a whole access record take LINE (up to 9 fields are there)? */
static bool taken(const struct check *look, struct split *s, char *line)
{
    return !split_line(s, line, strlen(line)) && s->marks && s->n == ACCESS_COUNT &&
           check_plain(look, s);
}

static bool all_parse(const struct split *s)
{
    union value v;
    bool good = true;
    for (size_t i = 0; i < s->n; i++) {
        const struct rec_column *c = &rec_access.columns[i];
        const char *text = split_text(s, i);
        good = good && (*text ? value_parse(c, text, &v) == 0 : c->flags & REC_EMPTY);
    }
    return good;
}

/* Records with a byte or two changed: what the quick look takes, the parser takes too. */
static void test_whole_records(void)
{
    static const char *const lines[] = {
        "1700000000.123456,vol-1,gw-a,192.0.2.1,read,1680740352,32768,193.572,",
        "1700000001,pvc-7d9f3c1e-2b4a-4c6d-8e0f-112233445566,gw-b.example.org,2001:db8::1,write,0,"
        "0,"
        "1,",
        "0,v,,uid:7,flush,9007199254740992,1,999999999999,EIO",
    };
    static const char alphabet[] = ",,.-019aZ: \"/";
    struct rng rng;
    struct check look;
    size_t n_taken = 0;
    rng_init(&rng, 11);
    check_clear(&look);
    for (size_t col = 0; col < ACCESS_COUNT; col++)
        check_add(&look, col, &rec_access.columns[col]);
    for (size_t i = 0; i < 60000; i++) {
        struct split s = {0};
        char line[256] = {0};
        snprintf(line, sizeof(line) - SPLIT_SLACK, "%s", lines[i % 3]);
        for (uint64_t k = i < 3 ? 0 : 1 + rng_below(&rng, 2); k; k--)
            line[rng_below(&rng, strlen(line))] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
        bool is_taken = taken(&look, &s, line);
        n_taken += is_taken;
        if (i < 3)
            CHECK(is_taken);
        if (is_taken && !all_parse(&s))
            CHECK_STR(line, "taken though it does not parse (seed 11)");
        split_release(&s);
    }
    CHECK(n_taken > 1000);
}

int main(void)
{
    test_begin("record");
    make_files();
    test_columns();
    test_lines();
    test_bad_lines();
    test_nul();
    test_bad_headers();
    test_header_only();
    test_too_many_fields();
    test_long_lines();
    test_many_lines();
    test_cannot_open();
    test_several_files();
    test_stdin();
    test_tie();
    test_lz4();
    test_lz4_truncated();
    test_ranges();
    test_conversions();
    test_printing();
    test_short_numbers();
    test_round_trip();
    test_writer();
    test_writer_refuses();
    test_writer_file();
    test_single_empty_field();
    test_split();
    test_whole_records();
    remove_files();
    return test_done();
}
