/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A volume's forecast as a picture of characters: bars of requests, with their interval. */
#ifndef GS_CONSOLE_CHART_H
#define GS_CONSOLE_CHART_H

#include "cmd/migrate-console/console.h"

/*
 * Prints the forecast records R, of one volume and any number of sites, whose hours add up: to
 * standard output, as wide as that is.  What is drawn of the interval is the sum of the sites'
 * lower and upper ends.
 */
void chart_forecast(struct console *c, const struct records *r);

#endif
