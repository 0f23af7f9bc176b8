/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads what board_save.c wrote.  Nothing is believed: not that it is whole, nor what is in it.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/parse.h"
#include "common/health/board_private.h"

/* Samples are at most 1e18; what is made of them by running means stays within these. */
#define MEAN_MAX      2e18
#define SHIFT_MAX     4e18
#define DEV_MAX       1e19
#define STEP_MAX      1e40
#define RECORD_MAX    1e30
#define COUNT_MAX     1e18
#define CONSENSUS_MAX 100.0
#define WEIGHT_MAX    1e6
#define SUM_MAX       1e28
#define LEVEL_MAX     200.0

/* ---- reading: the first fault sticks, and what is read after it is 0 ---- */

/* A piece of what comes; the digest is made on the way and compared at the end. */
struct in {
    const struct health_source *from;
    struct hash_stream *hash; /* of the payload */
    uint64_t version;         /* of what is read */
    uint64_t left;            /* of the payload, still to come */
    size_t len;               /* of the piece … */
    size_t at;                /* … and up to here it was taken */
    int error;                /* of the source */
    const char *why;          /* NULL: all well */
    unsigned char piece[65536];
};

static void fault(struct in *in, const char *why)
{
    if (!in->why)
        in->why = why;
}

/* Adds to the piece, of which nothing but the rest is kept; false at the end or after an error. */
static bool refill(struct in *in)
{
    memmove(in->piece, in->piece + in->at, in->len - in->at);
    in->len -= in->at;
    in->at = 0;
    size_t most = sizeof(in->piece) - in->len;
    most = most < in->left ? most : (size_t)in->left;
    if (in->error || most == 0)
        return false;
    ssize_t n = in->from->read(in->from->arg, in->piece + in->len, most);
    if (n <= 0) {
        in->error = (int)n;
        return false;
    }
    hash_stream_add(in->hash, in->piece + in->len, (size_t)n);
    in->len += (size_t)n;
    in->left -= (size_t)n;
    return true;
}

static const unsigned char *take(struct in *in, size_t len)
{
    assert(len <= sizeof(in->piece));
    while (!in->why && len > in->len - in->at)
        if (!refill(in))
            fault(in, "it ends too early");
    if (in->why)
        return NULL;
    in->at += len;
    return in->piece + in->at - len;
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
    if (a->n == UINT64_MAX)
        fault(in, "a metric has an impossible number of samples");
}

static void get_consensus(struct in *in, struct consensus *c)
{
    c->n = get_u64(in);
    c->first = get_f64(in);
    c->last = get_f64(in);
    c->mean = get_within(in, 0, CONSENSUS_MAX);
    c->var = get_within(in, 0, CONSENSUS_MAX * CONSENSUS_MAX);
    get_all_within(in, c->recent, CONSENSUS_RECENT, 0, COUNT_MAX);
    if (c->n == UINT64_MAX)
        fault(in, "a gateway has an impossible number of rounds");
}

static uint32_t get_u32(struct in *in)
{
    return get_count(in, UINT32_MAX);
}

static void get_load(struct in *in, struct excess_load *l)
{
    l->minute = get_u32(in);
    l->n = get_u32(in);
    l->sum = get_within(in, -SUM_MAX, SUM_MAX);
    l->minute_before = get_u32(in);
    l->mean_before = get_within(in, -MEAN_MAX, MEAN_MAX);
    if (l->n == UINT32_MAX)
        fault(in, "a load has an impossible number of samples");
}

static void get_slots(struct in *in, struct excess *e)
{
    for (unsigned i = 0; i < EXCESS_SLOTS; i++) {
        struct excess_slot *s = &e->slots[i];
        const uint64_t two[2] = {get_u64(in), get_u64(in)};
        const uint32_t v[4] = {(uint32_t)two[0], (uint32_t)(two[0] >> 32), (uint32_t)two[1],
                               (uint32_t)(two[1] >> 32)};
        s->minute = v[0];
        memcpy(&s->load, &v[1], sizeof(v) - sizeof(v[0]));
        if (!(s->load >= 0 && s->load <= MEAN_MAX && fabsf(s->level) <= LEVEL_MAX) ||
            fabsf(s->excess) > LEVEL_MAX)
            fault(in, "a minute is out of range");
    }
}

static void get_bins(struct in *in, struct excess *e)
{
    e->bin_width = get_within(in, 0, MEAN_MAX);
    e->beyond = get_u32(in);
    for (unsigned i = 0; i < EXCESS_BINS; i++) {
        e->bins[i].n = get_within(in, 0, COUNT_MAX);
        e->bins[i].load = get_within(in, 0, MEAN_MAX);
        e->bins[i].level = get_within(in, -LEVEL_MAX, LEVEL_MAX);
    }
    if (e->n_slots && !(e->bin_width > 0))
        fault(in, "loads have no range");
}

static void get_noise(struct in *in, struct excess_noise *n)
{
    n->n = get_within(in, 0, COUNT_MAX);
    n->dev = get_within(in, 0, LEVEL_MAX);
}

