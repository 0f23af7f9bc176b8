/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the second leg of a volume holds: a state per block, claims with generations, proofs.
 *
 *            claim                 synced (no write meanwhile)
 *   DIRTY ───────────▶ COPYING ─────────────────────────────────▶ SYNCED
 *     ▲                   │ synced (a write came), release            │
 *     ├───────────────────┘                                           │ a write that is not
 *     │◀──────────────────────────────────────────────────────────────┘ mirrored, or fails
 *     └───────── HAUNTED ◀── COPYING whose copier died unanswered (S2)
 *
 * A write's arrival and its end each void whatever claim (copy or proof) was made on the blocks it
 * touches, so what a decision rests on was read after the claim and not written since (S6–S8).  A
 * proof is kept per page of 4 KiB, so that a proof of what was written since costs no more than
 * that.  What counts without a proof depends on what is to be verified: with VERIFY_DELTA what was
 * equal already, with VERIFY_NONE everything.  Pure: no sockets, no clock but what is given.
 */
#ifndef DIRECTOR_BLOCKS_H
#define DIRECTOR_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/record/schema.h"

enum { BLOCK_SIZE = 64 << 10, PAGE_SIZE = 4 << 10, BLOCK_PAGES = BLOCK_SIZE / PAGE_SIZE };

struct blocks;

enum claim_kind { CLAIM_COPY, CLAIM_PROVE };

/* Bytes, but for the last block whole ones. */
struct blocks_counts {
    uint64_t dirty, copying, haunted, synced;
    uint64_t unproved; /* of synced, by pages: to be proved before a switch */
    uint64_t exempt;   /* of synced: blocks in which something counts without a proof */
};

/*
 * All blocks of a volume of SIZE bytes, dirty; everything is to be proved (VERIFY_FULL).  NULL: out
 * of memory.  Owned by the caller.
 */
struct blocks *blocks_new(uint64_t size);
void blocks_free(struct blocks *b);

/*
 * Claims the next extent of at most MAX bytes for DRIVER (an identity, never dereferenced).
 * CLAIM_COPY: adjacent dirty blocks, which become COPYING; CLAIM_PROVE: unproved pages of synced
 * blocks, adjacent but for a few proved ones.  Goes round the volume.  Returns the claim's number
 * (> 0) and fills the extent; 0: nothing to claim now; -ENOMEM.
 */
int64_t blocks_claim(struct blocks *b, enum claim_kind kind, uint64_t max, const void *driver,
                     uint64_t *offset, uint64_t *length);

/*
 * The next claim to prove begins behind the block of OFFSET, where one has failed, or that would be
 * claimed for ever.
 */
void blocks_pass_over(struct blocks *b, uint64_t offset);

/* What a claim of DRIVER has.  0 or -ESTALE. */
int blocks_extent(const struct blocks *b, uint64_t claim, const void *driver, uint64_t *offset,
                  uint64_t *length);

/* Are these bytes within one copy claim of DRIVER, so that it may write there? */
bool blocks_may_copy(const struct blocks *b, uint64_t offset, uint64_t length, const void *driver);

/*
 * Keeps of a copy claim of DRIVER its first LENGTH bytes, whole blocks; the others are dirty again.
 */
void blocks_cut(struct blocks *b, uint64_t claim, const void *driver, uint64_t length);

/*
 * What a copy claim of DRIVER has is known, or was found after the claim, to be equal on the
 * target: blocks_adopt() may end it.
 */
void blocks_claim_equal(struct blocks *b, uint64_t claim, const void *driver);
/* The same, as it was mirrored there: blocks_adopt() leaves it to be proved (S8). */
void blocks_claim_mirrored(struct blocks *b, uint64_t claim, const void *driver);

/* As blocks_claim() of CLAIM_COPY, within [FROM, TO); a block counts as where it begins. */
int64_t blocks_claim_in(struct blocks *b, uint64_t from, uint64_t to, uint64_t max,
                        const void *driver, uint64_t *offset, uint64_t *length);

