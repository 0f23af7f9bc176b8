/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How far named sources of records were counted: of a file the bytes, of a pipe the time.
 *
 * A file is known by the digest of its first bytes (unpacked), of which the time of its first
 * record is one: it stays the same file when it is renamed, copied or packed, and a new file of the
 * same name, or in the same inode, is another.
 */
#ifndef GS_AFFINITY_SOURCES_H
#define GS_AFFINITY_SOURCES_H

#include <stddef.h>
#include <stdint.h>

#include "common/affinity/pack.h"
#include "common/base/hash.h"

enum {
    SOURCES_HEAD = 4096, /* the first bytes of a file, or as many as were counted */
    SOURCES_FILES = 256, /* a source; then those whose records are oldest are forgotten */
};

struct source_file {
    uint64_t head_bytes;
    struct hash128 head; /* digest of them */
    uint64_t offset;     /* bytes counted: whole lines */
    double newest;       /* time of its newest record */
};

struct source {
    char *name;    /* owned */
    int64_t until; /* of a pipe, all hours (since the epoch) before it were counted; −1: none */
    struct source_file *file; /* owned */
    size_t n_files, cap_files;
};

/* Zero-initialise; sources_release() frees. */
struct sources {
    struct source *source; /* owned */
    size_t n, cap;
};

void sources_release(struct sources *s);

/* The source NAME, added if new.  NULL: out of memory.  Borrowed until the next one is added. */
struct source *sources_at(struct sources *s, const char *name);

/* The file of S that begins as the N bytes HEAD do; NULL if there is none. */
struct source_file *source_find(struct source *s, const void *head, size_t n);

/*
 * Notes that the file with the N first bytes HEAD (all, or at least SOURCES_HEAD of them) was
 * counted up to OFFSET, its newest record being of NEWEST.  0 or -ENOMEM.
 */
int source_note(struct source *s, const void *head, size_t n, uint64_t offset, double newest);

/*
 * Adds the sources of FROM.  0, -ENOMEM, or -EEXIST: both have counted the same file, or the same
 * pipe, of the source *WHICH (borrowed from FROM).
 */
int sources_merge(struct sources *s, const struct sources *from, const char **which);

/* To and from a state file; same content, same bytes.  sources_unpack() returns 0 or -ENOMEM. */
void sources_pack(struct packer *p, const struct sources *s);
int sources_unpack(struct unpacker *u, struct sources *s);

#endif
