/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The change map of a volume: what kill -9, other boots and damage leave; and against a model. */
#include "cmd/route-director/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { BLOCK = CHANGES_BLOCK, BLOCKS = 200, TAIL = 1000 };
static const uint64_t volume_size = (uint64_t)(BLOCKS - 1) * BLOCK + TAIL;

static char root[64];
static char path[96];

/* ---- a disk that can be full, or fail ---- */

static bool disk_full, sync_fails;
static unsigned syncs;

/* These stand before glibc's: the linker takes them for the map's. */
int posix_fallocate(int fd, off_t offset, off_t len)
{
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

static struct hash128 boot(char c)
{
    struct hash128 h;
    memset(&h, c, sizeof(h));
    return h;
}

/* In boot A, after an end in order. */
static struct changes_setup setup(void)
{
    return (struct changes_setup){
        .path = path,
        .id = {.volume = "v", .owner = "gw-b", .kept = "gw-a", .size = volume_size, .epoch = 7},
        .boot = boot('A'),
        .incarnation = 1,
        .former = 1,
    };
}

/* The same after a kill. */
static struct changes_setup killed(void)
{
    struct changes_setup s = setup();
    s.unclean = true;
    return s;
}

static struct changes *create(void)
{
    struct changes_setup s = setup();
    struct changes *c = NULL;
    if (changes_create(&s, &c) < 0)
        abort();
    return c;
}

static struct changes *reopen(struct changes_setup s)
{
    struct changes *c = NULL;
    const char *why = "";
    int r = changes_open(&s, &c, &why);
    CHECK_EQ_U64((uint64_t)-r, 0);
    return c;
}

static void expect_void(struct changes_setup s, const char *reason)
{
    struct changes *c = NULL;
    const char *why = "";
    CHECK(changes_open(&s, &c, &why) == -ESTALE);
    CHECK_STR(why, reason);
    CHECK(!c);
}

static bool equal_at(const struct changes *c, uint64_t offset)
{
    enum changes_kind kind;
    CHECK(changes_run(c, offset, 1, &kind) == 1 || offset >= volume_size);
    return kind != CHANGES_DIFFER;
}

/* Runs FN in a process that is killed then. */
static void in_killed_child(void (*fn)(void *arg), void *arg)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        fn(arg);
        kill(getpid(), SIGKILL);
        _exit(1);
    }
    if (waitpid(pid, &status, 0) != pid)
        abort();
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- what is equal ---- */

static void test_nothing_is_equal_before_the_copy_is_whole(void)
{
    enum changes_kind kind;
    struct changes *c = create();
    CHECK(!changes_copy_whole(c));
    CHECK_EQ_U64(changes_run(c, 0, volume_size, &kind), volume_size);
    CHECK(kind == CHANGES_DIFFER);
    CHECK_EQ_U64(changes_bytes(c), volume_size);
    changes_copy_is_whole(c);
    CHECK_EQ_U64(changes_run(c, 0, UINT64_MAX, &kind), volume_size);
    CHECK(kind == CHANGES_NONE);
    CHECK_EQ_U64(changes_bytes(c), 0);
    changes_drop(c);
}

static void test_edges(void)
{
    enum changes_kind kind;
    struct changes *c = create();
    changes_copy_is_whole(c);
    changes_mark(c, BLOCK - 1, 2);
    changes_mark(c, 5 * BLOCK, 0);
    changes_mark(c, volume_size - 1, UINT64_MAX);
    changes_mark(c, volume_size, 1);
    changes_mark(c, UINT64_MAX, UINT64_MAX);
    CHECK_EQ_U64(changes_bytes(c), 3 * BLOCK);
    CHECK_EQ_U64(changes_run(c, 0, volume_size, &kind), 2 * BLOCK);
    CHECK(kind == CHANGES_DIFFER);
    CHECK_EQ_U64(changes_run(c, 100, 50, &kind), 50);
    CHECK(kind == CHANGES_DIFFER);
    CHECK_EQ_U64(changes_run(c, 2 * BLOCK + 9, volume_size, &kind), (BLOCKS - 3) * BLOCK - 9);
    CHECK(kind == CHANGES_NONE);
    CHECK(!equal_at(c, volume_size - 1));
    CHECK_EQ_U64(changes_run(c, volume_size, 10, &kind), 0);
    CHECK_EQ_U64(changes_run(c, 0, 0, &kind), 0);
    changes_drop(c);
    CHECK(access(path, F_OK) < 0);
}

