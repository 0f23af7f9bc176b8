/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The change map of a volume (S10, S11): which blocks were written since the volume was switched
 * away from a copy that is kept.  What is not marked is equal there, so that the way back need not
 * send it.
 *
 * The bits stand in a file that is mapped, shared: a mark is made before its write leaves, costs no
 * system call, and a process that is killed loses none.  What a machine that goes down had in
 * memory is lost; therefore a map that is found in use is believed only in the same boot, and one
 * that was closed in order, when all of it was synced, in any.  A map that can't be believed is
 * void: then nothing is known to be equal.  There is no third state.
 *
 * The header names the volume, the owner, the copy, the epoch of the switch and the incarnation
 * that served the volume; if another one served it since, without the map, it is void.
 *
 * All calls for a map come from one thread at a time, of the process that holds the volume's lock.
 */
#ifndef DIRECTOR_CHANGES_H
#define DIRECTOR_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/hash.h"

/*
 * Bytes of a block.  Volumes that would have more than CHANGES_BLOCKS_MAX (over 4 TiB) have larger
 * ones, doubled until they fit: the file stays below 8 MiB and a page.
 */
enum { CHANGES_BLOCK = 64 << 10, CHANGES_BLOCKS_MAX = 1 << 26 };

struct changes; /* opaque */

/* Whose changes: the names are stored names (parse_name()). */
struct changes_id {
    const char *volume;
    const char *owner; /* the gateway that is written to */
    const char *kept;  /* where the copy is */
    uint64_t size;     /* of the volume, bytes; not 0 */
    uint64_t epoch;    /* of the owner */
};

struct changes_setup {
    const char *path; /* of the file; copied */
    struct changes_id id;
    struct hash128 boot;  /* of the kernel's boot id; all zero: unknown */
    uint64_t incarnation; /* of who serves the volume now: a random number, not 0 */
    uint64_t former;      /* changes_open(): of who served it last; 0: unknown */
    /* changes_open(): the last director did not let go of the volume in order. */
    bool unclean;
};

/* Makes a map without a mark, durable and in use, over whatever PATH had.  0 or -errno. */
int changes_create(const struct changes_setup *s, struct changes **out);

/*
 * Goes on with the map at PATH.  0; -ENOENT: there is none; -ESTALE: it is void, *WHY (static) says
 * why; another -errno.  What is not gone on with must be removed (changes_discard()) before the
 * volume is written to.
 */
int changes_open(const struct changes_setup *s, struct changes **out, const char **why);

/* The file is called PATH from now on.  0 or -errno. */
int changes_rename(struct changes *c, const char *path);

/*
 * The copy was flushed and every connection to it is closed, after the last write that is not
 * marked.  Until then nothing is known of it.
 */
void changes_copy_is_whole(struct changes *c);
bool changes_copy_whole(const struct changes *c);

/* Is this the map of ID? */
bool changes_are_of(const struct changes *c, const struct changes_id *id);

/* A write is about to leave.  What lies behind the volume's end is left out. */
void changes_mark(struct changes *c, uint64_t offset, uint64_t length);

/*
 * A mirror gives the copy what is written from now on (reverse.h).  Begins a second account, in
 * memory alone, of the marked blocks that the copy has all the same: none at first.  It goes on
 * with one that there is.  0 or -ENOMEM.
 */
int changes_mirror(struct changes *c);

/*
 * As changes_mark(), but the copy is given the write too: if every block of it was equal it stays
 * so in the account.  What becomes of it, an error say, is the caller's to mark.
 */
void changes_mark_mirrored(struct changes *c, uint64_t offset, uint64_t length);

/*
 * The first block at or after *OFFSET that lags behind, by the account: true, with its place,
 * clipped to the volume.  False: there is none.
 */
bool changes_behind(const struct changes *c, uint64_t *offset, uint64_t *length);

/* The first block at or after *OFFSET that is mirrored and was not proved since; as above. */
bool changes_unproved(const struct changes *c, uint64_t *offset, uint64_t *length);
/* The blocks of this range, whole ones that do not lag behind, were found to be equal. */
void changes_proved(struct changes *c, uint64_t offset, uint64_t length);

/* Nothing that is mirrored counts as proved any more. */
void changes_unprove(struct changes *c);

/* All of the blocks of this range, whole ones, is given to the copy now: they are equal. */
void changes_caught_up(struct changes *c, uint64_t offset, uint64_t length);

/*
 * What the mirror did counts no more: all that is marked may differ.  The marks were there all the
 * time, so that the end of a process says the same.
 */
void changes_unmirror(struct changes *c);

/* Is every block of the range equal on the copy, by the map or by the mirror's account? */
bool changes_all_equal(const struct changes *c, uint64_t offset, uint64_t length);

/* How a block of the copy compares to the owner's. */
enum changes_kind {
    CHANGES_DIFFER,   /* or nothing is known */
    CHANGES_NONE,     /* nothing was written since: equal */
    CHANGES_MIRRORED, /* equal since the mirror says so */
    CHANGES_PROVED,   /* … and was read and compared since it was written last */
};

/*
 * How far from OFFSET on, at most to OFFSET + LENGTH, is everything of the *KIND of the byte at
 * OFFSET?  Returns bytes, not 0 for a LENGTH that is not and an OFFSET within the volume.
 */
uint64_t changes_run(const struct changes *c, uint64_t offset, uint64_t length,
                     enum changes_kind *kind);

/* Bytes that are mirrored and were not proved since they were written last. */
uint64_t changes_unproved_bytes(const struct changes *c);

/* Bytes that may differ: those marked and not mirrored, or all where nothing is known of the
 * copy. */
uint64_t changes_bytes(const struct changes *c);

/*
 * Unmaps and frees; NULL is fine.  CLEAN: all is made durable and marked as closed, for a director
 * that finds the volume let go in order; otherwise the file stays in use.
 */
void changes_close(struct changes *c, bool clean);

/* Ends it for good: the file is removed.  NULL is fine. */
void changes_drop(struct changes *c);

/* Removes the file at PATH, durably; 0 also when there is none. */
int changes_discard(const char *path);

#endif
