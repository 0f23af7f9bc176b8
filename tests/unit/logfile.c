/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file of a log: what it accepts, what it cuts, how it is moved aside, and what is packed. */
#include "cmd/route-director/logfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/route-director/logkeep.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/fsfile.h"
#include "tests/unit/tap.h"

static char folder[] = "/tmp/gs-logfile-XXXXXX";
static char path[64];

static const struct logfile_opts plain = {path, "a,b\n", "a\n", 0};

static void put_file(const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK(fsfile_write_all(fd, text, strlen(text)) == 0);
    close(fd);
}

static void check_content(const char *name, const char *text)
{
    struct buf b = {0};
    CHECK(fsfile_read(name, 1 << 20, &b) == 0);
    CHECK_STR(b.data, text);
    buf_release(&b);
}

/* The number of files whose names end with SUFFIX; the last one's path in NAME. */
static size_t count_files(const char *suffix, char *name, size_t size)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    size_t n = 0;
    CHECK(dir != NULL);
    if (!dir)
        return 0;
    while ((e = readdir(dir))) {
        size_t len = strlen(e->d_name), end = strlen(suffix);
        if (e->d_name[0] == '.' || len < end || strcmp(e->d_name + len - end, suffix) != 0)
            continue;
        snprintf(name, size, "%s/%s", folder, e->d_name);
        n++;
    }
    closedir(dir);
    return n;
}

static void clean(void)
{
    char name[512];
    while (count_files("", name, sizeof(name)))
        unlink(name);
}

/* A file of TEXT gets the line "1,2", and is WANT then. */
static void check_continued(const char *text, const char *want)
{
    struct logfile f;
    size_t lost;
    put_file(text);
    CHECK(logfile_open(&f, &plain) == 0);
    CHECK(logfile_write(&f, "1,2\n", 4, &lost) == 0);
    CHECK_EQ_U64(lost, 0);
    logfile_close(&f);
    check_content(path, want);
}

static void test_continue(void)
{
    check_continued("", "a,b\n1,2\n");
    check_continued("a,b\n", "a,b\n1,2\n");
    check_continued("a,b\n5,6\n", "a,b\n5,6\n1,2\n");
    /* Killed in the middle of a line, and in that of the header. */
    check_continued("a,b\n5,6\n7", "a,b\n5,6\n1,2\n");
    check_continued("a,b\n5", "a,b\n1,2\n");
    check_continued("a,b", "a,b\n1,2\n");
    check_continued("a", "a,b\n1,2\n");
}

/* What is no such log is not touched. */
static void test_refuse(void)
{
    static const char *const others[] = {"x", "root:x:0:0\n", "a,c\n1,2\n", "\n", "a,b,c\n"};
    struct logfile f;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        put_file(others[i]);
        CHECK(logfile_open(&f, &plain) == -EEXIST);
        check_content(path, others[i]);
    }
    unlink(path);
}

static void test_old_header(void)
{
    struct logfile f;
    size_t lost;
    char aside[512];
    put_file("a\n1\n2");
    CHECK(logfile_open(&f, &plain) == 0);
    CHECK(logfile_write(&f, "1,2\n", 4, &lost) == 0);
    logfile_close(&f);
    check_content(path, "a,b\n1,2\n");
    CHECK_EQ_U64(count_files("Z", aside, sizeof(aside)), 1);
    check_content(aside, "a\n1\n");
    clean();
}

/* Every file is full with its second line; names within a second differ; modes stay. */
static void test_turn(void)
{
    struct logfile_opts set = plain;
    struct logfile f;
    struct stat st;
    size_t lost;
    char name[512];
    set.size_bytes = 8;
    CHECK(logfile_open(&f, &set) == 0);
    CHECK(fchmod(f.fd, 0640) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK(logfile_write(&f, "1,2\n", 4, &lost) == 0);
        CHECK(logfile_full(&f));
        CHECK(logfile_turn(&f) == 0);
        CHECK(!logfile_full(&f));
    }
    logfile_close(&f);
    CHECK_EQ_U64(count_files("", name, sizeof(name)), 21);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640 && st.st_size == 0);
    clean();
}

/* What somebody has put in the file's place is not moved; nor is a symbolic link. */
static void test_turn_of_others(void)
{
    struct logfile_opts set = plain;
    struct logfile f;
    size_t lost;
    char name[512], moved[128];
    set.size_bytes = 4;
    snprintf(moved, sizeof(moved), "%s/moved", folder);
    CHECK(logfile_open(&f, &set) == 0);
    CHECK(logfile_write(&f, "1,2\n", 4, &lost) == 0);
    CHECK(rename(path, moved) == 0);
    put_file("a,b\n");
    CHECK(logfile_turn(&f) == 0);
    CHECK(logfile_write(&f, "3,4\n", 4, &lost) == 0);
    check_content(path, "a,b\n3,4\n");
    check_content(moved, "a,b\n1,2\n");
    CHECK_EQ_U64(count_files("Z", name, sizeof(name)), 0);
    CHECK(rename(path, moved) == 0 && symlink(moved, path) == 0);
    CHECK(logfile_turn(&f) == -ELOOP);
    logfile_close(&f);
    clean();
}

