/* links: cmd/migrate-exec */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* migrate-exec's journal and history: torn tails, damage, locks, and kill -9 while appending. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/migrate-exec/journal.h"
#include "common/base/buf.h"
#include "common/base/fsfile.h"
#include "tests/unit/tap.h"

/* A state folder of our own, and the files in it. */
struct place {
    char dir[256];
    char journal[512];
    char history[512];
};

static void place_init(struct place *p)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(p->dir, sizeof(p->dir), "%s/journal.XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(p->dir) != NULL);
    snprintf(p->journal, sizeof(p->journal), "%s/migrations/v-2.csv", p->dir);
    snprintf(p->history, sizeof(p->history), "%s/history.csv", p->dir);
}

static void place_remove(const struct place *p)
{
    char folder[512];
    char **ids = NULL;
    size_t n = 0;
    CHECK(journal_ids(p->dir, &ids, &n) == 0);
    for (size_t i = 0; i < n; i++) {
        snprintf(folder, sizeof(folder), "%s/migrations/%s.csv", p->dir, ids[i]);
        unlink(folder);
    }
    journal_ids_free(ids, n);
    unlink(p->history);
    snprintf(folder, sizeof(folder), "%s/migrations", p->dir);
    rmdir(folder);
    CHECK(rmdir(p->dir) == 0);
}

static struct event sample(enum rec_event kind, const char *detail)
{
    struct event e = {
        .time = 1700000000.25,
        .migration = "v-2",
        .volume = "v",
        .source = "gw-a",
        .target = "gw-b",
        .phase = PHASE_REPLICATE,
        .event = kind,
        .bytes_done = 4096,
        .bytes_total = 65536,
        .who = "tester: unit",
    };
    snprintf(e.detail, sizeof(e.detail), "%s", detail);
    return e;
}

static void append_raw(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0644);
    CHECK(fd >= 0 && fsfile_write_all(fd, text, strlen(text)) == 0);
    close(fd);
}

static int count(const struct event *e, void *arg)
{
    (void)e;
    ++*(int *)arg;
    return 0;
}

/* How many events the journal v-2 has; -errno as the number says. */
static int events(const struct place *p)
{
    int n = 0;
    int r = journal_each(p->dir, "v-2", count, &n);
    return r < 0 ? r : n;
}

static void test_identity(void)
{
    char id[NAME_LEN_MAX + 1];
    char longest[NAME_LEN_MAX + 1];
    uint64_t epoch = 0;
    CHECK(migration_id("v", 2, 1, id) == 0);
    CHECK_STR(id, "v-2");
    CHECK(migration_id("db-1", 18, 3, id) == 0);
    CHECK_STR(id, "db-1-18.3");
    CHECK(migration_epoch(id, &epoch) == 0);
    CHECK_EQ_U64(epoch, 18);
    CHECK(migration_epoch("v", &epoch) == -EINVAL);
    CHECK(migration_epoch("v-", &epoch) == -EINVAL);
    CHECK(migration_epoch("-2", &epoch) == -EINVAL);
    CHECK(migration_epoch("../v-2", &epoch) == -EINVAL);
    CHECK(migration_epoch("v-x", &epoch) == -EINVAL);
    memset(longest, 'v', NAME_LEN_MAX);
    longest[NAME_LEN_MAX] = 0;
    CHECK(migration_id(longest, 2, 1, id) == -ENAMETOOLONG);
}

static void test_append_and_read(const struct place *p)
{
    struct journal *j;
    struct event e = sample(EVENT_BEGIN, "with, a comma and \"quotes\"");
    struct event got;
    CHECK(journal_last(p->dir, "v-2", &got) == -ENOENT);
    CHECK(journal_open(p->dir, "v-2", false, &j) == -ENOENT);
    CHECK(journal_open(p->dir, "v-2", true, &j) == 0);
    CHECK(journal_last(p->dir, "v-2", &got) == 0); /* a header and no event */
    CHECK(journal_append(j, &e) == 0);
    e = sample(EVENT_SWITCHED, "");
    e.has_pause = true;
    e.pause_us = 1234;
    CHECK(journal_append(j, &e) == 0);
    CHECK(journal_last(p->dir, "v-2", &got) == 1);
    CHECK_EQ_U64(got.event, EVENT_SWITCHED);
    CHECK_EQ_U64(got.pause_us, 1234);
    CHECK(got.has_pause);
    CHECK_STR(got.who, "tester: unit");
    CHECK(events(p) == 2);
    journal_close(j);
}

static void test_lock(const struct place *p)
{
    struct journal *j;
    struct journal *other;
    CHECK(journal_open(p->dir, "v-2", false, &j) == 0);
    CHECK(journal_open(p->dir, "v-2", false, &other) == -EAGAIN);
    journal_close(j);
    CHECK(journal_open(p->dir, "v-2", false, &other) == 0);
    journal_close(other);
}

