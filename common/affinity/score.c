/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/score.h"

#include <math.h>

void score_closeness(const double *rtt_us, const bool *same_site, size_t n, double scale_us,
                     double *out)
{
    double nearest = INFINITY, farthest = -INFINITY;
    for (size_t g = 0; g < n; g++)
        if (!isnan(rtt_us[g])) {
            nearest = fmin(nearest, rtt_us[g]);
            farthest = fmax(farthest, rtt_us[g]);
        }
    for (size_t g = 0; g < n; g++) {
        double rtt = isnan(rtt_us[g]) ? farthest : rtt_us[g];
        if (farthest < 0)
            out[g] = same_site[g] ? 1 : SCORE_NEUTRAL;
        else
            out[g] = (scale_us + nearest) / (scale_us + rtt);
    }
}

double score_das(const double *demand, const double *closeness, size_t n_sites)
{
    double sum = 0, all = 0;
    for (size_t c = 0; c < n_sites; c++) {
        sum += demand[c] * closeness[c];
        all += demand[c];
    }
    return all > 0 ? fmin(sum / all, 1) : SCORE_NEUTRAL;
}

double score_window(const double *hourly, size_t n, double from_s, double to_s)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double begin = fmax((double)i * 3600, from_s);
        double end = fmin((double)(i + 1) * 3600, to_s);
        if (end > begin)
            sum += hourly[i] * (end - begin) / 3600;
    }
    return sum;
}
