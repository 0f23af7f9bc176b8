/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A board as bytes: "GSHEALTH", a version, the payload's length and its XXH3-128 digest, then the
 * payload: numbers as 8 bytes, little-endian, doubles by their bits, names as length and bytes.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/parse.h"
#include "common/health/board_private.h"

static const char magic[8] = {'G', 'S', 'H', 'E', 'A', 'L', 'T', 'H'};

enum { VERSION = 3 };

/* Samples are at most 1e18; what is made of them by running means stays within these. */
#define MEAN_MAX      2e18
#define SHIFT_MAX     4e18
#define DEV_MAX       1e19
#define STEP_MAX      1e40
#define RECORD_MAX    1e30
#define COUNT_MAX     1e18
#define CONSENSUS_MAX 100.0
#define WEIGHT_MAX    1e6

/* ---- writing: the first failure sticks ---- */

/* What is put is small: it goes to the buffer in pieces. */
struct out {
    struct buf *buf;
    int error;
    size_t n;
    unsigned char piece[65536];
};

static void flush(struct out *o)
{
    if (o->error == 0)
        o->error = buf_add(o->buf, o->piece, o->n);
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
    }
    put_u64(o, b->series_names.n);
    for (size_t i = 0; i < b->series_names.n; i++) {
        put_u64(o, b->series[i]->gateway);
        put_name(o, strchr(b->series_names.names[i], ',') + 1);
        put_one_series(o, b->series[i]);
    }
}

int health_board_save(const struct health_board *b, struct buf *out)
{
    /* The payload is not built elsewhere and copied: it may be a gigabyte. */
    struct out o = {.buf = out};
    size_t start = out->len;
    struct hash128 digest = {0};
    put(&o, magic, sizeof(magic));
    put_u64(&o, VERSION);
    put_u64(&o, 0);
    put(&o, digest.bytes, sizeof(digest.bytes));
    flush(&o);
    size_t body = out->len;
    put_payload(&o, b);
    flush(&o);
    if (o.error)
        return o.error;
    size_t len = out->len - body;
    for (int i = 0; i < 8; i++)
        out->data[start + sizeof(magic) + 8 + i] = (char)(len >> (8 * i));
    digest = hash128(out->data + body, len);
    memcpy(out->data + body - sizeof(digest.bytes), digest.bytes, sizeof(digest.bytes));
    return 0;
}

/* ---- reading: the first fault sticks, and what is read after it is 0 ---- */

struct in {
    const unsigned char *data;
    size_t len;
    size_t at;
    const char *why; /* NULL: all well */
};

static void fault(struct in *in, const char *why)
{
    if (!in->why)
        in->why = why;
}

static const unsigned char *take(struct in *in, size_t len)
{
    if (in->why || len > in->len - in->at) {
        fault(in, "it ends too early");
        return NULL;
    }
    in->at += len;
    return in->data + in->at - len;
}

