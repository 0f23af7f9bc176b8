/* links: cmd/migrate-console */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* migrate-console's pure parts: words, text for terminals, records and tables, a field's change. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/migrate-console/states.h"
#include "cmd/migrate-console/table.h"
#include "cmd/migrate-console/text.h"
#include "cmd/migrate-console/words.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

/* ---- words ---- */

/* The commands of LINE, words in brackets, and "!" at an error. */
static const char *split(const char *line)
{
    static char text[512];
    struct words w = {0};
    int r;
    text[0] = 0;
    while ((r = words_next(&line, &w)) > 0) {
        for (size_t i = 0; i < w.n; i++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "[%s]", w.v[i]);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "/");
    }
    if (r < 0)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "!");
    words_release(&w);
    return text;
}

static void test_words(void)
{
    CHECK_STR(split(""), "");
    CHECK_STR(split(" \t "), "");
    CHECK_STR(split("# all of it; a"), "");
    CHECK_STR(split("a b  c"), "[a][b][c]/");
    CHECK_STR(split(";;a;;b c; # d"), "[a]/[b][c]/");
    CHECK_STR(split("a#b c#"), "[a#b][c#]/");
    CHECK_STR(split("'a b'\"c;d\" e\\ f"), "[a bc;d][e f]/");
    CHECK_STR(split("'a\\' \"b\\\"\\\\\\n\""), "[a\\][b\"\\\\n]/");
    CHECK_STR(split("'' \"\""), "[][]/");
    CHECK_STR(split("a; ! b ; c 'd "), "[a]/[!][b ; c 'd]/");
    CHECK_STR(split("!"), "[!]/");
    CHECK_STR(split("a !b"), "[a][!b]/");
    CHECK_STR(split("a # b\n# c\n\nd; ! e \nf"), "[a]/[d]/[!][e]/[f]/");
    CHECK_STR(split("a; 'b"), "[a]/!");
    CHECK_STR(split("a\\"), "!");
}

/* A shell reads what was quoted as what it was, and a terminal sees nothing that steers it. */
static void check_quoted(const char *word)
{
    struct buf line = {0};
    char got[256];
    words_need(buf_adds(&line, "printf %s "));
    words_quote(&line, word);
    for (size_t i = 0; i < line.len; i++)
        CHECK(line.data[i] >= ' ' && line.data[i] < 0x7f);
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execlp("bash", "bash", "-c", line.data, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t n; (n = read(ends[0], got + len, sizeof(got) - 1 - len)) > 0;)
        len += (size_t)n;
    got[len] = 0;
    close(ends[0]);
    waitpid(pid, NULL, 0);
    CHECK_STR(got, word);
    buf_release(&line);
}

