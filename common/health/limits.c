/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

/* A failed metric still counts for something, so that two gateways in trouble can be compared. */
#define SUBSCORE_FLOOR 0.05

int health_limits_add(struct health_limits *l, const char *metric, const char *group, double weight,
                      double warn, double critical, bool vital)
{
    if (!(weight > 0 && weight <= 1) || warn == critical)
        return -ERANGE;
    if (intern_find(&l->metrics, metric) >= 0)
        return -EEXIST;
    if (vec_room(&l->items, l->metrics.n, &l->cap, sizeof(*l->items)) < 0)
        return -ENOMEM;
    long g = intern_add(&l->groups, group);
    if (g < 0)
        return -ENOMEM;
    long id = intern_add(&l->metrics, metric);
    if (id < 0)
        return -ENOMEM;
    l->items[id] = (struct health_limit){
        l->metrics.names[id], (unsigned)g, weight, warn, critical, vital,
    };
    return 0;
}

int health_limits_builtin(struct health_limits *l)
{
    /* health-score(1) says where each number comes from. */
    static const struct {
        const char *metric, *group;
        double weight, warn, critical;
        bool vital;
    } table[] = {
        {"nbd_connect_us", "nbd", 1, 50000, 1000000, true},
        {"nbd_read_us", "nbd", 1, 10000, 50000, false},
        {"nbd_error_ratio", "nbd", 1, 0.01, 0.5, true},
        {"client_latency_us", "nbd", 1, 20000, 100000, false},
        {"client_error_ratio", "nbd", 1, 0.01, 0.5, false},
        {"disk_await_us", "disk", 0.8, 20000, 100000, false},
        {"disk_util", "disk", 0.3, 0.9, 1, false},
        {"disk_error_rate", "disk", 1, 0, 1, false},
        {"net_rtt_us", "network", 0.5, 5000, 100000, false},
        {"net_loss", "network", 0.8, 0.005, 0.05, false},
        {"cpu_busy", "cpu", 0.2, 0.85, 1, false},
        {"mem_used", "memory", 0.5, 0.9, 0.99, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int r = health_limits_add(l, table[i].metric, table[i].group, table[i].weight,
                                  table[i].warn, table[i].critical, table[i].vital);
        if (r < 0)
            return r;
    }
    return 0;
}

void health_limits_release(struct health_limits *l)
{
    intern_release(&l->metrics);
    intern_release(&l->groups);
    free(l->items);
    *l = (struct health_limits){0};
}

const struct health_limit *health_limits_find(const struct health_limits *l, const char *metric)
{
    long id = intern_find(&l->metrics, metric);
    return id < 0 ? NULL : &l->items[id];
}

double health_progress(const struct health_limit *l, double from, double value)
{
    bool high_is_bad = l->critical > l->warn;
    double way = high_is_bad ? l->critical - from : from - l->critical;
    double gone = high_is_bad ? value - from : from - value;
    if (gone <= 0)
        return 0;
    return gone >= way ? 1 : gone / way;
}

double health_subscore(const struct health_limit *l, double value)
{
    return 1 - (1 - SUBSCORE_FLOOR) * health_progress(l, l->warn, value);
}

bool health_name_ends(const char *metric, const char *tail)
{
    size_t n = strlen(metric);
    size_t m = strlen(tail);
    return n >= m && strcmp(metric + n - m, tail) == 0;
}
