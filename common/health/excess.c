/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/excess.h"

#include <math.h>
#include <string.h>

#include "common/health/order.h"

#define MINUTE_S 60.0
enum { DAY_MINUTES = 1440, HOUR_MINUTES = 60, DAY_HOURS = 24, WEEK_DAYS = 7 };

/* Windows in minutes; the second is what is noted of each hour. */
static const uint32_t spans[EXCESS_SCALES] = {5, 15, 30, 60};
enum { NOTED = 1, WINDOW_MIN = 3 };
/* The wildest minutes of a window count as the next one does: so many, and that one. */
enum { WILD = 2, TOP = WILD + 1 };

/* Load told no longer ago is the present one. */
enum { LOAD_MINUTES = 5, LOAD_BELIEVED = 3 };
/* A load is known after half an hour of it; what is remembered of it are some five hours. */
enum { BIN_KNOWN = 30, BIN_MEMORY = 300, NOISE_KNOWN = 30, NOISE_MEMORY = 600 };
/* After a silence caches are cold. */
enum { SETTLE_MINUTES = 15 };
/* Suspect so long: nothing of it is learnt.  And so long: it is the new normal. */
enum { SUSPECT_FREEZE = 10, SUSPECT_MAX = 2 * DAY_MINUTES };
/* Wilder minutes count as if they were there; e^2.5 is twelve times as long. */
#define EXCESS_MAX       2.5
#define CLIP_DEVIATIONS  3.0
#define SD_PER_DEVIATION 1.2533
/* In the notes of hours: 0 is unknown, 1 none, and then hundredths. */
#define HOUR_UNIT 100.0
enum { NOTED_0 = 1, UNKNOWN_SHARE = 6 };
#define UNKNOWN (-1.0)

/* What can't be chance: a quarter more, and 5 standard deviations. */
#define NEED_LEAST 0.223
#define NEED_SDS   5.0
/* What can be chance in one of some minutes. */
#define MINUTE_SDS 2.0
/* Jobs are not the same every day. */
#define JOB_VARIES 1.25
/* Of a window's minutes most must be so far over, as its mean must be now. */
#define SHARE_ABOVE 0.7
#define STILL       0.6
/* A tenth more than in the hour before is growing; half as long again need not grow. */
#define GROWTH     0.095
#define GROWTH_SDS 3.0
#define MUCH       0.405
/* Up to such a strength, and such a mean of five minutes as can be chance twice, all is calm. */
#define CALM 0.3
/* From strength to probability. */
#define STRENGTH_FROM 0.6
#define P_MAYBE       0.35
#define P_SURE        0.6
#define SURE_SPAN     0.1
/* Nobody waits for less than so much of warn. */
#define MATTERS 0.05

struct window {
    double sum;
    double mean;
    double top[TOP]; /* the largest, in descending order */
    uint32_t n;      /* minutes whose load is known … */
    uint32_t above;  /* … and of these: far over what it explains */
    uint32_t all;
    bool known;
};

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* The minute of TIME, and 0 for times that nobody lives in. */
static uint32_t minute_of(double time)
{
    return time > 0 && time < MINUTE_S * UINT32_MAX ? (uint32_t)(time / MINUTE_S) : 0;
}

/* ---- load ---- */

unsigned excess_load_rank(const char *metric)
{
    /* What clients ask for does not depend on how the gateway is. */
    if (strcmp(metric, "requests_rate") == 0)
        return 2;
    return strcmp(metric, "cpu_busy") == 0;
}

void excess_load_add(struct excess_load *l, double time, double value)
{
    const uint32_t minute = minute_of(time);
    if (minute != l->minute) {
        if (l->n) {
            l->minute_before = l->minute;
            l->mean_before = l->sum / l->n;
        }
        l->minute = minute;
        l->n = 0;
        l->sum = 0;
    }
    l->n++;
    l->sum += value;
}

static bool load_at(const struct excess_load *l, uint32_t minute, double *load)
{
    if (l->n && minute >= l->minute && minute - l->minute <= LOAD_MINUTES)
        *load = l->sum / l->n;
    else if (l->minute_before && minute >= l->minute_before && minute < l->minute &&
             minute - l->minute_before <= LOAD_MINUTES)
        *load = l->mean_before;
    else
        return false;
    return *load >= 0;
}

void excess_load_rewind(struct excess_load *l, double now)
{
    if (l->minute > minute_of(now))
        *l = (struct excess_load){0};
}

/* ---- what a load explains ---- */