static void test_large_volumes_have_larger_blocks(void)
{
    enum changes_kind kind;
    struct changes_setup s = setup();
    struct changes *c = NULL;
    struct stat st;
    s.id.size = UINT64_C(1) << 46;
    CHECK(changes_create(&s, &c) == 0);
    CHECK(stat(path, &st) == 0 && st.st_size <= (8 << 20) + 4096);
    changes_copy_is_whole(c);
    changes_mark(c, s.id.size - 1, 1);
    CHECK_EQ_U64(changes_run(c, s.id.size - 5, 5, &kind), 5);
    CHECK(kind == CHANGES_DIFFER);
    CHECK_EQ_U64(changes_bytes(c), UINT64_C(1) << 20);
    changes_drop(c);
}

/* ---- ends ---- */

static void test_kept_over_an_end_in_order(void)
{
    struct changes_setup other_boot = setup();
    struct changes *c = create();
    changes_copy_is_whole(c);
    changes_mark(c, 3 * BLOCK, 1);
    changes_close(c, true);
    other_boot.boot = boot('B');
    other_boot.incarnation = 2;
    c = reopen(other_boot);
    changes_close(c, true);
    expect_void(setup(), "the volume was served without it since");
    other_boot.former = 2;
    c = reopen(other_boot);
    CHECK(changes_copy_whole(c));
    CHECK_EQ_U64(changes_bytes(c), BLOCK);
    CHECK(equal_at(c, 0) && !equal_at(c, 3 * BLOCK));
    changes_drop(c);
}

static void mark_some(void *arg)
{
    struct changes *c = arg;
    changes_copy_is_whole(c);
    changes_mark(c, 3 * BLOCK, BLOCK + 1);
}

static void test_kill_loses_no_mark(void)
{
    struct changes *c = create();
    in_killed_child(mark_some, c);
    changes_close(c, false);
    c = reopen(killed());
    CHECK_EQ_U64(changes_bytes(c), 2 * BLOCK);
    CHECK(!equal_at(c, 3 * BLOCK) && !equal_at(c, 4 * BLOCK) && equal_at(c, 5 * BLOCK));
    /* And again, by who went on. */
    changes_mark(c, 9 * BLOCK, 1);
    changes_close(c, false);
    c = reopen(killed());
    CHECK_EQ_U64(changes_bytes(c), 3 * BLOCK);
    changes_drop(c);
}

static void test_another_boot_believes_nothing_that_was_in_use(void)
{
    struct changes_setup s = killed();
    struct changes *c = create();
    mark_some(c);
    changes_close(c, false);
    s.boot = boot('B');
    expect_void(s, "the machine went down while it was in use");
    s.boot = boot(0);
    expect_void(s, "the machine went down while it was in use");
    CHECK(changes_discard(path) == 0);
}

/* Somebody served the volume who knew nothing of the map. */
static void test_gaps(void)
{
    struct changes_setup s = setup();
    struct changes *c = create();
    mark_some(c);
    changes_close(c, true);
    expect_void(killed(), "the volume was served without it since");
    c = reopen(setup());
    changes_close(c, false);
    expect_void(setup(), "the volume was served without it since");
    s = killed();
    s.former = 2;
    expect_void(s, "the volume was served without it since");
    s.former = 0;
    expect_void(s, "the volume was served without it since");
    CHECK(changes_discard(path) == 0);
}

static void test_of_another_move(void)
{
    struct changes_setup s[5];
    for (int i = 0; i < 5; i++)
        s[i] = setup();
    s[0].id.volume = "w";
    s[1].id.owner = "gw-a";
    s[2].id.kept = "gw-c";
    s[3].id.epoch = 8;
    s[4].id.size = volume_size - 1;
    struct changes *c = create();
    changes_close(c, true);
    for (int i = 0; i < 5; i++)
        expect_void(s[i], "it is of another move");
    c = reopen(setup());
    CHECK(!changes_are_of(c, &s[3].id));
    changes_drop(c);
}

static void test_missing(void)
{
    struct changes_setup s = setup();
    struct changes *c = NULL;
    const char *why;
    CHECK(changes_open(&s, &c, &why) == -ENOENT);
    CHECK(changes_discard(path) == 0);
}

