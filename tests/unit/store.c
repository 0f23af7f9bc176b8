/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The route store: compare-and-set, what crashes and races leave, and the serving lock. */
#include "common/route/past.h"
#include "common/route/store.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fsfile.h"
#include "common/base/hash.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { SEED = 20240601, LOG_MAX = 16 << 20 };

/* ---- a disk that can fail ---- */

static bool sync_fails;

/* Stands before glibc's: the linker takes this one for the store. */
int fdatasync(int fd)
{
    if (sync_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* ---- helpers ---- */

static char root[64];

static void fresh_root(void)
{
    snprintf(root, sizeof(root), "/tmp/gs-store.XXXXXX");
    if (!mkdtemp(root))
        abort();
}

static const char *log_path(void)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/routes.log", root);
    return path;
}

static void remove_root(void)
{
    char path[PATH_MAX];
    unsigned long *old = NULL;
    long n = past_list(log_path(), &old);
    for (long i = 0; i < n; i++)
        if (past_path(log_path(), old[i], path, sizeof(path)) == 0)
            unlink(path);
    free(old);
    unlink(log_path());
    snprintf(path, sizeof(path), "%s/serving/v", root);
    unlink(path);
    snprintf(path, sizeof(path), "%s/serving", root);
    rmdir(path);
    CHECK(rmdir(root) == 0); /* no temporary file is left */
}

static struct route_store *open_store(void)
{
    struct route_store *s;
    if (route_store_open(root, true, &s) < 0)
        abort();
    return s;
}

static struct route make_route(const char *volume, const char *gateway, uint64_t epoch)
{
    struct route r = {.epoch = epoch, .state = ROUTE_STATE_STEADY, .time = 1.5};
    snprintf(r.volume, sizeof(r.volume), "%s", volume);
    snprintf(r.gateway, sizeof(r.gateway), "%s", gateway);
    return r;
}

/* Makes GATEWAY the owner of VOLUME, whatever the epoch. */
static int set_owner(struct route_store *s, const char *volume, const char *gateway)
{
    struct route now = {0};
    int r = route_store_get(s, volume, &now);
    if (r < 0)
        return r;
    struct route next = make_route(volume, gateway, now.epoch + 1);
    return route_store_cas(s, now.epoch, -1, &next, -1);
}

static uint64_t epoch_of(struct route_store *s, const char *volume)
{
    struct route now = {0};
    return route_store_get(s, volume, &now) < 0 ? UINT64_MAX : now.epoch;
}

static int count_one(const struct route *r, void *arg)
{
    (void)r;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned count_routes(struct route_store *s)
{
    unsigned n = 0;
    return route_store_each(s, count_one, &n) == 0 ? n : UINT_MAX;
}

static struct buf read_log(void)
{
    struct buf b = {0};
    if (fsfile_read(log_path(), LOG_MAX, &b) < 0)
        abort();
    return b;
}

static void write_log(const char *data, size_t len)
{
    int fd = open(log_path(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || fsfile_write_all(fd, data, len) < 0)
        abort();
    close(fd);
}

static unsigned count_lines(const char *data, size_t len)
{
    unsigned n = 0;
    for (size_t i = 0; i < len; i++)
        n += data[i] == '\n';
    return n;
}

/* ---- compare-and-set ---- */

static void test_cas(void)
{
    struct route_store *s = open_store();
    struct route now;
    struct route next = make_route("v", "gw-a", 1);
    CHECK(route_store_get(s, "v", &now) == 0);
    CHECK(route_store_cas(s, 1, -1, &next, -1) == -ESTALE);
    CHECK(route_store_cas(s, 0, ROUTE_STATE_STEADY, &next, -1) == -ESTALE);
    CHECK(route_store_cas(s, 0, -1, &next, -1) == 0);
    CHECK(route_store_cas(s, 0, -1, &next, -1) == -ESTALE);

    next = make_route("saved", "gw-a", 7);
    CHECK(route_store_cas(s, 0, -1, &next, -1) == 0);
    CHECK_EQ_U64(epoch_of(s, "saved"), 7);

    next = make_route("v", "gw-b", 1);
    CHECK(route_store_cas(s, 1, -1, &next, -1) == -EINVAL); /* an owner in an old epoch */
    next.epoch = 3;
    CHECK(route_store_cas(s, 1, -1, &next, -1) == -EINVAL);
    next.epoch = 0;
    CHECK(route_store_cas(s, 1, -1, &next, -1) == -EINVAL);
    next.epoch = 2;
    snprintf(next.target, sizeof(next.target), "gw,c");
    CHECK(route_store_cas(s, 1, -1, &next, -1) == -EINVAL);

    next = make_route("v", "gw-a", 1);
    next.state = ROUTE_STATE_MOVING;
    snprintf(next.target, sizeof(next.target), "gw-b");
    next.size_bytes = UINT64_MAX;
    next.time = 1700000000.25;
    CHECK(route_store_cas(s, 1, ROUTE_STATE_STEADY, &next, -1) == 0);
    CHECK(route_store_cas(s, 1, ROUTE_STATE_STEADY, &next, -1) == -ESTALE);
    CHECK(route_store_get(s, "v", &now) == 1);
    CHECK_STR(now.gateway, "gw-a");
    CHECK_STR(now.target, "gw-b");
    CHECK_EQ_U64(now.epoch, 1);
    CHECK_EQ_U64(now.state, ROUTE_STATE_MOVING);
    CHECK_EQ_U64(now.size_bytes, UINT64_MAX);
    CHECK(now.time == 1700000000.25);
    route_store_close(s);
}

static const char *log_bytes(const char *records[])
{
    static char text[4096];
    size_t n = (size_t)snprintf(text, sizeof(text),
                                "volume,gateway,epoch,state,target,size_bytes,time,xxh3\n");
    for (; *records; records++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s,%016llx\n", *records,
                              (unsigned long long)hash64(*records, strlen(*records)));
    return text;
}

/* The word is in the line only where it says something: older logs are read, and go on as they
 * were. */
static void test_verify(void)
{
    struct route now;
    const char *former = log_bytes((const char *[]){"v,gw-a,1,moving,gw-b,4096,1.5", NULL});
    unlink(log_path());
    write_log(former, strlen(former));
    struct route_store *s = open_store();
    CHECK(route_store_get(s, "v", &now) == 1 && now.verify == VERIFY_FULL);
    now.state = ROUTE_STATE_DEFERRED;
    CHECK(route_store_cas(s, 1, ROUTE_STATE_MOVING, &now, -1) == 0);
    now.verify = VERIFY_DELTA;
    CHECK(route_store_cas(s, 1, ROUTE_STATE_DEFERRED, &now, -1) == 0);
    now.verify = VERIFY_NONE;
    CHECK(route_store_cas(s, 1, ROUTE_STATE_DEFERRED, &now, -1) == 0);
    route_store_close(s);
    s = open_store();
    CHECK(route_store_get(s, "v", &now) == 1 && now.verify == VERIFY_NONE);
    route_settle(&now);
    CHECK(now.state == ROUTE_STATE_STEADY && !now.target[0] && now.verify == VERIFY_FULL);
    CHECK(route_store_cas(s, 1, ROUTE_STATE_DEFERRED, &now, -1) == 0);
    route_store_close(s);
    struct buf log = read_log();
    CHECK_STR(log.data, log_bytes((const char *[]){"v,gw-a,1,moving,gw-b,4096,1.5",
                                                   "v,gw-a,1,deferred,gw-b,4096,1.5",
                                                   "v,gw-a,1,deferred,gw-b,4096,1.5,delta",
                                                   "v,gw-a,1,deferred,gw-b,4096,1.5,none",
                                                   "v,gw-a,1,steady,,4096,1.5", NULL}));
    buf_release(&log);
    unlink(log_path());
}

/* Another word, or one field more, in a line whose checksum is good. */
static void test_verify_damage(void)
{
    struct route now;
    static const char *const bad[] = {"v,gw-a,1,moving,gw-b,4096,1.5,",
                                      "v,gw-a,1,moving,gw-b,4096,1.5,most",
                                      "v,gw-a,1,moving,gw-b,4096,1.5,delta,"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *text = log_bytes((const char *[]){bad[i], "w,gw-a,1,steady,,,1", NULL});
        write_log(text, strlen(text));
        struct route_store *s = open_store();
        CHECK(route_store_get(s, "v", &now) == -EBADMSG);
        route_store_close(s);
    }
    unlink(log_path());
}

static int collect(const struct route *r, void *arg)
{
    struct buf *b = arg;
    return buf_printf(b, "%s ", r->volume);
}

static int stop_at_once(const struct route *r, void *arg)
{
    (void)r;
    (void)arg;
    return 7;
}

static void test_each(void)
{
    struct route_store *s = open_store();
    struct buf names = {0};
    CHECK(set_owner(s, "b", "gw-a") == 0 && set_owner(s, "a", "gw-a") == 0);
    CHECK(route_store_each(s, collect, &names) == 0);
    CHECK_STR(names.data, "a b saved v ");
    CHECK(route_store_each(s, stop_at_once, NULL) == 7);
    buf_release(&names);
    route_store_close(s);
}

static void test_open(void)
{
    struct route_store *s;
    char missing[128];
    snprintf(missing, sizeof(missing), "%s/none", root);
    CHECK(route_store_open(missing, false, &s) == -ENOENT);
    CHECK(access(missing, F_OK) < 0);
}

static void test_lock_wait(void)
{
    struct route_store *s = open_store();
    struct route next = make_route("w", "gw-a", 1);
    int fd = open(log_path(), O_RDONLY);
    CHECK(flock(fd, LOCK_EX) == 0);
    CHECK(route_store_cas(s, 0, -1, &next, 0) == -EAGAIN);
    CHECK(route_store_cas(s, 0, -1, &next, 20) == -EAGAIN);
    CHECK(route_store_get(s, "w", &next) == 0); /* readers do not wait */
    close(fd);
    CHECK(route_store_cas(s, 0, -1, &next, 20) == 0);
    route_store_close(s);
}

/* ---- what a crash leaves ---- */

/* A log of three volumes, the last record being of "c". */
static struct buf sample_log(void)
{
    unlink(log_path());
    struct route_store *s = open_store();
    CHECK(set_owner(s, "a", "gw-a") == 0 && set_owner(s, "b", "gw-b") == 0);
    CHECK(set_owner(s, "a", "gw-c") == 0 && set_owner(s, "c", "gw-c") == 0);
    route_store_close(s);
    return read_log();
}

static void test_torn_tails(void)
{
    struct buf whole = sample_log();
    for (size_t len = 0; len <= whole.len; len++) {
        write_log(whole.data, len);
        unsigned lines = count_lines(whole.data, len);
        unsigned volumes = lines < 2 ? 0 : lines < 4 ? lines - 1 : lines - 2;
        struct route_store *s = open_store();
        CHECK_EQ_U64(count_routes(s), volumes);
        CHECK(set_owner(s, "new", "gw-n") == 0);
        route_store_close(s);
        s = open_store(); /* and what follows a torn tail can be read */
        CHECK_EQ_U64(count_routes(s), volumes + 1);
        route_store_close(s);
    }
    buf_release(&whole);
}

/* A last line whose bytes did not all reach the disk never happened either. */
static void test_torn_last_line(void)
{
    struct buf whole = sample_log();
    size_t last = whole.len - 1;
    while (whole.data[last - 1] != '\n')
        last--;
    for (size_t i = last; i < whole.len - 1; i++) {
        struct buf bad = {0};
        CHECK(buf_add(&bad, whole.data, whole.len) == 0);
        bad.data[i] = 0;
        write_log(bad.data, bad.len);
        struct route_store *s = open_store();
        CHECK_EQ_U64(count_routes(s), 2);
        CHECK(set_owner(s, "c", "gw-n") == 0);
        CHECK_EQ_U64(epoch_of(s, "c"), 1);
        route_store_close(s);
        buf_release(&bad);
    }
    buf_release(&whole);
}

/* The log after a failed change is byte for byte what it was. */
static void check_untouched(struct route_store *s, const struct buf *expected)
{
    struct route next = make_route("new", "gw-n", 1);
    CHECK(route_store_cas(s, 0, -1, &next, -1) == -EBADMSG);
    CHECK(route_store_settle(s) == -EBADMSG);
    struct buf now = read_log();
    CHECK(now.len == expected->len && memcmp(now.data, expected->data, now.len) == 0);
    buf_release(&now);
}

static void test_damage(void)
{
    struct buf whole = sample_log();
    size_t last = whole.len - 1;
    while (whole.data[last - 1] != '\n')
        last--;
    /* Up to the newline before the last line: without that one the two would be one torn line. */
    for (size_t i = 0; i < last - 1; i++) {
        struct route now;
        char old = whole.data[i];
        whole.data[i] ^= 0x08;
        write_log(whole.data, whole.len);
        struct route_store *s = open_store();
        CHECK(route_store_get(s, "a", &now) == -EBADMSG);
        CHECK(strncmp(route_store_error(s), log_path(), strlen(log_path())) == 0);
        check_untouched(s, &whole);
        route_store_close(s);
        whole.data[i] = old;
    }
    buf_release(&whole);
}

static void test_foreign_file(void)
{
    struct route now;
    write_log("volume,gateway\n", 15);
    struct route_store *s = open_store();
    CHECK(route_store_get(s, "a", &now) == -EBADMSG);
    struct buf whole = read_log();
    check_untouched(s, &whole);
    buf_release(&whole);
    route_store_close(s);
}

/* A line copied to the end has a good checksum; an epoch that goes back gives it away. */
static void test_replayed_line(void)
{
    struct buf whole = sample_log();
    struct route now;
    char *first = strchr(whole.data, '\n') + 1;
    size_t len = (size_t)(strchr(first, '\n') + 1 - first);
    struct buf bad = {0};
    CHECK(buf_add(&bad, whole.data, whole.len) == 0 && buf_add(&bad, first, len) == 0);
    CHECK(buf_add(&bad, first, len) == 0);
    write_log(bad.data, bad.len);
    struct route_store *s = open_store();
    CHECK(route_store_get(s, "a", &now) == -EBADMSG);
    CHECK(strstr(route_store_error(s), "epoch goes back") != NULL);
    route_store_close(s);
    buf_release(&bad);
    buf_release(&whole);
}

/* The disk is full after each number of bytes in turn: nothing changed, and the log goes on. */
static void test_full_disk(void)
{
    struct buf whole = sample_log();
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    struct route_store *s = open_store();
    struct route next = make_route("d", "gw-d", 1);
    for (size_t room = 0; room < 30; room++) {
        struct rlimit limit = {.rlim_cur = whole.len + room, .rlim_max = old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        CHECK(route_store_cas(s, 0, -1, &next, -1) == -EFBIG);
        struct buf now = read_log();
        CHECK_EQ_U64(now.len, whole.len);
        buf_release(&now);
    }
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    CHECK(route_store_cas(s, 0, -1, &next, -1) == 0);
    route_store_close(s);
    buf_release(&whole);
}

static void test_doubt(void)
{
    struct route_store *s = open_store();
    struct route now;
    struct route next = make_route("e", "gw-e", 1);
    sync_fails = true;
    CHECK(route_store_cas(s, 0, -1, &next, -1) == -EINPROGRESS);
    sync_fails = false;
    CHECK(route_store_get(s, "e", &now) == -EINPROGRESS);
    CHECK(route_store_cas(s, 1, -1, &next, -1) == -EINPROGRESS);
    CHECK(route_store_settle(s) == 0);
    CHECK(route_store_get(s, "e", &now) == 1);
    CHECK_EQ_U64(now.epoch, 1);
    CHECK(set_owner(s, "e", "gw-f") == 0);

    /* A reader does not hand out what may not be durable. */
    struct route_store *reader = open_store();
    sync_fails = true;
    CHECK(route_store_get(reader, "e", &now) == -EIO);
    sync_fails = false;
    CHECK(route_store_get(reader, "e", &now) == 1);
    route_store_close(reader);
    route_store_close(s);
}

/* ---- many processes ---- */

/* What children report, in memory that outlives them. */
struct board {
    uint64_t wins[8];
    uint64_t acked; /* the highest epoch that a writer was told is durable */
    uint64_t stop;
    uint64_t failures;
};

static struct board *new_board(void)
{
    struct board *b =
        mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED)
        abort();
    return b;
}

static uint64_t load(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void add(uint64_t *p, uint64_t n)
{
    __atomic_add_fetch(p, n, __ATOMIC_SEQ_CST);
}

static pid_t spawn(void (*body)(struct board *b, unsigned id), struct board *b, unsigned id)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        body(b, id);
        _exit(0);
    }
    return pid;
}

/* Each tries to be the one that makes the next epoch, until the volume is at epoch 400. */
static void race(struct board *b, unsigned id)
{
    struct route_store *s = open_store();
    char gateway[16];
    snprintf(gateway, sizeof(gateway), "gw-%u", id);
    for (;;) {
        struct route now = {0};
        if (route_store_get(s, "v", &now) < 0)
            add(&b->failures, 1);
        if (now.epoch >= 400)
            break;
        struct route next = make_route("v", gateway, now.epoch + 1);
        int r = route_store_cas(s, now.epoch, -1, &next, -1);
        if (r == 0)
            add(&b->wins[id], 1);
        else if (r != -ESTALE)
            add(&b->failures, 1);
    }
    route_store_close(s);
}

/* Compaction runs meanwhile: 400 steady records of one volume are over its limit. */
static void test_race(void)
{
    enum { RACERS = 4 };
    struct board *b = new_board();
    pid_t pids[RACERS];
    uint64_t wins = 0;
    unlink(log_path());
    for (unsigned i = 0; i < RACERS; i++)
        pids[i] = spawn(race, b, i);
    for (unsigned i = 0; i < RACERS; i++) {
        waitpid(pids[i], NULL, 0);
        wins += b->wins[i];
    }
    struct route_store *s = open_store();
    CHECK_EQ_U64(epoch_of(s, "v"), 400);
    CHECK_EQ_U64(wins, 400); /* one winner for each epoch */
    CHECK_EQ_U64(b->failures, 0);
    struct buf log = read_log();
    CHECK(count_lines(log.data, log.len) < 300); /* it was compacted */
    buf_release(&log);
    route_store_close(s);
    munmap(b, sizeof(*b));
}

static void write_for_ever(struct board *b, unsigned id)
{
    struct route_store *s = open_store();
    (void)id;
    for (uint64_t i = 0;; i++) {
        uint64_t epoch = epoch_of(s, "v");
        if (set_owner(s, "v", i % 2 ? "gw-a" : "gw-b") == 0)
            __atomic_store_n(&b->acked, epoch + 1, __ATOMIC_SEQ_CST);
        else
            add(&b->failures, 1);
    }
}

/* Removes what kills in the middle of a compaction leave beside the log. */
static void remove_leftovers(void)
{
    char pattern[PATH_MAX];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s.*", log_path());
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        unlink(found.gl_pathv[i]);
    globfree(&found);
}

static void test_kill(void)
{
    struct board *b = new_board();
    struct rng rng;
    rng_init(&rng, SEED);
    unlink(log_path());
    for (unsigned round = 0; round < 60; round++) {
        pid_t pid = spawn(write_for_ever, b, 0);
        usleep((useconds_t)(2000 + rng_below(&rng, 20000)));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        struct route_store *s = open_store();
        uint64_t epoch = epoch_of(s, "v");
        CHECK(epoch == b->acked || epoch == b->acked + 1);
        CHECK(set_owner(s, "v", "gw-k") == 0);
        __atomic_store_n(&b->acked, epoch + 1, __ATOMIC_SEQ_CST);
        route_store_close(s);
    }
    CHECK_EQ_U64(b->failures, 0);
    munmap(b, sizeof(*b));
    remove_leftovers();
}

/* Leaves torn tails, as a killed writer does. */
static void tear(struct board *b, unsigned id)
{
    static const char half[] = "v,gw-a,99999,steady,,,1.5,0123";
    (void)id;
    while (!load(&b->stop)) {
        int fd = open(log_path(), O_WRONLY | O_APPEND);
        struct stat held;
        struct stat named;
        flock(fd, LOCK_EX);
        if (fstat(fd, &held) == 0 && stat(log_path(), &named) == 0 && held.st_ino == named.st_ino)
            if (write(fd, half, sizeof(half) - 1) < 0)
                add(&b->failures, 1);
        close(fd);
        usleep(300);
    }
}

static void watch(struct board *b, unsigned id)
{
    struct route_store *s = open_store();
    uint64_t last = 0;
    (void)id;
    while (!load(&b->stop)) {
        uint64_t epoch = epoch_of(s, "v");
        if (epoch < last || epoch == UINT64_MAX)
            add(&b->failures, 1);
        last = epoch;
    }
    route_store_close(s);
}

/* Readers without the lock see no damage and no epoch going back. */
static void test_readers(void)
{
    struct board *b = new_board();
    unlink(log_path());
    struct route_store *s = open_store();
    CHECK(set_owner(s, "v", "gw-a") == 0);
    pid_t pids[] = {spawn(tear, b, 0), spawn(watch, b, 1), spawn(watch, b, 2)};
    for (unsigned i = 0; i < 600; i++)
        CHECK(set_owner(s, "v", i % 2 ? "gw-a" : "gw-b") == 0);
    add(&b->stop, 1);
    for (unsigned i = 0; i < 3; i++)
        waitpid(pids[i], NULL, 0);
    CHECK_EQ_U64(epoch_of(s, "v"), 601);
    CHECK_EQ_U64(b->failures, 0);
    route_store_close(s);
    munmap(b, sizeof(*b));
}

/* ---- against a model ---- */

enum { MODEL_VOLUMES = 6, MODEL_STEPS = 3000 };

struct model {
    struct route routes[MODEL_VOLUMES]; /* epoch 0: none */
};

static int model_cas(struct model *m, size_t i, uint64_t expect, int state,
                     const struct route *next)
{
    struct route *now = &m->routes[i];
    if (now->epoch != expect)
        return -ESTALE;
    if (state >= 0 && (!now->epoch || (int)now->state != state))
        return -ESTALE;
    if (expect && next->epoch != expect && next->epoch != expect + 1)
        return -EINVAL;
    if (next->epoch == expect && strcmp(now->gateway, next->gateway) != 0)
        return -EINVAL;
    *now = *next;
    return 0;
}

static struct route random_route(struct rng *rng, const struct model *m, size_t i)
{
    char volume[16];
    char gateway[16];
    snprintf(volume, sizeof(volume), "vol-%zu", i);
    snprintf(gateway, sizeof(gateway), "gw-%u", (unsigned)rng_below(rng, 3));
    struct route r = make_route(volume, gateway, m->routes[i].epoch + rng_below(rng, 3));
    r.state = (enum rec_route_state)rng_below(rng, ROUTE_STATE_MANUAL_RECOVERY + 1);
    r.size_bytes = rng_below(rng, 3) * 4096;
    r.verify = (enum rec_verify)rng_below(rng, VERIFY_NONE + 1);
    r.time = (double)rng_below(rng, 1000000) / 4;
    if (rng_below(rng, 2))
        snprintf(r.target, sizeof(r.target), "gw-t");
    return r;
}

static bool same(const struct route *a, const struct route *b)
{
    return strcmp(a->volume, b->volume) == 0 && strcmp(a->gateway, b->gateway) == 0 &&
           strcmp(a->target, b->target) == 0 && a->epoch == b->epoch && a->state == b->state &&
           a->size_bytes == b->size_bytes && a->time == b->time && a->verify == b->verify;
}

static void check_model(struct route_store *s, const struct model *m)
{
    for (size_t i = 0; i < MODEL_VOLUMES; i++) {
        char volume[16];
        struct route now;
        snprintf(volume, sizeof(volume), "vol-%zu", i);
        int found = route_store_get(s, volume, &now);
        CHECK(found == (m->routes[i].epoch != 0));
        CHECK(found != 1 || same(&now, &m->routes[i]));
    }
}

static void test_model(void)
{
    struct rng rng;
    struct model m = {0};
    unlink(log_path());
    struct route_store *s[2] = {open_store(), open_store()};
    rng_init(&rng, SEED);
    for (unsigned step = 0; step < MODEL_STEPS; step++) {
        struct route_store **h = &s[rng_below(&rng, 2)];
        size_t i = rng_below(&rng, MODEL_VOLUMES);
        struct route next = random_route(&rng, &m, i);
        uint64_t expect = m.routes[i].epoch + (rng_below(&rng, 8) == 0);
        int state = rng_below(&rng, 2) ? -1 : (int)m.routes[i].state;
        int expected = next.epoch ? model_cas(&m, i, expect, state, &next) : -EINVAL;
        CHECK(route_store_cas(*h, expect, state, &next, -1) == expected);
        if (rng_below(&rng, 100) == 0)
            CHECK(route_store_settle(*h) == 0);
        if (rng_below(&rng, 100) == 0) {
            route_store_close(*h);
            *h = open_store();
        }
        if (rng_below(&rng, 20) == 0)
            check_model(s[rng_below(&rng, 2)], &m);
    }
    check_model(s[0], &m);
    check_model(s[1], &m);
    route_store_close(s[0]);
    route_store_close(s[1]);
}

/* ---- who serves ---- */

static void serve_and_wait(struct board *b, unsigned id)
{
    (void)id;
    add(&b->wins[0], route_serve_lock(root, "v", "/run/other.sock", NULL) >= 0);
    add(&b->stop, 1);
    pause();
}

static void test_serve(void)
{
    char path[64] = "as it was";
    CHECK(route_serve_holder(root, "v", path, sizeof(path)) == 0);
    int fd = route_serve_lock(root, "v", "/run/a.sock", NULL);
    CHECK(fd >= 0);
    CHECK(route_serve_lock(root, "v", "/run/b.sock", NULL) == -EAGAIN);
    CHECK(route_serve_holder(root, "v", path, sizeof(path)) == 1);
    CHECK_STR(path, "/run/a.sock");
    CHECK(route_serve_holder(root, "v", path, 5) == -ENAMETOOLONG);
    close(fd);
    CHECK(route_serve_holder(root, "v", path, sizeof(path)) == 0);
    CHECK(route_serve_lock(root, "../v", "/run/a.sock", NULL) == -EINVAL);

    struct board *b = new_board();
    pid_t pid = spawn(serve_and_wait, b, 0);
    while (!load(&b->stop))
        usleep(100);
    CHECK_EQ_U64(b->wins[0], 1);
    CHECK(route_serve_lock(root, "v", "/run/b.sock", NULL) == -EAGAIN);
    CHECK(route_serve_holder(root, "v", path, sizeof(path)) == 1);
    CHECK_STR(path, "/run/other.sock");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK(route_serve_holder(root, "v", path, sizeof(path)) == 0);

    /* It was killed: the next ones learn of it until a director has let go in order. */
    bool unclean = false;
    fd = route_serve_lock(root, "v", "", &unclean);
    CHECK(fd >= 0 && unclean);
    close(fd);
    fd = route_serve_lock(root, "v", "/run/c.sock", &unclean);
    CHECK(fd >= 0 && unclean);
    route_serve_unlock(fd);
    fd = route_serve_lock(root, "v", "", &unclean);
    CHECK(fd >= 0 && !unclean);
    close(fd);
    munmap(b, sizeof(*b));
}

int main(void)
{
    test_begin("store");
    fresh_root();
    test_cas();
    test_each();
    test_open();
    test_verify();
    test_verify_damage();
    test_lock_wait();
    test_torn_tails();
    test_torn_last_line();
    test_damage();
    test_foreign_file();
    test_replayed_line();
    test_full_disk();
    test_doubt();
    test_race();
    test_kill();
    test_readers();
    test_model();
    test_serve();
    remove_root();
    return test_done();
}
