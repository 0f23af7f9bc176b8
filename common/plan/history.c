/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/history.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/plan/words.h"
#include "common/record/event.h"

static const char *keep(struct intern *text, const char *s)
{
    long id = intern_add(text, s);
    return id < 0 ? NULL : text->names[id];
}

static int new_migration(struct plan_history *h, const char *volume, const char *source,
                         const char *target, struct plan_migration *m)
{
    *m = (struct plan_migration){
        .volume = keep(&h->text, volume),
        .source = keep(&h->text, source),
        .target = keep(&h->text, target),
        .switched = NAN,
        .reverted = NAN,
        .failed = NAN,
        .began = NAN,
        .last = -INFINITY,
        .handing = -INFINITY,
        .resting = -INFINITY,
        .deferred = INFINITY,
        .stood = -INFINITY,
        .left = -INFINITY,
        .gone = -INFINITY,
        .losses_at = -INFINITY,
        .das_gain = NAN,
    };
    return m->volume && m->source && m->target ? 0 : -ENOMEM;
}

static struct plan_migration *find_or_add(struct plan_history *h, const char *id,
                                          const char *volume, const char *source,
                                          const char *target)
{
    size_t known = h->ids.n;
    long i = intern_find(&h->ids, id);
    if (i >= 0)
        return &h->migrations[i];
    struct plan_migration m;
    if (vec_room(&h->migrations, known, &h->cap, sizeof(*h->migrations)) < 0 ||
        new_migration(h, volume, source, target, &m) < 0)
        return NULL;
    i = intern_add(&h->ids, id);
    if (i < 0)
        return NULL;
    h->migrations[i] = m;
    return &h->migrations[i];
}

static double later(double a, double b)
{
    return isnan(a) || b > a ? b : a;
}

static bool begins_standby(const char *detail)
{
    const size_t len = strlen(REC_STANDBY);
    return strncmp(detail, REC_STANDBY, len) == 0 && (!detail[len] || detail[len] == ';');
}

/*
 * A hold is that of a hand-over; so is what a row that can't wait, or an operator's --cutover, goes
 * on with, long before it.  It is over when the migration is left open, or is gone on with for
 * another reason.
 */
static void note_aim(struct plan_migration *m, double time, enum rec_event event,
                     const char *detail)
{
    bool cannot_wait = false;
    double gain;
    if (event == EVENT_BEGIN && !begins_standby(detail))
        plan_words_recall(detail, &cannot_wait, &gain);
    const bool hands_over =
        event == EVENT_BEGIN && strncmp(detail, REC_TO_HAND_OVER, strlen(REC_TO_HAND_OVER)) == 0;
    if (event == EVENT_HOLD || cannot_wait || hands_over)
        m->handing = fmax(m->handing, time);
    else if (event == EVENT_BEGIN || event == EVENT_STALLED || event == EVENT_DEFERRED)
        m->resting = fmax(m->resting, time);
    m->hands_over = m->handing > m->resting;
}

/* How often in a row the standby was lost that a `begin` makes anew, if DETAIL says so. */
static void note_losses(struct plan_migration *m, double time, const char *detail)
{
    const char *at = strstr(detail, REC_WAS_LOST);
    char number[16];
    uint64_t n;
    if (!at || time < m->losses_at)
        return;
    at += strlen(REC_WAS_LOST);
    snprintf(number, sizeof(number), "%.*s", (int)strcspn(at, " "), at);
    if (parse_u64(number, &n) < 0 || n > UINT32_MAX)
        return;
    m->losses = (unsigned)n;
    m->losses_at = time;
}

/* What an end says of the target. */
static void note_left(struct plan_migration *m, double time, const char *detail)
{
    if (strncmp(detail, REC_GONE, strlen(REC_GONE)) == 0)
        m->gone = fmax(m->gone, time);
    else if (strstr(detail, REC_LEFT))
        m->left = fmax(m->left, time);
}