/*
 * Is a data-changing command in flight on these bytes?  ARG comes from the caller of the function
 * that asks.
 */
typedef bool blocks_busy_fn(void *arg, uint64_t offset, uint64_t length);

/*
 * Ends a claim of DRIVER with its work done: what no write touched becomes SYNCED (copy) or proved;
 * blocks a write touched become dirty (copy) or stay unproved.  So do copied blocks that BUSY says
 * are being written: a mirrored write that arrived before its block became dirty may have reached
 * the target before the copier, and its end will not tell.  0; -ESTALE: no such claim of this kind
 * and driver.
 */
int blocks_done(struct blocks *b, uint64_t claim, enum claim_kind kind, const void *driver,
                blocks_busy_fn *busy, void *arg);

/*
 * As blocks_done() of a copy claim that nothing was copied for, as it was equal: what no write
 * touched becomes SYNCED, and needs no proof unless it was mirrored, or everything needs one
 * (VERIFY_FULL).  0; -EINVAL: it was not told to be equal; -ESTALE.
 */
int blocks_adopt(struct blocks *b, uint64_t claim, const void *driver, blocks_busy_fn *busy,
                 void *arg);

/*
 * Gives a claim up, every reply being in.  0: its blocks are dirty again; 1: it was one of a proof,
 * and they are as they were; -ESTALE.
 */
int blocks_release(struct blocks *b, uint64_t claim, const void *driver);

/*
 * A proof found a difference.  1: a write touched the extent since the claim, or BUSY says one is
 * in flight: nothing is known; 0: the target differs really, the blocks are dirty; -ESTALE.
 */
int blocks_differ(struct blocks *b, uint64_t claim, const void *driver, blocks_busy_fn *busy,
                  void *arg);

/*
 * DRIVER is gone: its proofs are forgotten; blocks it was copying may still be written by its
 * connections, so they are haunted until UNTIL_US.  Returns the number of haunted blocks.
 */
size_t blocks_driver_gone(struct blocks *b, const void *driver, uint64_t until_us);

/* Makes dirty what is haunted no longer at NOW_US.  Returns when to look again; 0: nothing left. */
uint64_t blocks_exorcise(struct blocks *b, uint64_t now_us);

/*
 * A data-changing command arrives.  Is every block it touches SYNCED, so that it can be mirrored?
 */
bool blocks_all_synced(const struct blocks *b, uint64_t offset, uint64_t length);

/*
 * The arrival, or the end, of a data-changing command: voids claims and proofs.  MIRRORED: it goes
 * (or went, without error) to both legs; otherwise synced blocks become dirty.
 */
void blocks_written(struct blocks *b, uint64_t offset, uint64_t length, bool mirrored);

/*
 * All claims are void, as if a write had touched each: their work comes to nothing.  They must be
 * ended all the same.
 */
void blocks_void(struct blocks *b);

/* All proofs are void (another driver goes on, or a leg was lost). */
void blocks_unprove(struct blocks *b);

/*
 * From now on so much is to be proved.  If that is another kind than before all proofs are void,
 * and what was adopted is to be proved, too.
 */
void blocks_set_verify(struct blocks *b, enum rec_verify verify);

struct blocks_counts blocks_counts(const struct blocks *b);

/*
 * The first extent of blocks in [FROM, TO), counted by where they begin, that are not SYNCED: what
 * the target is not known to have.  False: there is none.
 */
bool blocks_missing(const struct blocks *b, uint64_t from, uint64_t to, uint64_t *offset,
                    uint64_t *length);

/* Every block synced, and proved as far as it is to be: what a switch needs. */
bool blocks_complete(const struct blocks *b);

/*
 * What has been proved of the whole: VERIFY_FULL also where less was asked for, if nothing was
 * exempt; VERIFY_NONE where anything is left.
 */
enum rec_verify blocks_proved(const struct blocks *b);

#endif
