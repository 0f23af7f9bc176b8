/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a volume's owner must still have (S13): digests of some 4 KiB blocks that are durable there
 * and were not written since.  A gateway that comes back with other data in one of them came back
 * with an older, an empty or another copy.  Pure.
 */
#ifndef DIRECTOR_WITNESS_H
#define DIRECTOR_WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/hash.h"

/* The last RECENT blocks seen, and as many that are older. */
enum { WITNESS_BLOCK = 4096, WITNESS_RECENT = 16, WITNESS_MAX = 32 };

struct witness_block {
    uint64_t offset; /* a multiple of WITNESS_BLOCK; UINT64_MAX: none */
    struct hash128 digest;
};

/* witness_init() first; nothing to release. */
struct witness {
    struct witness_block blocks[WITNESS_MAX];
    unsigned recent, older; /* places that are taken next */
    unsigned n;             /* how many there are */
};

void witness_init(struct witness *w);

/*
 * DATA, LENGTH bytes at OFFSET of the volume, is durable: notes its first whole block, if it has
 * one.
 */
void witness_durable(struct witness *w, uint64_t offset, const void *data, size_t length);

/* A command that changes these bytes is sent: what was known of them is forgotten. */
void witness_changed(struct witness *w, uint64_t offset, uint64_t length);

/* Is DATA, WITNESS_BLOCK bytes, what block I (< WITNESS_MAX, there) must hold? */
bool witness_holds(const struct witness *w, unsigned i, const void *data);

#endif
