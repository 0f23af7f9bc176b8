/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All gateways under watch: their metrics' signals, their scores, and the whole as bytes.  Knows
 * no file and no clock: time is that of the samples, or what the caller says.
 */
#ifndef GS_HEALTH_BOARD_H
#define GS_HEALTH_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "common/health/limits.h"
#include "common/health/score.h"
#include "common/health/signal.h"

struct health_rules {
    double horizon_s;      /* p_fail looks so far ahead */
    double silent_after_s; /* a metric without a sample for so long, or for three of its usual
                              intervals if that is longer, is silent */
    struct signal_damping damping;
    size_t max_series; /* metrics of all gateways together; more are refused */
    bool no_anomalies; /* nobody asks for a sample's anomaly score, now or after a save: it is 0 */
};

struct health_board;

/* LIMITS and RULES are stored and must outlive the board.  NULL: out of memory. */
struct health_board *health_board_new(const struct health_limits *limits,
                                      const struct health_rules *rules);
void health_board_free(struct health_board *b);

/*
 * Says that it is NOW by the machine's clock, after a load and then as often as NOW may be news: a
 * sample dated more than a minute later lies ahead.  It is taken, but does not say what the time
 * is if another does; and if one of its metric comes that does not lie ahead, what did is taken
 * back (rewind.h).  Without a clock, as at first, nothing lies ahead.
 */
void health_board_clock(struct health_board *b, double now);

/*
 * Takes a sample; late and duplicate ones change nothing, and of those that leap a day or more
 * ahead only the third in a row is believed, and impossible ones (doubt.h) are left out.
 * *GATEWAY, unless NULL, is the gateway's
 * index; *ANOMALY, unless NULL, the sample's anomaly score.  Names are valid (parse_name).  0,
 * -ENOMEM, or -ENOSPC: it would be one more than rules.max_series; nothing is added.
 *
 * A metric X_total is a counter that only grows: what is taken is its growth a second, as metric
 * X_rate.  After a reset it has grown by what it shows; its first sample, and one after a gap of
 * more than ten intervals, give no rate, and *ANOMALY is 0 then.
 */
int health_board_add(struct health_board *b, double time, const char *gateway, const char *metric,
                     double value, size_t *gateway_index, double *anomaly);

/* Gateways in order of first sight. */
size_t health_board_gateways(const struct health_board *b);
const char *health_board_gateway(const struct health_board *b, size_t gateway);

/*
 * The time of the newest sample of all, but for those that lie ahead of the clock while others
 * come, or came within an hour of it, that do not; 0 before the first.
 */
double health_board_newest(const struct health_board *b);

/* Samples, since the board was made, that were a day or more older than their metric's last. */
uint64_t health_board_behind(const struct health_board *b);

/* Samples, since the board was made, for which something that lay ahead was taken back. */
uint64_t health_board_rewound(const struct health_board *b);

/* The model that p_fail comes from, once it is fitted; until then it comes from the rules. */
struct health_model *health_board_model(struct health_board *b);

/* The score of GATEWAY, judged at time NOW.  0 or -ENOMEM. */
int health_board_score(struct health_board *b, size_t gateway, double now,
                       struct health_score *out);

/* A metric of a gateway, for whoever explains it.  Borrowed until the board changes. */
struct health_view {
    const char *metric;
    const struct health_limit *limit; /* NULL: none, then RISK is all 0 but for value and usual */
    const struct signal *signal;
    struct health_risk risk;
    double z; /* of the last sample: standard deviations off what its hour usually has */
    bool silent;
    bool doubtful; /* it has no say now (health_doubtful) */
};

/* Calls EACH, with ARG, for every metric of GATEWAY in order of first sight, judged at NOW. */
void health_board_views(struct health_board *b, size_t gateway, double now,
                        void (*each)(void *arg, const struct health_view *v), void *arg);

/*
 * A number kept with each gateway for the caller (health-score --stream: the score last told),
 * NaN at first.
 */
double *health_board_mark(struct health_board *b, size_t gateway);

/*
 * Takes LEN bytes for position AT, which is where those before end, or 0: once, at the end.  0 or
 * -errno.
 */
struct health_sink {
    int (*write)(void *arg, uint64_t at, const void *data, size_t len);
    void *arg;
};

/* Writes the board as bytes, with version and checksum.  0, -ENOMEM, or what the sink says. */
int health_board_write(const struct health_board *b, const struct health_sink *to);
/* The same, appended to OUT. */
int health_board_save(const struct health_board *b, struct buf *out);

/* Puts up to SIZE bytes, the next, into DATA: their number, 0 at the end, or -errno. */
struct health_source {
    ssize_t (*read)(void *arg, void *data, size_t size);
    void *arg;
};

/*
 * Fills the empty board B from bytes that health_board_write() made.  0; -EPROTONOSUPPORT: another
 * version; -EBADMSG: damaged, *WHY says where (static); -ENOSPC: more metrics than
 * rules.max_series; -ENOMEM; or what the source says.  After a failure B is only to be freed.
 */
int health_board_read(struct health_board *b, const struct health_source *from, const char **why);
/* The same, from LEN bytes DATA. */
int health_board_load(struct health_board *b, const void *data, size_t len, const char **why);

#endif
