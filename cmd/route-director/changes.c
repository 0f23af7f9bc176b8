/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "changes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fsfile.h"
#include "common/base/parse.h"

static const char magic[8] = "gschmap1";

/* Words that no accident writes. */
#define IN_USE UINT64_C(0x9d1f5a7cc3e82b46)
#define CLOSED UINT64_C(0x62e0a5833c17d4b9)
#define WHOLE  UINT64_C(0x3b5c9e21f08a6d74)

/* What stays as it was made, in this machine's byte order: to another one it is damaged. */
struct made {
    char magic[sizeof(magic)];
    uint64_t size, block, epoch;
    char volume[NAME_LEN_MAX + 1], owner[NAME_LEN_MAX + 1], kept[NAME_LEN_MAX + 1];
    char pad[5];
};

/* What the file begins with; the bits follow. */
struct head {
    struct made made;
    uint64_t made_sum;
    struct hash128 boot; /* of who has it in use */
    uint64_t incarnation;
    uint64_t whole;    /* WHOLE, or nothing is known of the copy */
    uint64_t use;      /* IN_USE, CLOSED, or neither while that changes */
    uint64_t bits_sum; /* of the bits and WHOLE; CLOSED */
};

struct changes {
    struct head *head; /* the mapping */
    uint64_t *bits;    /* in it */
    size_t n;          /* blocks */
    size_t marked;
    uint64_t *behind; /* what a mirror does not keep equal, of what is marked; NULL: no mirror */
    size_t n_behind;
    uint64_t *unproved; /* all of that, and what was not proved since it was mirrored */
    size_t n_unproved;
    unsigned shift; /* a block is 1 << SHIFT bytes */
    uint64_t size;
    char *path;
};

/* A killed process stops between two of its stores; see intents.c. */
static void in_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

static bool same_boot(const struct hash128 *a, const struct hash128 *b)
{
    static const struct hash128 unknown;
    return memcmp(a, b, sizeof(*a)) == 0 && memcmp(a, &unknown, sizeof(*a)) != 0;
}

/* ---- the file ---- */

static size_t words(const struct changes *c)
{
    return c->n / 64 + 1;
}

static size_t file_bytes(const struct changes *c)
{
    return sizeof(struct head) + words(c) * sizeof(*c->bits);
}

static void release(struct changes *c)
{
    if (c->head)
        munmap(c->head, file_bytes(c));
    changes_unmirror(c);
    free(c->path);
    free(c);
}

static struct changes *new_changes(const struct changes_setup *s)
{
    struct changes *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->path = strdup(s->path);
    c->size = s->id.size;
    for (c->shift = 0; UINT64_C(1) << c->shift < CHANGES_BLOCK;)
        c->shift++;
    while ((c->size - 1) >> c->shift >= CHANGES_BLOCKS_MAX)
        c->shift++;
    c->n = (size_t)((c->size - 1) >> c->shift) + 1;
    if (c->path)
        return c;
    release(c);
    return NULL;
}

static void put_name(char to[NAME_LEN_MAX + 1], const char *name)
{
    size_t len = strnlen(name, NAME_LEN_MAX);
    memcpy(to, name, len);
}

static void make(struct made *m, const struct changes *c, const struct changes_id *id)
{
    memset(m, 0, sizeof(*m));
    memcpy(m->magic, magic, sizeof(magic));
    m->size = id->size;
    m->block = UINT64_C(1) << c->shift;
    m->epoch = id->epoch;
    put_name(m->volume, id->volume);
    put_name(m->owner, id->owner);
    put_name(m->kept, id->kept);
}

static int map_file(struct changes *c, int fd)
{
    size_t bytes = file_bytes(c);
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (map == MAP_FAILED)
        return errno > 0 ? -errno : -EIO;
    c->head = map;
    c->bits = (uint64_t *)(void *)(c->head + 1);
    return 0;
}

