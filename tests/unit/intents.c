/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The intents of a volume: what kill -9, other boots and damage leave; and against a model. */
#include "cmd/route-director/intents.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { MIB = INTENTS_EXTENT, HEAD = 64, QUARANTINE_US = 30000000 };

/* ---- a disk that can be full, or fail ---- */

static bool disk_full, sync_fails;
static unsigned allocations, syncs;

/* These stand before glibc's: the linker takes them for the intents. */
int posix_fallocate(int fd, off_t offset, off_t len)
{
    allocations++;
    if (disk_full)
        return ENOSPC;
    return syscall(SYS_fallocate, fd, 0, offset, len) < 0 ? errno : 0;
}

int fsync(int fd)
{
    syncs++;
    if (sync_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* ---- helpers ---- */

static char root[64];
static char path[96];

/* What was reported: "OFFSET+LENGTH ", in extents of 1 MiB where that is whole, else in bytes. */
struct seen {
    char text[4096];
    size_t len;
};

static void put(struct seen *s, uint64_t n)
{
    bool whole = n % MIB == 0;
    s->len += (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len, "%" PRIu64 "%s",
                               whole ? n / MIB : n, whole ? "" : "b");
    if (s->len > sizeof(s->text) - 64)
        abort();
}

static void see(void *arg, uint64_t offset, uint64_t length)
{
    struct seen *s = arg;
    if (s->len)
        s->text[s->len++] = ' ';
    put(s, offset);
    s->text[s->len++] = '+';
    put(s, length);
}

static struct hash128 id(char c)
{
    struct hash128 h;
    memset(&h, c, sizeof(h));
    return h;
}

/* A volume of SIZE, after an end in order, on machine M in boot A. */
static struct intents_setup setup(uint64_t size)
{
    return (struct intents_setup){.path = path,
                                  .size = size,
                                  .quarantine_us = QUARANTINE_US,
                                  .host = {id('A'), id('M'), QUARANTINE_US + 1}};
}

static struct intents *open_as(struct intents_setup s, struct seen *seen)
{
    struct intents *t = NULL;
    *seen = (struct seen){.len = 0};
    s.left = see;
    s.arg = seen;
    if (intents_open(&s, &t) < 0)
        abort();
    return t;
}

/* Opens, checks what is reported, and closes with nothing marked. */
static void expect_left(struct intents_setup s, const char *left)
{
    struct seen seen;
    struct intents *t = open_as(s, &seen);
    CHECK_STR(seen.text, left);
    intents_lay(t);
    intents_close(t);
    CHECK(access(path, F_OK) < 0);
}

static struct intents *open_clean(uint64_t size)
{
    struct seen seen;
    struct intents *t = open_as(setup(size), &seen);
    CHECK_STR(seen.text, "");
    return t;
}

/* Runs FN in a process of its own; how it ended, as from waitpid(). */
static int in_child(void (*fn)(void *arg), void *arg)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        fn(arg);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid)
        abort();
    return status;
}

static bool ended_by(int status, int sig)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

/* T is still open. */
static void die_with(const struct intents *t)
{
    (void)t;
    kill(getpid(), SIGKILL);
}

/* ---- kill -9 ---- */

static void serve_and_die(void *arg)
{
    struct intents *t = open_clean(100 * MIB + 5);
    (void)arg;
    intents_begin(t, 3 * MIB + 4096, 4096);  /* in one */
    intents_begin(t, 5 * MIB - 1, 2);        /* over an edge: two */
    intents_begin(t, 10 * MIB, 2 * MIB);     /* just two */
    intents_begin(t, 20 * MIB, 4096);        /* answered */
    intents_begin(t, 30 * MIB, 4096);        /* twice, answered once */
    intents_begin(t, 30 * MIB + 8192, 4096); /* … */
    intents_begin(t, 100 * MIB, 5);          /* the clipped last one */
    intents_end(t, 20 * MIB, 4096);
    intents_end(t, 30 * MIB, 4096);
    die_with(t);
}

