/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of an owner (owner.c, away.c, trust.c, ghosts.c) share; nobody else includes it.
 */
#ifndef DIRECTOR_OWNER_PRIV_H
#define DIRECTOR_OWNER_PRIV_H

#include "io.h"
#include "owner.h"

/* The longest pause between two looks for an owner that is away, or two tries to say so. */
enum { OWNER_PAUSE_US = 2000000 };

static inline struct volume *owner_volume(struct owner *o)
{
    return (struct volume *)((char *)o - offsetof(struct volume, owner));
}

static inline uint64_t owner_now_us(const struct volume *v)
{
    return loop_now_us(v->d->loop);
}

/* ---- ghosts.c ---- */

/* The leg L ended: what it had been sent, and has not answered, may land at any time (S2). */
void ghosts_of_leg(struct volume *v, struct leg *l);
/* What is over is forgotten, and what waited for it goes on. */
void ghosts_watch(struct volume *v);
/* Nobody is followed any more. */
void ghosts_forget(struct owner *o);

/* ---- away.c ---- */

/* Nothing is known of the process that went away. */
void owner_forget_process(struct owner *o);
/* All that waits fails, and all that comes.  Returns how many failed. */
uint64_t owner_fail_all(struct volume *v);
/* The copy is the one it was: gives it what it may have lost. */
void owner_start_replay(struct volume *v);

#endif
