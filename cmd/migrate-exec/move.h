/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One migration, driven: redirect, replicate, hand over, retire (gateshift(7)).
 *
 *     prepare ─ begin ─ replicate ─ mirror ─ { converge ─ hold … switch } ─ retire
 *
 * Each transition is in the journal before it is acted on.
 */
#ifndef EXEC_MOVE_H
#define EXEC_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/migrate-exec/director.h"
#include "cmd/migrate-exec/flow.h"
#include "cmd/migrate-exec/hook.h"
#include "cmd/migrate-exec/journal.h"
#include "cmd/migrate-exec/pace.h"
#include "cmd/migrate-exec/progress.h"
#include "cmd/migrate-exec/slowdown.h"
#include "cmd/migrate-exec/verify.h"
#include "common/base/opts.h"
#include "common/fleet/fleet.h"
#include "common/route/store.h"

/* What --commit does with the old copy. */
enum disposal { DISPOSAL_COLD, DISPOSAL_ARCHIVE, DISPOSAL_REMOVE };

enum on_fail { ON_FAIL_RETRY, ON_FAIL_DEFER, ON_FAIL_ABORT };

/* Is the target read too, and only what differs sent? */
enum compare {
    COMPARE_AUTO, /* unless this run has created it */
    COMPARE_ALWAYS,
    COMPARE_NEVER,
};

/* Bounds of what can be set. */
enum { ATTEMPTS_MAX = 1000, WINDOW_MS_MAX = 60000, BWLIMIT_MIN = 4096 };

/* What all migrations of a run share. */
struct exec {
    struct opts_dirs dirs;
    const char *control; /* the director's socket; NULL: found by the volume */
    unsigned window_ms;  /* the longest hold of an attempt */
    unsigned fence_ms;   /* … on shared storage, the source's fence included */
    unsigned attempts;
    enum compare compare;
    enum on_fail on_fail;
    bool keep_mirrored;     /* the old copy gets what is written after the switch, too … */
    bool standby;           /* … and is kept beyond retain_s */
    int verify;             /* VERIFY_…, or VERIFY_BY_KIND */
    bool force;             /* what --force allows */
    bool overwrite;         /* also an export of the target that is not known to be a copy */
    uint64_t bwlimit;       /* bytes a second; 0: none */
    const char *heat;       /* a file of heat records; NULL: none */
    unsigned max_slowdown;  /* percent that clients may wait longer; 0: no limit */
    unsigned connections;   /* to each gateway, at most LANES_MAX */
    enum disposal disposal; /* of --commit */
    unsigned hook_timeout_s;
    unsigned io_timeout_ms;     /* of a gateway that does not answer */
    uint64_t quarantine_us;     /* how long to wait for a director's quarantine */
    unsigned jobs;              /* rows at once */
    struct silences *silences;  /* gateways that do not answer (silence.h); NULL: not known */
    struct progress_cell *cell; /* of one of them: where it says how far it is; else NULL */
    unsigned per_gateway;       /* of them from a gateway, and to it */
    double retain_s;            /* how long old copies are kept until --expire commits */
    double max_age_s;           /* of a plan's rows */
    bool wait;                  /* for the not_before of rows */
    bool dry_run;
    const char *who;    /* user and command line */
    const char *reason; /* of a plan's row, for what is done on its behalf; NULL: none */
    struct fleet *fleet;
    struct route_store *store;
    struct rec_writer *out; /* event records */
};

/*
 * How a migration came out.  GO is not an end: on to the next step.  The others are ordered from
 * good to bad, so that the worst of a run is the greatest.
 */
enum outcome {
    GO,
    SWITCHED,
    SETTLED,     /* nothing (more) to do */
    DEFERRED,    /* resumable: deferred, stalled or interrupted */
    UNAVAILABLE, /* no director; nothing was begun */
    FAILED,      /* refused, failed or aborted; the source serves */
    MANUAL,      /* nobody but an operator can say who owns the volume */
};

/* How the detail of a revert's first event begins; the ID of what it reverts follows, and behind
 * MOVE_REASON why, if it was a plan's row. */
#define MOVE_REVERTS "reverts "
#define MOVE_REASON  "; "

/* The detail of the journal's note that the target's export is this volume's from now on. */
#define MOVE_TAKES_EXPORT "takes the export on the target"