/* Disk for all of it is taken now: a store into a mapped hole ends the process if it is full. */
static int make_room(const struct changes *c, int fd)
{
    off_t bytes = (off_t)file_bytes(c);
    int r;
    if (ftruncate(fd, bytes) < 0)
        return -errno;
    do
        r = posix_fallocate(fd, 0, bytes);
    while (r == EINTR);
    return -r;
}

static int fill(struct changes *c, int fd, const struct changes_setup *s)
{
    struct head *h = c->head;
    make(&h->made, c, &s->id);
    h->made_sum = hash64(&h->made, sizeof(h->made));
    h->boot = s->boot;
    h->incarnation = s->incarnation;
    in_order();
    h->use = IN_USE;
    return fsync(fd) < 0 ? -errno : fsfile_sync_parent(c->path);
}

int changes_create(const struct changes_setup *s, struct changes **out)
{
    struct changes *c = new_changes(s);
    int fd = -1;
    if (!c)
        return -ENOMEM;
    /* A file of its own: nobody's half-written one, and whole or not there after a crash. */
    int r = changes_discard(s->path);
    if (r == 0) {
        fd = fsfile_open(s->path, O_RDWR | O_NOFOLLOW);
        r = fd < 0 ? fd : make_room(c, fd);
    }
    if (r == 0)
        r = map_file(c, fd);
    if (r == 0)
        r = fill(c, fd, s);
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        if (fd >= 0)
            changes_discard(s->path);
        release(c);
        return r;
    }
    *out = c;
    return 0;
}

/* ---- going on with one ---- */

static uint64_t bits_sum(const struct changes *c)
{
    return hash64(c->bits, words(c) * sizeof(*c->bits)) ^ c->head->whole;
}

bool changes_are_of(const struct changes *c, const struct changes_id *id)
{
    struct made want;
    make(&want, c, id);
    return memcmp(&c->head->made, &want, sizeof(want)) == 0;
}

/* Why the map is not to be believed; NULL if it is. */
static const char *objection(const struct changes *c, const struct changes_setup *s)
{
    const struct head *h = c->head;
    if (h->made_sum != hash64(&h->made, sizeof(h->made)))
        return "it is damaged";
    if (!changes_are_of(c, &s->id))
        return "it is of another move";
    if (!s->former || h->incarnation != s->former)
        return "the volume was served without it since";
    if (h->use == CLOSED)
        return s->unclean                   ? "the volume was served without it since"
               : h->bits_sum != bits_sum(c) ? "it is damaged"
                                            : NULL;
    if (h->use != IN_USE)
        return "its end was interrupted";
    if (!s->unclean)
        return "the volume was served without it since";
    return same_boot(&h->boot, &s->boot) ? NULL : "the machine went down while it was in use";
}

/* In use again, durably before anything is marked. */
static int take(struct changes *c, int fd, const struct changes_setup *s)
{
    struct head *h = c->head;
    if (h->use == CLOSED) {
        h->use = 0;
        in_order();
        h->boot = s->boot;
    }
    h->incarnation = s->incarnation;
    in_order();
    h->use = IN_USE;
    return fsync(fd) < 0 ? -errno : 0;
}

static void count(struct changes *c)
{
    c->marked = 0;
    assert(c->bits);
    for (size_t i = 0; i < words(c); i++)
        c->marked += (size_t)__builtin_popcountll(c->bits[i]);
}

int changes_open(const struct changes_setup *s, struct changes **out, const char **why)
{
    struct stat st = {0};
    struct changes *c = new_changes(s);
    if (!c)
        return -ENOMEM;
    int fd = open(s->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    *why = "it is damaged";
    if (r == 0 && (!S_ISREG(st.st_mode) || st.st_size != (off_t)file_bytes(c)))
        r = -ESTALE;
    if (r == 0)
        r = make_room(c, fd); /* also a copy with holes, of a restored folder */
    if (r == 0)
        r = map_file(c, fd);
    if (r == 0) {
        assert(c->head); /* mapped */
        const char *no = objection(c, s);
        *why = no ? no : *why;
        r = no ? -ESTALE : take(c, fd, s);
    }
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        release(c);
        return r;
    }
    count(c);
    *out = c;
    return 0;
}

