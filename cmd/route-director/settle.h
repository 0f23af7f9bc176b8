/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An orderly end: clients are let go, and what they were told that is written is made durable. */
#ifndef DIRECTOR_SETTLE_H
#define DIRECTOR_SETTLE_H

#include "director.h"

/* Runs D's loop, which nobody else runs, until all is durable, or for some seconds. */
void settle(struct director *d);

#endif
