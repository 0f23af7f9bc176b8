/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/route/past.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/parse.h"

struct numbers {
    unsigned long *n;
    size_t len, cap;
};

int past_path(const char *log, unsigned long n, char *out, size_t size)
{
    int len = snprintf(out, size, "%s.%lu", log, n);
    return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

/* Is NAME the file BASE, a point and a number? */
static bool parse_past(const char *name, const char *base, unsigned long *out)
{
    uint64_t n;
    size_t len = strlen(base);
    if (strncmp(name, base, len) != 0 || name[len] != '.' || parse_u64(name + len + 1, &n) < 0 ||
        n == 0 || n > LONG_MAX)
        return false;
    *out = (unsigned long)n;
    return true;
}

static int ascending(const void *a, const void *b)
{
    unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;
    return x < y ? -1 : x > y;
}

static int collect(DIR *d, const char *base, struct numbers *all)
{
    unsigned long n;
    for (const struct dirent *e; (e = readdir(d));) {
        if (!parse_past(e->d_name, base, &n))
            continue;
        if (vec_room(&all->n, all->len, &all->cap, sizeof(*all->n)) < 0)
            return -ENOMEM;
        all->n[all->len++] = n;
    }
    if (all->len)
        qsort(all->n, all->len, sizeof(*all->n), ascending);
    return 0;
}

long past_list(const char *log, unsigned long **out)
{
    struct numbers all = {0};
    const char *slash = strrchr(log, '/');
    char folder[PATH_MAX];
    if (snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - log) : 1,
                 slash ? log : ".") >= (int)sizeof(folder))
        return -ENAMETOOLONG;
    DIR *d = opendir(*folder ? folder : "/");
    if (!d)
        return -errno;
    int r = collect(d, slash ? slash + 1 : log, &all);
    closedir(d);
    if (r < 0) {
        free(all.n);
        return r;
    }
    *out = all.n;
    return (long)all.len;
}

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

static int keep_as(const char *log, unsigned long last)
{
    char path[PATH_MAX];
    int r = past_path(log, last, path, sizeof(path));
    if (r < 0)
        return r;
    if (last && same_file(log, path))
        return 0;
    r = past_path(log, last + 1, path, sizeof(path));
    return r < 0 ? r : link(log, path) < 0 ? -errno : 0;
}

/* All but the last PAST_MAX - 1, to which one has been added. */
static void prune(const char *log, const unsigned long *n, long count)
{
    char path[PATH_MAX];
    for (long i = 0; i + PAST_MAX - 1 < count; i++)
        if (past_path(log, n[i], path, sizeof(path)) == 0)
            unlink(path);
}

int past_keep(const char *log)
{
    unsigned long *n = NULL;
    long count = past_list(log, &n);
    if (count < 0)
        return (int)count;
    int r = keep_as(log, count && n ? n[count - 1] : 0);
    if (r == 0 && n)
        prune(log, n, count);
    free(n);
    return r;
}