/* Each byte of the header, and some of the bits, turned over in a file that was closed. */
static void test_damage(void)
{
    struct stat st;
    struct changes *c = create();
    mark_some(c);
    changes_close(c, true);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    unsigned believed = 0;
    for (off_t at = 0; at < st.st_size; at++) {
        unsigned char was, is;
        CHECK(pread(fd, &was, 1, at) == 1);
        is = (unsigned char)(was ^ 0x10);
        CHECK(pwrite(fd, &is, 1, at) == 1);
        struct changes_setup s = setup();
        const char *why;
        c = NULL;
        if (changes_open(&s, &c, &why) == 0) {
            believed++; /* the boot, which matters in use only */
            CHECK(!equal_at(c, 3 * BLOCK) && !equal_at(c, 4 * BLOCK));
            changes_close(c, true);
        }
        CHECK(pwrite(fd, &was, 1, at) == 1);
    }
    CHECK_EQ_U64(believed, 16);
    CHECK(ftruncate(fd, st.st_size - 1) == 0);
    expect_void(setup(), "it is damaged");
    CHECK(ftruncate(fd, 0) == 0);
    expect_void(setup(), "it is damaged");
    close(fd);
    CHECK(changes_discard(path) == 0);
}

static void test_not_a_file(void)
{
    struct changes_setup s = setup();
    struct changes *c = NULL;
    const char *why;
    CHECK(mkfifo(path, 0600) == 0);
    CHECK(changes_open(&s, &c, &why) == -ESTALE);
    CHECK(unlink(path) == 0);
    CHECK(symlink("/dev/null", path) == 0);
    CHECK(changes_open(&s, &c, &why) == -ELOOP);
    CHECK(unlink(path) == 0);
}

static void test_full_disk_and_failed_sync(void)
{
    struct changes_setup s = setup();
    struct changes *c = NULL;
    disk_full = true;
    CHECK(changes_create(&s, &c) == -ENOSPC);
    disk_full = false;
    CHECK(access(path, F_OK) < 0);
    sync_fails = true;
    CHECK(changes_create(&s, &c) == -EIO);
    sync_fails = false;
    CHECK(access(path, F_OK) < 0);
    CHECK(!c);
}

static void test_renamed(void)
{
    char other[128];
    struct changes_setup s = setup();
    struct changes *c = create();
    snprintf(other, sizeof(other), "%s.2", path);
    CHECK(changes_rename(c, other) == 0);
    changes_close(c, true);
    CHECK(access(path, F_OK) < 0);
    s.path = other;
    c = reopen(s);
    changes_drop(c);
    CHECK(access(other, F_OK) < 0);
}

static void test_marks_cost_no_sync(void)
{
    struct changes *c = create();
    unsigned before = syncs;
    CHECK(before > 0); /* made durable before the first mark */
    for (uint64_t i = 0; i < BLOCKS; i++)
        changes_mark(c, i * BLOCK, 1);
    CHECK_EQ_U64(syncs, before);
    changes_drop(c);
}

/* ---- a mirror ---- */

static enum changes_kind kind_at(const struct changes *c, uint64_t block)
{
    enum changes_kind kind;
    changes_run(c, block * BLOCK, 1, &kind);
    return kind;
}

/* The account says what the copy has of what is marked; the marks say nothing of it. */
static void test_mirror_keeps_marked_blocks_equal(void)
{
    enum changes_kind kind;
    struct changes *c = create();
    changes_copy_is_whole(c);
    changes_mark(c, 0, 1);
    changes_mark_mirrored(c, BLOCK, 1); /* nobody keeps an account */
    CHECK_EQ_U64(changes_bytes(c), 2 * BLOCK);
    CHECK(changes_mirror(c) == 0);
    CHECK_EQ_U64(changes_bytes(c), 2 * BLOCK);
    changes_mark_mirrored(c, 2 * BLOCK, 2 * BLOCK);
    changes_mark_mirrored(c, 0, 1); /* it was behind before: a part does not bring it up to date */
    CHECK_EQ_U64(changes_bytes(c), 2 * BLOCK);
    CHECK(kind_at(c, 0) == CHANGES_DIFFER && kind_at(c, 1) == CHANGES_DIFFER);
    CHECK(kind_at(c, 2) == CHANGES_MIRRORED && kind_at(c, 4) == CHANGES_NONE);
    CHECK(changes_all_equal(c, 2 * BLOCK, volume_size));
    CHECK(!changes_all_equal(c, 2 * BLOCK - 1, 2));
    CHECK_EQ_U64(changes_run(c, 2 * BLOCK, volume_size, &kind), 2 * BLOCK);
    changes_mark(c, 3 * BLOCK, 1);
    CHECK(kind_at(c, 2) == CHANGES_MIRRORED && kind_at(c, 3) == CHANGES_DIFFER);
    CHECK(changes_mirror(c) == 0); /* goes on */
    CHECK_EQ_U64(changes_bytes(c), 3 * BLOCK);
    changes_unmirror(c);
    CHECK_EQ_U64(changes_bytes(c), 4 * BLOCK);
    CHECK(kind_at(c, 2) == CHANGES_DIFFER && kind_at(c, 4) == CHANGES_NONE);
    changes_drop(c);
}