static void test_kill(void)
{
    CHECK(ended_by(in_child(serve_and_die, NULL), SIGKILL));
    expect_left(setup(100 * MIB + 5), "3+3 10+2 30+1 100+5b");
    expect_left(setup(100 * MIB + 5), "");
}

static void open_and_die(void *arg)
{
    struct seen seen;
    struct intents *t = open_as(setup(100 * MIB + 5), &seen);
    (void)arg;
    intents_begin(t, 4 * MIB, 1);
    intents_end(t, 4 * MIB, 1);
    intents_begin(t, 6 * MIB, 1);
    die_with(t);
}

static void test_kill_again_before_it_was_laid(void)
{
    CHECK(ended_by(in_child(serve_and_die, NULL), SIGKILL));
    CHECK(ended_by(in_child(open_and_die, NULL), SIGKILL));
    CHECK(ended_by(in_child(open_and_die, NULL), SIGKILL));
    expect_left(setup(100 * MIB + 5), "3+4 10+2 30+1 100+5b");
}

static void haunt_and_die(void *arg)
{
    struct intents *t = open_clean(8 * MIB);
    (void)arg;
    intents_begin(t, MIB, MIB + 1);
    intents_haunt(t, MIB, MIB + 1);
    intents_end(t, MIB, MIB + 1);
    die_with(t);
}

static void test_haunted_outlives_its_answer(void)
{
    CHECK(ended_by(in_child(haunt_and_die, NULL), SIGKILL));
    expect_left(setup(8 * MIB), "1+2");
}

static void lay_and_die(void *arg)
{
    struct seen seen;
    struct intents *t = open_as(setup(8 * MIB), &seen);
    (void)arg;
    intents_begin(t, 2 * MIB, 1); /* lives on when the dead are laid */
    intents_begin(t, 6 * MIB, 1);
    intents_haunt(t, 4 * MIB, 1);
    intents_lay(t);
    die_with(t);
}

static void test_laid_is_not_left(void)
{
    CHECK(ended_by(in_child(haunt_and_die, NULL), SIGKILL));
    CHECK(ended_by(in_child(lay_and_die, NULL), SIGKILL));
    expect_left(setup(8 * MIB), "2+1 6+1");
}

/* ---- the books ---- */

static void end_what_never_began(void *arg)
{
    struct intents *t = open_clean(8 * MIB);
    (void)arg;
    intents_begin(t, 0, 1);
    intents_end(t, MIB - 1, 2);
}

static void end_what_is_left(void *arg)
{
    struct seen seen;
    struct intents *t = open_as(setup(8 * MIB), &seen);
    (void)arg;
    intents_end(t, MIB, 1);
}

static void test_underflow(void)
{
    CHECK(ended_by(in_child(end_what_never_began, NULL), SIGABRT));
    unlink(path);
    CHECK(ended_by(in_child(haunt_and_die, NULL), SIGKILL));
    CHECK(ended_by(in_child(end_what_is_left, NULL), SIGABRT));
    expect_left(setup(8 * MIB), "1+2");
}

static void test_close(void)
{
    struct intents *t = open_clean(8 * MIB);
    CHECK(access(path, F_OK) == 0);
    intents_begin(t, 0, 8 * MIB);
    intents_close(t);
    CHECK(access(path, F_OK) == 0);
    expect_left(setup(8 * MIB), "0+8");
    intents_close(NULL);
}

static void test_edges(void)
{
    struct intents *t = open_clean(2 * MIB + 1);
    intents_begin(t, 0, 0);
    intents_begin(t, MIB, 0);
    intents_haunt(t, MIB, 0);
    intents_begin(t, 2 * MIB + 1, 1); /* behind the end */
    intents_haunt(t, UINT64_MAX, UINT64_MAX);
    intents_close(t);
    CHECK(access(path, F_OK) < 0);
    t = open_clean(2 * MIB + 1);
    intents_begin(t, 2 * MIB, UINT64_MAX);
    intents_begin(t, 2 * MIB, 1);
    intents_end(t, 2 * MIB, UINT64_MAX);
    intents_close(t);
    expect_left(setup(2 * MIB + 1), "2+1b");
    t = open_clean(0);
    intents_begin(t, 0, 1);
    intents_close(t);
    CHECK(access(path, F_OK) < 0);
}