static uint64_t get_u64(struct in *in)
{
    const unsigned char *p = take(in, 8);
    uint64_t v = 0;
    if (p)
        memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static unsigned get_count(struct in *in, unsigned max)
{
    uint64_t v = get_u64(in);
    if (v > max) {
        fault(in, "a count is out of range");
        return 0;
    }
    return (unsigned)v;
}

static double get_any_f64(struct in *in)
{
    uint64_t bits = get_u64(in);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* N numbers; not all of them need be finite.  After a fault they are 0. */
static void get_any_f64s(struct in *in, double *v, size_t n)
{
    const unsigned char *p = take(in, n * sizeof(*v));
    if (!p)
        memset(v, 0, n * sizeof(*v));
    for (size_t i = 0; p && i < n; i++) {
        uint64_t bits;
        memcpy(&bits, p + i * sizeof(bits), sizeof(bits));
        bits = le64toh(bits);
        memcpy(&v[i], &bits, sizeof(bits));
    }
}

static void get_f64s(struct in *in, double *v, size_t n)
{
    bool finite = true;
    get_any_f64s(in, v, n);
    for (size_t i = 0; i < n; i++)
        finite = finite && isfinite(v[i]);
    if (!finite)
        fault(in, "a number is not finite");
}

static double get_f64(struct in *in)
{
    double v;
    get_f64s(in, &v, 1);
    return v;
}

static void get_name(struct in *in, char out[NAME_LEN_MAX + 1])
{
    size_t len = get_count(in, NAME_LEN_MAX);
    const unsigned char *p = take(in, len);
    out[0] = 0;
    if (!p)
        return;
    memcpy(out, p, len);
    out[len] = 0;
    if (strlen(out) != len || parse_name(out) < 0)
        fault(in, "a name is not valid");
}

static void get_level(struct in *in, struct signal_level *l)
{
    l->n = get_count(in, TREND_POINTS_MAX);
    get_f64s(in, (double *)l->points, 2 * (size_t)l->n);
    for (unsigned i = 1; i < l->n; i++)
        if (l->points[i].time <= l->points[i - 1].time)
            fault(in, "times do not grow");
    l->folded = get_count(in, SIGNAL_FOLD - 1);
    l->time_sum = get_f64(in);
    l->value_sum = get_f64(in);
}

static void get_signal(struct in *in, struct signal *s)
{
    s->n = get_u64(in);
    s->first = get_f64(in);
    s->last = get_f64(in);
    s->interval_s = get_f64(in);
    get_f64s(in, s->recent, SIGNAL_RECENT);
    s->held = get_f64(in);
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++)
        get_level(in, &s->levels[k]);
    s->mean = get_f64(in);
    s->dev = get_f64(in);
    s->n_days = get_count(in, SIGNAL_DAYS);
    for (unsigned i = 0; i < s->n_days; i++) {
        s->days[i].number = get_f64(in);
        s->days[i].low = get_f64(in);
        s->days[i].high = get_f64(in);
    }
}

/* What the arithmetic keeps within LOW … HIGH is refused beyond them: it could run away. */
static void get_all_within(struct in *in, double *v, size_t n, double low, double high)
{
    bool within = true;
    get_f64s(in, v, n);
    for (size_t i = 0; i < n; i++)
        within = within && v[i] >= low && v[i] <= high;
    if (!within)
        fault(in, "a number is out of range");
}

static double get_within(struct in *in, double low, double high)
{
    double v;
    get_all_within(in, &v, 1, low, high);
    return v;
}

static void get_rhythm(struct in *in, struct rhythm *r)
{
    r->n = get_u64(in);
    r->mean = get_within(in, -MEAN_MAX, MEAN_MAX);
    r->dev = get_within(in, 0, DEV_MAX);
    double mean[RHYTHM_HOURS], dev[RHYTHM_HOURS], n[RHYTHM_HOURS];
    get_all_within(in, mean, RHYTHM_HOURS, -MEAN_MAX, MEAN_MAX);
    get_all_within(in, dev, RHYTHM_HOURS, 0, DEV_MAX);
    get_all_within(in, n, RHYTHM_HOURS, 0, COUNT_MAX);
    for (int h = 0; h < RHYTHM_HOURS; h++)
        r->hours[h] = (struct rhythm_hour){mean[h], dev[h], n[h]};
    for (int d = 0; d < RHYTHM_DAYS; d++)
        r->days[d].shift = get_within(in, -SHIFT_MAX, SHIFT_MAX);
    for (int d = 0; d < RHYTHM_DAYS; d++)
        r->days[d].weeks = get_within(in, 0, COUNT_MAX);
    r->day = get_f64(in);
}

static void get_shapes(struct in *in, struct anomaly *a)
{
    a->n_shapes = get_count(in, ANOMALY_SHAPES);
    a->next_shape = get_count(in, UINT32_MAX);
    a->stride = get_count(in, UINT32_MAX / 2);
    for (uint32_t i = 0; i < a->n_shapes; i++)
        for (unsigned k = 0; k < ANOMALY_SHAPE; k += 2) {
            uint64_t both = get_u64(in);
            uint32_t bits[2] = {(uint32_t)both, (uint32_t)(both >> 32)};
            float two[2];
            memcpy(two, bits, sizeof(two));
            if (!(fabsf(two[0]) <= MEAN_MAX && fabsf(two[1]) <= MEAN_MAX))
                fault(in, "a shape is out of range");
            a->shapes[k][i] = two[0];
            a->shapes[k + 1][i] = two[1];
        }
}

static void get_anomaly(struct in *in, struct anomaly *a)
{
    get_rhythm(in, &a->rhythm);
    a->n = get_u64(in);
    a->last = get_f64(in);
    get_all_within(in, a->recent, ANOMALY_RECENT, -MEAN_MAX, MEAN_MAX);
    get_shapes(in, a);
    a->step_short = get_within(in, 0, STEP_MAX);
    a->step_long = get_within(in, 0, STEP_MAX);
    a->still = get_within(in, 0, COUNT_MAX);
    get_all_within(in, a->records[0], sizeof(a->records) / sizeof(double), 0, RECORD_MAX);
    a->rest_until = get_f64(in);
    a->rest_samples = get_f64(in);
    a->z = get_within(in, -CONSENSUS_MAX, CONSENSUS_MAX);
}

static void get_consensus(struct in *in, struct consensus *c)
{
    c->n = get_u64(in);
    c->first = get_f64(in);
    c->last = get_f64(in);
    c->mean = get_within(in, 0, CONSENSUS_MAX);
    c->var = get_within(in, 0, CONSENSUS_MAX * CONSENSUS_MAX);
    get_all_within(in, c->recent, CONSENSUS_RECENT, 0, COUNT_MAX);
}

static int get_gateways(struct in *in, struct health_board *b)
{
    uint64_t n = get_u64(in);
    for (uint64_t i = 0; i < n && !in->why; i++) {
        char name[NAME_LEN_MAX + 1];
        size_t gateway;
        get_name(in, name);
        double mark = get_any_f64(in);
        struct consensus consensus;
        get_consensus(in, &consensus);
        if (in->why)
            break;
        int r = board_gateway(b, name, &gateway);
        if (r < 0)
            return r;
        if (gateway != i)
            fault(in, "a gateway is there twice");
        b->gateways[gateway].mark = mark;
        b->gateways[gateway].consensus = consensus;
    }
    return 0;
}

static void get_one_series(struct in *in, struct board_series *s)
{
    get_signal(in, &s->signal);
    get_anomaly(in, &s->anomaly);
    s->counter = get_f64(in);
    s->counter_time = get_f64(in);
    s->counter_interval_s = get_f64(in);
    s->counted = get_count(in, 1);
    s->bursts = get_f64(in);
    s->ahead = get_count(in, UINT32_MAX);
    s->ahead_last = get_f64(in);
    s->in_round = get_count(in, 1);
    /* Only the rate of a counter may be without samples. */
    if (s->signal.n == UINT64_MAX || (s->signal.n == 0 && !s->counted))
        fault(in, "a metric has an impossible number of samples");
}

static int get_series(struct in *in, struct health_board *b)
{
    uint64_t n = get_u64(in);
    for (uint64_t i = 0; i < n && !in->why; i++) {
        char name[NAME_LEN_MAX + 1];
        struct board_series *s;
        uint64_t gateway = get_u64(in);
        get_name(in, name);
        if (!in->why && gateway >= b->gateway_names.n)
            fault(in, "a metric belongs to no gateway");
        if (in->why)
            break;
        int r = board_series(b, (size_t)gateway, name, &s);
        if (r < 0)
            return r;
        if (b->series_names.n != i + 1) {
            fault(in, "a metric is there twice");
            break;
        }
        get_one_series(in, s);
        b->gateways[gateway].n_in_round += s->in_round;
        s->changed = (1u << SIGNAL_LEVELS) - 1;
    }
    return 0;
}

/* Checks all that is in front of the payload; 0 with IN at it. */
static int open_payload(struct in *in)
{
    const unsigned char *p = take(in, sizeof(magic));
    if (!p || memcmp(p, magic, sizeof(magic)) != 0) {
        fault(in, "it is not a health state");
        return -EBADMSG;
    }
    if (get_u64(in) != VERSION && !in->why)
        return -EPROTONOSUPPORT;
    uint64_t len = get_u64(in);
    const unsigned char *digest = take(in, sizeof(struct hash128));
    if (!digest || len != in->len - in->at) {
        fault(in, "its length is not what it says");
        return -EBADMSG;
    }
    struct hash128 is = hash128(in->data + in->at, in->len - in->at);
    if (memcmp(is.bytes, digest, sizeof(is.bytes)) != 0) {
        fault(in, "its checksum does not match");
        return -EBADMSG;
    }
    return 0;
}

int health_board_load(struct health_board *b, const void *data, size_t len, const char **why)
{
    struct in in = {data, len, 0, NULL};
    int r = open_payload(&in);
    if (r == 0) {
        b->newest = get_f64(&in);
        b->model.fitted = get_count(&in, 1);
        b->model.bias = get_within(&in, -WEIGHT_MAX, WEIGHT_MAX);
        get_all_within(&in, b->model.weights, HEALTH_FEATURES, -WEIGHT_MAX, WEIGHT_MAX);
        r = get_gateways(&in, b);
    }
    if (r == 0 && !in.why)
        r = get_series(&in, b);
    if (r == 0 && !in.why && in.at != in.len)
        fault(&in, "something follows its end");
    if (r == 0 && in.why)
        r = -EBADMSG;
    *why = in.why ? in.why : "another version wrote it";
    return r;
}
