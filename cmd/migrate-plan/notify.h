/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls the operator's command for what somebody should look at. */
#ifndef GS_MIGRATE_PLAN_NOTIFY_H
#define GS_MIGRATE_PLAN_NOTIFY_H

#include "common/plan/fleet.h"
#include "common/plan/limits.h"

/*
 * Runs COMMAND, split at blanks and never given to a shell, with "KIND COUNT TEXT" appended: once
 * for gateways that have to be left or are silent (alarm), for volumes in manual-recovery and for
 * deferred ones, if there are any.  A call that takes longer than TIMEOUT_S is killed.  What goes
 * wrong is said on stderr: a plan is no worse for it.
 */
void notify(const char *command, double timeout_s, const struct plan_fleet *f,
            const struct plan_limits *lim);

#endif
