/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A board as bytes: "GSHEALTH", a version, the payload's length and its XXH3-128 digest, then the
 * payload: numbers as 8 bytes, little-endian, doubles by their bits, names as length and bytes.
 * board_load.c reads them.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/health/board_private.h"

/* ---- writing: the first failure sticks ---- */

/* What is put is small: it goes out in pieces, as the whole may be a gigabyte. */
struct out {
    const struct health_sink *to;
    struct hash_stream *hash; /* of the payload */
    int error;
    uint64_t at; /* where the piece begins */
    size_t n;
    unsigned char piece[65536];
};

static void flush(struct out *o)
{
    if (o->error == 0)
        o->error = o->to->write(o->to->arg, o->at, o->piece, o->n);
    hash_stream_add(o->hash, o->piece, o->n);
    o->at += o->n;
    o->n = 0;
}

/* Room for LEN bytes, to be filled. */
static unsigned char *room(struct out *o, size_t len)
{
    assert(len <= sizeof(o->piece));
    if (len > sizeof(o->piece) - o->n)
        flush(o);
    o->n += len;
    return o->piece + o->n - len;
}

static void put(struct out *o, const void *data, size_t len)
{
    memcpy(room(o, len), data, len);
}

static void put_u64(struct out *o, uint64_t v)
{
    v = htole64(v);
    memcpy(room(o, sizeof(v)), &v, sizeof(v));
}

static void put_f64s(struct out *o, const double *v, size_t n)
{
    unsigned char *p = room(o, n * sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &v[i], sizeof(bits));
        bits = htole64(bits);
        memcpy(p + i * sizeof(bits), &bits, sizeof(bits));
    }
}

static void put_f64(struct out *o, double v)
{
    put_f64s(o, &v, 1);
}

static void put_name(struct out *o, const char *s)
{
    put_u64(o, strlen(s));
    put(o, s, strlen(s));
}

static void put_level(struct out *o, const struct signal_level *l)
{
    put_u64(o, l->n);
    /* A point is its time and its value. */
    _Static_assert(sizeof(l->points[0]) == 2 * sizeof(double), "nothing between");
    put_f64s(o, (const double *)l->points, 2 * (size_t)l->n);
    put_u64(o, l->folded);
    put_f64(o, l->time_sum);
    put_f64(o, l->value_sum);
}

static void put_signal(struct out *o, const struct signal *s)
{
    put_u64(o, s->n);
    put_f64(o, s->first);
    put_f64(o, s->last);
    put_f64(o, s->interval_s);
    put_f64s(o, s->recent, SIGNAL_RECENT);
    put_f64(o, s->held);
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++)
        put_level(o, &s->levels[k]);
    put_f64(o, s->mean);
    put_f64(o, s->dev);
    put_u64(o, s->n_days);
    for (unsigned i = 0; i < s->n_days; i++) {
        put_f64(o, s->days[i].number);
        put_f64(o, s->days[i].low);
        put_f64(o, s->days[i].high);
    }
}

static void put_rhythm(struct out *o, const struct rhythm *r)
{
    put_u64(o, r->n);
    put_f64(o, r->mean);
    put_f64(o, r->dev);
    double hours[3][RHYTHM_HOURS];
    for (int h = 0; h < RHYTHM_HOURS; h++) {
        hours[0][h] = r->hours[h].mean;
        hours[1][h] = r->hours[h].dev;
        hours[2][h] = r->hours[h].n;
    }
    put_f64s(o, hours[0], sizeof(hours) / sizeof(double));
    for (int d = 0; d < RHYTHM_DAYS; d++)
        put_f64(o, r->days[d].shift);
    for (int d = 0; d < RHYTHM_DAYS; d++)
        put_f64(o, r->days[d].weeks);
    put_f64(o, r->day);
}

/* Shapes are floats: two of them in 8 bytes. */
static void put_shapes(struct out *o, const struct anomaly *a)
{
    put_u64(o, a->n_shapes);
    put_u64(o, a->next_shape);
    put_u64(o, a->stride);
    for (uint32_t i = 0; i < a->n_shapes; i++)
        for (unsigned k = 0; k < ANOMALY_SHAPE; k += 2) {
            uint32_t bits[2];
            memcpy(&bits[0], &a->shapes[k][i], sizeof(bits[0]));
            memcpy(&bits[1], &a->shapes[k + 1][i], sizeof(bits[1]));
            put_u64(o, bits[0] | (uint64_t)bits[1] << 32);
        }
}

static void put_anomaly(struct out *o, const struct anomaly *a)
{
    put_rhythm(o, &a->rhythm);
    put_u64(o, a->n);
    put_f64(o, a->last);
    put_f64s(o, a->recent, ANOMALY_RECENT);
    put_shapes(o, a);
    put_f64(o, a->step_short);
    put_f64(o, a->step_long);
    put_f64(o, a->still);
    put_f64s(o, a->records[0], sizeof(a->records) / sizeof(double));
    put_f64(o, a->rest_until);
    put_f64(o, a->rest_samples);
    put_f64(o, a->z);
}

static void put_consensus(struct out *o, const struct consensus *c)
{
    put_u64(o, c->n);
    put_f64(o, c->first);
    put_f64(o, c->last);
    put_f64(o, c->mean);
    put_f64(o, c->var);
    put_f64s(o, c->recent, CONSENSUS_RECENT);
}

