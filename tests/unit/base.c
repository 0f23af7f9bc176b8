/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/bulk.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/hash.h"
#include "common/base/intern.h"
#include "common/base/memo.h"
#include "common/base/opts.h"
#include "common/base/parse.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

/* ---- parse ---- */

static void test_parse_u64(void)
{
    static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "1e3", "a"};
    uint64_t v = 77;
    CHECK(parse_u64("0", &v) == 0);
    CHECK_EQ_U64(v, 0);
    CHECK(parse_u64("18446744073709551615", &v) == 0);
    CHECK_EQ_U64(v, UINT64_MAX);
    CHECK(parse_u64("18446744073709551616", &v) == -ERANGE);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(parse_u64(bad[i], &v) == -EINVAL);
    CHECK_EQ_U64(v, UINT64_MAX); /* untouched */
}

static void test_f64(void)
{
    static const char *const bad[] = {"",   " 1", "1 ", "nan", "inf", "-inf", "0x1p3",
                                      "1e", ".",  "-",  "e5",  "1,5", "--1",  "1.2.3"};
    double v = 0;
    CHECK(parse_f64("-12.5e1", &v) == 0 && v == -125);
    CHECK(parse_f64("+.5", &v) == 0 && v == 0.5);
    CHECK(parse_f64("1e999", &v) == -ERANGE);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse_f64(bad[i], &v) != -EINVAL)
            CHECK_STR(bad[i], "refused");
    CHECK(v == 0.5);
}

static void test_size(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"4096", 4096},
        {"1K", 1024},
        {"1k", 1024},
        {"1.5G", 1610612736},
        {"18446744073709551615", UINT64_MAX},
        {"16777215T", 16777215ull << 40},
    };
    static const char *const bad[] = {"", "K", "-1", "1KB", "1 K", "1B", "nan", "0x10", "1KK"};
    uint64_t v = 0;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK(parse_size(good[i].text, &v) == 0);
        CHECK_EQ_U64(v, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse_size(bad[i], &v) != -EINVAL)
            CHECK_STR(bad[i], "refused");
    CHECK(parse_size("16777216T", &v) == -ERANGE);
    CHECK(parse_size("18446744073709551616", &v) == -ERANGE);
    CHECK(parse_size("1e30", &v) == -ERANGE);
}

static void test_duration(void)
{
    static const struct {
        const char *text;
        double seconds;
    } good[] = {{"10", 10},    {"250ms", 0.25}, {"1.5s", 1.5},  {"2m", 120},
                {"6h", 21600}, {"1d", 86400},   {"1w", 604800}, {"0", 0}};
    static const char *const bad[] = {"", "s", "-1s", "1 s", "1S", "1sec", "1hh", "nan"};
    double v = 0;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK(parse_duration(good[i].text, &v) == 0);
        CHECK(fabs(v - good[i].seconds) < 1e-12);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse_duration(bad[i], &v) != -EINVAL)
            CHECK_STR(bad[i], "refused");
}

