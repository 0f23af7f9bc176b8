/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies that stand by before there is any reason to move: who fails without warning leaves no time
 * for a copy.  A volume has one at most, which is mirrored and takes the place of an owner that
 * dies; one that its last move left counts.
 */
#ifndef GS_PLAN_STANDBY_H
#define GS_PLAN_STANDBY_H

#include "common/plan/planner.h"

/*
 * Tells the sink of a move of the kind standby for each volume that is to get such a copy, with
 * limits->standby or by its own word: not those that P moves, or that have to leave or are pinned
 * or manual.  Those with most requests for each byte to be copied come first, and take what P's
 * moves leave of the moves at once and of the room.  A copy goes where the volume would like best
 * to be, but behind all others to where the last attempt has just failed (shun.h); among equals to
 * where copies of its group are, then to where the volumes of those that stand by ask for least.
 * One whose gateway has to be left is made anew elsewhere.  To be called last; 0, -ENOMEM or what
 * the sink returned.
 */
int plan_standbys(struct planner *p);

#endif
