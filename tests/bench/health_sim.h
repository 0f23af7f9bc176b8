/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A gateway that is not there: seeded metric samples with a daily and a weekly rhythm, noise, rare
 * spikes, a nightly backup, a change of load and a restart; and, if wanted, a slow end.
 */
#ifndef GS_BENCH_HEALTH_SIM_H
#define GS_BENCH_HEALTH_SIM_H

#include <math.h>
#include <stdbool.h>

#include "common/base/rng.h"
#include "common/health/board.h"

#define SIM_DAY_S   86400.0
#define SIM_START_S 1760000000.0
/* Read latency of an idle gateway, and where share/health.csv says that it has failed. */
#define SIM_IDLE_US     800.0
#define SIM_CRITICAL_US 50000.0

struct sim {
    struct rng rng;
    double time;
    double step_s;
    double load_at; /* from here on the load is LOAD times as high */
    double load;
    double restart_at; /* for a minute nothing answers */
    double ramp_at;    /* 0: stays healthy */
    double ramp_s;     /* until read latency is at critical */
    bool ramp_curved;  /* exponential, not straight */
    double recover_at; /* 0: never; else the ramp ends here */
};

static inline void sim_init(struct sim *s, uint64_t seed, double step_s)
{
    *s = (struct sim){.step_s = step_s, .load = 1};
    rng_init(&s->rng, seed);
    s->time = SIM_START_S + floor(rng_unit(&s->rng) * SIM_DAY_S);
    s->load_at = s->time + rng_unit(&s->rng) * 7 * SIM_DAY_S;
    s->load = 1 + 0.5 * rng_unit(&s->rng);
    s->restart_at = s->time + rng_unit(&s->rng) * 7 * SIM_DAY_S;
}

/* Read latency without noise. */
static inline double sim_level_us(const struct sim *s)
{
    double day = sin(2 * M_PI * s->time / SIM_DAY_S);
    bool weekend = (long)(s->time / SIM_DAY_S) % 7 >= 5;
    double level = SIM_IDLE_US * exp((weekend ? 0.2 : 0.5) * day);
    if (s->time >= s->load_at)
        level *= s->load;
    if (fmod(s->time, SIM_DAY_S) < 1800)
        level *= 5;
    bool ramp = s->ramp_at > 0 && s->time >= s->ramp_at;
    if (!ramp || (s->recover_at > 0 && s->time >= s->recover_at))
        return level;
    double done = (s->time - s->ramp_at) / s->ramp_s;
    double worse = s->ramp_curved ? SIM_IDLE_US * pow(SIM_CRITICAL_US / SIM_IDLE_US, done)
                                  : SIM_IDLE_US + (SIM_CRITICAL_US - SIM_IDLE_US) * done;
    return fmax(level, worse);
}

/* Feeds B with one round of samples of "gw" and moves on.  0 or -ENOMEM. */
static inline int sim_round(struct sim *s, struct health_board *b)
{
    double spike = rng_below(&s->rng, 500) == 0 ? 20 : 1;
    double read = sim_level_us(s) * exp(0.4 * rng_normal(&s->rng)) * spike;
    double connect = 500 * exp(0.3 * rng_normal(&s->rng)) * spike;
    double load = s->time >= s->load_at ? s->load : 1;
    double busy =
        0.4 * load + 0.2 * sin(2 * M_PI * s->time / SIM_DAY_S) + 0.05 * rng_normal(&s->rng);
    bool away = s->time >= s->restart_at && s->time < s->restart_at + 60;
    int r = health_board_add(b, s->time, "gw", "nbd_error_ratio", away, NULL, NULL);
    if (r == 0 && !away)
        r = health_board_add(b, s->time, "gw", "nbd_read_us", read, NULL, NULL);
    if (r == 0 && !away)
        r = health_board_add(b, s->time, "gw", "nbd_connect_us", connect, NULL, NULL);
    if (r == 0)
        r = health_board_add(b, s->time, "gw", "cpu_busy", fmin(fmax(busy, 0), 1), NULL, NULL);
    s->time += s->step_s;
    return r;
}

#endif