/* One migration. */
struct move {
    const struct exec *exec; /* &own */
    struct exec own;         /* the run's, until --modify changes it (modify.h) */
    uint64_t looked_us;      /* when that was looked for */
    uint64_t way_looked_us;  /* … and who it is to give way to (giveway.h) … */
    char gives_way[160];     /* … "": nobody */
    char id[NAME_LEN_MAX + 1];
    char volume[NAME_LEN_MAX + 1];
    char source[NAME_LEN_MAX + 1];
    char target[NAME_LEN_MAX + 1];
    char reason[256]; /* the plan's, quoted in the history: later plans rest on it; "" on resume */
    uint64_t epoch;   /* before the move */
    uint64_t size_bytes;
    uint64_t block;            /* bytes; the director's */
    uint64_t dirty;            /* bytes, as last heard */
    uint64_t unproved;         /* bytes, as last heard */
    int differing;             /* rounds of proof that found a difference */
    struct terms terms, noted; /* as they are, and as the journal has them */
    bool created;              /* the target's export, by this run's hook: it is all zeroes */
    bool back;                 /* to the copy that an uncommitted move has left */
    bool ahead;                /* ends with the target standing by, not as the owner (ahead.h) */
    bool attached;             /* the director had the second leg open before we came */
    bool shared;       /* the two export the same bytes (shared.h), as their hooks say … */
    bool was_shared;   /* … and as the journal says */
    bool fenced;       /* then: the source may be, by us */
    bool other_leg;    /* the director has a second leg of the volume open, as last heard */
    bool owner_away;   /* the owner's gateway is away for it, as last heard */
    bool was_deferred; /* and is again, when interrupted */
    bool hands_over;   /* what was deferred, or only to stand by: its next begin says so */
    bool begun;        /* the director has a second leg open for us */
    struct journal *journal;
    struct director *director;
    struct nbd_export *from;
    struct nbd_export *to;
    bool from_private, to_private; /* they are exports of the director's (reach.h) … */
    bool lone;                     /* … since a gateway gets only one connection */
    struct flow *flow;
    struct digests *digests; /* of what was proved; NULL: not collected */
    struct heat heat;        /* the order of the first pass */
    struct slowdown slowdown;
    struct pace copy_pace;
    struct pace prove_pace;
    uint64_t flush_us; /* what the last flush took */
    uint64_t pause_us; /* of the cutover */
    bool has_pause;
    bool unsure;   /* for all we know it was a promotion: what the source has is unknown */
    bool promoted; /* by the director, since the source was dead */
    enum rec_phase phase;
    struct progress progress;
    enum rec_event ending; /* the event of an outcome that is not GO, and its reason */
    char why[256];
};

/* EXEC is copied. */
void move_init(struct move *m, const struct exec *exec);
/* Closes everything; the director keeps the migration if it was not ended. */
void move_release(struct move *m);

/*
 * Reasons: they set m->why and m->ending, the event that the migration ends with, and return the
 * outcome.  move_fails(): FAILED; move_stalls(): DEFERRED, to be resumed when the cause is gone.
 */
enum outcome move_fails(struct move *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum outcome move_stalls(struct move *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
enum outcome move_ends(struct move *m, enum outcome o, enum rec_event event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* What a negative result of the journal, of a director's verb or of a flow_run() means. */
enum outcome move_journal_failed(struct move *m, int r);
enum outcome move_director_failed(struct move *m, int r);
enum outcome move_flow_failed(struct move *m);
/*
 * GO; or that a signal has come, and the migration is to be aborted, or deferred again; or that it
 * gives way to a row.  Its replies are in by then.
 */
enum outcome move_interrupted(struct move *m);

/*
 * Writes an event of the migration: to the journal (durable), then the history, then standard
 * output.  0, or -errno if the journal could not take it: then the step must not be made.
 */
int move_event(struct move *m, enum rec_event event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As move_event(), but for the journal alone: steps that are no news to others. */
int move_note(struct move *m, enum rec_event event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* An event record of the migration as it stands, without detail. */
void move_fill_event(const struct move *m, struct event *e, enum rec_event event);

/* The hook of gateway NAME for the move's volume; its line is "" if there is none. */
struct hook move_hook(const struct move *m, const char *gateway);

/*
 * Drives the migration whose names, epoch, size and open journal are set, from its beginning or,
 * after an interruption, from wherever the director has it.  Writes the event that ends it.
 */
enum outcome move_drive(struct move *m, bool resumed);

/*
 * After the owner has changed: says so, and has the source flushed and let go by the director, or
 * flushed by ourselves if no director has it open any more (S5).
 */
enum outcome move_finish(struct move *m);
/*
 * Only the second half, if the journal has the first already.  With m->exec->keep_mirrored the copy
 * is mirrored from then on: nobody reads it as it was at the switch any more.
 */
enum outcome move_retire(struct move *m);

/*
 * Ends the migration at the director, if one has it (m->begun: it may), and writes its last event,
 * m->ending for the reason m->why, naming what is left on the target.  FAILED; DEFERRED if it could
 * not be ended.
 */
enum outcome move_abort(struct move *m);

/* ---- steps ---- */

/*
 * Sees to it that the route of M, which has not switched, is steady.  A director may have ended the
 * move and not been able to say so in the store; IDLE: m->director told that it has no move.
 * Nobody else may serve the volume (-EBUSY); -ESTALE: the record is not M's.  0 or -errno.
 */
int move_settle(struct move *m, bool idle);

/* GO with m->director set, or UNAVAILABLE. */
enum outcome move_find_director(struct move *m);
void move_leave_director(struct move *m);
/*
 * Attaches to the migration that the director keeps mirrored, and copies and flushes what the
 * target lacks; no event is written.  GO: nothing is left, or the director had no such migration
 * (m->attached is not set), and has begun a new one, all of which is to be copied.  *BYTES: what
 * was lacking.
 */
enum outcome move_catch_up(struct move *m, uint64_t *bytes);
/* Copies what is dirty until LIMITS. */
enum outcome move_copy(struct move *m, const struct flow_limits *limits, struct flow_result *res);
/* Flushes the target on our own connections, if there are any, and the director's (S5). */
enum outcome move_flush(struct move *m, int timeout_ms);

#endif