/* A disk that is full in the middle of a line: the whole ones stay, the others are counted. */
static void test_full_disk(void)
{
    struct rlimit limit, old;
    struct logfile f;
    size_t lost;
    CHECK(logfile_open(&f, &plain) == 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    limit = (struct rlimit){.rlim_cur = 14, .rlim_max = old.rlim_max};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(logfile_write(&f, "1,2\n3,4\n5,6\n7,8\n", 16, &lost) == -EFBIG);
    CHECK_EQ_U64(lost, 2);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    check_content(path, "a,b\n1,2\n3,4\n");
    CHECK(logfile_write(&f, "9,9\n", 4, &lost) == 0);
    check_content(path, "a,b\n1,2\n3,4\n9,9\n");
    logfile_close(&f);
    /* Not even the header. */
    unlink(path);
    CHECK(logfile_open(&f, &plain) == 0);
    limit.rlim_cur = 2;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(logfile_write(&f, "1,2\n3,4\n", 8, &lost) == -EFBIG);
    CHECK_EQ_U64(lost, 2);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK(logfile_write(&f, "9,9\n", 4, &lost) == 0);
    check_content(path, "a,b\n9,9\n");
    logfile_close(&f);
    clean();
}

/* Cut to nothing by somebody else: a header comes first again. */
static void test_cut_by_others(void)
{
    struct logfile f;
    size_t lost;
    CHECK(logfile_open(&f, &plain) == 0);
    CHECK(logfile_write(&f, "1,2\n", 4, &lost) == 0);
    CHECK(truncate(path, 0) == 0);
    CHECK(logfile_write(&f, "3,4\n", 4, &lost) == 0);
    check_content(path, "a,b\n3,4\n");
    logfile_close(&f);
    clean();
}

/* A pipe needs no reader to be opened, and is told the header once. */
static void test_pipe(void)
{
    struct logfile f;
    size_t lost;
    char text[64] = "";
    CHECK(mkfifo(path, 0600) == 0);
    CHECK(logfile_open(&f, &plain) == 0);
    CHECK(logfile_write(&f, "1,2\n", 4, &lost) == 0);
    CHECK(logfile_reopen(&f) == 0);
    CHECK(logfile_write(&f, "3,4\n", 4, &lost) == 0);
    CHECK(!logfile_full(&f));
    CHECK(read(f.fd, text, sizeof(text) - 1) == 12);
    CHECK_STR(text, "a,b\n1,2\n3,4\n");
    logfile_close(&f);
    clean();
}

static void put_named(const char *suffix)
{
    char name[128];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && fsfile_write_all(fd, "a,b\n1,2\n", 8) == 0);
    close(fd);
}

static bool is_there(const char *suffix)
{
    char name[128];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    return access(name, F_OK) == 0;
}

/* Polls until as many files end with SUFFIX. */
static void wait_for_files(const char *suffix, size_t n)
{
    char name[512];
    uint64_t deadline = clock_mono_us() + 10000000;
    while (count_files(suffix, name, sizeof(name)) != n && clock_mono_us() < deadline)
        usleep(1000);
    CHECK_EQ_U64(count_files(suffix, name, sizeof(name)), n);
}

/* All that was moved aside is packed, the oldest go, by number within a second; what is named
 * otherwise stays as it is. */
static void test_keep(void)
{
    struct logkeep *k = NULL;
    static const char *const others[] = {"",
                                         ".1",
                                         ".lz4",
                                         ".20260101T000000",
                                         ".20260101T000000Zx",
                                         ".20260101T000000Z.gz",
                                         ".20260101T00000aZ",
                                         "x.20260101T000000Z"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        put_named(others[i]);
    put_named(".20250101T000000Z");
    put_named(".20260101T000000Z-9");
    put_named(".20260101T000000Z-9.lz4"); /* killed before the other was removed */
    put_named(".20260101T000000Z-10");
    put_named(".20260101T000000Z-10.lz4.part"); /* killed while it was packed */
    put_named(".20260101T000000Z.lz4");
    CHECK(logkeep_new(path, 2, &k) == 0);
    wait_for_files("Z-10.lz4", 1);
    wait_for_files("Z-10", 0);
    logkeep_free(k);
    CHECK(!is_there(".20250101T000000Z") && !is_there(".20250101T000000Z.lz4"));
    CHECK(!is_there(".20260101T000000Z") && !is_there(".20260101T000000Z.lz4"));
    CHECK(!is_there(".20260101T000000Z-9") && is_there(".20260101T000000Z-9.lz4"));
    CHECK(!is_there(".20260101T000000Z-10.lz4.part"));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(is_there(others[i]));
    clean();
}

int main(void)
{
    test_begin("logfile");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/log", folder);
    test_continue();
    test_refuse();
    test_old_header();
    test_turn();
    test_turn_of_others();
    test_full_disk();
    test_cut_by_others();
    test_pipe();
    test_keep();
    clean();
    rmdir(folder);
    return test_done();
}
