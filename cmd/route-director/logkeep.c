/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "logkeep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/parse.h"
#include "common/record/lz4out.h"
#include "logfile.h"

enum { STAMP_LEN = 16, PART = 128 << 10 };

struct logkeep {
    const char *path;
    unsigned keep;
    char *folder;
    const char *base; /* the name within it, borrowed from PATH */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool todo; /* under the mutex */
    atomic_bool stop;
    bool complained; /* of what cannot be packed or removed, once until all is well */
};

/* A log that was moved aside. */
struct aside {
    char stamp[STAMP_LEN + 1];
    uint64_t number;
    bool plain, packed; /* in which forms it is there */
};

struct asides {
    struct aside *items;
    size_t n, cap;
};

/* ---- names ---- */

/* "YYYYMMDDThhmmssZ" */
static bool is_stamp(const char *s)
{
    static const char form[] = "ddddddddTddddddZ";
    for (size_t i = 0; i < STAMP_LEN; i++)
        if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
            return false;
    return true;
}

/* Takes "BASE.STAMP[-N][.lz4]" apart. */
static bool parse_aside(const char *name, const char *base, struct aside *a)
{
    char number[32] = "";
    size_t skip = strlen(base);
    *a = (struct aside){.plain = true};
    if (strncmp(name, base, skip) != 0 || name[skip] != '.' || !is_stamp(name + skip + 1))
        return false;
    memcpy(a->stamp, name + skip + 1, STAMP_LEN);
    const char *p = name + skip + 1 + STAMP_LEN;
    if (*p == '-') {
        size_t len = strcspn(++p, ".");
        if (len >= sizeof(number))
            return false;
        memcpy(number, p, len);
        number[len] = 0;
        p += len;
        if (parse_u64(number, &a->number) < 0)
            return false;
    }
    a->packed = strcmp(p, ".lz4") == 0;
    a->plain = !*p;
    return a->plain || a->packed;
}

static int name_of(const struct logkeep *k, const struct aside *a, const char *suffix,
                   struct buf *out)
{
    buf_clear(out);
    int r = buf_printf(out, "%s.%s", k->path, a->stamp);
    if (r == 0 && a->number)
        r = buf_printf(out, "-%llu", (unsigned long long)a->number);
    return r < 0 ? r : buf_adds(out, suffix);
}