static void test_name(void)
{
    char name[NAME_LEN_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[NAME_LEN_MAX] = 0;
    CHECK(parse_name(name) == 0);
    name[NAME_LEN_MAX] = 'n';
    name[NAME_LEN_MAX + 1] = 0;
    CHECK(parse_name(name) == -EINVAL);
    /* Every byte, as the first and as a later one. */
    for (int c = 1; c < 256; c++) {
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool later = letter || strchr("._:@+-", c);
        char first[] = {(char)c, 'x', 0};
        char second[] = {'x', (char)c, 0};
        CHECK((parse_name(first) == 0) == (later && c != '.' && c != '-'));
        CHECK((parse_name(second) == 0) == later);
    }
    CHECK(parse_name("") == -EINVAL);
}

/* ---- buf, intern ---- */

static void test_buf(void)
{
    struct buf b = {0};
    CHECK(buf_add(&b, NULL, 0) == 0);
    CHECK_STR(b.data, "");
    CHECK(buf_adds(&b, "abc") == 0);
    CHECK(buf_printf(&b, "-%d-%s", 42, "x") == 0);
    CHECK_STR(b.data, "abc-42-x");
    buf_consume(&b, 4);
    CHECK_STR(b.data, "42-x");
    buf_consume(&b, 0);
    CHECK_EQ_U64(b.len, 4);
    CHECK(buf_reserve(&b, SIZE_MAX / 2) == -ENOMEM);
    CHECK_STR(b.data, "42-x");
    for (int i = 0; i < 10000; i++)
        buf_add(&b, "\0y", 2);
    CHECK_EQ_U64(b.len, 20004);
    CHECK(b.data[20003] == 'y' && b.data[20004] == 0);
    buf_clear(&b);
    CHECK_STR(b.data, "");
    buf_release(&b);
    CHECK(!b.data && !b.cap);
    buf_release(&b);
}

static void test_vec(void)
{
    uint64_t *items = NULL;
    size_t cap = 0;
    size_t n = 0;
    while (n < 1000) {
        CHECK(vec_room(&items, n, &cap, sizeof(*items)) == 0);
        items[n] = n;
        n++;
    }
    CHECK(cap >= 1000 && items[0] == 0 && items[999] == 999);
    free(items);
}

static void test_intern(void)
{
    struct intern t = {0};
    char name[32];
    CHECK(intern_find(&t, "x") == -1);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "name%d", i);
        CHECK(intern_add(&t, name) == i);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "name%d", i);
        CHECK(intern_find(&t, name) == i && intern_add(&t, name) == i);
        CHECK_STR(t.names[i], name);
    }
    CHECK(intern_find(&t, "name") == -1);
    CHECK(intern_add(&t, "") == 5000);
    CHECK_EQ_U64(t.n, 5001);
    intern_release(&t);
    CHECK(intern_find(&t, "name1") == -1);
    intern_release(&t);
}

/* ---- rng, hash, clock, error ---- */

/* The published sequence of xoshiro256** behind splitmix64, so that seeds keep their meaning. */
static void test_rng(void)
{
    struct rng a;
    struct rng b;
    rng_init(&a, 0);
    CHECK_EQ_U64(rng_u64(&a), 0x99ec5f36cb75f2b4u);
    CHECK_EQ_U64(rng_u64(&a), 0xbf6e1f784956452au);
    rng_init(&a, 42);
    rng_init(&b, 42);
    double sum = 0;
    double squares = 0;
    unsigned seen = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t x = rng_below(&a, 7);
        CHECK(x < 7 && x == rng_below(&b, 7));
        seen |= 1u << x;
        double u = rng_unit(&a);
        CHECK(u >= 0 && u < 1 && u == rng_unit(&b));
        double z = rng_normal(&a);
        CHECK(z == rng_normal(&b));
        sum += z;
        squares += z * z;
    }
    CHECK_EQ_U64(seen, 127);
    CHECK(fabs(sum / 20000) < 0.05 && fabs(squares / 20000 - 1) < 0.05);
    CHECK_EQ_U64(rng_below(&a, 1), 0);
}

/* Each number once; each order of three as often as the others, within four deviations. */
static void test_rng_order(void)
{
    enum { DRAWS = 6000 };
    struct rng r;
    unsigned counts[27] = {0};
    rng_init(&r, 3);
    for (int i = 0; i < DRAWS; i++) {
        size_t v[3] = {0};
        rng_order(&r, v, 3);
        CHECK_EQ_U64(1u << v[0] | 1u << v[1] | 1u << v[2], 7);
        counts[9 * v[0] + 3 * v[1] + v[2]]++;
    }
    for (size_t i = 0; i < 27; i++)
        CHECK(!counts[i] || fabs(counts[i] - DRAWS / 6.0) < 4 * sqrt(DRAWS * 5.0 / 36));
    CHECK(counts[9 * 0 + 3 * 1 + 2] && counts[9 * 2 + 3 * 1 + 0] && counts[9 * 1 + 3 * 2 + 0]);
    rng_order(&r, NULL, 0);
}

/* In pieces of any length it is the digest of the whole. */
static void test_hash_stream(void)
{
    static unsigned char data[5000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7);
    for (size_t piece = 1; piece < 2000; piece = piece * 3 + 1) {
        struct hash_stream *s = hash_stream_new();
        for (size_t at = 0; at < sizeof(data); at += piece)
            hash_stream_add(s, data + at, at + piece < sizeof(data) ? piece : sizeof(data) - at);
        struct hash128 a = hash_stream_end(s);
        struct hash128 b = hash128(data, sizeof(data));
        CHECK(memcmp(&a, &b, sizeof(a)) == 0);
        hash_stream_free(s);
    }
}

