/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Limits of metrics from a file in the form of health.csv. */
#ifndef GS_HEALTH_LIMITS_FILE_H
#define GS_HEALTH_LIMITS_FILE_H

#include "common/base/refused.h"
#include "common/health/limits.h"

/*
 * Fills L (zero-initialised) from the file PATH.  0 or -errno, then E says why, with the status 66,
 * 71, 74 or 78; L is to be released in both cases.
 */
int health_limits_read(struct health_limits *l, const char *path, struct refused *e);

/* The same from DIR/health.csv if that is there; else with the built-in limits. */
int health_limits_load(struct health_limits *l, const char *dir, struct refused *e);

#endif