/* ---- sizes ---- */

/* A byte in flight at OFFSET of a volume of SIZE: exactly the extent around it is left. */
static void check_size(uint64_t size, uint64_t offset, uint64_t extent)
{
    struct stat st;
    struct seen seen, want = {.len = 0};
    struct intents *t = open_clean(size);
    uint64_t start = offset - offset % extent;
    see(&want, start, size - start < extent ? size - start : extent);
    intents_begin(t, offset, 1);
    intents_close(t);
    CHECK(stat(path, &st) == 0);
    CHECK_EQ_U64((uint64_t)st.st_size, HEAD + 4 * ((size - 1) / extent + 1));
    CHECK(st.st_size <= HEAD + 4 * INTENTS_EXTENTS_MAX);
    CHECK(st.st_blocks * 512 >= st.st_size); /* a store needs no more disk */
    t = open_as(setup(size), &seen);
    CHECK_STR(seen.text, want.text);
    intents_lay(t);
    intents_close(t);
}

static void test_sizes(void)
{
    const uint64_t full = (uint64_t)INTENTS_EXTENTS_MAX * MIB;
    check_size(1, 0, MIB);
    check_size(MIB, MIB - 1, MIB);
    check_size(MIB + 1, MIB, MIB);
    check_size(full, full - 1, MIB);
    check_size(full + 1, full, 2 * MIB);
    check_size(2 * full, full + 1, 2 * MIB);
    check_size(2 * full + 1, 2 * full, 4 * MIB);
    check_size(INT64_MAX, INT64_MAX - 1, UINT64_C(1) << 45);
    check_size(UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 46);
    check_size(UINT64_MAX, 0, UINT64_C(1) << 46);
}

/* ---- files that can't be believed ---- */

/* A file with one change in flight, in extent 1 of 4. */
static void make_file(void)
{
    struct intents *t = open_clean(4 * MIB);
    intents_begin(t, MIB, 1);
    intents_close(t);
}

static void overwrite(off_t offset, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    if (fd < 0 || pwrite(fd, data, len, offset) != (ssize_t)len)
        abort();
    close(fd);
}

static void test_damaged_header(void)
{
    for (off_t i = 0; i < HEAD; i++) {
        make_file();
        char c;
        int fd = open(path, O_RDONLY);
        if (fd < 0 || pread(fd, &c, 1, i) != 1)
            abort();
        close(fd);
        c = (char)(c ^ 4);
        overwrite(i, &c, 1);
        expect_left(setup(4 * MIB), "0+4");
    }
}

static void test_damaged_length(void)
{
    for (off_t len = 0; len < HEAD + 20; len++) {
        make_file();
        if (truncate(path, len) < 0)
            abort();
        expect_left(setup(4 * MIB), len == HEAD + 16 ? "1+1" : "0+4");
    }
    overwrite(1 << 22, "x", 1);
    expect_left(setup(4 * MIB), "0+4");
}

static void test_hostile_counters(void)
{
    const uint32_t wild[4] = {UINT32_MAX, 0, UINT32_C(1) << 31, INT32_MAX};
    make_file();
    overwrite(HEAD, wild, sizeof(wild));
    struct seen seen;
    struct intents *t = open_as(setup(4 * MIB), &seen);
    CHECK_STR(seen.text, "0+1 2+2");
    intents_begin(t, 0, 4 * MIB);
    intents_lay(t);
    intents_end(t, 0, 4 * MIB);
    intents_close(t);
    CHECK(access(path, F_OK) < 0);
}

static void test_another_size(void)
{
    make_file();
    expect_left(setup(4 * MIB + 1), "0+4194305b");
    make_file();
    expect_left(setup(4 * MIB - 1), "0+4194303b"); /* as many extents */
    make_file();
    expect_left(setup(3 * MIB), "0+3");
    make_file();
    expect_left(setup(0), "");
}