/* Twice as wide bins, each of two. */
static void widen(struct excess *e)
{
    for (unsigned i = 0; i < EXCESS_BINS; i++) {
        struct excess_bin sum = {0};
        for (unsigned k = 2 * i; k < 2 * i + 2 && k < EXCESS_BINS; k++) {
            const struct excess_bin *b = &e->bins[k];
            if (!(b->n > 0))
                continue;
            sum.n += b->n;
            sum.load += b->n / sum.n * (b->load - sum.load);
            sum.level += b->n / sum.n * (b->level - sum.level);
        }
        sum.n = fmin(sum.n, BIN_MEMORY);
        e->bins[i] = sum;
    }
    e->bin_width *= 2;
}

/* The bin of LOAD, after make_room(). */
static unsigned bin_of(const struct excess *e, double load)
{
    return (unsigned)fmin(load / e->bin_width, EXCESS_BINS - 1);
}

/*
 * Whether LOAD is in the bins: they go from 0 to 1, a whole share, and are widened for loads that
 * stay beyond, as rates do; a wild one, as of a counter that was torn, does not count.
 */
static bool make_room(struct excess *e, double load)
{
    if (!(e->bin_width > 0))
        e->bin_width = 1.0 / EXCESS_BINS;
    e->beyond = load > EXCESS_BINS * e->bin_width ? e->beyond + 1 : 0;
    if (e->beyond >= LOAD_BELIEVED)
        widen(e);
    return load <= EXCESS_BINS * e->bin_width;
}

static bool is_known(const struct excess *e, unsigned bin)
{
    return bin < EXCESS_BINS && e->bins[bin].n >= BIN_KNOWN;
}

/*
 * The level that LOAD explains: on the line through its bin and the neighbour on its side, or else
 * the other one, if that rises.  A load just below those that are known explains no more than they
 * do.  No line is forced to rise: where an idle gateway is slow, it is.
 */
static bool explained(const struct excess *e, double load, double *level)
{
    const unsigned bin = bin_of(e, load);
    const struct excess_bin *b = &e->bins[bin];
    if (!is_known(e, bin)) {
        if (!is_known(e, bin + 1))
            return false;
        *level = b[1].level;
        return true;
    }
    const bool above = load > b->load;
    const bool inside = above ? is_known(e, bin + 1) : bin > 0 && is_known(e, bin - 1);
    const bool outside = above ? bin > 0 && is_known(e, bin - 1) : is_known(e, bin + 1);
    const struct excess_bin *o = above == inside ? b + 1 : b - 1;
    *level = b->level;
    if (!inside && !outside)
        return true;
    const double width = o->load - b->load;
    const double slope = fabs(width) > 0 ? (o->level - b->level) / width : 0;
    if (inside || slope > 0)
        *level += slope * (load - b->load);
    return true;
}

/*
 * S, of which the minute that follows had the load NEXT.  Where a load is not known yet only what
 * lasts teaches: a minute whose load was told too high by chance would teach too low a level.
 */
static void learn(struct excess *e, const struct excess_slot *s, float next)
{
    const unsigned bin = bin_of(e, (double)s->load);
    if (s->minute < e->learn_from || (!is_known(e, bin) && bin_of(e, (double)next) < bin))
        return;
    struct excess_bin *b = &e->bins[bin];
    double off = s->level - b->level;
    if (b->n >= BIN_KNOWN && e->minutes.n >= NOISE_KNOWN) {
        const double most = CLIP_DEVIATIONS * SD_PER_DEVIATION * e->minutes.dev;
        off = clamp(off, -most, most);
    }
    b->n = fmin(b->n + 1, BIN_MEMORY);
    b->load += (s->load - b->load) / b->n;
    b->level += off / b->n;
}

/* ---- the last hour ---- */

/* The slot that is AGO before the newest. */
static const struct excess_slot *slot(const struct excess *e, uint32_t ago)
{
    return &e->slots[(e->next + 2 * EXCESS_SLOTS - 1 - ago) % EXCESS_SLOTS];
}

static void push(struct excess *e, const struct excess_slot *s)
{
    struct excess_slot *to = &e->slots[e->next];
    if (e->n_slots == EXCESS_SLOTS)
        learn(e, to, e->slots[(e->next + 1) % EXCESS_SLOTS].load);
    else
        e->n_slots++;
    *to = *s;
    e->next = (e->next + 1) % EXCESS_SLOTS;
}

static void add_minute(struct window *w, double excess)
{
    w->sum += excess;
    w->n++;
    w->above += excess > NEED_LEAST / 2;
    for (unsigned i = 0; i < TOP; i++)
        if (excess > w->top[i]) {
            const double next = w->top[i];
            w->top[i] = excess;
            excess = next;
        }
}