static void test_quote(void)
{
    static const char *const words[] = {
        "",     "plain-1.2", "a b",   "it's",         "$(x)", "a\nb", "\033[2J'\\", "\xff",
        "*;&|", "\"",        "~root", "$'\\x41'\001", "#",    "a\\b", "é",          "-"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        check_quoted(words[i]);
}

static void test_value(void)
{
    char v[8];
    words_value("volume=v phase=mirror size=10 \n", "size", v, sizeof(v));
    CHECK_STR(v, "10");
    words_value("xsize=1 size=", "size", v, sizeof(v));
    CHECK_STR(v, "");
    words_value("size=1", "siz", v, sizeof(v));
    CHECK_STR(v, "");
    words_value("size=12345678", "size", v, sizeof(v));
    CHECK_STR(v, ""); /* cut would be another value */
}

/* ---- text ---- */

static const char *safe(const char *s)
{
    static char text[256];
    struct buf b = {0};
    text_safe(&b, s, strlen(s));
    snprintf(text, sizeof(text), "%s", b.len ? b.data : "");
    buf_release(&b);
    return text;
}

static void test_safe(void)
{
    CHECK(setlocale(LC_CTYPE, "C.UTF-8"));
    CHECK_STR(safe("plain"), "plain");
    CHECK_STR(safe("é漢"), "é漢");
    CHECK_STR(safe("\033]0;x\a\t\n\r\x7f"), "\\x1b]0;x\\x07\\x09\\x0a\\x0d\\x7f");
    CHECK_STR(safe("\xc2\x9b"), "\\xc2\\x9b");                     /* CSI as one C1 character */
    CHECK_STR(safe("\xe2\x80\xae"), "\\xe2\\x80\\xae");            /* right-to-left override */
    CHECK_STR(safe("\xff\xc3(\xe2\x82"), "\\xff\\xc3(\\xe2\\x82"); /* not UTF-8, and cut off */
    CHECK(setlocale(LC_CTYPE, "C"));
    CHECK_STR(safe("é"), "\\xc3\\xa9");
}

static const char *fit(const char *s, size_t columns, bool right)
{
    static char text[256];
    struct buf b = {0};
    text_fit(&b, s, columns, right);
    snprintf(text, sizeof(text), "%s", b.len ? b.data : "");
    buf_release(&b);
    return text;
}

static void test_fit(void)
{
    CHECK(setlocale(LC_CTYPE, "C"));
    CHECK_STR(fit("ab", 4, false), "ab  ");
    CHECK_STR(fit("ab", 4, true), "  ab");
    CHECK_STR(fit("abcde", 4, false), "abc~");
    CHECK_STR(fit("abcde", 1, false), "~");
    CHECK_STR(fit("abcde", 0, false), "");
    CHECK(setlocale(LC_CTYPE, "C.UTF-8"));
    CHECK_STR(fit("漢字", 4, false), "漢字");
    CHECK_STR(fit("漢字", 3, false), "漢…");
    CHECK_STR(fit("漢字", 2, false), "… "); /* half a character is none */
}

static const char *wrapped(const char *s, size_t columns, size_t indent)
{
    static char text[256];
    struct buf b = {0};
    text_wrap(&b, s, columns, indent);
    snprintf(text, sizeof(text), "%s", b.data);
    buf_release(&b);
    return text;
}

static void test_wrap(void)
{
    CHECK_STR(wrapped("", 20, 2), "\n");
    CHECK_STR(wrapped("one two", 7, 0), "one two\n");
    CHECK_STR(wrapped("one two three", 7, 0), "one two\nthree\n");
    CHECK_STR(wrapped("one two three", 6, 2), "one\n  two\n  thre\n  e\n");
    CHECK_STR(wrapped("abcdefgh ij", 3, 0), "abc\ndef\ngh\nij\n");
    CHECK_STR(wrapped("漢字 漢字", 5, 0), "漢字\n漢字\n");
    CHECK_STR(wrapped("漢字", 1, 0), "漢\n字\n"); /* narrower than it: each alone */
}

static const char *shown(void (*fn)(struct buf *out, double v), double v)
{
    static char text[64];
    struct buf b = {0};
    fn(&b, v);
    snprintf(text, sizeof(text), "%s", b.data);
    buf_release(&b);
    return text;
}

static const char *bytes(uint64_t v)
{
    static char text[64];
    struct buf b = {0};
    text_bytes(&b, v);
    snprintf(text, sizeof(text), "%s", b.data);
    buf_release(&b);
    return text;
}

static void test_numbers(void)
{
    CHECK_STR(bytes(0), "0");
    CHECK_STR(bytes(1023), "1023");
    CHECK_STR(bytes(1024), "1.0K");
    CHECK_STR(bytes(UINT64_C(10) << 20), "10M");
    CHECK_STR(bytes(UINT64_MAX), "16E");
    CHECK_STR(shown(text_seconds, 4.24), "4.2s");
    CHECK_STR(shown(text_seconds, 192), "3m12s");
    CHECK_STR(shown(text_seconds, 5 * 3600 + 180), "5h03m");
    CHECK_STR(shown(text_seconds, 9 * 86400 + 4 * 3600), "9d04h");
    CHECK_STR(shown(text_seconds, NAN), "-");
    CHECK_STR(shown(text_seconds, 1e300), "-");
    CHECK_STR(shown(text_us, 830), "830us");
    CHECK_STR(shown(text_us, 1234), "1.2ms");
    CHECK_STR(shown(text_us, 3.4e6), "3.4s");
}

/* ---- records and tables ---- */

static int parse(struct records *r, const char *csv)
{
    struct buf b = {0};
    words_need(buf_adds(&b, csv));
    int result = records_parse(r, &b);
    buf_release(&b);
    return result;
}

static void test_records(void)
{
    static const char *const bad[] = {"", "a,b\n1\n", "a\n\n", "a\n\"x\n", "a\n1,2\n"};
    struct records r = {0};
    CHECK(parse(&r, "a,b\n1,\"x, \"\"y\"\"\"\n2,z") == 0);
    CHECK_EQ_U64(records_n(&r), 2);
    CHECK_STR(records_get(&r, 0, "b"), "x, \"y\"");
    CHECK_STR(r.lines.v[0], "1,\"x, \"\"y\"\"\""); /* byte by byte, for run */
    CHECK_STR(records_get(&r, 1, "a"), "2");
    CHECK_STR(records_get(&r, 1, "c"), "");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(parse(&r, bad[i]) == -EBADMSG);
        CHECK_EQ_U64(records_n(&r), 0);
    }
    CHECK(parse(&r, "a\n") == 0);
    CHECK_EQ_U64(records_n(&r), 0);
    records_release(&r);
}