/* Four numbers of 32 bits in 16 bytes; floats by their bits. */
static void put_slot(struct out *o, const struct excess_slot *s)
{
    uint32_t v[4] = {s->minute};
    _Static_assert(sizeof(*s) == sizeof(v), "nothing between");
    memcpy(&v[1], &s->load, sizeof(v) - sizeof(v[0]));
    put_u64(o, v[0] | (uint64_t)v[1] << 32);
    put_u64(o, v[2] | (uint64_t)v[3] << 32);
}

static void put_load(struct out *o, const struct excess_load *l)
{
    put_u64(o, l->minute);
    put_u64(o, l->n);
    put_f64(o, l->sum);
    put_u64(o, l->minute_before);
    put_f64(o, l->mean_before);
}

static void put_noise(struct out *o, const struct excess_noise *n)
{
    put_f64(o, n->n);
    put_f64(o, n->dev);
}

static void put_excess(struct out *o, const struct excess *e)
{
    put_u64(o, e->minute);
    put_u64(o, e->n);
    put_f64(o, e->sum);
    put_u64(o, e->n_slots);
    put_u64(o, e->next);
    for (unsigned i = 0; i < EXCESS_SLOTS; i++)
        put_slot(o, &e->slots[i]);
    put_f64(o, e->bin_width);
    put_u64(o, e->beyond);
    _Static_assert(sizeof(e->bins[0]) == 3 * sizeof(double), "nothing between");
    put_f64s(o, (const double *)e->bins, 3 * (size_t)EXCESS_BINS);
    put_noise(o, &e->minutes);
    for (unsigned k = 0; k < EXCESS_SCALES; k++)
        put_noise(o, &e->windows[k]);
    put_u64(o, e->hour);
    put(o, e->hours, EXCESS_HOURS);
    put_f64(o, e->usual);
    put_u64(o, e->judged);
    put_u64(o, e->suspect_since);
    put_u64(o, e->learn_from);
    put_u64(o, e->settled);
    put_u64(o, e->sure);
    put_f64(o, e->strength);
    put_f64(o, e->times);
}

/* All but its names. */
static void put_one_series(struct out *o, const struct board_series *s)
{
    put_signal(o, &s->signal);
    put_anomaly(o, &s->anomaly);
    put_f64(o, s->counter);
    put_f64(o, s->counter_time);
    put_f64(o, s->counter_interval_s);
    put_u64(o, s->counted);
    put_f64(o, s->bursts);
    put_u64(o, s->ahead);
    put_f64(o, s->ahead_last);
    put_u64(o, s->in_round);
    put_u64(o, s->excess != NULL);
    if (s->excess)
        put_excess(o, s->excess);
}

static void put_payload(struct out *o, const struct health_board *b)
{
    put_f64(o, health_board_newest(b));
    put_u64(o, b->model.fitted);
    put_f64(o, b->model.bias);
    put_f64s(o, b->model.weights, HEALTH_FEATURES);
    put_u64(o, b->gateway_names.n);
    for (size_t i = 0; i < b->gateway_names.n; i++) {
        put_name(o, b->gateway_names.names[i]);
        put_f64(o, b->gateways[i].mark);
        put_consensus(o, &b->gateways[i].consensus);
        put_load(o, &b->gateways[i].load);
    }
    put_u64(o, b->series_names.n);
    for (size_t i = 0; i < b->series_names.n; i++) {
        put_u64(o, b->series[i]->gateway);
        put_name(o, strchr(b->series_names.names[i], ',') + 1);
        put_one_series(o, b->series[i]);
    }
}

/* The head, which comes last: it says what the payload is. */
static int write_head(const struct health_sink *to, uint64_t len, const struct hash128 *digest)
{
    unsigned char head[BOARD_HEAD_BYTES];
    uint64_t numbers[2] = {htole64(BOARD_VERSION), htole64(len)};
    memcpy(head, BOARD_MAGIC, BOARD_MAGIC_BYTES);
    memcpy(head + BOARD_MAGIC_BYTES, numbers, sizeof(numbers));
    memcpy(head + BOARD_MAGIC_BYTES + sizeof(numbers), digest->bytes, sizeof(digest->bytes));
    return to->write(to->arg, 0, head, sizeof(head));
}

int health_board_write(const struct health_board *b, const struct health_sink *to)
{
    struct out o = {.to = to, .at = BOARD_HEAD_BYTES, .hash = hash_stream_new()};
    if (!o.hash)
        return -ENOMEM;
    put_payload(&o, b);
    flush(&o);
    struct hash128 digest = hash_stream_end(o.hash);
    hash_stream_free(o.hash);
    return o.error ? o.error : write_head(to, o.at - BOARD_HEAD_BYTES, &digest);
}

/* Appends to a buffer, and goes back into what was appended. */
struct append {
    struct buf *out;
    size_t start;
};

static int append(void *arg, uint64_t at, const void *data, size_t len)
{
    const struct append *a = arg;
    size_t end = a->start + (size_t)at + len;
    if (end > a->out->len) {
        if (buf_reserve(a->out, end - a->out->len) < 0)
            return -ENOMEM;
        a->out->len = end;
        a->out->data[end] = 0;
    }
    memcpy(a->out->data + a->start + at, data, len);
    return 0;
}

int health_board_save(const struct health_board *b, struct buf *out)
{
    struct append a = {out, out->len};
    const struct health_sink to = {append, &a};
    return health_board_write(b, &to);
}