static void test_missing(void)
{
    struct intents_setup s = setup(4 * MIB);
    s.unclean = true;
    expect_left(s, "0+4");
    make_file();
    expect_left(s, "1+1");
}

/* What cannot be believed is haunted in the new file, too, until it is laid. */
static void test_whole_volume_stays_left(void)
{
    struct seen seen;
    make_file();
    intents_close(open_as(setup(5 * MIB), &seen));
    CHECK_STR(seen.text, "0+5");
    intents_close(open_as(setup(5 * MIB), &seen));
    CHECK_STR(seen.text, "0+5");
    expect_left(setup(5 * MIB), "0+5");
}

/* ---- boots and machines ---- */

static struct intents_setup elsewhere(char boot, char machine, uint64_t up_us)
{
    struct intents_setup s = setup(4 * MIB);
    s.host = (struct intents_host){id(boot), id(machine), up_us};
    return s;
}

static void test_boots(void)
{
    make_file();
    expect_left(elsewhere('A', 'M', 0), "1+1");
    make_file();
    expect_left(elsewhere('B', 'M', QUARANTINE_US), "0+4");
    make_file();
    expect_left(elsewhere('B', 'M', QUARANTINE_US + 1), "");
    make_file();
    expect_left(elsewhere('B', 'N', UINT64_MAX), "0+4"); /* another machine's */
    make_file();
    struct intents_setup s = elsewhere('B', 'M', UINT64_MAX);
    s.quarantine_us = UINT64_MAX;
    expect_left(s, "0+4");
}

/* An id that is not known is not even like itself. */
static void test_unknown_ids(void)
{
    struct seen seen;
    struct intents *t = open_as(elsewhere('A', 0, 0), &seen);
    intents_begin(t, MIB, 1);
    intents_close(t);
    expect_left(elsewhere('B', 0, UINT64_MAX), "0+4");
    t = open_as(elsewhere(0, 'M', 0), &seen);
    intents_begin(t, MIB, 1);
    intents_close(t);
    expect_left(elsewhere(0, 'M', 0), "0+4");
}

/* A shared disk: M, then N, then M again, which has not been down. */
static void test_back_from_another_machine(void)
{
    struct seen seen;
    make_file();
    struct intents *t = open_as(elsewhere('B', 'N', 0), &seen);
    intents_lay(t);
    intents_begin(t, 2 * MIB, 1);
    intents_close(t);
    expect_left(setup(4 * MIB), "0+4");
}

static void test_host(void)
{
    struct intents_host a, b;
    const struct hash128 unknown = {{0}};
    CHECK(intents_host(&a) == 0);
    CHECK(intents_host(&b) == 0);
    CHECK(memcmp(&a.boot, &unknown, sizeof(unknown)) != 0);
    CHECK(memcmp(&a.boot, &b.boot, sizeof(a.boot)) == 0);
    CHECK(memcmp(&a.machine, &b.machine, sizeof(a.machine)) == 0);
    CHECK(a.up_us > 0 && a.up_us <= b.up_us);
}

/* ---- what the system refuses ---- */

static int try_open(uint64_t size)
{
    struct seen seen = {.len = 0};
    struct intents_setup s = setup(size);
    struct intents *t = NULL;
    s.left = see;
    s.arg = &seen;
    int r = intents_open(&s, &t);
    if (r == 0)
        intents_close(t);
    CHECK(r == 0 || (!t && !seen.len));
    return r;
}

static void test_full_disk(void)
{
    disk_full = true;
    CHECK(try_open(4 * MIB) == -ENOSPC);
    CHECK(access(path, F_OK) < 0); /* no partial file */
    disk_full = false;
    make_file();
    disk_full = true;
    CHECK(try_open(4 * MIB) == -ENOSPC); /* the file may have holes */
    CHECK(try_open(400 * (uint64_t)MIB) == -ENOSPC);
    disk_full = false;
    expect_left(setup(4 * MIB), "0+4");
}