/* No line is wider than the terminal, whatever the cells, down to what columns need at least. */
static void test_table_width(void)
{
    static const char *const titles[] = {"a", ">b", "c", NULL};
    struct rng rng;
    struct table t = {0};
    struct buf out = {0};
    CHECK(setlocale(LC_CTYPE, "C.UTF-8"));
    rng_init(&rng, 7);
    for (int round = 0; round < 200; round++) {
        size_t width = 16 + rng_below(&rng, 100);
        table_begin(&t, titles);
        for (size_t i = 0; i < 12; i++) {
            char cell[128];
            size_t len = rng_below(&rng, 100);
            for (size_t k = 0; k < len; k++)
                cell[k] = (char)rng_below(&rng, 256);
            cell[len] = 0;
            table_cell(&t, cell);
        }
        buf_clear(&out);
        table_format(&t, width, &out);
        char *rest = out.data;
        for (char *line; rest && (line = strsep(&rest, "\n"));)
            CHECK(text_width(line) <= width);
    }
    table_begin(&t, titles);
    buf_clear(&out);
    table_format(&t, 80, &out);
    CHECK_EQ_U64(out.len, 0); /* no rows, no titles */
    table_release(&t);
    buf_release(&out);
}

/* ---- states ---- */

static int change(const char *text, const char *name, char *out, size_t size, size_t *line)
{
    struct buf b = {0}, o = {0};
    words_need(buf_adds(&b, text));
    int r = states_replace(&b, "gateway", name, "state", "drain", &o, line);
    snprintf(out, size, "%s", o.len ? o.data : "");
    buf_release(&b);
    buf_release(&o);
    return r;
}

static void test_states(void)
{
    char out[256];
    size_t line;
    CHECK(change("gateway,state\na,active\nb,active\n", "b", out, sizeof(out), &line) == 1);
    CHECK_STR(out, "gateway,state\na,active\nb,drain\n");
    CHECK_EQ_U64(line, 3);
    CHECK(change("\"state\",x,gateway\r\n\"active\",\",\"\",\",\"b\"\r\n", "b", out, sizeof(out),
                 &line) == 1);
    CHECK_STR(out, "\"state\",x,gateway\r\ndrain,\",\"\",\",\"b\"\r\n");
    CHECK(change("gateway,state\nb,drain", "b", out, sizeof(out), &line) == 0);
    CHECK(change("gateway,state\nb,active", "b", out, sizeof(out), &line) == 1);
    CHECK_STR(out, "gateway,state\nb,drain");
    CHECK(change("gateway,state\nbb,active\n", "b", out, sizeof(out), &line) == -ENOENT);
    CHECK(change("gateway,uri\nb,active\n", "b", out, sizeof(out), &line) == -ENOENT);
    CHECK(change("gateway,state\nb\n", "b", out, sizeof(out), &line) == -ENOENT);
    CHECK(change("gateway,state\nstate,x\n", "gateway", out, sizeof(out), &line) == -ENOENT);
}

int main(void)
{
    test_begin("console");
    test_words();
    test_quote();
    test_value();
    test_safe();
    test_fit();
    test_wrap();
    test_numbers();
    test_records();
    test_table_width();
    test_states();
    return test_done();
}
