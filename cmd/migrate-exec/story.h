/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the journal of a migration tells of it, for those who go on with it, or end it. */
#ifndef EXEC_STORY_H
#define EXEC_STORY_H

#include "cmd/migrate-exec/label.h"
#include "cmd/migrate-exec/lateproof.h"
#include "cmd/migrate-exec/lost.h"
#include "cmd/migrate-exec/move.h"
#include "cmd/migrate-exec/seal.h"

/* What a journal tells. */
struct story {
    struct event last;
    bool any;
    struct terms terms;
    bool switched; /* the change of owner is in it */
    bool promoted; /* ... by the director, since the source was dead */
    bool retired;  /* ... and that the source was let go */
    bool shared;   /* nothing was copied */
    bool fenced;   /* ... and the source may be fenced */
    bool behind;   /* the copy was left behind with a silent gateway (behind.h) ... */
    bool unproved; /* ... before all of it was proved */
    bool committing;
    struct late_proof proof;
    double retain_until;    /* 0: not said, or no copy is kept */
    bool standby;           /* ... and then it is kept all the same */
    bool asked;             /* a switch may be under way, or have been made, for us */
    bool ahead;             /* it is to stand by, not to be handed over (ahead.h) ... */
    bool stood;             /* ... and did */
    struct lost lost;       /* ... and was lost */
    enum disposal disposal; /* what the commit in it is to do with the copy ... */
    char label[LABEL_SIZE]; /* ... and the label that it gives to it; "" if none */
    char digest[SEAL_TEXT]; /* of what the owner left; "" if not known */
    bool unknown;           /* the source's copy: its flush failed, or a revert wrote to it */
    bool mirrored;          /* it was to be */
    char archived[256];     /* the detail of what was read of the copy, or packed */
    struct event public;    /* the last that belongs into the history, too; if any */
    char reverts[NAME_LEN_MAX + 1]; /* the migration that this one takes back; "": none */
    bool any_public;
};

/* Reads ID's journal without its lock.  0, or -errno of journal_each(). */
int story_load(const struct exec *x, const char *id, struct story *s);
/* The same: GO, or an outcome with its message printed. */
enum outcome story_read(const struct exec *x, const char *id, struct story *s);
/* Says why ID's journal cannot be read, R being what story_load() returned.  MANUAL. */
enum outcome story_unreadable(const struct exec *x, const char *id, int r);
/* Does E, the end of the source's connections, say that its flush failed? */
bool story_copy_is_unknown(const struct event *e);

/* Says that another process drives ID, and which.  DEFERRED. */
enum outcome story_driven(const char *id, const struct story *s);

/* Is it over?  Then it is said how. */
bool story_say_ended(const struct move *m, const struct story *s);

/* Sets M to the migration ID as its last event E names it.  0 or -EINVAL. */
int story_set_move(struct move *m, const char *id, const struct event *e);

/* What S tells of shared storage and its fence, for M. */
void story_set_shared(struct move *m, const struct story *s);

/* Two ways to begin: without the lock, as another run may be at work; and with it, as story_with()
 * needs them. */
enum outcome story_look(struct move *m, struct story *s);
enum outcome story_take(struct move *m, struct story *s);

/* Opens migration ID by START, one of the two, then does WORK on it. */
enum outcome story_with(const struct exec *x, const char *id,
                        enum outcome (*start)(struct move *m, struct story *s),
                        enum outcome (*work)(struct move *m, struct story *s));

#endif