int plan_history_event(struct plan_history *h, double time, const char *migration,
                       const char *volume, const char *source, const char *target,
                       enum rec_event event, const char *detail)
{
    struct plan_migration *m = find_or_add(h, migration, volume, source, target);
    if (!m)
        return -ENOMEM;
    m->last = fmax(m->last, time);
    m->ended = m->ended || event == EVENT_SWITCHED || event == EVENT_REVERTED ||
               event == EVENT_FAILED || event == EVENT_ABORTED || event == EVENT_COMMITTED;
    if (event == EVENT_DEFERRED) {
        m->deferred = fmin(m->deferred, time);
        if (strncmp(detail, REC_STANDS_BY, strlen(REC_STANDS_BY)) == 0) {
            m->stands_by = true;
            m->stood = fmax(m->stood, time);
        }
    }
    note_aim(m, time, event, detail);
    if (event == EVENT_FAILED || event == EVENT_ABORTED)
        note_left(m, time, detail);
    if (event == EVENT_BEGIN) {
        m->stands_by = m->stands_by || begins_standby(detail);
        note_losses(m, time, detail);
        plan_words_recall(detail, &m->mandatory, &m->das_gain);
        m->began = later(m->began, time);
    } else if (event == EVENT_SWITCHED)
        m->switched = later(m->switched, time);
    else if (event == EVENT_REVERTED)
        m->reverted = later(m->reverted, time);
    else if (event == EVENT_FAILED)
        m->failed = later(m->failed, time);
    return 0;
}

void plan_history_sent(struct plan_history *h, const char *migration, uint64_t bytes)
{
    const long i = intern_find(&h->ids, migration);
    if (i >= 0 && bytes > h->migrations[i].sent_bytes)
        h->migrations[i].sent_bytes = bytes;
}

bool plan_history_is_past(const char *id, uint64_t epoch)
{
    uint64_t to;
    return migration_epoch(id, &to) == 0 && to != epoch + 1;
}

/* In whole numbers: the sums do not depend on the order of the events. */
void plan_history_settle(struct plan_history *h)
{
    static const double week_us = 7 * 86400e6;
    h->rated_bytes = h->rated_us = 0;
    for (size_t i = 0; i < h->ids.n; i++) {
        const struct plan_migration *m = &h->migrations[i];
        const double us = (m->switched - m->began) * 1e6;
        if (m->deferred < m->switched || !m->sent_bytes ||
            m->sent_bytes > UINT64_MAX - h->rated_bytes || !(us >= 1) || us > week_us)
            continue;
        h->rated_bytes += m->sent_bytes;
        h->rated_us += (uint64_t)us;
    }
}

double plan_history_rate(const struct plan_history *h)
{
    return h->rated_us ? (double)h->rated_bytes * 1e6 / (double)h->rated_us : 0;
}

static int append(struct plan_past *p, const struct plan_trip *t)
{
    if (vec_room(&p->trips, p->n, &p->cap, sizeof(*p->trips)) < 0)
        return -ENOMEM;
    p->trips[p->n++] = *t;
    return 0;
}

int plan_history_trips(const struct plan_history *h, size_t i, struct plan_past *p)
{
    const struct plan_migration *m = &h->migrations[i];
    const struct plan_trip there = {m->switched, m->source, m->target, m->mandatory, m->das_gain};
    const struct plan_trip back = {m->reverted, m->target, m->source, false, -m->das_gain};
    int err = isnan(m->switched) ? 0 : append(p, &there);
    if (err < 0 || isnan(m->reverted))
        return err;
    return append(p, &back);
}

static int by_time(const void *pa, const void *pb)
{
    const struct plan_trip *a = pa, *b = pb;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    int c = strcmp(a->source, b->source);
    return c ? c : strcmp(a->target, b->target);
}

void plan_past_sort(struct plan_past *p)
{
    if (p->n)
        qsort(p->trips, p->n, sizeof(*p->trips), by_time);
}

void plan_past_release(struct plan_past *p)
{
    free(p->trips);
    *p = (struct plan_past){0};
}

const struct plan_trip *plan_past_last(const struct plan_past *p)
{
    return p->n ? &p->trips[p->n - 1] : NULL;
}

const struct plan_trip *plan_past_left(const struct plan_past *p, const char *gateway)
{
    for (size_t i = p->n; i-- > 0;)
        if (!strcmp(p->trips[i].source, gateway))
            return &p->trips[i];
    return NULL;
}

static bool is_return(const struct plan_past *p, size_t i, double since)
{
    for (size_t j = i; j-- > 0 && p->trips[j].time >= since;)
        if (!strcmp(p->trips[j].source, p->trips[i].target))
            return true;
    return false;
}

unsigned plan_past_returns(const struct plan_past *p, double since)
{
    unsigned n = 0;
    for (size_t i = p->n; i-- > 0 && p->trips[i].time >= since;)
        n += p->trips[i].mandatory && is_return(p, i, since);
    return n;
}

void plan_history_release(struct plan_history *h)
{
    intern_release(&h->ids);
    intern_release(&h->text);
    free(h->migrations);
    *h = (struct plan_history){0};
}
