/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "intents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/fsfile.h"

/* A counter; the uppermost bit says that its extent is haunted. */
#define HAUNTED   (UINT32_C(1) << 31)
#define COUNT_MAX (HAUNTED - 1)

static const char magic[8] = "gsintnt1";

/*
 * What the file begins with, in this machine's byte order: to another one it is damaged.  Counters
 * follow.
 */
struct head {
    char magic[sizeof(magic)];
    uint64_t size, extent;
    struct hash128 boot, machine;
    uint64_t sum; /* of all that stands before it */
};

struct intents {
    struct head *head;        /* the mapping */
    volatile uint32_t *count; /* in it */
    size_t n;
    uint64_t size;
    unsigned shift; /* an extent is 1 << SHIFT bytes */
    bool haunted;   /* there may be haunted extents */
    char path[];
};

/*
 * Stores before it are done in program order, which is all that is needed: a process that is killed
 * stops between two of its instructions, and system calls are made by the thread that stores.
 */
static void in_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

/* ---- the host ---- */

/* The digest of the id in PATH; all zero if it is not there or too short to be one. */
static int read_id(const char *path, struct hash128 *id)
{
    enum { ID_MIN = 32, FILE_MAX = 4096 }; /* 32 hex digits, with or without dashes */
    struct buf text = {0};
    *id = (struct hash128){{0}};
    int r = fsfile_read(path, FILE_MAX, &text);
    if (r == 0 && text.len >= ID_MIN)
        *id = hash128(text.data, text.len);
    buf_release(&text);
    return r == -ENOENT ? 0 : r;
}

static bool same_id(const struct hash128 *a, const struct hash128 *b)
{
    static const struct hash128 unknown;
    return memcmp(a, b, sizeof(*a)) == 0 && memcmp(a, &unknown, sizeof(*a)) != 0;
}

int intents_host(struct intents_host *h)
{
    struct intents_host now;
    struct timespec up;
    int r = read_id("/proc/sys/kernel/random/boot_id", &now.boot);
    if (r == 0)
        r = read_id("/etc/machine-id", &now.machine);
    if (r < 0)
        return r;
    if (clock_gettime(CLOCK_BOOTTIME, &up) < 0)
        return -errno;
    now.up_us = (uint64_t)up.tv_sec * 1000000u + (uint64_t)up.tv_nsec / 1000u;
    *h = now;
    return 0;
}

/* ---- the file ---- */

/* How much of it can be believed. */
enum word { NOTHING_LEFT, COUNTS_LEFT, ALL_LEFT };

static size_t file_bytes(const struct intents *t)
{
    return sizeof(struct head) + t->n * sizeof(*t->count);
}

static struct intents *new_intents(const char *path, uint64_t size)
{
    size_t len = strlen(path) + 1;
    struct intents *t = calloc(1, sizeof(*t) + len);
    if (!t)
        return NULL;
    memcpy(t->path, path, len);
    t->size = size;
    for (t->shift = 0; UINT64_C(1) << t->shift < INTENTS_EXTENT;)
        t->shift++;
    while (size && (size - 1) >> t->shift >= INTENTS_EXTENTS_MAX)
        t->shift++;
    t->n = size ? (size_t)((size - 1) >> t->shift) + 1 : 0;
    return t;
}

static struct head make_head(const struct intents *t, const struct intents_host *h)
{
    struct head head = {
        .size = t->size, .extent = UINT64_C(1) << t->shift, .boot = h->boot, .machine = h->machine};
    memcpy(head.magic, magic, sizeof(magic));
    head.sum = hash64(&head, offsetof(struct head, sum));
    return head;
}

/* Is H whole, and of a volume like T? */
static bool is_ours(const struct head *h, const struct intents *t)
{
    return memcmp(h->magic, magic, sizeof(magic)) == 0 &&
           h->sum == hash64(h, offsetof(struct head, sum)) && h->size == t->size &&
           h->extent == UINT64_C(1) << t->shift;
}

/*
 * Another boot's counters may not have reached the disk.  If that was this machine's, its
 * connections ended before this boot began; where the file came here from another machine (a
 * fail-over with a shared disk), how long this one is up tells nothing of them.
 */
static enum word judge(int fd, const struct stat *st, const struct intents *t,
                       const struct intents_setup *s)
{
    struct head h;
    if (st->st_size != (off_t)file_bytes(t) || pread(fd, &h, sizeof(h), 0) != sizeof(h) ||
        !is_ours(&h, t))
        return ALL_LEFT;
    if (same_id(&h.boot, &s->host.boot))
        return COUNTS_LEFT;
    bool over = s->host.up_us > s->quarantine_us;
    return over && same_id(&h.machine, &s->host.machine) ? NOTHING_LEFT : ALL_LEFT;
}

/* Opens the file.  *MADE: it was not there. */
static int open_file(const char *path, bool *made)
{
    /* A pipe would not let go of who opens it. */
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = open(path, flags);
    *made = fd < 0 && errno == ENOENT;
    if (*made)
        return fsfile_open(path, flags);
    return fd < 0 ? -errno : fd;
}

