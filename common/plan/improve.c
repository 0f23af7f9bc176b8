/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/planner.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct search {
    struct planner *p;
    struct plan_moment start;   /* before any move is planned */
    struct plan_entry **chosen; /* entries with a target, in the order of the queue */
    size_t n;
    unsigned left; /* candidates that may still be looked at */
    bool changed;  /* in this pass */
};

/* More than any two benefits differ by. */
static const double kept_value = 4;

static double value(const struct search *s, const struct plan_entry *e, size_t target)
{
    if (target == plan_entry_owner(s->p, e))
        return -INFINITY;
    const struct plan_case c = plan_entry_aim(s->p, e, target);
    return plan_score_rank(&c.score) + kept_value * (double)plan_entry_copies(s->p, e, target);
}

/* ---- trying a choice ---- */

/* Takes one from what is left to look at. */
static bool spend(struct search *s)
{
    if (!s->left)
        return false;
    s->left--;
    return true;
}

static bool judge_next(struct search *s, const struct plan_entry *e)
{
    if (!spend(s))
        return false;
    struct plan_case c = plan_entry_aim(s->p, e, e->target);
    return plan_entry_may(s->p, e, &c);
}

static void undo(struct search *s, size_t placed)
{
    for (size_t i = 0; i < placed; i++)
        for (size_t j = 0; j < s->chosen[i]->unit.n; j++)
            plan_projection_unlabel(s->p->at, s->p->fleet, s->chosen[i]->unit.members[j],
                                    s->chosen[i]->target);
    plan_projection_return(s->p->at, s->p->fleet, &s->start);
}

/* Does every guard let each of the chosen go, one after the other? */
static bool holds(struct search *s)
{
    size_t placed = 0;
    while (placed < s->n && judge_next(s, s->chosen[placed])) {
        plan_entry_place(s->p, s->chosen[placed], s->chosen[placed]->target);
        placed++;
    }
    undo(s, placed);
    return placed == s->n;
}

/* ---- two that exchange their targets ---- */

static void swap_targets(struct plan_entry *a, struct plan_entry *b)
{
    const size_t t = a->target;
    a->target = b->target;
    b->target = t;
}

static void exchange(struct search *s, struct plan_entry *a, struct plan_entry *b)
{
    if (a->rank != b->rank || a->target == b->target || !spend(s))
        return;
    const double now = value(s, a, a->target) + value(s, b, b->target);
    if (!plan_exceeds(value(s, a, b->target) + value(s, b, a->target), now))
        return;
    swap_targets(a, b);
    if (holds(s))
        s->changed = true;
    else
        swap_targets(a, b);
}

static void exchange_all(struct search *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = i + 1; s->left && j < s->n; j++)
            exchange(s, s->chosen[i], s->chosen[j]);
}

/* ---- one that gets in where another was ---- */

/* In its place: what must move is exempt from guards that ask for the load, so it goes first. */
static void insert(struct search *s, struct plan_entry *e)
{
    size_t i = s->n++;
    for (; i > 0 && s->chosen[i - 1] > e; i--)
        s->chosen[i] = s->chosen[i - 1];
    s->chosen[i] = e;
}

static void take_out(struct search *s, const struct plan_entry *e)
{
    size_t i = 0;
    while (s->chosen[i] != e)
        i++;
    for (s->n--; i < s->n; i++)
        s->chosen[i] = s->chosen[i + 1];
}

/* One that could get in where another was. */
struct guest {
    struct plan_entry *in, *out;
    double more;  /* what IN is worth there … */
    double given; /* … and OUT now */
};

/* A move that must be made is worth more than any benefit. */
static bool worth(const struct search *s, const struct guest *g, size_t elsewhere)
{
    if (!isfinite(g->more))
        return false;
    const double change = value(s, g->out, elsewhere) - g->given;
    return isfinite(change) && (g->in->cause || plan_exceeds(g->more + change, 0));
}

/* G gets in, and who was there goes ELSEWHERE. */
static bool get_in(struct search *s, const struct guest *g, size_t elsewhere)
{
    struct plan_entry *in = g->in, *out = g->out;
    const size_t was = out->target;
    if (elsewhere == was || !spend(s) || !worth(s, g, elsewhere))
        return false;
    in->target = was;
    out->target = elsewhere;
    insert(s, in);
    if (holds(s))
        return true;
    take_out(s, in);
    in->target = PLAN_NONE;
    out->target = was;
    return false;
}

static bool find_place(struct search *s, struct plan_entry *in)
{
    const struct plan_fleet *f = s->p->fleet;
    const size_t n = s->n;
    for (size_t i = 0; s->left && i < n; i++) {
        struct plan_entry *out = s->chosen[i];
        if (out->rank != in->rank)
            continue;
        const struct guest guest = {in, out, value(s, in, out->target), value(s, out, out->target)};
        for (size_t g = 0; s->left && g < f->gateway_names.n; g++)
            if (get_in(s, &guest, f->gateway_order[g]))
                return true;
    }
    return false;
}

static void find_places(struct search *s)
{
    struct planner *p = s->p;
    for (size_t i = 0; s->left && i < p->n; i++)
        if (p->queue[i].target == PLAN_NONE && p->queue[i].best > -INFINITY)
            s->changed |= find_place(s, &p->queue[i]);
}

/* ---- the search ---- */

static int open_search(struct search *s)
{
    s->chosen = reallocarray(NULL, s->p->n + 1, sizeof(struct plan_entry *));
    if (!s->chosen)
        return -ENOMEM;
    for (size_t i = 0; i < s->p->n; i++)
        if (s->p->queue[i].target != PLAN_NONE)
            s->chosen[s->n++] = &s->p->queue[i];
    return plan_projection_keep(s->p->at, s->p->fleet, &s->start);
}

int plan_improve(struct planner *p)
{
    struct search s = {.p = p, .left = p->limits->improve};
    int err = open_search(&s);
    if (!err) {
        do {
            s.changed = false;
            exchange_all(&s);
            find_places(&s);
        } while (s.changed && s.left);
        for (size_t i = 0; i < s.n; i++)
            plan_entry_place(p, s.chosen[i], s.chosen[i]->target);
    }
    plan_moment_release(&s.start);
    free(s.chosen);
    return err;
}