/* A line without its newline never happened, and the next writer cuts it off. */
static void test_torn_tail(const struct place *p)
{
    struct journal *j;
    struct event got;
    struct event e = sample(EVENT_ABORTED, "");
    append_raw(p->journal, "1700000001,v-2,v,gw-a,gw-b,handover,committed,1,1,,me,whole but tor");
    CHECK(events(p) == 2);
    CHECK(journal_last(p->dir, "v-2", &got) == 1 && got.event == EVENT_SWITCHED);
    CHECK(journal_open(p->dir, "v-2", false, &j) == 0);
    CHECK(journal_append(j, &e) == 0);
    journal_close(j);
    CHECK(journal_last(p->dir, "v-2", &got) == 1 && got.event == EVENT_ABORTED);
    CHECK(events(p) == 3);
}

/* Damage before the end is not the same thing: it is reported, whatever comes behind. */
static void test_damage(const struct place *p)
{
    struct journal *j;
    struct event e = sample(EVENT_PASS, "");
    append_raw(p->journal, "rubbish\n");
    CHECK(events(p) == -EBADMSG);
    CHECK(journal_open(p->dir, "v-2", false, &j) == 0);
    CHECK(journal_append(j, &e) == 0);
    journal_close(j);
    CHECK(events(p) == -EBADMSG);
}

static void test_history(const struct place *p)
{
    struct event e = sample(EVENT_PASS, "");
    struct buf text = {0};
    CHECK(history_append(p->dir, &e) == 0);
    append_raw(p->history, "1700000001,v-2,v,gw-");
    CHECK(history_append(p->dir, &e) == 0);
    CHECK(fsfile_read(p->history, 65536, &text) == 0);
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    CHECK_EQ_U64(lines, 3); /* one header, two records, nothing of the torn one */
    CHECK(text.len && strstr(text.data, "gw-\n") == NULL);
    buf_release(&text);
}

/* Appends until it is killed. */
_Noreturn static void append_for_ever(const struct place *p, int ready)
{
    struct journal *j;
    struct event e = sample(EVENT_PASS, "a pass");
    if (journal_open(p->dir, "v-2", true, &j) < 0)
        _exit(1);
    for (bool told = false;;) {
        if (journal_append(j, &e) < 0 || history_append(p->dir, &e) < 0)
            _exit(1);
        if (!told && write(ready, "", 1) != 1)
            _exit(1);
        told = true;
    }
}

/* kill -9 in the middle: the journal can be read, opened and appended to. */
static void test_kill(const struct place *p)
{
    unlink(p->journal);
    for (int i = 0; i < 10; i++) {
        int ready[2];
        char byte;
        CHECK(pipe(ready) == 0);
        pid_t pid = fork();
        if (pid == 0)
            append_for_ever(p, ready[1]);
        CHECK(read(ready[0], &byte, 1) == 1);
        usleep((useconds_t)(i * 700)); /* no wait for anything: it spreads the kills */
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, NULL, 0) == pid);
        close(ready[0]);
        close(ready[1]);
        CHECK(events(p) > i);
    }
}

static void test_ids(const struct place *p)
{
    char **ids;
    size_t n;
    CHECK(journal_ids(p->dir, &ids, &n) == 0);
    CHECK_EQ_U64(n, 1);
    CHECK_STR(ids[0], "v-2");
    journal_ids_free(ids, n);
    /* The attempts of an epoch in the order in which they were made, then the next epochs. */
    static const char *const more[] = {"v-10", "v-2.2", "v-2.10", "v-3"};
    static const char *const order[] = {"v-2", "v-2.2", "v-2.10", "v-3", "v-10"};
    for (size_t i = 0; i < 4; i++) {
        struct journal *j = NULL;
        CHECK(journal_open(p->dir, more[i], true, &j) == 0);
        journal_close(j);
    }
    CHECK(journal_ids(p->dir, &ids, &n) == 0);
    CHECK_EQ_U64(n, 5);
    for (size_t i = 0; i < n; i++)
        CHECK_STR(ids[i], order[i]);
    journal_ids_free(ids, n);
}

/* Why one cannot be read is told with its file and line. */
static void test_why(const struct place *p)
{
    struct buf path = {0};
    struct buf want = {0};
    char why[300];
    CHECK(journal_path(p->dir, "w-2", &path) == 0);
    static const char text[] = "time,migration,volume,source,target,phase,event,bytes_done,"
                               "bytes_total,pause_us,who,detail\nrubbish\n";
    CHECK(fsfile_replace(path.data, text, sizeof(text) - 1) == 0);
    struct event e;
    CHECK(journal_last(p->dir, "w-2", &e) == -EBADMSG);
    journal_why(p->dir, "w-2", -EBADMSG, why, sizeof(why));
    CHECK(buf_printf(&want, "%s:2: 1 fields where the header has 12", path.data) == 0);
    CHECK_STR(why, want.data);
    buf_clear(&want);
    CHECK(buf_printf(&want, "'%s': permission denied", path.data) == 0);
    journal_why(p->dir, "w-2", -EACCES, why, sizeof(why));
    CHECK_STR(why, want.data);
    buf_release(&path);
    buf_release(&want);
}

int main(void)
{
    struct place p;
    test_begin("journal");
    place_init(&p);
    test_identity();
    test_append_and_read(&p);
    test_lock(&p);
    test_torn_tail(&p);
    test_damage(&p);
    test_history(&p);
    test_kill(&p);
    test_ids(&p);
    test_why(&p);
    place_remove(&p);
    return test_done();
}
