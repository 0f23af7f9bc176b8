/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The director's verbs for one volume, typed: route-director(8) describes them.  The migration
 * that was begun over a connection is driven by it until it closes.
 *
 * Every function returns 0 (or what it says) or -errno with the reason in director_error():
 * -ECONNRESET means that the director went away or did not answer in time, so that the outcome is
 * unknown; -ENOTCONN that a gateway closed a connection; -EPROTO a reply that is not understood;
 * anything else is the director's answer.
 */
#ifndef EXEC_DIRECTOR_H
#define EXEC_DIRECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "common/base/parse.h"
#include "common/record/schema.h"

struct director;

/*
 * Connects to the director that serves VOLUME (stored): at the socket PATH if given, else the one
 * registered in the folder STATE, else RUN/director.sock.  *OUT is owned.
 */
int director_open(const char *path, const char *state, const char *run, const char *volume,
                  struct director **out);
/* The director treats what is claimed and not answered as haunted.  NULL is fine. */
void director_close(struct director *d);
const char *director_error(const struct director *d);
/* The control socket's path. */
const char *director_path(const struct director *d);

struct director_begun {
    uint64_t block; /* bytes */
    uint64_t size;  /* of the volume, bytes */
    bool attached;  /* this very migration was alive: synced blocks stay, proofs are void */
    /* The private export by which alone a side may be reached (S9), or "", and its socket. */
    char source[NAME_LEN_MAX + 1];
    char target[NAME_LEN_MAX + 1];
    char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
};
enum begin_kind {
    BEGIN_COPY,
    BEGIN_BACK,   /* to the copy that the last move left */
    BEGIN_SHARED, /* to a gateway that exports the same bytes */
};
/* Understands the text of begin's reply.  Pure.  0 or -EINVAL. */
int begun_parse(const char *text, struct director_begun *out);
struct director_order {
    uint64_t epoch;
    const char *target;
    enum begin_kind kind;
    bool no_flush;          /* source and target may be unable to flush */
    enum rec_verify verify; /* what is to be proved before the switch */
};
int director_begin(struct director *d, const struct director_order *o, struct director_begun *out);

enum claim_kind { CLAIM_COPY, CLAIM_PROVE };
struct claim {
    uint64_t id;
    uint64_t offset; /* bytes */
    uint64_t length;
    bool unchanged; /* equal on the target, by the director's change map: nothing to be sent */
};
/* Bytes in each state when there was nothing to claim. */
struct backlog {
    uint64_t dirty;
    uint64_t copying;
    uint64_t haunted;
    uint64_t unproved;
};
/* Claims that one call can make, or end. */
enum { CLAIM_BATCH = 48 };
/*
 * Claims of at most MAX bytes each, or unchanged: their number, at most COUNT (up to CLAIM_BATCH),
 * in CLAIMS.  0: nothing to claim, *BACKLOG says why.
 */
int director_claim(struct director *d, enum claim_kind kind, uint64_t max, struct claim *claims,
                   size_t count, struct backlog *backlog);
/* One claim, as director_claim() of CLAIM_COPY, of blocks that begin in [FROM, TO). */
int director_claim_in(struct director *d, uint64_t from, uint64_t to, uint64_t max,
                      struct claim *claim, struct backlog *backlog);
/* N claims, at most CLAIM_BATCH, are done.  *DIRTY / *UNPROVED: the bytes left. */
int director_synced(struct director *d, const uint64_t *claims, size_t n, uint64_t *dirty);
int director_proved(struct director *d, const uint64_t *claims, size_t n, uint64_t *unproved);
/*
 * As director_synced(), of claims of which nothing was sent: they were found to be equal, or one is
 * unchanged by the change map.  Their blocks need no proof unless everything does.
 */
int director_equal(struct director *d, const uint64_t *claims, size_t n, uint64_t *dirty);
int director_unchanged(struct director *d, uint64_t claim, uint64_t *dirty);
int director_release(struct director *d, uint64_t claim);
/* 0: a write raced the comparison, prove again; -EILSEQ: the copy really differs. */
int director_differs(struct director *d, uint64_t claim);

/* What is known of bytes of the owner, read before it was asked. */
enum since_switch {
    SINCE_CHANGED,   /* a client wrote there since the switch, or may have */
    SINCE_UNCHANGED, /* they are what was switched to */
    SINCE_UNKNOWN,   /* nobody kept track */
};
/* Of the bytes at OFFSET, after the switch to EPOCH; *RUN, at most LENGTH: so many are alike. */
int director_changed(struct director *d, uint64_t epoch, uint64_t offset, uint64_t length,
                     uint64_t *run, enum since_switch *what);

int director_mirror(struct director *d);
/* *LEFT: the bytes that are not synced once nothing is in flight. */
int director_hold(struct director *d, unsigned window_ms, uint64_t *left);
/* On shared storage: a hold in which the owner is flushed, and its connections closed. */
int director_detach(struct director *d, unsigned window_ms, uint64_t *drain_us);
int director_unhold(struct director *d);
int director_flush(struct director *d);
/* -ETIMEDOUT: the hold was over; -EINPROGRESS or -ECONNRESET: only the store knows. */
int director_switch(struct director *d, uint64_t epoch, uint64_t *new_epoch, uint64_t *pause_us);
/* The move waits for another driver; the route says "deferred". */
int director_defer(struct director *d);
int director_retire(struct director *d);
/*
 * From now on the kept copy gets the writes, too: *BEHIND bytes of it may differ.  -EINVAL: none is
 * kept, or what has changed is not known; -EAGAIN, -EBUSY: not now.
 */
int director_reverse(struct director *d, uint64_t *behind);
/* No more.  -ENOENT: it did not get them; -EIO: that was dropped, and the copy is unknown. */
int director_reverse_off(struct director *d);
int director_abort(struct director *d);
int director_reload(struct director *d);

/*
 * Extents of the volume that the target of the open move does not have, as far as is known: up to
 * MAX (at most 1024) of those behind *FROM, which is set to where the next call goes on; the
 * volume's size at the end.  *TARGET and *BYTES: the gateway, and how much it lacks in all.  Their
 * number; -ENOENT: no move is open.
 */
struct extent {
    uint64_t offset, length;
};
int director_missing(struct director *d, uint64_t *from, struct extent *out, size_t max,
                     char target[NAME_LEN_MAX + 1], uint64_t *bytes);

struct director_status {
    char owner[NAME_LEN_MAX + 1];
    char target[NAME_LEN_MAX + 1];
    char phase[16]; /* steady, replicate, mirror, hold, commit, doubt */
    uint64_t epoch;
    uint64_t pause_us;                  /* of the last cutover */
    uint64_t read_us_now, write_us_now; /* what clients wait; 0: unknown */
    uint64_t dirty, copying, haunted;   /* bytes that the target does not have */
    bool unflushed;                     /* what drivers sent the target may not be durable */
    bool promotable; /* the target could take the place of an owner that is dead */
    bool promoted;   /* … and has, with so many bytes unproved: */
    uint64_t unproved;
    bool mirrored;       /* the kept copy gets the writes, too */
    uint64_t size_bytes; /* of the volume */
    bool here;           /* the owner's gateway is, for the director, … */
    bool no_flush;       /* … and what it answers counts as durable */
    /* Its gateway takes one connection, which the director has (S9). */
    bool private_source, private_target;
};
/* -ENOENT: the director does not serve the volume. */
int director_status(struct director *d, struct director_status *out);

#endif