static double mean_of(const struct window *w)
{
    double sum = w->sum;
    for (unsigned i = 0; i < WILD; i++)
        sum -= w->top[i] - w->top[WILD];
    return sum / w->n;
}

static void gather(const struct excess *e, struct window w[EXCESS_SCALES])
{
    struct window sum = {.top = {-EXCESS_MAX, -EXCESS_MAX, -EXCESS_MAX}};
    const uint32_t now = slot(e, 0)->minute;
    uint32_t i = 0;
    for (unsigned k = 0; k < EXCESS_SCALES; k++) {
        for (; i < e->n_slots; i++) {
            const struct excess_slot *s = slot(e, i);
            if (now - s->minute >= spans[k])
                break;
            sum.all++;
            if (!isnan(s->excess))
                add_minute(&sum, s->excess);
        }
        w[k] = sum;
        /* Where many loads are beyond what is known, the others are told too low by chance. */
        w[k].known = sum.n >= WINDOW_MIN && UNKNOWN_SHARE * (sum.all - sum.n) <= sum.all;
        w[k].mean = w[k].known ? mean_of(&sum) : 0;
    }
}

/* ---- what is usual ---- */

static void add_distance(struct excess_noise *n, double off)
{
    off = fabs(off);
    if (n->n >= NOISE_KNOWN)
        off = fmin(off, CLIP_DEVIATIONS * n->dev);
    n->n = fmin(n->n + 1, NOISE_MEMORY);
    n->dev += (off - n->dev) / n->n;
}

static void learn_noise(struct excess *e, const struct window w[EXCESS_SCALES])
{
    const double excess = slot(e, 0)->excess;
    if (isnan(excess))
        return;
    add_distance(&e->minutes, excess);
    for (unsigned k = 0; k < EXCESS_SCALES; k++)
        if (w[k].known)
            add_distance(&e->windows[k], w[k].mean);
}

/* The largest excess noted in the hour D days before and those beside it; 0: not all were. */
static uint8_t around(const struct excess *e, uint32_t d)
{
    uint8_t most = 0;
    for (uint32_t h = 0; h < 3; h++) {
        const uint8_t noted = e->hours[(e->hour + 1 - h - d * DAY_HOURS) % EXCESS_HOURS];
        if (!noted)
            return 0;
        most = noted > most ? noted : most;
    }
    return most;
}

/*
 * The second-highest excess, on the seven days before, of the three hours around this one (the
 * highest, of fewer than three days); or what it was a week ago, for jobs that come weekly.
 * UNKNOWN: on none of the days these hours were seen.
 */
static double usual_excess(const struct excess *e)
{
    double v[WEEK_DAYS];
    unsigned n = 0;
    for (uint32_t d = 1; d <= WEEK_DAYS; d++) {
        const uint8_t most = around(e, d);
        if (most)
            v[n++] = most - NOTED_0;
    }
    if (!n)
        return UNKNOWN;
    const double week = fmax(around(e, WEEK_DAYS) - NOTED_0, 0);
    return fmax(week, order_nth(v, n, n < 3 ? n - 1 : n - 2)) / HOUR_UNIT;
}

/* Of an hour in which much was unknown not even the rest says what it is like. */
static void forget_unknown(struct excess *e)
{
    uint32_t n = 0, unknown = 0;
    for (uint32_t i = 0; i < e->n_slots; i++) {
        const struct excess_slot *s = slot(e, i);
        const bool within = s->minute / HOUR_MINUTES == e->hour;
        n += within;
        unknown += within && isnan(s->excess);
    }
    if (UNKNOWN_SHARE * unknown > n)
        e->hours[e->hour % EXCESS_HOURS] = 0;
}

static void note_hour(struct excess *e, uint32_t minute, const struct window *w)
{
    const uint32_t hour = minute / HOUR_MINUTES;
    if (hour != e->hour) {
        forget_unknown(e);
        for (uint32_t i = 0; i < hour - e->hour && i < EXCESS_HOURS; i++)
            e->hours[(hour - i) % EXCESS_HOURS] = 0;
        e->hour = hour;
        e->usual = usual_excess(e);
    }
    if (!w->known)
        return;
    uint8_t *to = &e->hours[hour % EXCESS_HOURS];
    *to = (uint8_t)fmax(*to, NOTED_0 + HOUR_UNIT * clamp(w->mean, 0, EXCESS_MAX));
}

/* ---- judgement ---- */

