/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access records many at a time: the lines that a reader hands out, and the numbers in them. */
#include "common/record/accesses.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/rng.h"
#include "common/record/schema.h"
#include "common/record/split.h"
#include "common/record/value.h"
#include "tests/unit/tap.h"

static char path[] = "/tmp/gs-accesses-XXXXXX";
static char *files[] = {path};

/* What was read of LINE, of LEN bytes and FIELDS fields, is what the parser says of its fields. */
static void check_line(const struct access_line *l, const char *line, size_t len, size_t fields)
{
    struct split s = {0};
    union value v[ACCESS_COUNT + 1] = {{0}};
    char copy[256 + SPLIT_SLACK] = {0};
    CHECK(len < 256);
    memcpy(copy, line, len);
    CHECK(!split_line(&s, copy, len) && s.marks && s.n == fields);
    for (size_t i = 0; i < s.n; i++) {
        const struct rec_column *c = &rec_access.columns[i];
        const char *text = split_text(&s, i);
        if (c->type == REC_NAME || c->type == REC_TEXT || c->type == REC_WORD)
            continue; /* for others to look at */
        if (*text ? value_parse(c, text, &v[i]) < 0 : !(c->flags & REC_EMPTY))
            CHECK_STR(line, "read though it does not parse");
    }
    bool counted = s.n > ACCESS_COUNT && *split_text(&s, ACCESS_COUNT);
    CHECK(l->time == v[ACCESS_TIME].real && l->offset == v[ACCESS_OFFSET].uint);
    CHECK(l->length == v[ACCESS_LENGTH].uint);
    CHECK(l->count == (counted ? v[ACCESS_COUNT].uint : 1));
    CHECK(*split_text(&s, ACCESS_ERROR) == 0);
    CHECK(l->route - line == split_field(&s, ACCESS_VOLUME) - s.base);
    CHECK(l->origin - line == split_field(&s, ACCESS_CLIENT) - s.base);
    CHECK(l->route + l->route_len + 1 == l->origin);
    CHECK(l->origin + l->origin_len + 1 - line == split_field(&s, ACCESS_OFFSET) - s.base);
    split_release(&s);
}

/* Is LINE read, of so many FIELDS?  Then as the parser does it. */
static bool read_quickly(const char *line, size_t fields)
{
    char text[256 + REC_LINES_SLACK] = {0};
    struct accesses a;
    size_t len = (size_t)snprintf(text, 256, "%s\n", line);
    const struct rec_lines lines = {text, len, len, fields};
    accesses_read(&lines, &a);
    const struct access_line *l = a.line;
    if (!a.n || access_is_odd(l->route, l->route_len) || access_is_odd(l->origin, l->origin_len))
        return false;
    CHECK(a.first == l->time && l->end > text && l->end <= text + len && l->end[-1] == '\n');
    check_line(l, text, (size_t)(l->end - 1 - text), fields);
    return true;
}

/* The sixth column of LINE. */
static uint64_t offset_in(const char *line)
{
    for (size_t i = 0; i < ACCESS_OFFSET; i++)
        line = strchr(line, ',') + 1;
    return strtoull(line, NULL, 10);
}

/* Line by line or many at a time, all lines of a file come once, in order, with their numbers. */
static void test_reader_lines(void)
{
    enum { LINES = 5000 };
    struct buf text = {0};
    struct rng rng;
    struct rec_lines l;
    rng_init(&rng, 13);
    buf_adds(&text, "time,volume,gateway,client,op,offset,length,latency_us,error\n");
    for (unsigned i = 0; i < LINES; i++)
        buf_printf(&text,
                   rng_below(&rng, 50) ? "%u,v,g,c,read,%u,1,1,\n" : "%u,\"v\",g,c,read,%u,1,1,\n",
                   1000000000 + i, i);
    FILE *f = fopen(path, "w");
    CHECK(f && fwrite(text.data, 1, text.len, f) == text.len && fclose(f) == 0);
    for (uint64_t from = 0; from < 3000; from += 999) {
        struct rec_reader *r = rec_reader_new(&rec_access);
        uint64_t next = 0, to = from ? text.len - 2000 : UINT64_MAX, began = 0;
        size_t alone = 0, together = 0;
        rec_reader_range(r, files, from, to, false);
        while (rec_reader_next(r) > 0) {
            if (alone == 0)
                next = began = rec_uint(r, ACCESS_OFFSET);
            CHECK(rec_uint(r, ACCESS_OFFSET) == next++);
            alone++;
            while (rec_reader_lines(r, &l)) {
                size_t n = 0, bytes = 0;
                for (const char *end; bytes < l.begin && rng_below(&rng, 100); n++) {
                    end = memchr(l.text + bytes, '\n', l.len - bytes);
                    if (!end || memchr(l.text + bytes, '"', (size_t)(end - l.text) - bytes))
                        break;
                    CHECK(offset_in(l.text + bytes) == next++);
                    bytes = (size_t)(end + 1 - l.text);
                }
                if (!n)
                    break;
                rec_reader_take(r, n, bytes);
                together += n;
            }
            char where[64];
            snprintf(where, sizeof(where), "%s:%zu", path, (size_t)next + 1);
            CHECK_STR(rec_reader_where(r), where);
        }
        CHECK(together > alone && (from ? next < LINES && began : next == LINES && !began));
        CHECK(from || rec_reader_offset(r) == text.len);
        rec_reader_free(r);
    }
    buf_release(&text);
}