static void test_what_is_behind_catches_up(void)
{
    uint64_t offset = 0, length = 0;
    struct changes *c = create();
    changes_copy_is_whole(c);
    CHECK(!changes_behind(c, &offset, &length)); /* no account */
    CHECK(changes_mirror(c) == 0);
    CHECK(!changes_behind(c, &offset, &length));
    changes_mark(c, 3 * BLOCK + 5, 1);
    changes_mark(c, volume_size - 1, 1);
    CHECK(changes_behind(c, &offset, &length) && offset == 3 * BLOCK && length == BLOCK);
    offset = 4 * BLOCK;
    CHECK(changes_behind(c, &offset, &length) && offset == (BLOCKS - 1) * BLOCK &&
          length == volume_size - offset);
    offset = volume_size;
    CHECK(!changes_behind(c, &offset, &length));
    changes_caught_up(c, 3 * BLOCK, BLOCK);
    changes_caught_up(c, 3 * BLOCK, BLOCK);
    CHECK_EQ_U64(changes_bytes(c), BLOCK);
    CHECK(kind_at(c, 3) == CHANGES_MIRRORED && kind_at(c, BLOCKS - 1) == CHANGES_DIFFER);
    changes_caught_up(c, (BLOCKS - 1) * BLOCK, BLOCK);
    CHECK_EQ_U64(changes_bytes(c), 0);
    changes_mark(c, 3 * BLOCK, 1);
    offset = 1;
    CHECK(changes_behind(c, &offset, &length) && offset == 3 * BLOCK);
    changes_drop(c);
}

/* S8: what was mirrored counts as proved until it is written again, and what lags behind never. */
static void test_what_was_mirrored_is_proved(void)
{
    uint64_t offset = 0, length = 0;
    struct changes *c = create();
    changes_copy_is_whole(c);
    changes_mark(c, 0, 1);
    CHECK(!changes_unproved(c, &offset, &length)); /* no account */
    changes_proved(c, 0, BLOCK);
    CHECK(kind_at(c, 0) == CHANGES_DIFFER);
    CHECK(changes_mirror(c) == 0);
    CHECK(!changes_unproved(c, &offset, &length)); /* it lags behind */
    CHECK_EQ_U64(changes_unproved_bytes(c), 0);
    changes_caught_up(c, 0, BLOCK);
    changes_mark_mirrored(c, volume_size - 1, 1);
    CHECK_EQ_U64(changes_unproved_bytes(c), 2 * BLOCK);
    CHECK(changes_unproved(c, &offset, &length) && offset == 0 && length == BLOCK);
    offset = BLOCK;
    CHECK(changes_unproved(c, &offset, &length) && offset == (BLOCKS - 1) * BLOCK &&
          length == volume_size - offset);
    changes_proved(c, 0, BLOCK);
    changes_proved(c, 0, BLOCK);
    CHECK_EQ_U64(changes_unproved_bytes(c), BLOCK);
    CHECK(kind_at(c, 0) == CHANGES_PROVED && kind_at(c, BLOCKS - 1) == CHANGES_MIRRORED);
    changes_mark_mirrored(c, 5, 1);
    CHECK(kind_at(c, 0) == CHANGES_MIRRORED);
    changes_proved(c, 0, BLOCK);
    changes_mark(c, 5, 1);
    CHECK(kind_at(c, 0) == CHANGES_DIFFER);
    changes_caught_up(c, 0, BLOCK);
    CHECK(kind_at(c, 0) == CHANGES_MIRRORED);
    changes_proved(c, 0, volume_size);
    changes_unmirror(c);
    CHECK(kind_at(c, 0) == CHANGES_DIFFER && changes_unproved_bytes(c) == 0);
    CHECK(changes_mirror(c) == 0);
    changes_caught_up(c, 0, volume_size);
    CHECK(kind_at(c, 0) == CHANGES_MIRRORED); /* a new account knows of no proof */
    changes_drop(c);
}

static void mirror_some(void *arg)
{
    struct changes *c = arg;
    changes_copy_is_whole(c);
    if (changes_mirror(c) < 0)
        abort();
    changes_mark_mirrored(c, 3 * BLOCK, BLOCK + 1);
}

