/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/arrivals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/record/record.h"
#include "common/record/schema.h"

/* ---- reading ---- */

static size_t number(struct intern *names, const char *name)
{
    const long id = intern_add(names, name);
    err_need(id >= 0);
    return (size_t)id;
}

/* A gateway of which no site is known is alone at one that no site's name can be. */
static size_t place_of(struct arrivals *a, const struct fleet *f, const struct rec_reader *r)
{
    const char *name = rec_text(r, FAILURE_GATEWAY), *site = rec_text(r, FAILURE_SITE);
    const struct fleet_gateway *known = fleet_gateway(f, name);
    struct buf alone = {0};
    if (!*site && known)
        site = known->site;
    if (*site)
        return number(&a->places, site);
    err_need(buf_add(&alone, "\n", 1) == 0 && buf_add(&alone, name, strlen(name)) == 0);
    const size_t place = number(&a->places, alone.data);
    buf_release(&alone);
    return place;
}

static int by_time(const void *pa, const void *pb)
{
    const struct arrivals_past *a = pa, *b = pb;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return (a->node > b->node) - (a->node < b->node);
}

void arrivals_read(struct arrivals *a, const struct fleet *f, const char *path)
{
    char *paths[] = {(char *)path};
    struct rec_reader *r = rec_reader_new(&rec_failure);
    int got;
    err_need(r != NULL);
    rec_reader_files(r, paths, 1);
    while ((got = rec_reader_next(r)) > 0) {
        if (rec_word(r, FAILURE_KIND) != FAILURE_KIND_FAILURE)
            continue;
        err_need(vec_room(&a->list, a->n, &a->cap, sizeof(*a->list)) == 0);
        a->list[a->n++] = (struct arrivals_past){
            .time = rec_real(r, FAILURE_TIME),
            .node = number(&a->nodes, rec_text(r, FAILURE_GATEWAY)),
            .place = place_of(a, f, r),
        };
    }
    if (got < 0)
        err_die(rec_reader_status(r), "%s", rec_reader_error(r));
    rec_reader_free(r);
    if (a->n)
        qsort(a->list, a->n, sizeof(*a->list), by_time);
}

void arrivals_release(struct arrivals *a)
{
    intern_release(&a->nodes);
    intern_release(&a->places);
    free(a->list);
    *a = (struct arrivals){0};
}

/* ---- drawing ---- */

/* Which of the sites each place stands for; SIZE_MAX: none.  Owned by the caller. */
static size_t *choose_places(const struct arrivals *a, const struct arrivals_draw *how,
                             struct rng *rng)
{
    size_t *site = calloc(a->places.n + 1, sizeof(*site));
    size_t *failures = calloc(a->places.n + 1, sizeof(*failures));
    size_t *order = calloc(a->n + 1, sizeof(*order));
    size_t *sites = calloc(how->sites, sizeof(*sites));
    size_t chosen = 0, covered = 0;
    err_need(site && failures && order && sites);
    rng_order(rng, order, a->n);
    rng_order(rng, sites, how->sites);
    for (size_t i = 0; i < a->n; i++)
        failures[a->list[i].place]++;
    for (size_t p = 0; p < a->places.n; p++)
        site[p] = SIZE_MAX;
    /* The place of a failure at random, until they are enough. */
    for (size_t i = 0; i < a->n && (chosen < how->sites || covered < how->n); i++) {
        const size_t p = a->list[order[i]].place;
        if (site[p] != SIZE_MAX)
            continue;
        site[p] = sites[chosen++ % how->sites];
        covered += failures[p];
    }
    free(failures);
    free(order);
    free(sites);
    return site;
}

/* Where those of the N failures in LIST begin that are taken; what goes before is in *LEAD_S. */
static size_t begin_of(const struct arrival *list, size_t n, size_t wanted, struct rng *rng,
                       double *lead_s)
{
    const double first = list[0].time, last = list[n - wanted].time;
    const double begin = fmin(first + (last - first) * rng_unit(rng), last);
    size_t i = 0;
    while (list[i].time < begin)
        i++;
    *lead_s = list[i].time - begin;
    return i;
}

/* Takes N of the M failures in LIST to OUT, and their times to those that are asked for. */
static void take_stretch(const struct arrival *list, size_t m, const struct arrivals_draw *how,
                         struct rng *rng, struct arrival *out)
{
    double lead_s = 0;
    const size_t at = begin_of(list, m, how->n, rng, &lead_s);
    const size_t after = at + how->n < m ? at + how->n : m - 1;
    const double begin = list[at].time - lead_s, length = list[after].time - begin;
    /* All at one moment: at any. */
    const double moment = rng_unit(rng);
    for (size_t i = 0; i < how->n; i++) {
        const double part = length > 0 ? (list[at + i].time - begin) / length : moment;
        out[i] = list[at + i];
        out[i].time = how->from + part * (how->to - how->from);
    }
}

void arrivals_draw(const struct arrivals *a, const struct arrivals_draw *how, struct rng *rng,
                   struct arrival *out)
{
    size_t *site = choose_places(a, how, rng);
    struct arrival *list = calloc(a->n + 1, sizeof(*list));
    size_t m = 0;
    err_need(list != NULL);
    for (size_t i = 0; i < a->n; i++)
        if (site[a->list[i].place] != SIZE_MAX)
            list[m++] = (struct arrival){a->list[i].time, a->list[i].node, site[a->list[i].place]};
    if (how->n)
        take_stretch(list, m, how, rng, out);
    free(list);
    free(site);
}
