/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A volume's move: the second leg, the block states, the hold and the switch
 * (gateshift(7), "A MIGRATION").  The verbs of the control socket arrive here; who carries them out
 * is in migrate-exec.
 *
 *   OPENING ▶ RECORDING ▶ COPYING ▶ HELD ▶ COMMIT ▶ RETIRE
 *      │          │          │   ◀────┘      │ ▶ DOUBT ▶ (either side)
 *      │          │          │ ▶ STALLED (the owner is away) ▶ COPYING, when it is back
 *      │          │          │      └─▶ PROMOTING ▶ COMMIT, when it is dead (S17)
 *      └──────────┴──────────┴─▶ ENDING ▶ GONE (aborted or given up)
 */
#ifndef DIRECTOR_MOVE_H
#define DIRECTOR_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "blocks.h"
#include "copiers.h"
#include "keepup.h"
#include "reprove.h"
#include "volume.h"

struct changes;
struct control;
struct leg;

enum move_phase {
    MOVE_OPENING,   /* the target's connections */
    MOVE_RECORDING, /* route state "moving" is being written */
    MOVE_COPYING,   /* claims; mirrored writes once asked for */
    MOVE_HELD,      /* new requests wait; draining until inflight is 0 */
    MOVE_STALLED,   /* the owner is away: what is synced is kept until it is back */
    MOVE_PROMOTING, /* the owner is dead: the target is about to take its place */
    MOVE_COMMIT,    /* the compare-and-set is under way */
    MOVE_DOUBT,     /* its outcome is not known */
    MOVE_RETIRE,    /* the target is the owner; the old owner is flushed and closed */
    MOVE_ENDING,    /* aborted or given up: route state "steady" is being written */
    MOVE_GONE,      /* given up; kept to tell the driver why */
};

/* What the verb that is not answered yet waits for. */
enum move_wait {
    WAIT_NOTHING,
    WAIT_BEGIN,
    WAIT_DRAIN,
    WAIT_DETACH,
    WAIT_FLUSH,
    WAIT_SWITCH,
    WAIT_RETIRE,
    WAIT_ABORT,
    WAIT_DEFER
};

/* What a move is begun with. */
struct move_order {
    uint64_t epoch;
    char target[NAME_LEN_MAX + 1];
    bool back;     /* to the copy that the last move left */
    bool shared;   /* to a gateway that exports the same bytes as the owner */
    bool no_flush; /* gateways that cannot flush may take part: their replies count as durable */
    enum rec_verify verify;
};

struct move {
    struct volume *v;
    enum move_phase phase;
    bool mirror;
    bool back;      /* to the kept copy of the last move, which is not committed */
    bool shared;    /* the target exports the very bytes of the owner: nothing is copied */
    bool stands_in; /* nobody drives it: the target, mirrored since the last move, promotes */
    char target[NAME_LEN_MAX + 1];
    enum rec_verify verify; /* so much must be proved before the switch */
    bool no_flush;          /* source and target may be unable to flush */
    struct control *driver; /* the connection that began it; NULL: gone */
    struct control *waiter; /* whose verb is not answered yet; NULL: none, or gone */
    enum move_wait waits;
    struct leg *leg; /* the target's; in RETIRE the old owner's */
    struct copiers copiers;
    struct keepup keepup;
    struct reprove reprove;
    uint64_t reproving;    /* its claim */
    struct blocks *blocks; /* COPYING … DOUBT */
    struct changes *next;  /* will be the map of what the source lacks; NULL: there is none */
    struct storejob job;
    bool recorded;         /* the route's state is "moving" … */
    int stored;            /* … or "deferred": what a compare-and-set expects; -1: in doubt */
    bool deferring;        /* "deferred" is being written … */
    struct storejob defer; /* … by this */
    struct loop_timer deadline; /* of the hold; later of the doubt */
    uint64_t heard_us;          /* when the target has last carried out a request */
    struct loop_timer tick;     /* haunted blocks, late mirrored writes; retries in doubt */
    uint64_t held_at_us, hold_until_us;
    bool promoted;       /* COMMIT, DOUBT, RETIRE: without the old owner … */
    uint64_t unproved;   /* … with so many bytes that were not proved */
    uint64_t promote_us; /* not before: an attempt failed */
    bool in_order;       /* its driver has deferred it, and none has attached since */
    bool copies_flushed; /* the driver's connections flushed since their last write to the target */
    bool flushed;     /* every connection that wrote to the target flushed since its last write */
    unsigned flushes; /* of the flush under way, not answered yet */
    bool flush_again; /* WAIT_FLUSH: the one under way was sent too early */
    uint64_t flushing_since_us;
    bool flush_failed;
    bool detached; /* HELD, COMMIT, DOUBT: the owner's connections are closed, or it is away */
    size_t asked;  /* of the target, if it has what the owner made durable: not answered yet; … */
    bool other, readable; /* … it has not, for one; it could be read at all */
    bool asked_once;      /* … so that it may keep what it read */
    bool source_sure; /* no write of a connection that ended could land there after the switch */
    bool retired;     /* the old owner's connections are closed … */
    bool retired_ok;  /* … after a flush that succeeded */
    bool expired;     /* in doubt for too long: what is held gets EIO */
    char why[512];    /* of ENDING and GONE */
};