static void get_excess(struct in *in, struct excess *e)
{
    e->minute = get_u32(in);
    e->n = get_u32(in);
    e->sum = get_within(in, -SUM_MAX, SUM_MAX);
    e->n_slots = get_count(in, EXCESS_SLOTS);
    e->next = get_count(in, EXCESS_SLOTS - 1);
    get_slots(in, e);
    get_bins(in, e);
    get_noise(in, &e->minutes);
    for (unsigned k = 0; k < EXCESS_SCALES; k++)
        get_noise(in, &e->windows[k]);
    e->hour = get_u32(in);
    const unsigned char *hours = take(in, EXCESS_HOURS);
    if (hours)
        memcpy(e->hours, hours, EXCESS_HOURS);
    e->usual = get_within(in, -1, LEVEL_MAX);
    e->judged = get_u32(in);
    e->suspect_since = get_u32(in);
    e->learn_from = get_u32(in);
    e->settled = get_u32(in);
    e->sure = get_count(in, 1);
    e->strength = get_within(in, 0, RECORD_MAX);
    e->times = get_within(in, 0, RECORD_MAX);
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
        struct excess_load load = {0};
        get_consensus(in, &consensus);
        if (in->version >= BOARD_VERSION_LOAD)
            get_load(in, &load);
        if (in->why)
            break;
        int r = board_gateway(b, name, &gateway);
        if (r < 0)
            return r;
        if (gateway != i)
            fault(in, "a gateway is there twice");
        b->gateways[gateway].mark = mark;
        b->gateways[gateway].consensus = consensus;
        b->gateways[gateway].load = load;
    }
    return 0;
}

static int get_one_series(struct in *in, struct health_board *b, struct board_series *s)
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
    if (in->version < BOARD_VERSION_LOAD || !get_count(in, 1))
        return 0;
    if (board_excess(b, s) < 0)
        return -ENOMEM;
    get_excess(in, s->excess);
    return 0;
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
        r = get_one_series(in, b, s);
        if (r < 0)
            return r;
        b->gateways[gateway].n_in_round += s->in_round;
        s->changed = (1u << SIGNAL_LEVELS) - 1;
    }
    return 0;
}

/* LEN bytes, or fewer at the end, before the payload or behind it; their number or -errno. */
static ssize_t read_plain(struct in *in, unsigned char *out, size_t len)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = in->from->read(in->from->arg, out + got, len - got);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* What is in front of the payload; its digest in *DIGEST. */
static int read_head(struct in *in, struct hash128 *digest)
{
    unsigned char head[BOARD_HEAD_BYTES] = {0};
    uint64_t numbers[2];
    ssize_t n = read_plain(in, head, sizeof(head));
    if (n < 0)
        return (int)n;
    if (memcmp(head, BOARD_MAGIC, BOARD_MAGIC_BYTES) != 0) {
        fault(in, "it is not a health state");
        return -EBADMSG;
    }
    memcpy(numbers, head + BOARD_MAGIC_BYTES, sizeof(numbers));
    in->version = le64toh(numbers[0]);
    if (n >= BOARD_MAGIC_BYTES + 8 &&
        (in->version < BOARD_VERSION_OLDEST || in->version > BOARD_VERSION))
        return -EPROTONOSUPPORT;
    if (n < (ssize_t)sizeof(head)) {
        fault(in, "its length is not what it says");
        return -EBADMSG;
    }
    in->left = le64toh(numbers[1]);
    memcpy(digest->bytes, head + BOARD_MAGIC_BYTES + sizeof(numbers), sizeof(digest->bytes));
    return 0;
}

static int read_payload(struct in *in, struct health_board *b)
{
    b->newest = get_f64(in);
    b->model.fitted = get_count(in, 1);
    b->model.bias = get_within(in, -WEIGHT_MAX, WEIGHT_MAX);
    get_all_within(in, b->model.weights, HEALTH_FEATURES, -WEIGHT_MAX, WEIGHT_MAX);
    int r = get_gateways(in, b);
    if (r == 0 && !in->why)
        r = get_series(in, b);
    if (r == 0 && !in->why && (in->at != in->len || in->left))
        fault(in, "something follows its end");
    return r;
}

/* Reads what was not taken; what is wrong with all of it is said before what is wrong in it. */
static int check_whole(struct in *in, const struct hash128 *digest)
{
    do
        in->at = in->len;
    while (refill(in));
    unsigned char more;
    ssize_t n = in->error ? in->error : read_plain(in, &more, 1);
    if (n < 0)
        return (int)n;
    struct hash128 is = hash_stream_end(in->hash);
    bool whole = in->left == 0 && n == 0;
    if (whole && memcmp(is.bytes, digest->bytes, sizeof(is.bytes)) == 0)
        return 0;
    in->why = whole ? "its checksum does not match" : "its length is not what it says";
    return -EBADMSG;
}

int health_board_read(struct health_board *b, const struct health_source *from, const char **why)
{
    struct in in = {.from = from, .hash = hash_stream_new()};
    struct hash128 digest;
    if (!in.hash)
        return -ENOMEM;
    int r = read_head(&in, &digest);
    if (r == 0) {
        int content = read_payload(&in, b);
        r = check_whole(&in, &digest);
        if (r == 0)
            r = content ? content : in.why ? -EBADMSG : 0;
    }
    hash_stream_free(in.hash);
    *why = in.why ? in.why : "another version wrote it";
    return r;
}

/* Bytes in memory. */
struct span {
    const unsigned char *data;
    size_t len;
};

static ssize_t read_span(void *arg, void *data, size_t size)
{
    struct span *s = arg;
    size_t n = size < s->len ? size : s->len;
    memcpy(data, s->data, n);
    s->data += n;
    s->len -= n;
    return (ssize_t)n;
}

int health_board_load(struct health_board *b, const void *data, size_t len, const char **why)
{
    struct span s = {data, len};
    const struct health_source from = {read_span, &s};
    return health_board_read(b, &from, why);
}