/*
 * What the load explains is more, from now on, by as much as it was over for days: by so much less
 * is it over what it explains, also in what is noted of these days.
 */
static void accept(struct excess *e, double excess)
{
    const uint32_t hours = SUSPECT_MAX / HOUR_MINUTES;
    for (uint32_t i = 0; i < hours; i++) {
        uint8_t *noted = &e->hours[(e->hour - i) % EXCESS_HOURS];
        *noted = *noted ? (uint8_t)fmax(*noted - HOUR_UNIT * excess, NOTED_0) : 0;
    }
    e->usual = usual_excess(e);
    for (unsigned i = 0; i < EXCESS_BINS; i++)
        e->bins[i].level += excess;
    for (uint32_t i = 0; i < e->n_slots; i++)
        e->slots[i].excess -= (float)excess;
    e->suspect_since = 0;
    e->learn_from = 0;
    e->sure = false;
    e->strength = 0;
}

/* The excess of a window of scale K that can't be chance. */
static double chance(const struct excess *e, unsigned k)
{
    if (e->windows[k].n < NOISE_KNOWN)
        return INFINITY;
    return fmax(NEED_LEAST, NEED_SDS * SD_PER_DEVIATION * e->windows[k].dev);
}

/* Is the last window of scale K clearly more than the rest of the hour? */
static bool grew(const struct excess *e, const struct window w[EXCESS_SCALES], unsigned k)
{
    const struct window *few = &w[k], *all = &w[EXCESS_SCALES - 1];
    const uint32_t n_before = all->n - few->n;
    return n_before >= WINDOW_MIN &&
           few->mean - (all->sum - few->sum) / n_before >
               fmax(GROWTH, GROWTH_SDS * SD_PER_DEVIATION * e->windows[k].dev);
}

static void weigh(struct excess *e, const struct window w[EXCESS_SCALES])
{
    const struct window *latest = w;
    bool much = false;
    while (!latest->known && latest < &w[EXCESS_SCALES - 1])
        latest++;
    /* What has clearly fallen since is over, however little chance has to do with the rest. */
    const double over = latest->mean + chance(e, (unsigned)(latest - w));
    const double job = JOB_VARIES * fmax(e->usual - chance(e, NOTED) / 2, 0);
    e->strength = 0;
    for (unsigned k = 0; k < EXCESS_SCALES; k++) {
        const double need = chance(e, k) + job;
        const double now = fmin(w[k].mean, latest->mean / STILL);
        if (!w[k].known || w[k].above < SHARE_ABOVE * w[k].n || w[k].mean > over ||
            now / need <= e->strength)
            continue;
        e->strength = now / need;
        e->times = exp(w[k].mean);
        much = w[k].mean - e->usual > MUCH;
    }
    const bool grows = grew(e, w, NOTED) || grew(e, w, NOTED + 1);
    const uint32_t minute = slot(e, 0)->minute;
    if (e->strength < STRENGTH_FROM)
        e->sure = false;
    else if (e->strength >= 1 && minute >= e->settled && (grows || much))
        e->sure = true;
}

/*
 * Whether nothing was suspect, and what came since is nothing either: most minutes are so, and all
 * windows are gathered only now and then.
 */
static bool is_calm(const struct excess *e)
{
    double sum = 0;
    if (slot(e, 0)->minute - e->judged >= spans[0] || e->n_slots < spans[0] || e->strength > CALM)
        return false;
    for (uint32_t i = 0; i < spans[0]; i++)
        sum += isnan(slot(e, i)->excess) ? 0 : slot(e, i)->excess;
    return sum < spans[0] * NEED_LEAST / 2;
}

static void judge(struct excess *e)
{
    struct window w[EXCESS_SCALES];
    const uint32_t minute = slot(e, 0)->minute;
    if (is_calm(e))
        return;
    gather(e, w);
    e->judged = minute;
    note_hour(e, minute, &w[NOTED]);
    e->strength = 0;
    if (e->usual >= 0 && e->minutes.n >= NOISE_KNOWN)
        weigh(e, w);
    if (!e->sure)
        learn_noise(e, w);
    if (e->strength < STRENGTH_FROM)
        e->suspect_since = 0;
    else if (!e->suspect_since)
        e->suspect_since = minute;
    else if (minute - e->suspect_since >= SUSPECT_MAX)
        accept(e, w[EXCESS_SCALES - 1].mean);
    else if (minute - e->suspect_since >= SUSPECT_FREEZE)
        e->learn_from = minute + 1;
}

/* ---- samples ---- */

