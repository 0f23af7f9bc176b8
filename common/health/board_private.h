/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of a board: for board.c, board_save.c and board_load.c only. */
#ifndef GS_HEALTH_BOARD_PRIVATE_H
#define GS_HEALTH_BOARD_PRIVATE_H

#include "common/base/intern.h"
#include "common/health/anomaly.h"
#include "common/health/board.h"
#include "common/health/consensus.h"
#include "common/health/excess.h"
#include "common/health/pool.h"

/* In front of a saved board's payload: these bytes, a version, a length and a digest. */
#define BOARD_MAGIC "GSHEALTH"
enum { BOARD_MAGIC_BYTES = 8, BOARD_VERSION = 4, BOARD_HEAD_BYTES = BOARD_MAGIC_BYTES + 32 };
/* What is read, too; and from where on times are judged by load. */
enum { BOARD_VERSION_OLDEST = 3, BOARD_VERSION_LOAD = 4 };

/* One metric of one gateway. */
struct board_series {
    struct board_series *next;        /* of the same gateway */
    struct board_series *after;       /* a guess: who had a sample after this one; NULL: unknown */
    const char *metric;               /* borrowed from the board's names */
    const struct health_limit *limit; /* NULL: not scored */
    size_t gateway;
    size_t id;      /* index in the board's series */
    double counter; /* X_rate: the last value of X_total, if COUNTED */
    double counter_time;
    double counter_interval_s; /* between the last two; 0: unknown */
    bool counted;
    double bursts;     /* health_bursts_add() */
    unsigned ahead;    /* samples in a row that are suspiciously far ahead … */
    double ahead_last; /* … and the time of the last of them */
    bool in_round;     /* has a sample in its gateway's round */
    bool by_load;      /* is judged by load, if its gateway has one */
    unsigned changed;  /* levels whose trends are old */
    /* What each sample touches comes first in these, and little of the rest: expect_next(). */
    struct anomaly anomaly;
    struct signal signal;
    struct health_trends trends; /* of the signal: not saved */
    struct excess *excess;       /* in the pool; NULL: not judged by load */
} __attribute__((aligned(64)));

struct board_gateway {
    struct board_series *first;
    struct board_series *last;
    size_t n_series;
    size_t n_in_round;
    struct consensus consensus;
    struct board_series *load_series; /* what measures its load; NULL: nothing does */
    struct excess_load load;
    double mark;
};

struct health_board {
    const struct health_limits *limits;
    const struct health_rules *rules;
    struct intern gateway_names; /* id = index in gateways */
    struct board_gateway *gateways;
    size_t gateways_cap;
    size_t latest;                /* the gateway found last */
    struct board_series *found;   /* the series found last; NULL: none */
    struct intern series_names;   /* "gateway,metric"; id = index in series */
    struct board_series **series; /* in the pool */
    struct pool pool;
    struct pool excesses;
    size_t series_cap;
    double newest; /* time of the newest sample that did not lie ahead of the clock … */
    double ahead; /* … and of those that did; 0: none.  Saved is what health_board_newest() says */
    bool timely;  /* a sample since the board was made did not; not saved */
    double clock;       /* health_board_clock(); INFINITY: unknown */
    uint64_t n_behind;  /* not saved */
    uint64_t n_rewound; /* not saved */
    struct health_model model;
    struct health_input *inputs; /* room for the gateway with the most metrics */
    size_t inputs_cap;
};

/* Finds or makes.  0, -ENOMEM, or -ENOSPC: too many (rules.max_series). */
int board_gateway(struct health_board *b, const char *name, size_t *gateway);
int board_series(struct health_board *b, size_t gateway, const char *metric,
                 struct board_series **out);
/* S, which has none, gets what it needs to be judged by load.  0 or -ENOMEM. */
int board_excess(struct health_board *b, struct board_series *s);

#endif
