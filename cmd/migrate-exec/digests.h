/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Digests of a volume, collected while it is proved, and their root: the XXH3-128 digest of those
 * of all blocks of 64 KiB in order, each that of the digests of its pages of 4 KiB (the last of
 * each may be shorter), in canonical form.  Pure.
 *
 * What no proof has covered is open, and read once more at the end.  In volumes of more than 64 GiB
 * a proof of a part of a block leaves all of it open.
 */
#ifndef EXEC_DIGESTS_H
#define EXEC_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/hash.h"

enum { DIGEST_BLOCK = 64 * 1024, DIGEST_PAGE = 4 * 1024 };

struct digests;

/* All blocks of a volume of SIZE bytes, open.  NULL: out of memory. */
struct digests *digests_new(uint64_t size);
void digests_free(struct digests *d);

/*
 * DATA was read at OFFSET under CLAIM, and the director took the proof.  Claims count up (and may
 * wrap): of one block only the latest counts, as an earlier one that was settled late was voided by
 * a write.
 */
void digests_take(struct digests *d, uint32_t claim, uint64_t offset, const void *data,
                  uint64_t length);

/* The first open block at or behind *OFFSET: true, with its place.  False: there is none. */
bool digests_open(const struct digests *d, uint64_t *offset, uint64_t *length);
/* The block at OFFSET, open so far, holds DATA, as long as digests_open() said. */
void digests_close(struct digests *d, uint64_t offset, const void *data);

/* The root; only once no block is open. */
struct hash128 digests_root(const struct digests *d);

#endif