static void test_failed_sync(void)
{
    sync_fails = true;
    CHECK(try_open(4 * MIB) == -EIO);
    sync_fails = false;
    CHECK(access(path, F_OK) < 0);
    make_file();
    sync_fails = true;
    CHECK(try_open(5 * MIB) == -EIO);
    sync_fails = false;
    expect_left(setup(5 * MIB), "0+5");
}

static void test_not_a_file(void)
{
    CHECK(mkdir(path, 0755) == 0);
    CHECK(try_open(MIB) == -EISDIR);
    CHECK(rmdir(path) == 0);
    CHECK(mkfifo(path, 0644) == 0);
    CHECK(try_open(MIB) == -EINVAL);
    CHECK(unlink(path) == 0);
    CHECK(symlink("elsewhere", path) == 0);
    CHECK(try_open(MIB) == -ELOOP);
    CHECK(unlink(path) == 0);
    snprintf(path, sizeof(path), "%s/none/v", root);
    CHECK(try_open(MIB) == -ENOENT);
    snprintf(path, sizeof(path), "%s/v", root);
}

static void open_as_nobody(void *arg)
{
    enum { NOBODY = 65534 };
    (void)arg;
    if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
        abort();
    _exit(-try_open(4 * MIB) & 0x7f);
}

static int status_as_nobody(void)
{
    int status = in_child(open_as_nobody, NULL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_permissions(void)
{
    make_file();
    CHECK(chmod(path, 0444) == 0 && chmod(root, 0555) == 0);
    CHECK(status_as_nobody() == EACCES);
    CHECK(chmod(root, 0755) == 0 && chmod(path, 0644) == 0);
    expect_left(setup(4 * MIB), "1+1");
    CHECK(chmod(root, 0555) == 0);
    CHECK(status_as_nobody() == EACCES); /* and none can be made */
    CHECK(chmod(root, 0755) == 0);
    CHECK(access(path, F_OK) < 0);
}

/* A file that is believed is opened without waiting for the disk, but not without room. */
static void test_cost_of_opening(void)
{
    make_file();
    allocations = syncs = 0;
    expect_left(setup(4 * MIB), "1+1");
    CHECK_EQ_U64(syncs, 0);
    CHECK_EQ_U64(allocations, 1);
    intents_close(open_clean(4 * MIB));
    CHECK_EQ_U64(syncs, 2); /* a new one, and its name */
}

/* ---- against a model ---- */

enum { EXTENTS = 40, FLIGHTS = 16, STEPS = 60, LIVES = 150, TAIL = 777 };
static const uint64_t model_size = (uint64_t)(EXTENTS - 1) * MIB + TAIL;

struct flight {
    uint64_t offset, length;
};

/* What a life leaves: the same steps with T (for real) and without (what must come of them). */
struct model {
    unsigned count[EXTENTS];
    bool haunted[EXTENTS];
    struct flight flight[FLIGHTS];
    size_t n;
};

static bool touches(struct flight f, unsigned i)
{
    uint64_t start = (uint64_t)i * MIB;
    uint64_t end = i == EXTENTS - 1 ? model_size : start + MIB;
    return f.length && f.offset < end && start < f.offset + f.length;
}

static struct flight any_flight(struct rng *rng)
{
    uint64_t offset = rng_below(rng, model_size);
    uint64_t max = rng_below(rng, 4) ? 65536 : 5 * MIB;
    uint64_t length = rng_below(rng, max);
    return (struct flight){offset, length < model_size - offset ? length : model_size - offset};
}

static void step(struct model *m, struct rng *rng, struct intents *t)
{
    uint64_t what = rng_below(rng, 10);
    if (what < 5 && m->n < FLIGHTS) {
        struct flight f = m->flight[m->n++] = any_flight(rng);
        for (unsigned i = 0; i < EXTENTS; i++)
            m->count[i] += touches(f, i);
        if (t)
            intents_begin(t, f.offset, f.length);
    } else if (what < 8 && m->n) {
        size_t which = rng_below(rng, m->n);
        struct flight f = m->flight[which];
        m->flight[which] = m->flight[--m->n];
        for (unsigned i = 0; i < EXTENTS; i++)
            m->count[i] -= touches(f, i);
        if (t)
            intents_end(t, f.offset, f.length);
    } else if (what == 8 && m->n) {
        struct flight f = m->flight[rng_below(rng, m->n)];
        for (unsigned i = 0; i < EXTENTS; i++)
            m->haunted[i] |= touches(f, i);
        if (t)
            intents_haunt(t, f.offset, f.length);
    } else if (rng_below(rng, 8) == 0) {
        memset(m->haunted, 0, sizeof(m->haunted));
        if (t)
            intents_lay(t);
    }
}

static void live(struct model *m, uint64_t seed, struct intents *t)
{
    struct rng rng;
    rng_init(&rng, seed);
    for (uint64_t left = rng_below(&rng, STEPS); left; left--)
        step(m, &rng, t);
}

static void expected(const struct model *m, struct seen *want)
{
    *want = (struct seen){.len = 0};
    for (unsigned i = 0; i < EXTENTS;) {
        unsigned end = i;
        while (end < EXTENTS && (m->count[end] || m->haunted[end]))
            end++;
        uint64_t start = (uint64_t)i * MIB;
        if (end > i)
            see(want, start, end == EXTENTS ? model_size - start : (uint64_t)(end - i) * MIB);
        i = end > i ? end : i + 1;
    }
}

struct life {
    struct model *m;
    uint64_t seed;
};

static void live_and_die(void *arg)
{
    struct life *l = arg;
    struct seen seen, want;
    expected(l->m, &want);
    struct intents *t = open_as(setup(model_size), &seen);
    if (strcmp(seen.text, want.text) != 0) {
        fprintf(stderr, "left: %s\nexpected: %s\n", seen.text, want.text);
        _exit(1);
    }
    live(l->m, l->seed, t);
    die_with(t);
}

static void test_model(uint64_t seed)
{
    struct model m = {.n = 0};
    struct seen seen, want;
    for (uint64_t i = 0; i < LIVES && !test_state()->failed; i++) {
        struct life l = {&m, seed * LIVES + i};
        CHECK(ended_by(in_child(live_and_die, &l), SIGKILL));
        live(&m, l.seed, NULL);
        for (unsigned k = 0; k < EXTENTS; k++) {
            m.haunted[k] |= m.count[k] > 0;
            m.count[k] = 0;
        }
        m.n = 0;
        if (test_state()->failed)
            fprintf(stderr, "seed %" PRIu64 ", life %" PRIu64 "\n", seed, i);
    }
    expected(&m, &want);
    struct intents *t = open_as(setup(model_size), &seen);
    CHECK_STR(seen.text, want.text);
    intents_lay(t);
    intents_close(t);
    CHECK(access(path, F_OK) < 0);
}

int main(void)
{
    test_begin("intents");
    snprintf(root, sizeof(root), "/tmp/gs-intents.XXXXXX");
    if (!mkdtemp(root) || chmod(root, 0755) < 0)
        abort();
    snprintf(path, sizeof(path), "%s/v", root);
    test_kill();
    test_kill_again_before_it_was_laid();
    test_haunted_outlives_its_answer();
    test_laid_is_not_left();
    test_underflow();
    test_close();
    test_edges();
    test_sizes();
    test_damaged_header();
    test_damaged_length();
    test_hostile_counters();
    test_another_size();
    test_missing();
    test_whole_volume_stays_left();
    test_boots();
    test_unknown_ids();
    test_back_from_another_machine();
    test_host();
    test_full_disk();
    test_failed_sync();
    test_not_a_file();
    test_permissions();
    test_cost_of_opening();
    test_model(1);
    test_model(2);
    CHECK(rmdir(root) == 0); /* nothing is left beside the file */
    return test_done();
}