int changes_rename(struct changes *c, const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    if (rename(c->path, path) < 0) {
        int r = -errno;
        free(copy);
        return r;
    }
    free(c->path);
    c->path = copy;
    return 0;
}

/* ---- marks ---- */

void changes_copy_is_whole(struct changes *c)
{
    c->head->whole = WHOLE;
    in_order();
}

bool changes_copy_whole(const struct changes *c)
{
    return c->head->whole == WHOLE;
}

/* The blocks that a range touches, clipped to the volume. */
struct blocks_of {
    size_t first, end;
};

static struct blocks_of blocks_of(const struct changes *c, uint64_t offset, uint64_t length)
{
    uint64_t room = offset < c->size ? c->size - offset : 0;
    if (length > room)
        length = room;
    if (!length)
        return (struct blocks_of){0, 0};
    return (struct blocks_of){(size_t)(offset >> c->shift),
                              (size_t)((offset + length - 1) >> c->shift) + 1};
}

static bool bit(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static void set_bits(uint64_t *bits, struct blocks_of b, size_t *count)
{
    for (size_t i = b.first; i < b.end; i++) {
        uint64_t one = UINT64_C(1) << (i % 64);
        *count += !(bits[i / 64] & one);
        bits[i / 64] |= one;
    }
}

void changes_mark(struct changes *c, uint64_t offset, uint64_t length)
{
    struct blocks_of b = blocks_of(c, offset, length);
    set_bits(c->bits, b, &c->marked);
    if (c->behind) {
        set_bits(c->behind, b, &c->n_behind);
        set_bits(c->unproved, b, &c->n_unproved);
    }
    in_order();
}

void changes_mark_mirrored(struct changes *c, uint64_t offset, uint64_t length)
{
    struct blocks_of b = blocks_of(c, offset, length);
    set_bits(c->bits, b, &c->marked);
    if (c->behind)
        set_bits(c->unproved, b, &c->n_unproved);
    in_order();
}

/* ---- a mirror's account ---- */

int changes_mirror(struct changes *c)
{
    const size_t bytes = words(c) * sizeof(*c->behind);
    if (c->behind)
        return 0;
    c->behind = malloc(bytes);
    c->unproved = malloc(bytes);
    if (!c->behind || !c->unproved) {
        changes_unmirror(c);
        return -ENOMEM;
    }
    memcpy(c->behind, c->bits, bytes);
    memcpy(c->unproved, c->bits, bytes);
    c->n_behind = c->n_unproved = c->marked;
    return 0;
}

void changes_unmirror(struct changes *c)
{
    free(c->behind);
    free(c->unproved);
    c->behind = c->unproved = NULL;
}

/* The first block from *OFFSET on that is in MAP and, if that is given, not in LESS. */
static bool next_block(const struct changes *c, const uint64_t *map, const uint64_t *less,
                       uint64_t *offset, uint64_t *length)
{
    if (*offset >= c->size)
        return false;
    size_t i = (size_t)(*offset >> c->shift);
    uint64_t from = ~UINT64_C(0) << (i % 64);
    for (size_t w = i / 64; w < words(c); w++, from = ~UINT64_C(0)) {
        const uint64_t found = map[w] & from & ~(less ? less[w] : 0);
        if (!found)
            continue;
        i = w * 64 + (size_t)__builtin_ctzll(found);
        const uint64_t start = (uint64_t)i << c->shift, whole = UINT64_C(1) << c->shift;
        if (i >= c->n)
            return false;
        *offset = start;
        *length = c->size - start < whole ? c->size - start : whole;
        return true;
    }
    return false;
}

bool changes_behind(const struct changes *c, uint64_t *offset, uint64_t *length)
{
    return c->behind && c->n_behind && next_block(c, c->behind, NULL, offset, length);
}

bool changes_unproved(const struct changes *c, uint64_t *offset, uint64_t *length)
{
    return c->behind && c->n_unproved > c->n_behind &&
           next_block(c, c->unproved, c->behind, offset, length);
}

static void clear_bits(uint64_t *bits, struct blocks_of b, size_t *count)
{
    for (size_t i = b.first; i < b.end; i++) {
        *count -= bit(bits, i);
        bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
}

void changes_caught_up(struct changes *c, uint64_t offset, uint64_t length)
{
    if (c->behind)
        clear_bits(c->behind, blocks_of(c, offset, length), &c->n_behind);
}

void changes_proved(struct changes *c, uint64_t offset, uint64_t length)
{
    if (c->behind)
        clear_bits(c->unproved, blocks_of(c, offset, length), &c->n_unproved);
}

void changes_unprove(struct changes *c)
{
    if (!c->behind)
        return;
    memcpy(c->unproved, c->bits, words(c) * sizeof(*c->unproved));
    c->n_unproved = c->marked;
}

uint64_t changes_unproved_bytes(const struct changes *c)
{
    const uint64_t bytes = c->behind ? (uint64_t)(c->n_unproved - c->n_behind) << c->shift : 0;
    return bytes < c->size ? bytes : c->size;
}

static enum changes_kind kind_of(const struct changes *c, size_t i)
{
    if (!bit(c->bits, i))
        return CHANGES_NONE;
    if (!c->behind || bit(c->behind, i))
        return CHANGES_DIFFER;
    return bit(c->unproved, i) ? CHANGES_MIRRORED : CHANGES_PROVED;
}

bool changes_all_equal(const struct changes *c, uint64_t offset, uint64_t length)
{
    struct blocks_of b = blocks_of(c, offset, length);
    if (!changes_copy_whole(c))
        return false;
    while (b.first < b.end && kind_of(c, b.first) != CHANGES_DIFFER)
        b.first++;
    return b.first == b.end;
}

uint64_t changes_run(const struct changes *c, uint64_t offset, uint64_t length,
                     enum changes_kind *kind)
{
    struct blocks_of b = blocks_of(c, offset, length);
    uint64_t room = offset < c->size ? c->size - offset : 0;
    *kind = CHANGES_DIFFER;
    if (length > room)
        length = room;
    if (!length || !changes_copy_whole(c))
        return length;
    size_t i = b.first;
    *kind = kind_of(c, i);
    while (++i < b.end && kind_of(c, i) == *kind)
        ;
    uint64_t to = (uint64_t)i << c->shift;
    return to < offset + length ? to - offset : length;
}

uint64_t changes_bytes(const struct changes *c)
{
    uint64_t bytes = (uint64_t)(c->behind ? c->n_behind : c->marked) << c->shift;
    return changes_copy_whole(c) && bytes < c->size ? bytes : c->size;
}

/* ---- the end ---- */

/* 0, or -errno: it stays in use. */
static int close_in_order(struct changes *c)
{
    struct head *h = c->head;
    h->bits_sum = bits_sum(c);
    if (msync(h, file_bytes(c), MS_SYNC) < 0)
        return -errno;
    int r = fsfile_sync_parent(c->path); /* it may have been renamed */
    if (r < 0)
        return r;
    h->use = CLOSED;
    if (msync(h, file_bytes(c), MS_SYNC) == 0)
        return 0;
    r = -errno;
    h->use = IN_USE;
    return r;
}

void changes_close(struct changes *c, bool clean)
{
    if (!c)
        return;
    if (clean)
        close_in_order(c);
    release(c);
}

void changes_drop(struct changes *c)
{
    if (!c)
        return;
    c->head->use = 0; /* in case that it can't be removed */
    unlink(c->path);
    release(c);
}

int changes_discard(const char *path)
{
    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : -errno;
    return fsfile_sync_parent(path);
}