bool excess_applies(const struct health_limit *l)
{
    return l && l->critical > l->warn && l->warn > 0 && health_name_ends(l->metric, "_us");
}

/* The minute that is full, if its load is known. */
static void take_minute(struct excess *e, const struct excess_load *load, double interval_s)
{
    double l, level;
    if (!e->n || !(e->sum > 0) || !load_at(load, e->minute, &l) || !make_room(e, l))
        return;
    struct excess_slot s = {e->minute, (float)l, (float)log(e->sum / e->n), NAN};
    if (explained(e, l, &level))
        s.excess = (float)clamp(s.level - level, -EXCESS_MAX, EXCESS_MAX);
    if (e->n_slots && s.minute - slot(e, 0)->minute > 1.5 + 1.5 * interval_s / MINUTE_S)
        e->settled = s.minute + SETTLE_MINUTES;
    push(e, &s);
    judge(e);
}

void excess_add(struct excess *e, const struct excess_load *load, const struct signal *s)
{
    const uint32_t minute = minute_of(s->last);
    if (minute != e->minute) {
        take_minute(e, load, s->interval_s);
        e->minute = minute;
        e->n = 0;
        e->sum = 0;
    }
    e->n++;
    e->sum += s->levels[0].points[s->levels[0].n - 1].value;
}

void excess_rewind(struct excess *e, double now)
{
    const uint32_t minute = minute_of(now);
    while (e->n_slots && slot(e, 0)->minute > minute) {
        e->next = (e->next + EXCESS_SLOTS - 1) % EXCESS_SLOTS;
        e->n_slots--;
    }
    e->n = 0;
    e->sum = 0;
    e->minute = 0;
    e->settled = e->settled < minute ? e->settled : minute;
    e->learn_from = e->learn_from < minute ? e->learn_from : minute;
    e->judged = e->judged < minute ? e->judged : minute;
    e->suspect_since = e->suspect_since < minute ? e->suspect_since : minute;
    const uint32_t hour = minute / HOUR_MINUTES;
    if (e->hour <= hour)
        return;
    for (uint32_t i = 0; i < e->hour - hour && i < EXCESS_HOURS; i++)
        e->hours[(e->hour - i) % EXCESS_HOURS] = 0;
    e->hour = hour;
}

/* A sample is missing, or more. */
static bool is_stale(const struct excess *e, const struct signal *s)
{
    const double patience = fmax(LOAD_MINUTES, 3 * s->interval_s / MINUTE_S);
    return !e->n_slots || minute_of(s->last) - slot(e, 0)->minute > patience;
}

/* The highest load of which the level is known; INFINITY: none is. */
static double known_load(const struct excess *e)
{
    unsigned bin = EXCESS_BINS;
    while (bin > 0 && !is_known(e, bin - 1))
        bin--;
    return bin ? e->bins[bin - 1].load : (double)INFINITY;
}

/* How much longer M was than what is known now of its load; NaN: nothing is. */
static double over(const struct excess *e, const struct excess_slot *m)
{
    double level;
    if (!isnan(m->excess))
        return (double)m->excess;
    return explained(e, (double)m->load, &level) ? (double)m->level - level : NAN;
}

bool excess_explains(const struct excess *e, const struct signal *s)
{
    const double most = known_load(e);
    const double dev = e->minutes.n < NOISE_KNOWN ? 0 : e->minutes.dev;
    const double chance_of_one = fmax(NEED_LEAST, MINUTE_SDS * SD_PER_DEVIATION * dev);
    uint32_t n = 0, explained_by = 0;
    if (is_stale(e, s) || e->strength > STRENGTH_FROM)
        return false;
    for (; n < spans[0] && n < e->n_slots; n++) {
        const struct excess_slot *m = slot(e, n);
        const double load = (double)m->load;
        explained_by += load > most || over(e, m) < chance_of_one;
    }
    return n == spans[0] && explained_by > n / 2;
}

double excess_risk(const struct excess *e, const struct signal *s, const struct health_limit *l,
                   double *times)
{
    if (e->strength <= STRENGTH_FROM || signal_short_mean(s) < MATTERS * l->warn || is_stale(e, s))
        return 0;
    *times = e->times;
    const double maybe = fmin((e->strength - STRENGTH_FROM) / (1 - STRENGTH_FROM), 1);
    if (!e->sure)
        return P_MAYBE * maybe * maybe;
    return P_MAYBE + (P_SURE - P_MAYBE) * fmin((e->strength - STRENGTH_FROM) / (2 * SURE_SPAN), 1);
}