static void test_hash(void)
{
    /* XXH3 of nothing, from its specification's test vectors. */
    static const unsigned char empty[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                            0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    struct hash128 h = hash128("", 0);
    CHECK(memcmp(h.bytes, empty, sizeof(empty)) == 0);
    CHECK_EQ_U64(hash64("", 0), 0x2d06800538d394c2u);
}

static void test_clock(void)
{
    uint64_t before = clock_mono_us();
    CHECK(clock_mono_us() >= before);
    CHECK(clock_now() > 1.6e9);
}

static void test_errors(void)
{
    CHECK_STR(err_name(5), "EIO");
    CHECK_STR(err_name(-5), "EIO");
    CHECK_STR(err_name(0), "");
    CHECK_STR(err_name(99999), "E?");
    CHECK(err_number("EIO") == EIO);
    CHECK(err_number("") == 0);
    CHECK(err_number("E?") == -EINVAL);
    for (int e = 1; e < 134; e++)
        if (strcmp(err_name(e), "E?") != 0)
            CHECK(err_number(err_name(e)) == e);
    CHECK_STR(err_text(-EIO), "input/output error");
    CHECK_STR(err_text(EACCES), "permission denied");
    CHECK(strstr(err_text(99999), "99999"));
}

/* ---- fsfile ---- */

/* PATH is not there, before and after. */
static void test_fsfile_open(const char *path)
{
    struct stat st;
    int fd = fsfile_open(path, O_RDWR);
    CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && write(fd, "x", 1) == 1);
    close(fd);
    fd = fsfile_open(path, O_RDWR | O_APPEND);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 1 && st.st_uid == geteuid());
    close(fd);
    unlink(path);
    /* Through a link that leads nowhere nothing is made. */
    CHECK(symlink("elsewhere", path) == 0);
    CHECK(fsfile_open(path, O_RDWR) == -EEXIST);
    unlink(path);
}

/* Where PATH is to go: PLACE, or "" to be appended to. */
static void check_place(const char *path, const char *place)
{
    char *real = NULL;
    CHECK(fsfile_place(path, &real) == !*place);
    CHECK_STR(real ? real : "", place);
    free(real);
}

/* FOLDER is empty, before and after. */
static void test_fsfile_place(const char *folder)
{
    char file[64], link[64], links[64], own[64];
    char *real = NULL;
    snprintf(file, sizeof(file), "%s/file", folder);
    snprintf(link, sizeof(link), "%s/link", folder);
    snprintf(links, sizeof(links), "%s/links", folder);
    /* What links lead to, also where that is not there yet. */
    CHECK(symlink("file", link) == 0 && symlink(link, links) == 0);
    check_place(file, file);
    check_place(links, file);
    CHECK(fsfile_put(links, "one", 3) == 0);
    check_place(links, file);
    CHECK(fsfile_place(folder, &real) == -EISDIR);
    /* An open file is the system's, by whatever name; what is in memory is a file as any other. */
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
    CHECK(unlink(link) == 0 && symlink(own, link) == 0);
    check_place(own, "");
    check_place(links, "");
    check_place("/dev/null", "");
    close(fd);
    CHECK(unlink(link) == 0 && symlink("links", link) == 0);
    CHECK(fsfile_place(links, &real) == -ELOOP);
    CHECK(unlink(file) == 0 && unlink(link) == 0 && unlink(links) == 0);
}

/* Twice to a file in /dev/shm, which is in no way the system's. */
static void test_fsfile_memory(void)
{
    char path[] = "/dev/shm/gs-base-XXXXXX";
    struct buf b = {0};
    int fd = mkstemp(path);
    if (fd < 0)
        return;
    CHECK(fsfile_put(path, "one", 3) == 0 && fsfile_put(path, "two", 3) == 0);
    CHECK(fsfile_read(path, 100, &b) == 0);
    CHECK_STR(b.data, "two");
    close(fd);
    unlink(path);
    buf_release(&b);
}

