/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/weekfile.h"
#include "common/base/parse.h"

void sources_release(struct sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->source[i].name);
        free(s->source[i].file);
    }
    free(s->source);
    *s = (struct sources){0};
}

struct source *sources_at(struct sources *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->source[i].name, name) == 0)
            return &s->source[i];
    char *copy = strdup(name);
    if (!copy || vec_room(&s->source, s->n, &s->cap, sizeof(*s->source)) < 0) {
        free(copy);
        return NULL;
    }
    s->source[s->n] = (struct source){.name = copy, .until = -1};
    return &s->source[s->n++];
}

struct source_file *source_find(struct source *s, const void *head, size_t n)
{
    for (size_t i = 0; i < s->n_files; i++) {
        struct source_file *f = &s->file[i];
        if (f->head_bytes > n)
            continue;
        struct hash128 h = hash128(head, (size_t)f->head_bytes);
        if (memcmp(h.bytes, f->head.bytes, sizeof(h.bytes)) == 0)
            return f;
    }
    return NULL;
}

static struct source_file *oldest(struct source *s)
{
    struct source_file *old = &s->file[0];
    for (size_t i = 1; i < s->n_files; i++) {
        struct source_file *f = &s->file[i];
        int order = memcmp(f->head.bytes, old->head.bytes, sizeof(f->head.bytes));
        if (f->newest < old->newest || (f->newest <= old->newest && order < 0))
            old = f;
    }
    return old;
}

/* Forgets files until there are no more than are kept. */
static void bound(struct source *s)
{
    while (s->n_files > SOURCES_FILES)
        *oldest(s) = s->file[--s->n_files];
}

static int add_file(struct source *s, const struct source_file *f)
{
    if (vec_room(&s->file, s->n_files, &s->cap_files, sizeof(*s->file)) < 0)
        return -ENOMEM;
    s->file[s->n_files++] = *f;
    bound(s);
    return 0;
}

int source_note(struct source *s, const void *head, size_t n, uint64_t offset, double newest)
{
    struct source_file *known = source_find(s, head, n);
    struct source_file f = {.offset = offset, .newest = newest};
    if (n > SOURCES_HEAD)
        n = SOURCES_HEAD;
    if (n > offset)
        n = (size_t)offset;
    f.head_bytes = n;
    f.head = hash128(head, n);
    if (!known)
        return add_file(s, &f);
    if (known->newest > f.newest)
        f.newest = known->newest;
    *known = f;
    return 0;
}

static bool has_file(const struct source *s, const struct source_file *f)
{
    for (size_t i = 0; i < s->n_files; i++)
        if (memcmp(s->file[i].head.bytes, f->head.bytes, sizeof(f->head.bytes)) == 0)
            return true;
    return false;
}

int sources_merge(struct sources *s, const struct sources *from, const char **which)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct source *f = &from->source[i];
        struct source *to = sources_at(s, f->name);
        *which = f->name;
        if (!to)
            return -ENOMEM;
        if (to->until >= 0 && f->until >= 0)
            return -EEXIST;
        if (f->until >= 0)
            to->until = f->until;
        for (size_t k = 0; k < f->n_files; k++) {
            if (has_file(to, &f->file[k]))
                return -EEXIST;
            if (add_file(to, &f->file[k]) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* ---- saving ---- */

static int by_name(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int by_head(const void *a, const void *b)
{
    const struct source_file *x = a, *y = b;
    return memcmp(x->head.bytes, y->head.bytes, sizeof(x->head.bytes));
}

static void pack_digest(struct packer *p, const struct hash128 *h)
{
    for (size_t i = 0; i < sizeof(h->bytes); i++)
        pack_uint(p, h->bytes[i]);
}

static void unpack_digest(struct unpacker *u, struct hash128 *h)
{
    for (size_t i = 0; i < sizeof(h->bytes); i++)
        h->bytes[i] = (unsigned char)unpack_uint(u, 255);
}

void sources_pack(struct packer *p, const struct sources *s)
{
    /* The order in memory means nothing: both are put in order where they are. */
    if (s->n)
        qsort(s->source, s->n, sizeof(*s->source), by_name);
    pack_uint(p, s->n);
    for (size_t i = 0; i < s->n; i++) {
        const struct source *from = &s->source[i];
        if (from->n_files)
            qsort(from->file, from->n_files, sizeof(*from->file), by_head);
        pack_text(p, from->name);
        pack_int(p, from->until);
        pack_uint(p, from->n_files);
        for (size_t k = 0; k < from->n_files; k++) {
            pack_uint(p, from->file[k].head_bytes);
            pack_digest(p, &from->file[k].head);
            pack_uint(p, from->file[k].offset);
            pack_real(p, from->file[k].newest);
        }
    }
}

static int unpack_file_of(struct unpacker *u, struct source *s)
{
    struct source_file f = {.head_bytes = unpack_uint(u, SOURCES_HEAD)};
    unpack_digest(u, &f.head);
    f.offset = unpack_uint(u, UINT64_MAX);
    f.newest = unpack_real(u, -1, 253402300800.0);
    return u->failed ? 0 : add_file(s, &f);
}

static int unpack_source(struct unpacker *u, struct sources *s)
{
    char name[NAME_LEN_MAX + 1];
    size_t before = s->n;
    unpack_name(u, name, sizeof(name));
    int64_t until = unpack_int(u, -1, WEEKFILE_HOUR_MAX + 1);
    size_t n = unpack_count(u, SOURCES_FILES, 20);
    if (u->failed)
        return 0;
    struct source *to = sources_at(s, name);
    if (!to)
        return -ENOMEM;
    if (s->n == before)
        u->failed = true; /* a name twice */
    to->until = until;
    int r = 0;
    for (size_t i = 0; r == 0 && !u->failed && i < n; i++)
        r = unpack_file_of(u, to);
    return r;
}

int sources_unpack(struct unpacker *u, struct sources *s)
{
    size_t n = unpack_count(u, SIZE_MAX, 3);
    int r = 0;
    for (size_t i = 0; r == 0 && !u->failed && i < n; i++)
        r = unpack_source(u, s);
    return r;
}
