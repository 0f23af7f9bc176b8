/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What node_exporter says of a host, in the text format of Prometheus, and what two such answers
 * come to.  Knows no file, no network and no clock.
 */
#ifndef GS_GATEWAY_PROBE_NODETEXT_H
#define GS_GATEWAY_PROBE_NODETEXT_H

#include <stdbool.h>
#include <stddef.h>

enum { NODE_DISKS_MAX = 64, NODE_NAME_MAX = 32, NODE_METRICS_MAX = 8 };

/* Counters of a block device, in seconds and requests since it was there. */
struct node_disk {
    char name[NODE_NAME_MAX];
    double busy_s;
    double wait_s; /* of all requests together */
    double requests;
};

/* One answer; what it did not say is 0.  Further disks than fit are left out. */
struct node_sample {
    double time;
    double cpu_idle_s; /* of all processors together; waiting for a disk is idle */
    double cpu_all_s;
    double memory_bytes;
    double available_bytes;
    double segments_sent; /* of TCP */
    double segments_resent;
    double net_errors; /* errors and drops of all interfaces but lo */
    struct node_disk disks[NODE_DISKS_MAX];
    size_t n_disks;
    bool known; /* it said anything at all that is wanted here */
};

struct node_metric {
    const char *name; /* static */
    double value;
};

/* Reads TEXT, which is NUL-terminated, as of TIME; lines that are not understood are skipped. */
void node_parse(const char *text, double time, struct node_sample *out);

/*
 * The metrics of NOW, with the rates since BEFORE, into OUT; how many.  Without a BEFORE (not
 * known), or when a counter has fallen since, there are none that need it: the host was restarted.
 */
size_t node_metrics(const struct node_sample *before, const struct node_sample *now,
                    struct node_metric out[NODE_METRICS_MAX]);

#endif