static void test_fsfile(void)
{
    char dir[] = "/tmp/gs-base-XXXXXX";
    char path[128];
    struct buf b = {0};
    struct stat st;
    CHECK(mkdtemp(dir));
    test_fsfile_place(dir);
    test_fsfile_memory();
    snprintf(path, sizeof(path), "%s/a/b/c", dir);
    CHECK(fsfile_mkdirs(path) == 0);
    CHECK(fsfile_mkdirs(path) == 0);
    CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
    snprintf(path, sizeof(path), "%s/a/b/c/file", dir);
    CHECK(fsfile_read(path, 100, &b) == -ENOENT);
    CHECK(fsfile_replace(path, "one", 3) == 0);
    CHECK(fsfile_replace(path, "second", 6) == 0);
    CHECK(fsfile_read(path, 100, &b) == 0);
    CHECK_STR(b.data, "second");
    CHECK(fsfile_read(path, 100, &b) == 0); /* appends */
    CHECK_STR(b.data, "secondsecond");
    buf_clear(&b);
    CHECK(fsfile_read(path, 5, &b) == -EFBIG);
    CHECK(fsfile_mkdirs(path) < 0); /* a file is in the way */
    unlink(path);
    test_fsfile_open(path);
    snprintf(path, sizeof(path), "%s/a/none/file", dir);
    CHECK(fsfile_replace(path, "x", 1) == -ENOENT);
    snprintf(path, sizeof(path), "%s/a/b/c", dir);
    CHECK(fsfile_replace(path, "x", 1) < 0); /* a folder is in the way */
    /* Nothing is left behind, or the folders would not go. */
    CHECK(rmdir(path) == 0);
    snprintf(path, sizeof(path), "%s/a/b", dir);
    CHECK(rmdir(path) == 0);
    snprintf(path, sizeof(path), "%s/a", dir);
    CHECK(rmdir(path) == 0);
    CHECK(rmdir(dir) == 0);
    buf_release(&b);
}

/* ---- bulk ---- */

/* LEN bytes in parts of PART to a file of FOLDER, and back. */
static void check_bulk(const char *folder, size_t len, size_t part)
{
    char path[128];
    struct buf in = {0}, out = {0};
    struct bulk b;
    struct rng g;
    rng_init(&g, len);
    while (in.len < len) {
        uint64_t v = rng_u64(&g);
        CHECK(buf_add(&in, &v, len - in.len < sizeof(v) ? len - in.len : sizeof(v)) == 0);
    }
    snprintf(path, sizeof(path), "%s/gs-bulk-XXXXXX", folder);
    int fd = mkstemp(path), flags = fcntl(fd, F_GETFL);
    CHECK(bulk_begin(&b, fd) == 0);
    for (size_t at = 0; at < len; at += part)
        CHECK(bulk_add(&b, in.data + at, len - at < part ? len - at : part) == 0);
    CHECK(bulk_end(&b) == 0 && fcntl(fd, F_GETFL) == flags);
    CHECK(fsfile_read(path, len, &out) == 0);
    CHECK(out.len == len && memcmp(in.data, out.data, len) == 0);
    unlink(path);
    close(fd);
    buf_release(&in);
    buf_release(&out);
}

/* On a disk, and where there is none. */
static void test_bulk(void)
{
    const size_t mib = 1 << 20, len[] = {1, 4096, mib - 1, mib, mib + 1, 3 * mib, 3 * mib + 4097};
    for (size_t i = 0; i < sizeof(len) / sizeof(*len); i++) {
        check_bulk("/tmp", len[i], 100003);
        if (access("/dev/shm", W_OK) == 0)
            check_bulk("/dev/shm", len[i], len[i]);
    }
    struct bulk b;
    char *data = calloc(2, mib);
    int full = open("/dev/full", O_WRONLY);
    CHECK(data && bulk_begin(&b, full) == 0);
    CHECK(bulk_add(&b, data, mib - 1) == 0);
    CHECK(bulk_add(&b, data, mib) == -ENOSPC);
    CHECK(bulk_add(&b, data, 1) == -ENOSPC);
    CHECK(bulk_end(&b) == -ENOSPC);
    CHECK(bulk_begin(&b, full) == 0);
    CHECK(bulk_add(&b, data, 1) == 0);
    CHECK(bulk_end(&b) == -ENOSPC);
    free(data);
    close(full);
}

