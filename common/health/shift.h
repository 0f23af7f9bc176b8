/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a time has lastingly become longer than it was, whatever its limits: on each of several
 * scales the newest points of a window (signal.h) are compared with all that is kept from before
 * them.  Points of the same scale are compared, so that the noise is that of the scale, and a
 * gateway that has been watched for half an hour is judged by what half an hour can tell.
 *
 * Only times (_us) are: clients feel it when they are twice as long, wherever they were.  Shares,
 * rates and ratios mean what they are.
 */
#ifndef GS_HEALTH_SHIFT_H
#define GS_HEALTH_SHIFT_H

#include "common/health/limits.h"
#include "common/health/signal.h"

struct health_shift {
    double sds;   /* standard deviations of the points before, from their median; 0: none */
    double from;  /* that median … */
    double to;    /* … and that of the newest points */
    double since; /* the time of the first of these; 0 without a shift */
};

/*
 * The largest shift of S for the worse.  The newest points of a scale are six, or as many up to
 * eighteen as span five minutes; all of them but one must be beyond three quarters of the points
 * before, of which there must be sixteen at least, and, if days were seen, beyond what is usual
 * (signal_usual, or warn if that is less).  Distances are those of logarithms, of the time and a
 * thousandth of critical; their standard deviation is 1.4826 times the median distance from the
 * median, but at least 0.05.
 */
struct health_shift health_shift_find(const struct signal *s, const struct health_limit *l);

#endif
