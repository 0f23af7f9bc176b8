/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/seasonal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/forecast/logs.h"
#include "common/forecast/vecmath.h"

/* A series made ready: transformed, with the seasons of its first weeks as they stand. */
struct prepared {
    double *x; /* owned */
    const double *y;
    size_t n;
    size_t day_phase, week_phase; /* of hour 0 */
    double scale;                 /* a typical size of y, for a loss without unit */
    double unit;                  /* of y in the logarithm */
    double most;                  /* … that is ever forecast */
    bool log;
    struct seasonal_state first;
};

/* A series on the way through its hours. */
struct run {
    struct prepared w;
    struct seasonal_params p;
    struct seasonal_state s;
};

/* A trend fades: over 48 hours an undamped one does more harm than good. */
static const double trend_damping = 0.97;

/*
 * Logarithms are taken of 1 + y / unit, with this part of the mean as the unit: without it an idle
 * hour would lie as far below a busy one as the count happens to be large.
 */
static const double log_unit = 0.1;

/*
 * No hour is forecast higher than this many times the highest one known: on a few days' history an
 * extrapolation, above all of logarithms, has no other bound.
 */
static const double headroom = 1.25;

/* N projected values in the units of y, none negative. */
static void back(const struct prepared *w, double *x, size_t n)
{
    if (w->log)
        logs_back(x, n, w->unit);
    for (size_t i = 0; !w->log && i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

/* Mean of X by phase over its first N hours. */
static void phase_means(const double *x, size_t n, size_t phase, size_t period, double *out)
{
    size_t count[HOURS_A_WEEK] = {0};
    memset(out, 0, period * sizeof(*out));
    for (size_t i = 0; i < n; i++) {
        out[phase] += x[i];
        count[phase]++;
        phase = phase + 1 == period ? 0 : phase + 1;
    }
    for (size_t p = 0; p < period; p++)
        out[p] /= count[p] ? (double)count[p] : 1;
}

/* The hours that the first seasons are taken from: two periods, one of a short series. */
static size_t first_hours(size_t n, bool weekly)
{
    size_t period = weekly ? HOURS_A_WEEK : HOURS_A_DAY;
    return n >= 3 * period ? 2 * period : period;
}

static void first_seasons(struct prepared *w, bool weekly)
{
    size_t n = first_hours(w->n, weekly);
    struct seasonal_state *f = &w->first;
    f->level = series_mean(w->x, n);
    f->trend = f->rest = 0;
    phase_means(w->x, n, w->day_phase, HOURS_A_DAY, f->day);
    for (size_t p = 0; p < HOURS_A_DAY; p++)
        f->day[p] -= f->level;
    memset(f->week, 0, sizeof(f->week));
    if (!weekly)
        return;
    phase_means(w->x, n, w->week_phase, HOURS_A_WEEK, f->week);
    /* Both phases count from the epoch, so a phase of the week modulo 24 is that of the day. */
    for (size_t p = 0; p < HOURS_A_WEEK; p++)
        f->week[p] -= f->level + f->day[p % HOURS_A_DAY];
}

static int prepare(struct series s, bool log, bool weekly, struct prepared *w)
{
    if (s.n < (weekly ? SEASONAL_WEEKLY_MIN : SEASONAL_DAILY_MIN))
        return -EDOM;
    *w = (struct prepared){.y = s.y, .n = s.n, .log = log};
    w->x = malloc(s.n * sizeof(*w->x));
    if (!w->x)
        return -ENOMEM;
    w->scale = series_mean(s.y, s.n);
    w->unit = w->scale > 0 ? log_unit * w->scale : 1;
    w->most = headroom * series_most(s.y, s.n);
    if (log)
        logs_of(s.y, s.n, w->unit, w->x);
    else
        memcpy(w->x, s.y, s.n * sizeof(*w->x));
    w->day_phase = series_phase(s, 0, HOURS_A_DAY);
    w->week_phase = series_phase(s, 0, HOURS_A_WEEK);
    first_seasons(w, weekly);
    return 0;
}

/* What an hour changes, apart from the seasons. */
struct moving {
    double level, trend, rest;
    double gain; /* of both level and trend */
};

static inline struct moving lift(const struct seasonal_params *p, const struct seasonal_state *s)
{
    return (struct moving){s->level, s->trend, s->rest, p->level + p->trend};
}

static inline void put_down(const struct moving *m, struct seasonal_state *s)
{
    s->level = m->level;
    s->trend = m->trend;
    s->rest = m->rest;
}

/*
 * An hour of X.  What its level waits for is the last one's, so nothing else stands between the
 * two.
 */
static inline void step(const struct seasonal_params *p, double x, struct moving *m, double *day,
                        double *week)
{
    double kept = trend_damping * m->trend;
    double r = (x - *day - *week) - m->level;
    double e = r - p->ar * m->rest; /* what the AR term did not foresee */
    m->level = (m->level + kept) + m->gain * e;
    m->trend = kept + p->trend * e;
    *day += p->day * e;
    *week += p->week * e;
    m->rest = r;
}

/* Runs S over the hours FROM … TO − 1. */
static void advance(const struct prepared *w, const struct seasonal_params *p,
                    struct seasonal_state *s, size_t from, size_t to)
{
    size_t d = (w->day_phase + from) % HOURS_A_DAY, k = (w->week_phase + from) % HOURS_A_WEEK;
    struct moving m = lift(p, s);
    for (size_t i = from; i < to; i++) {
        step(p, w->x[i], &m, &s->day[d], &s->week[k]);
        d = d + 1 == HOURS_A_DAY ? 0 : d + 1;
        k = k + 1 == HOURS_A_WEEK ? 0 : k + 1;
    }
    put_down(&m, s);
}

/* Runs two over the same hours: while one waits for its last hour, the other goes on. */
static void advance_two(struct run *a, struct run *b, size_t from, size_t to)
{
    const struct prepared *w = &a->w, *v = &b->w;
    size_t d = (w->day_phase + from) % HOURS_A_DAY, k = (w->week_phase + from) % HOURS_A_WEEK;
    struct moving m = lift(&a->p, &a->s), n = lift(&b->p, &b->s);
    for (size_t i = from; i < to; i++) {
        step(&a->p, w->x[i], &m, &a->s.day[d], &a->s.week[k]);
        step(&b->p, v->x[i], &n, &b->s.day[d], &b->s.week[k]);
        d = d + 1 == HOURS_A_DAY ? 0 : d + 1;
        k = k + 1 == HOURS_A_WEEK ? 0 : k + 1;
    }
    put_down(&m, &a->s);
    put_down(&n, &b->s);
}

/* The H hours behind hour AT − 1, not yet back() in the units of y. */
static void project(const struct prepared *w, const struct seasonal_params *p,
                    const struct seasonal_state *s, size_t at, size_t h, double *out)
{
    size_t d = (w->day_phase + at) % HOURS_A_DAY, k = (w->week_phase + at) % HOURS_A_WEEK;
    double level = s->level, trend = s->trend, rest = s->rest;
    for (size_t i = 0; i < h; i++) {
        rest *= p->ar;
        out[i] = level + s->day[d] + s->week[k] + rest;
        trend *= trend_damping;
        level += trend;
        d = d + 1 == HOURS_A_DAY ? 0 : d + 1;
        k = k + 1 == HOURS_A_WEEK ? 0 : k + 1;
    }
}

static struct seasonal_state begin(const struct prepared *w, const struct seasonal_params *p)
{
    struct seasonal_state s = w->first;
    for (size_t i = 0; i < HOURS_A_WEEK; i++)
        s.week[i] *= p->keep_week;
    return s;
}

/* ---- several at once ---- */

enum { WIDE = 4, LANES = 2 * WIDE };

/* Numbers that a machine adds and multiplies as fast as one, or half of them: GCC's and clang's. */
typedef double wide __attribute__((vector_size(WIDE * sizeof(double))));
typedef int64_t wide_bits __attribute__((vector_size(WIDE * sizeof(int64_t))));

/* As struct moving, of several. */
struct moving_wide {
    wide level, trend, rest;
};

/*
 * Runs of one series side by side, each with parameters of its own: an hour waits for the last one,
 * but not for those of the others.  To the bit what each is alone.
 */
struct lanes {
    struct moving_wide moving[LANES / WIDE];
    struct {
        wide gain, trend, day, week, ar;
    } by[LANES / WIDE];
    wide day[HOURS_A_DAY][LANES / WIDE];
    wide week[HOURS_A_WEEK][LANES / WIDE];
};

VEC_PART void lanes_begin(const struct prepared *w, const struct seasonal_params p[LANES],
                          struct lanes *s)
{
    const struct seasonal_state *f = &w->first;
    const wide none = {0};
    wide keep_week[LANES / WIDE];
    for (unsigned l = 0; l < LANES; l++) {
        const unsigned g = l / WIDE, k = l % WIDE;
        s->by[g].gain[k] = p[l].level + p[l].trend;
        s->by[g].trend[k] = p[l].trend;
        s->by[g].day[k] = p[l].day;
        s->by[g].week[k] = p[l].week;
        s->by[g].ar[k] = p[l].ar;
        keep_week[g][k] = p[l].keep_week;
    }
    for (unsigned g = 0; g < LANES / WIDE; g++) {
        s->moving[g] = (struct moving_wide){none + f->level, none + f->trend, none + f->rest};
        for (size_t i = 0; i < HOURS_A_DAY; i++)
            s->day[i][g] = none + f->day[i];
        for (size_t i = 0; i < HOURS_A_WEEK; i++)
            s->week[i][g] = f->week[i] * keep_week[g];
    }
}

/* As step(), of group G. */
VEC_PART void lanes_step(struct lanes *s, unsigned g, double x, struct moving_wide *m, size_t d,
                         size_t k)
{
    const wide kept = trend_damping * m->trend;
    const wide r = (x - s->day[d][g] - s->week[k][g]) - m->level;
    const wide e = r - s->by[g].ar * m->rest;
    m->level = (m->level + kept) + s->by[g].gain * e;
    m->trend = kept + s->by[g].trend * e;
    s->day[d][g] += s->by[g].day * e;
    s->week[k][g] += s->by[g].week * e;
    m->rest = r;
}

VEC_PART void lanes_advance(const struct prepared *w, struct lanes *s, size_t from, size_t to)
{
    size_t d = (w->day_phase + from) % HOURS_A_DAY, k = (w->week_phase + from) % HOURS_A_WEEK;
    struct moving_wide m = s->moving[0], n = s->moving[1];
    for (size_t i = from; i < to; i++) {
        lanes_step(s, 0, w->x[i], &m, d, k);
        lanes_step(s, 1, w->x[i], &n, d, k);
        d = d + 1 == HOURS_A_DAY ? 0 : d + 1;
        k = k + 1 == HOURS_A_WEEK ? 0 : k + 1;
    }
    s->moving[0] = m;
    s->moving[1] = n;
}

/* As project(), of group G. */
VEC_PART void lanes_project(const struct prepared *w, const struct lanes *s, unsigned g, size_t at,
                            size_t h, wide *out)
{
    size_t d = (w->day_phase + at) % HOURS_A_DAY, k = (w->week_phase + at) % HOURS_A_WEEK;
    struct moving_wide m = s->moving[g];
    for (size_t n = 0; n < h; n++) {
        m.rest *= s->by[g].ar;
        out[n] = m.level + s->day[d][g] + s->week[k][g] + m.rest;
        m.trend *= trend_damping;
        m.level += m.trend;
        d = d + 1 == HOURS_A_DAY ? 0 : d + 1;
        k = k + 1 == HOURS_A_WEEK ? 0 : k + 1;
    }
}

/* |A|.  No functions, as what takes or returns such a vector differs between machines. */
#define DISTANCE(a) ((wide)((wide_bits)(a)&INT64_MAX))

/* As series_smape(), of some forecasts, added to SUM. */
VEC_PART void add_smape(double actual, const wide *forecast, wide *sum)
{
    const wide size = fabs(actual) + DISTANCE(*forecast);
    *sum += (wide)((wide_bits)(200 * DISTANCE(actual - *forecast) / size) & (size > 0));
}

/* Is any of SUM still to be looked at? */
VEC_PART bool any_left(const double sum[WIDE])
{
    bool left = false;
    for (unsigned l = 0; l < WIDE; l++)
        left = left || !isinf(sum[l]);
    return left;
}

/*
 * Adds to SUM the loss of one window: absolute errors relative to the series, and relative to each
 * value.  What is not below LEAST, which the former may tell alone, is INFINITY.
 */
VEC_PART void add_losses(const struct prepared *w, const wide *forecast, size_t at, size_t h,
                         double least, double sum[WIDE])
{
    wide abs_sum = {0}, smape_sum = {0};
    for (size_t i = 0; i < h; i++)
        abs_sum += DISTANCE(forecast[i] - w->y[at + i]);
    const wide by_scale = abs_sum / (w->scale > 0 ? w->scale : 1);
    for (unsigned l = 0; l < WIDE; l++)
        sum[l] = sum[l] + by_scale[l] >= least ? (double)INFINITY : sum[l];
    if (!any_left(sum))
        return;
    for (size_t i = 0; i < h; i++)
        add_smape(w->y[at + i], &forecast[i], &smape_sum);
    for (unsigned l = 0; l < WIDE; l++) {
        const double more = sum[l] + (by_scale[l] + smape_sum[l] / 200);
        sum[l] = isinf(sum[l]) || more >= least ? (double)INFINITY : more;
    }
}

/*
 * The losses of the first N of P.  A sum only grows: one that is not below LEAST after some of the
 * windows is not looked at further, and INFINITY.
 */
VEC_CLONES_EXACT
static void losses(const struct prepared *w, const struct seasonal_search *how,
                   const struct seasonal_params p[LANES], unsigned n, double least, wide *forecast,
                   double sum[LANES])
{
    struct lanes s;
    size_t at = 0;
    bool left = true;
    lanes_begin(w, p, &s);
    for (unsigned l = 0; l < LANES; l++)
        sum[l] = l < n ? 0 : (double)INFINITY;
    for (size_t j = how->origins; left && j-- > 0;) {
        const size_t origin = w->n - how->horizon - j * how->step;
        lanes_advance(w, &s, at, origin);
        at = origin;
        left = false;
        for (unsigned l = 0; l < LANES; l += WIDE) {
            if (!any_left(&sum[l]))
                continue;
            lanes_project(w, &s, l / WIDE, at, how->horizon, forecast);
            back(w, (double *)forecast, WIDE * how->horizon);
            add_losses(w, forecast, at, how->horizon, least, &sum[l]);
            left = left || any_left(&sum[l]);
        }
    }
}

/* 0 … 1, small values as likely on a logarithmic scale as large ones. */
static double draw_small(struct rng *r, double low, double high)
{
    return low * pow(high / low, rng_unit(r));
}

static struct seasonal_params draw(struct rng *r, const struct seasonal_search *how)
{
    struct seasonal_params p = {.log = how->log, .weekly = how->weekly};
    p.level = draw_small(r, 1e-4, 0.5);
    p.trend = rng_unit(r) < 0.5 ? 0 : draw_small(r, 1e-5, 0.02);
    p.day = draw_small(r, 1e-3, 0.6);
    p.ar = rng_unit(r);
    if (how->weekly) {
        p.week = draw_small(r, 1e-3, 0.6);
        p.keep_week = rng_unit(r);
    }
    return p;
}

static double nudge(struct rng *r, double v, double width, double max)
{
    v *= exp(width * rng_normal(r));
    return v < max ? v : max;
}

/* A neighbour of P. */
static struct seasonal_params disturb(struct rng *r, struct seasonal_params p, double width)
{
    p.level = nudge(r, p.level, 2 * width, 0.9);
    p.trend = nudge(r, p.trend, 2 * width, 0.1);
    p.day = nudge(r, p.day, 2 * width, 0.9);
    p.week = nudge(r, p.week, 2 * width, 0.9);
    p.ar = fmin(fmax(p.ar + 0.5 * width * rng_normal(r), 0), 0.999);
    if (p.weekly)
        p.keep_week = fmin(fmax(p.keep_week + 0.5 * width * rng_normal(r), 0), 1);
    return p;
}

/* A search on its way. */
struct search {
    const struct prepared *w;
    const struct seasonal_search *how;
    wide *forecast; /* room for a window */
    struct rng rng;
    unsigned next; /* try */
    struct seasonal_params best;
    double least; /* the loss of BEST */
};

/* Try I: first anywhere, then ever closer around the best. */
static struct seasonal_params attempt(struct search *s, unsigned i)
{
    const unsigned tries = s->how->tries;
    const double width = 0.5 * (double)(tries - i) / (double)tries + 0.05;
    return i == 0 || i < tries / 2 ? draw(&s->rng, s->how) : disturb(&s->rng, s->best, width);
}

/*
 * The next tries.  Those around a best that one of them beats are made anew: each is what it would
 * be if they were made one after the other.
 */
static void try_some(struct search *s)
{
    struct seasonal_params p[LANES] = {{0}};
    struct rng after[LANES];
    double sum[LANES];
    const unsigned first = s->next, more = s->how->tries - first, n = more < LANES ? more : LANES;
    const bool around = first + n > s->how->tries / 2;
    for (unsigned l = 0; l < n; l++) {
        p[l] = attempt(s, first + l);
        after[l] = s->rng;
    }
    losses(s->w, s->how, p, n, s->least, s->forecast, sum);
    s->next = first + n;
    for (unsigned l = 0; l < n; l++) {
        if (first + l > 0 && !(sum[l] < s->least))
            continue;
        s->least = sum[l];
        s->best = p[l];
        if (!around)
            continue;
        s->rng = after[l];
        s->next = first + l + 1;
        break;
    }
}

static struct seasonal_params search(const struct prepared *w, const struct seasonal_search *how,
                                     wide *forecast)
{
    struct search s = {.w = w, .how = how, .forecast = forecast, .least = INFINITY};
    rng_init(&s.rng, how->seed);
    do
        try_some(&s);
    while (s.next < how->tries);
    return s.best;
}

/* Fewer windows where the series does not reach back so far. */
static struct seasonal_search fitting(const struct seasonal_search *how, size_t n)
{
    struct seasonal_search h = *how;
    size_t room = n - first_hours(n, h.weekly);
    if (h.horizon > room)
        h.horizon = room;
    size_t most = (room - h.horizon) / h.step + 1;
    if (h.origins > most)
        h.origins = most;
    return h;
}

int seasonal_fit(struct series s, const struct seasonal_search *how, struct seasonal_params *out)
{
    struct prepared w;
    int r = prepare(s, how->log, how->weekly, &w);
    if (r < 0)
        return r;
    struct seasonal_search h = fitting(how, s.n);
    wide *forecast = aligned_alloc(sizeof(wide), h.horizon * sizeof(*forecast));
    if (forecast)
        *out = search(&w, &h, forecast);
    else
        r = -ENOMEM;
    free(forecast);
    free(w.x);
    return r;
}

static int run_begin(struct series s, const struct seasonal_params *p, struct run *r)
{
    int e = prepare(s, p->log, p->weekly, &r->w);
    if (e < 0)
        return e;
    r->p = *p;
    r->s = begin(&r->w, p);
    return 0;
}

static void run_end(struct run *r, double *out, size_t n)
{
    back(&r->w, out, n);
    for (size_t i = 0; i < n; i++)
        out[i] = out[i] < r->w.most ? out[i] : r->w.most;
    free(r->w.x);
}

int seasonal_rolling(struct series s, const struct seasonal_params *p, const size_t *origin,
                     size_t n, size_t h, double *out)
{
    struct run r;
    int e = run_begin(s, p, &r);
    if (e < 0)
        return e;
    for (size_t j = 0, at = 0; j < n; at = origin[j++]) {
        advance(&r.w, &r.p, &r.s, at, origin[j]);
        project(&r.w, &r.p, &r.s, origin[j], h, out + j * h);
    }
    run_end(&r, out, n * h);
    return 0;
}

int seasonal_rolling_two(struct series s, const struct seasonal_params *p,
                         const struct seasonal_params *q, const size_t *origin, size_t n, size_t h,
                         double *out_p, double *out_q)
{
    struct run a, b;
    int e = run_begin(s, p, &a);
    if (e < 0)
        return e;
    e = run_begin(s, q, &b);
    if (e < 0) {
        free(a.w.x);
        return e;
    }
    for (size_t j = 0, at = 0; j < n; at = origin[j++]) {
        advance_two(&a, &b, at, origin[j]);
        project(&a.w, &a.p, &a.s, origin[j], h, out_p + j * h);
        project(&b.w, &b.p, &b.s, origin[j], h, out_q + j * h);
    }
    run_end(&a, out_p, n * h);
    run_end(&b, out_q, n * h);
    return 0;
}

int seasonal_forecast(struct series s, const struct seasonal_params *p, size_t h, double *out)
{
    return seasonal_rolling(s, p, &s.n, 1, h, out);
}