static void test_accesses(void)
{
    static const char *const lines[] = {
        "1700000000.123456,vol-1,gw-a,192.0.2.1,read,1680740352,32768,193.572,",
        "1700000001,v,,2001:db8::1,write,0,9999999999999999,1,",
        "3999999999.9,v,g,uid:7,flush,9007199254740992,1,99999999.999,,12",
        "0000000000.000001,v,g,uid:7,trim,1,0,0.5,,",
        "1700000000,a-volume-of-a-long-name,gateway-in-town,2001:db8:85a3::7348,trim,1,2,3.5,",
        "1700000000.5,v,g,c,zero,0,0,0,",
    };
    static const char *const others[] = {
        "4000000000,v,g,c,read,1,1,1,",     "170000000,v,g,c,read,1,1,1,",
        "1700000000.,v,g,c,read,1,1,1,",    "1700000000.1234567,v,g,c,read,1,1,1,",
        "1700000000:1,v,g,c,read,1,1,1,",   "1700000000,v,g,c,read,,1,1,",
        "1700000000,v,g,c,read,1,-1,1,",    "1700000000,v,g,c,read,12345678901234567,1,1,",
        "1700000000,v,g,c,read,1,1,,",      "1700000000,v,g,c,read,1,1,.5,",
        "1700000000,v,g,c,read,1,1,1.2.3,", "1700000000,v,g,c,read,1,1,1234567890123,",
        "1700000000,v,g,c,read,1,1,1e3,",   "1700000000,v,g,c,read,1,1,1,EIO",
        "/700000000,v,g,c,read,1,1,1,",     "1700000000,v,g,c,read,1,1,123456789,",
        "1700000000,v\"w,g,c,read,1,1,1,",  "1700000000,v,g,c\t,read,1,1,1,",
        "1700000000,v,g,c,read,1,1,1,\r",   "1700000000,v,g,c,read,1,1,1,,",
        "1700000000,v,g,c,read,1,1,1",      "1700000000,v,g,c,read",
        "1700000000,v,g,c,read,1.5,1,1,",   "1700000000,v,g,c,read,1,1.5,1,",
    };
    static const char *const counted[] = {
        "1700000000,v,g,c,read,1,1,1,,1x",  "1700000000,v,g,c,read,1,1,1,",
        "1700000000,v,g,c,read,1,1,1,,1,",  "1700000000,v,g,c,read,1,1,1,,12345678901234567",
        "1700000000,v,g,c,read,1,1,1,,1.5", "1700000000,v,g,c,read,1,1,1,EIO,1",
        "1700000000,v,g,c,read,1,1,1,,-1",
    };
    static const char alphabet[] = ",,.-019aZ: \"/\n";
    struct rng rng;
    char line[256] = {0};
    size_t n_read = 0;
    rng_init(&rng, 12);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        CHECK(!read_quickly(others[i], ACCESS_COUNT));
    for (size_t i = 0; i < sizeof(counted) / sizeof(*counted); i++)
        CHECK(!read_quickly(counted[i], ACCESS_COUNT + 1));
    for (size_t i = 0; i < 60000; i++) {
        snprintf(line, sizeof(line), "%s", lines[i % 6]);
        for (uint64_t k = i < 6 ? 0 : 1 + rng_below(&rng, 2); k; k--)
            line[rng_below(&rng, strlen(line))] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
        bool is_read = read_quickly(line, ACCESS_COUNT + (i % 6 == 2 || i % 6 == 3));
        n_read += is_read;
        if (i < 6)
            CHECK(is_read || !accesses_quick());
    }
    CHECK(n_read > 1000 || !accesses_quick());
}

int main(void)
{
    test_begin("accesses");
    int fd = mkstemp(path);
    CHECK(fd >= 0 && close(fd) == 0);
    test_accesses();
    test_reader_lines();
    unlink(path);
    return test_done();
}