/* ---- opts ---- */

/* Runs CHECK_VALUE(ARG) in a child, with its messages thrown away; its exit status. */
static int status_of(void (*check_value)(const char *arg), const char *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(99);
        check_value(arg);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const struct argp_state *state(void)
{
    static const struct argp argp = {0};
    static struct argp_state st;
    st = (struct argp_state){.root_argp = &argp, .name = "prog", .err_stream = stderr};
    return &st;
}

static void u64_value(const char *arg)
{
    opts_u64(state(), "n", arg, 1, 10);
}

static void f64_value(const char *arg)
{
    opts_f64(state(), "x", arg, -1, 1);
}

static void size_value(const char *arg)
{
    opts_size(state(), "size", arg, 512, 1 << 20);
}

static void duration_value(const char *arg)
{
    opts_duration(state(), "time", arg, 0.001, 3600);
}

static void test_opts(void)
{
    static const struct {
        void (*check)(const char *arg);
        const char *good[3];
        const char *bad[4];
    } cases[] = {
        {u64_value, {"1", "5", "10"}, {"0", "11", "", "5x"}},
        {f64_value, {"-1", "0.5", "1"}, {"1.01", "-2", "nan", ""}},
        {size_value, {"512", "1K", "1M"}, {"511", "2M", "1MB", "-1K"}},
        {duration_value, {"1ms", "60", "1h"}, {"0", "2h", "1y", "-1s"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t j = 0; j < 3; j++)
            CHECK(status_of(cases[i].check, cases[i].good[j]) == 0);
        for (size_t j = 0; j < 4; j++)
            CHECK(status_of(cases[i].check, cases[i].bad[j]) == EX_USAGE);
    }
}

static void test_dirs(void)
{
    struct opts_dirs d;
    unsetenv("GATESHIFT_CONFIG");
    setenv("GATESHIFT_STATE", "/s", 1);
    setenv("GATESHIFT_RUN", "", 1);
    opts_dirs_init(&d);
    CHECK_STR(d.config, "/etc/gateshift");
    CHECK_STR(d.state, "/s");
    CHECK_STR(d.run, "/run/gateshift");
}

/* ---- texts met lately ---- */

enum { MEMO_TEXTS = 400 };

/* What is found is what was put last for just that text; what was put a moment ago is found. */
static void test_memo(void)
{
    char text[MEMO_TEXTS][72];
    size_t len[MEMO_TEXTS] = {0};
    long number[MEMO_TEXTS];
    struct memo m;
    struct rng g;
    size_t found = 0;
    rng_init(&g, 17);
    CHECK(memo_init(&m, 6) == 0);
    for (size_t i = 0; i < MEMO_TEXTS; i++) {
        /* Many are alike but for one byte, wherever that is. */
        len[i] = i % 2 ? len[i - 1] : 1 + rng_below(&g, 64);
        memset(text[i], 'a', sizeof(text[i]));
        text[i][rng_below(&g, len[i])] = (char)('a' + rng_below(&g, 3));
        number[i] = -1;
    }
    for (size_t k = 0; k < 40000; k++) {
        size_t i = rng_below(&g, MEMO_TEXTS);
        long got = memo_get(&m, text[i], len[i]);
        found += got >= 0;
        if (got < 0) {
            memo_put(&m, text[i], len[i], (uint32_t)k);
            CHECK(memo_get(&m, text[i], len[i]) == (len[i] > MEMO_TEXT ? -1 : (long)k));
            for (size_t j = 0; j < MEMO_TEXTS; j++)
                if (len[j] == len[i] && memcmp(text[j], text[i], len[i]) == 0)
                    number[j] = (long)k;
        } else if (got != number[i]) {
            CHECK_STR("another text's number", "its own (seed 17)");
        }
    }
    CHECK(found > 4000);
    memo_release(&m);
}

int main(void)
{
    test_begin("base");
    test_parse_u64();
    test_f64();
    test_size();
    test_duration();
    test_name();
    test_buf();
    test_vec();
    test_intern();
    test_rng();
    test_rng_order();
    test_hash();
    test_hash_stream();
    test_bulk();
    test_clock();
    test_errors();
    test_fsfile();
    test_opts();
    test_dirs();
    test_memo();
    return test_done();
}
