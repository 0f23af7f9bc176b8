/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Proves a copy that stands by anew, piece by piece, while nobody else works at it (S8).  What
 * clients write voids the proof of what they touch; without this all of that would have to be read
 * when the owner is about to fail, while clients wait on it.
 *
 * A piece is claimed, read from the owner, then from the copy, and compared.  A write of a
 * client that comes meanwhile makes it worth nothing.  What differs all the same is not what was
 * written there: it is told of, and copied again.  One piece of a volume at a time, and at most a
 * sixteenth of the time; of all that a thread serves one piece of a gateway at a time.  So clients
 * hardly notice, and less the slower the gateways are.  Who finds a gateway taken looks again soon,
 * and holds nothing meanwhile; a piece that hangs is not waited for.
 *
 * What can't be read is left for later, after pauses that grow.  A read counts as in flight like
 * any other: holds wait for it, and a gateway that never answers it is lost by its silence.
 */
#ifndef DIRECTOR_REPROVE_H
#define DIRECTOR_REPROVE_H

#include "volume.h"

struct leg;

enum reprove_result {
    REPROVE_EQUAL,
    REPROVE_DIFFERS,
    REPROVE_UNKNOWN, /* it could not be read, or is not to be told */
};

/* Whose copy it is. */
struct reprove_ops {
    /* Where it is read; NULL: nobody is to be asked now. */
    struct leg *(*copy)(void *arg);
    /* Is anything not proved? */
    bool (*any)(const void *arg);
    /* The next piece, of at most MAX bytes.  False: there is none now. */
    bool (*claim)(void *arg, uint64_t max, uint64_t *offset, uint64_t *length);
    /* What came of it; false: it was written meanwhile, so that nothing is known. */
    bool (*end)(void *arg, enum reprove_result result);
};

/* Zero-initialise; embedded. */
struct reprove {
    struct volume *v; /* NULL: it has not begun, or was stopped */
    const struct reprove_ops *ops;
    void *arg;
    const char *gateway; /* of the copy */
    struct loop_timer next;
    bool rests;            /* until then */
    struct request *asked; /* a read under way; NULL: none … */
    struct reprove *other; /* … else the next in the list of all whose reads are */
    struct slice owners;   /* the owner's data, with room in front, while the copy is asked */
    uint64_t offset, length, began_us;
    unsigned failures; /* more than successes since */
    unsigned looks;    /* in vain, since a piece was begun */
};

/* Of ARG, in which it is embedded, whose copy is on GATEWAY (borrowed): nothing is done yet. */
void reprove_init(struct reprove *p, struct volume *v, const char *gateway,
                  const struct reprove_ops *ops, void *arg);

/* Goes on with the next piece, unless one is under way or it rests.  To be called now and then. */
void reprove_look(struct reprove *p);

/* What is under way comes to nothing, and its claim is not ended.  Stopped already is fine. */
void reprove_stop(struct reprove *p);

#endif