/*
 * Disk for all of it is taken now: a store into a mapped hole ends the process when the disk is
 * full.  Also what another boot left may have holes.
 */
static int map_file(struct intents *t, int fd)
{
    off_t bytes = (off_t)file_bytes(t);
    int r;
    if (ftruncate(fd, bytes) < 0)
        return -errno;
    do
        r = posix_fallocate(fd, 0, bytes);
    while (r == EINTR);
    if (r != 0)
        return -r;
    void *map = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    t->head = map;
    t->count = (volatile uint32_t *)(t->head + 1);
    return 0;
}

/* At no moment does a good header stand over counters that are not right yet. */
static void write_anew(struct intents *t, const struct intents_host *host, bool left)
{
    *t->head = (struct head){0};
    in_order();
    for (size_t i = 0; i < t->n; i++)
        t->count[i] = left ? HAUNTED : 0;
    in_order();
    *t->head = make_head(t, host);
    t->haunted = left;
}

/* What was in flight is haunted now: one store each, so that it is marked all the time. */
static void take_over(struct intents *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (!t->count[i])
            continue;
        t->count[i] = HAUNTED;
        t->haunted = true;
    }
}

/*
 * On disk the header alone counts: that this machine, in this boot, was the last to have the file
 * must be known to another one that gets the disk.
 */
static int start(struct intents *t, int fd, enum word word, const struct intents_host *host)
{
    if (word == COUNTS_LEFT) {
        take_over(t);
        return 0;
    }
    write_anew(t, host, word == ALL_LEFT);
    return fsync(fd) < 0 ? -errno : fsfile_sync_parent(t->path);
}

static void report(const struct intents *t, const struct intents_setup *s)
{
    size_t end;
    for (size_t i = 0; s->left && i < t->n; i = end) {
        end = i + 1;
        if (!t->count[i])
            continue;
        while (end < t->n && t->count[end])
            end++;
        uint64_t from = (uint64_t)i << t->shift;
        uint64_t to = end == t->n ? t->size : (uint64_t)end << t->shift;
        s->left(s->arg, from, to - from);
    }
}

static void unmap(struct intents *t)
{
    if (t->head)
        munmap(t->head, file_bytes(t));
    free(t);
}

int intents_open(const struct intents_setup *s, struct intents **out)
{
    struct stat st;
    bool made = false;
    struct intents *t = new_intents(s->path, s->size);
    if (!t)
        return -ENOMEM;
    int fd = open_file(s->path, &made);
    int r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (r < 0)
        goto out;
    enum word word = !made ? judge(fd, &st, t, s) : s->unclean ? ALL_LEFT : NOTHING_LEFT;
    r = map_file(t, fd);
    if (r == 0)
        r = start(t, fd, word, &s->host);
out:
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        if (made && fd >= 0)
            unlink(s->path);
        unmap(t);
        return r;
    }
    report(t, s);
    *out = t;
    return 0;
}

/* ---- counting ---- */

struct span {
    size_t first, end;
};

static struct span span_of(const struct intents *t, uint64_t offset, uint64_t length)
{
    uint64_t room = offset < t->size ? t->size - offset : 0;
    if (length > room)
        length = room;
    if (!length)
        return (struct span){0, 0};
    return (struct span){offset >> t->shift, ((offset + length - 1) >> t->shift) + 1};
}

void intents_begin(struct intents *t, uint64_t offset, uint64_t length)
{
    struct span s = span_of(t, offset, length);
    for (size_t i = s.first; i < s.end; i++) {
        uint32_t c = t->count[i];
        if ((c & COUNT_MAX) == COUNT_MAX)
            abort(); /* so many are never in flight: the books are wrong */
        t->count[i] = c + 1;
    }
    in_order();
}

void intents_end(struct intents *t, uint64_t offset, uint64_t length)
{
    struct span s = span_of(t, offset, length);
    in_order();
    for (size_t i = s.first; i < s.end; i++) {
        uint32_t c = t->count[i];
        if (!(c & COUNT_MAX))
            abort(); /* never begun: the books are wrong, and writing on would risk data */
        t->count[i] = c - 1;
    }
}

void intents_haunt(struct intents *t, uint64_t offset, uint64_t length)
{
    struct span s = span_of(t, offset, length);
    for (size_t i = s.first; i < s.end; i++)
        t->count[i] = t->count[i] | HAUNTED;
    t->haunted |= s.end > s.first;
    in_order();
}

void intents_lay(struct intents *t)
{
    for (size_t i = 0; t->haunted && i < t->n; i++)
        if (t->count[i] & HAUNTED)
            t->count[i] = t->count[i] & COUNT_MAX;
    t->haunted = false;
}

void intents_close(struct intents *t)
{
    if (!t)
        return;
    size_t i = 0;
    while (i < t->n && !t->count[i])
        i++;
    if (i == t->n)
        unlink(t->path);
    unmap(t);
}