/* Claims that one verb can make, or end. */
enum { CLAIMS_MAX = 48 };

/*
 * The verbs; each answers C now or later (control_ok(), control_err()).  Only the driver may call
 * most of them: the caller has checked that.  move_begin() takes over a use of V.
 */
void move_begin(struct volume *v, struct control *c, const struct move_order *o);
/* Does the target only stand by: nobody works at the move, which is mirrored and deferred? */
bool move_stands_by(const struct move *m);
/* It waits for somebody, mirrored: the route says "deferred". */
void move_defer(struct move *m, struct control *c);
void move_claim(struct move *m, struct control *c, enum claim_kind kind, uint64_t max,
                uint64_t count);
void move_claim_in(struct move *m, struct control *c, uint64_t from, uint64_t to, uint64_t max);
void move_done(struct move *m, struct control *c, enum claim_kind kind, const uint64_t *claims,
               size_t n);
/* FOUND: to be equal, by who compared; else by the map. */
void move_adopt(struct move *m, struct control *c, const uint64_t *claims, size_t n, bool found);
void move_release(struct move *m, struct control *c, uint64_t claim);
void move_differs(struct move *m, struct control *c, uint64_t claim);
void move_mirror(struct move *m, struct control *c);
void move_hold(struct move *m, struct control *c, uint64_t window_ms);
/* As move_hold(), then flushes the owner and closes its connections; on shared storage only. */
void move_detach(struct move *m, struct control *c, uint64_t window_ms);
void move_unhold(struct move *m, struct control *c);
void move_flush(struct move *m, struct control *c);
void move_switch(struct move *m, struct control *c, uint64_t epoch);
void move_retire(struct move *m, struct control *c);
void move_abort(struct move *m, struct control *c);

/* The control connection C is closed: its claims, its hold. */
void move_control_gone(struct move *m, const struct control *c);

/* A data-changing request arrives (may set r->mirrored) or has ended, as volume.c sees it. */
void move_write_arrives(struct move *m, struct request *r);
void move_write_ends(struct move *m, struct request *r);
/* Nothing is in flight any more. */
void move_drained(struct move *m);
/*
 * The owner leg is lost, for the reason WHY.  True: the move goes on without it (a commit is under
 * way).
 */
bool move_owner_lost(struct move *m, const char *why);
/* By the store the owner is another, or at another epoch, for the reason WHY: the move is over. */
void move_overtaken(struct move *m, const char *why);
/*
 * Why what clients of V negotiated could not be had on leg L, or V not be copied there, as a text;
 * NULL: fine (S22, S24).  NO_FLUSH: it need not be able to flush.
 */
const char *move_misfit(const struct volume *v, const struct leg *l, bool no_flush);
/* Could the target take the owner's place, should that be dead (S17)? */
bool move_may_promote(const struct move *m);

/*
 * A move of V, which has none, to the kept copy on GATEWAY, that has all that was acknowledged,
 * durably (standby.h).  For move_stand_in(); NULL: out of memory.
 */
struct move *move_new_stand_in(struct volume *v, const char *gateway);
/*
 * Begins M: the owner is dead, and the target, at L, which is taken over with nothing under way,
 * takes its place.  Requests are held, since m->held_at_us.  Nothing is written to L before the
 * switch, and if the owner is found first M is given up.
 */
void move_stand_in(struct move *m, struct leg *l);
/*
 * "steady", "replicate", "mirror", "hold", "stalled", "promote", "commit", "doubt", "retire",
 * "failed".
 */
const char *move_phase_name(const struct move *m);

#endif
