/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The limits of the metrics, from where they are configured.  Failures end the program. */
#ifndef GS_HEALTH_SCORE_CONFIG_H
#define GS_HEALTH_SCORE_CONFIG_H

#include "common/health/limits.h"

/*
 * Fills L from FILE if that is not NULL; else from DIR/health.csv if that is there; else with the
 * built-in limits.
 */
void config_limits(const char *file, const char *dir, struct health_limits *l);

/* Prints L to stdout, in the form of health.csv. */
void config_print(const struct health_limits *l);

#endif
