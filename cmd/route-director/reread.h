/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A volume's record was read anew because somebody else may have changed it: what follows. */
#ifndef DIRECTOR_REREAD_H
#define DIRECTOR_REREAD_H

#include "director.h"
#include "storejobs.h"

/*
 * J is a STOREJOB_GET that succeeded.  If its volume is open with another owner or epoch, it is
 * dropped: its clients find the new owner when they connect again.  0, or -EBUSY while a commit is
 * under way: then its outcome decides, and nothing was done.
 */
int reread_apply(struct director *d, const struct storejob *j);

#endif