static int by_age(const void *x, const void *y)
{
    const struct aside *a = x, *b = y;
    int order = strcmp(a->stamp, b->stamp);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

static struct aside *find(const struct asides *list, const struct aside *a)
{
    for (size_t i = 0; i < list->n; i++)
        if (by_age(&list->items[i], a) == 0)
            return &list->items[i];
    return NULL;
}

static int add(struct asides *list, const struct aside *a)
{
    struct aside *same = find(list, a);
    if (same) {
        same->plain |= a->plain;
        same->packed |= a->packed;
        return 0;
    }
    if (vec_room(&list->items, list->n, &list->cap, sizeof(struct aside)) < 0)
        return -ENOMEM;
    list->items[list->n++] = *a;
    return 0;
}

/* What is there, the oldest first. */
static int scan(const struct logkeep *k, struct asides *list)
{
    DIR *dir = opendir(k->folder);
    const struct dirent *e;
    struct aside a;
    int r = 0;
    if (!dir)
        return -errno;
    while (r == 0 && (errno = 0, e = readdir(dir)))
        if (parse_aside(e->d_name, k->base, &a))
            r = add(list, &a);
    if (r == 0 && errno)
        r = -errno;
    closedir(dir);
    if (list->n)
        qsort(list->items, list->n, sizeof(list->items[0]), by_age);
    return r;
}

/* ---- packing ---- */

static int pack_all(struct logkeep *k, int in, struct lz4out *z)
{
    char *part = malloc(PART);
    int r = part ? 0 : -ENOMEM;
    while (r == 0) {
        ssize_t n = read(in, part, PART);
        if (n == 0)
            break;
        if (n > 0)
            r = lz4out_write(z, part, (size_t)n);
        else if (errno != EINTR)
            r = -errno;
        if (r == 0 && atomic_load(&k->stop))
            r = -ECANCELED;
    }
    free(part);
    return r < 0 ? r : lz4out_end(z);
}

/* From IN to a new file PATH, durably. */
static int pack_to(struct logkeep *k, int in, const char *path)
{
    struct stat st;
    struct lz4out *z = NULL;
    if (fstat(in, &st) < 0)
        return -errno;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    logfile_like(fd, &st);
    int r = lz4out_new(fd, &z);
    if (r == 0)
        r = pack_all(k, in, z);
    lz4out_free(z);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    close(fd);
    if (r < 0)
        unlink(path);
    return r;
}

/* Replaces a plain log by its packed form: first that is there for good, then the other goes. */
static int pack(struct logkeep *k, const struct aside *a)
{
    struct buf plain = {0}, part = {0}, packed = {0};
    int in = -1;
    int r = name_of(k, a, "", &plain);
    if (r == 0)
        r = name_of(k, a, ".lz4.part", &part);
    if (r == 0)
        r = name_of(k, a, ".lz4", &packed);
    if (r == 0) {
        in = open(plain.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        r = in < 0 ? -errno : pack_to(k, in, part.data);
    }
    if (r == 0 && rename(part.data, packed.data) < 0)
        r = -errno;
    if (r == 0)
        r = fsfile_sync_parent(packed.data);
    if (r == 0 && unlink(plain.data) < 0)
        r = -errno;
    if (in >= 0)
        close(in);
    buf_release(&plain);
    buf_release(&part);
    buf_release(&packed);
    return r;
}

static int drop(const struct logkeep *k, const struct aside *a)
{
    static const char *const suffixes[] = {"", ".lz4", ".lz4.part"};
    struct buf name = {0};
    int r = 0;
    for (size_t i = 0; i < 3 && r == 0; i++) {
        r = name_of(k, a, suffixes[i], &name);
        if (r == 0 && unlink(name.data) < 0 && errno != ENOENT)
            r = -errno;
    }
    buf_release(&name);
    return r;
}

/* ---- the thread ---- */

static void complain(struct logkeep *k, int r)
{
    if (r < 0 && !k->complained && r != -ECANCELED)
        err_warn("cannot pack or remove what was moved aside from access log '%s': %s", k->path,
                 err_text(r));
    k->complained = r < 0;
}

/* Looks at all; what fails is looked at again when the next log is moved aside. */
static void tidy(struct logkeep *k)
{
    struct asides list = {0};
    int worst = scan(k, &list);
    size_t surplus = k->keep && list.n > k->keep ? list.n - k->keep : 0;
    for (size_t i = 0; i < list.n && !atomic_load(&k->stop); i++) {
        int r = 0;
        if (i < surplus)
            r = drop(k, &list.items[i]);
        else if (list.items[i].plain)
            r = pack(k, &list.items[i]);
        if (r < 0 && r != -ENOENT) /* somebody else may tidy up, too */
            worst = r;
    }
    complain(k, worst);
    free(list.items);
}

static void *work(void *arg)
{
    struct logkeep *k = arg;
    pthread_mutex_lock(&k->mutex);
    while (!atomic_load(&k->stop)) {
        if (!k->todo) {
            pthread_cond_wait(&k->wake, &k->mutex);
            continue;
        }
        k->todo = false;
        pthread_mutex_unlock(&k->mutex);
        tidy(k);
        pthread_mutex_lock(&k->mutex);
    }
    pthread_mutex_unlock(&k->mutex);
    return NULL;
}

void logkeep_wake(struct logkeep *k)
{
    pthread_mutex_lock(&k->mutex);
    k->todo = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->mutex);
}

static void release(struct logkeep *k)
{
    pthread_mutex_destroy(&k->mutex);
    pthread_cond_destroy(&k->wake);
    free(k->folder);
    free(k);
}

int logkeep_new(const char *path, unsigned keep, struct logkeep **out)
{
    struct logkeep *k = calloc(1, sizeof(*k));
    if (!k)
        return -ENOMEM;
    const char *slash = strrchr(path, '/');
    *k = (struct logkeep){.path = path, .keep = keep, .base = slash ? slash + 1 : path};
    k->todo = true; /* what is left from before */
    k->folder = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");
    pthread_mutex_init(&k->mutex, NULL);
    pthread_cond_init(&k->wake, NULL);
    int r = k->folder ? 0 : -ENOMEM;
    if (r == 0) {
        sigset_t all, before; /* signals belong to the loop's thread */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = -pthread_create(&k->thread, NULL, work, k);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (r < 0) {
        release(k);
        return r;
    }
    *out = k;
    return 0;
}

void logkeep_free(struct logkeep *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->mutex);
    atomic_store(&k->stop, true);
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->mutex);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (pthread_timedjoin_np(k->thread, NULL, &until) == 0)
        release(k);
}
