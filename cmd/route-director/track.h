/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a volume's kept copy lacks, tracked from the switch on (S10, S11).  The map of the present
 * owner (v->changes) lives as long as the route says "uncommitted" at its epoch, over ends and
 * deaths of directors; that of the next owner is made while a move begins, so that nothing need be
 * synced between its switch and the first write.
 */
#ifndef DIRECTOR_TRACK_H
#define DIRECTOR_TRACK_H

#include <stdbool.h>

#include "common/route/store.h"

struct changes;
struct volume;

/* The volume is about to be served: goes on with its map, or sees to it that there is none. */
void track_open(struct volume *v);
/* The volume is let go, in order or not. */
void track_close(struct volume *v, bool clean);
/* The route was read anew, or is another: a map that is not its own ends. */
void track_follow(struct volume *v);

/*
 * Makes the map for a switch of the volume of route NOW to TARGET.  Syncs: not in the loop; STATE
 * is the folder, INCARNATION the volume's.  NULL: there is none, and WHY says why.
 */
struct changes *track_prepare(const char *state, const struct route *now, const char *target,
                              uint64_t incarnation, char *why, size_t size);
/*
 * The volume has switched, by v->route: NEXT (NULL: none), which is taken over, is its map from now
 * on if it is its own.
 */
void track_switched(struct volume *v, struct changes *next);

/* Is GATEWAY where the copy is kept that the route names? */
bool track_is_kept(const struct route *r, const char *gateway);

#endif