/* S10: that the copy has it was the word of who lived then. */
static void test_mirror_ends_with_its_process(void)
{
    struct changes *c = create();
    in_killed_child(mirror_some, c);
    changes_close(c, false);
    c = reopen(killed());
    CHECK_EQ_U64(changes_bytes(c), 2 * BLOCK);
    changes_drop(c);
    c = create();
    mirror_some(c);
    CHECK_EQ_U64(changes_bytes(c), 0);
    changes_close(c, true);
    c = reopen(setup());
    CHECK_EQ_U64(changes_bytes(c), 2 * BLOCK);
    changes_drop(c);
}

static void test_nothing_is_mirrored_to_a_copy_that_is_not_whole(void)
{
    struct changes *c = create();
    CHECK(changes_mirror(c) == 0);
    changes_mark_mirrored(c, 0, 1);
    CHECK(!changes_all_equal(c, 0, 1) && kind_at(c, 0) == CHANGES_DIFFER);
    CHECK_EQ_U64(changes_bytes(c), volume_size);
    changes_drop(c);
}

/* ---- against a model ---- */

struct model {
    bool marked[BLOCKS];
};

struct life {
    struct model *m;
    struct changes *c; /* NULL: the model alone */
    uint64_t seed;
};

static void live(void *arg)
{
    const struct life *l = arg;
    struct rng rng;
    rng_init(&rng, l->seed);
    for (uint64_t n = rng_below(&rng, 10); n > 0; n--) {
        uint64_t offset = rng_below(&rng, volume_size + BLOCK);
        uint64_t length = rng_below(&rng, rng_below(&rng, 4) ? 9000 : 5 * BLOCK);
        if (l->c)
            changes_mark(l->c, offset, length);
        for (uint64_t i = 0; i < BLOCKS; i++)
            l->m->marked[i] |= length && offset < (i + 1) * BLOCK && offset + length > i * BLOCK &&
                               offset < volume_size;
    }
}

static void compare(const struct changes *c, const struct model *m)
{
    uint64_t bytes = 0;
    enum changes_kind kind;
    for (uint64_t i = 0; i < BLOCKS; i++) {
        bytes += m->marked[i] ? BLOCK : 0;
        CHECK(equal_at(c, i * BLOCK + 77) != m->marked[i]);
    }
    CHECK_EQ_U64(changes_bytes(c), bytes < volume_size ? bytes : volume_size);
    for (uint64_t at = 0; at < volume_size;) {
        uint64_t n = changes_run(c, at, volume_size, &kind);
        CHECK(n > 0);
        if (!n)
            return;
        for (uint64_t i = at / BLOCK; i * BLOCK < at + n; i++)
            CHECK(m->marked[i] == (kind == CHANGES_DIFFER));
        at += n;
        CHECK(at == volume_size || equal_at(c, at) != (kind != CHANGES_DIFFER));
    }
}

/* Lives that end by kill -9 or in order, each going on with the map of the one before. */
static void test_model(uint64_t seed)
{
    enum { LIVES = 20 };
    struct model m = {{false}};
    struct rng rng;
    rng_init(&rng, seed);
    struct changes *c = create();
    changes_copy_is_whole(c);
    for (uint64_t i = 0; i < LIVES && !test_state()->failed; i++) {
        struct life l = {&m, c, seed * LIVES + i};
        bool kill_it = rng_below(&rng, 2);
        if (kill_it) {
            in_killed_child(live, &l);
            l.c = NULL;
        }
        live(&l);
        changes_close(c, !kill_it);
        c = reopen(kill_it ? killed() : setup());
        if (!c)
            return;
        compare(c, &m);
    }
    changes_drop(c);
}

int main(void)
{
    test_begin("changes");
    snprintf(root, sizeof(root), "/tmp/gs-changes.XXXXXX");
    if (!mkdtemp(root))
        abort();
    snprintf(path, sizeof(path), "%s/v", root);
    test_nothing_is_equal_before_the_copy_is_whole();
    test_edges();
    test_large_volumes_have_larger_blocks();
    test_kept_over_an_end_in_order();
    test_kill_loses_no_mark();
    test_another_boot_believes_nothing_that_was_in_use();
    test_gaps();
    test_of_another_move();
    test_missing();
    test_damage();
    test_not_a_file();
    test_full_disk_and_failed_sync();
    test_renamed();
    test_marks_cost_no_sync();
    test_mirror_keeps_marked_blocks_equal();
    test_what_is_behind_catches_up();
    test_what_was_mirrored_is_proved();
    test_mirror_ends_with_its_process();
    test_nothing_is_mirrored_to_a_copy_that_is_not_whole();
    for (uint64_t seed = 1; seed <= 5; seed++)
        test_model(seed);
    CHECK(rmdir(root) == 0); /* nothing is left beside the file */
    return test_done();
}
