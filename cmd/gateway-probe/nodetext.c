/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/gateway-probe/nodetext.h"

#include <math.h>
#include <string.h>

#include "common/base/parse.h"

/* Nothing real is larger; sums of what is smaller stay finite. */
#define VALUE_MAX 1e18

/* One line, taken apart: "name{labels} value". */
struct line {
    const char *name;
    size_t name_len;
    const char *labels;
    size_t labels_len;
    double value;
};

/* The number after the blanks at S; a time may follow it. */
static bool take_number(const char *s, const char *end, double *out)
{
    char text[64];
    while (s < end && *s == ' ')
        s++;
    size_t n = 0;
    while (s + n < end && s[n] != ' ' && s[n] != '\r' && n + 1 < sizeof(text))
        n++;
    memcpy(text, s, n);
    text[n] = 0;
    return parse_f64(text, out) == 0 && *out >= 0 && *out <= VALUE_MAX;
}

static bool split_line(const char *s, size_t len, struct line *out)
{
    const char *end = s + len;
    size_t n = 0;
    while (n < len && s[n] != '{' && s[n] != ' ')
        n++;
    if (n == 0 || n == len || s[0] == '#')
        return false;
    *out = (struct line){.name = s, .name_len = n, .labels = s + n};
    if (s[n] == '{') {
        /* A value in quotes may hold a brace: the last one ends the labels. */
        const char *close = memrchr(s, '}', len);
        if (!close)
            return false;
        out->labels_len = (size_t)(close - out->labels);
        s = close + 1;
    } else {
        s += n;
    }
    return take_number(s, end, &out->value);
}

static bool is(const struct line *l, const char *name)
{
    return strlen(name) == l->name_len && memcmp(l->name, name, l->name_len) == 0;
}

/* The value of LABEL, without quotes, in OUT; "" if there is none. */
static void label(const struct line *l, const char *name, char out[NODE_NAME_MAX])
{
    size_t len = strlen(name);
    const char *end = l->labels + l->labels_len;
    out[0] = 0;
    for (const char *p = l->labels; p + len + 2 < end; p++) {
        if ((*p != '{' && *p != ',') || memcmp(p + 1, name, len) != 0 ||
            memcmp(p + 1 + len, "=\"", 2) != 0)
            continue;
        p += len + 3;
        size_t n = 0;
        while (p + n < end && p[n] != '"' && n + 1 < NODE_NAME_MAX)
            n++;
        memcpy(out, p, n);
        out[n] = 0;
        return;
    }
}

/* The disk that L is about, made if need be; NULL: none, or not one that counts. */
static struct node_disk *disk_of(struct node_sample *s, const struct line *l)
{
    char name[NODE_NAME_MAX];
    label(l, "device", name);
    if (!name[0] || strncmp(name, "loop", 4) == 0 || strncmp(name, "ram", 3) == 0 ||
        strncmp(name, "zram", 4) == 0)
        return NULL;
    for (size_t i = 0; i < s->n_disks; i++)
        if (strcmp(s->disks[i].name, name) == 0)
            return &s->disks[i];
    if (s->n_disks == NODE_DISKS_MAX)
        return NULL;
    struct node_disk *d = &s->disks[s->n_disks++];
    memset(d, 0, sizeof(*d));
    memcpy(d->name, name, sizeof(name));
    return d;
}

static void take_disk(struct node_sample *s, const struct line *l)
{
    static const char prefix[] = "node_disk_";
    if (l->name_len < sizeof(prefix) || memcmp(l->name, prefix, sizeof(prefix) - 1) != 0)
        return;
    bool busy = is(l, "node_disk_io_time_seconds_total");
    bool wait =
        is(l, "node_disk_read_time_seconds_total") || is(l, "node_disk_write_time_seconds_total");
    bool requests =
        is(l, "node_disk_reads_completed_total") || is(l, "node_disk_writes_completed_total");
    struct node_disk *d = busy || wait || requests ? disk_of(s, l) : NULL;
    if (!d)
        return;
    s->known = true;
    d->busy_s += busy ? l->value : 0;
    d->wait_s += wait ? l->value : 0;
    d->requests += requests ? l->value : 0;
}

static void take_net(struct node_sample *s, const struct line *l)
{
    char device[NODE_NAME_MAX];
    if (!is(l, "node_network_receive_errs_total") && !is(l, "node_network_transmit_errs_total") &&
        !is(l, "node_network_receive_drop_total") && !is(l, "node_network_transmit_drop_total"))
        return;
    label(l, "device", device);
    if (strcmp(device, "lo") == 0)
        return;
    s->net_errors += l->value;
    s->known = true;
}

static void take_line(struct node_sample *s, const struct line *l)
{
    char mode[NODE_NAME_MAX];
    struct {
        const char *name;
        double *to;
    } plain[] = {
        {"node_memory_MemTotal_bytes", &s->memory_bytes},
        {"node_memory_MemAvailable_bytes", &s->available_bytes},
        {"node_netstat_Tcp_OutSegs", &s->segments_sent},
        {"node_netstat_Tcp_RetransSegs", &s->segments_resent},
    };
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        if (is(l, plain[i].name)) {
            *plain[i].to = l->value;
            s->known = true;
        }
    if (is(l, "node_cpu_seconds_total")) {
        label(l, "mode", mode);
        s->cpu_all_s += l->value;
        if (strcmp(mode, "idle") == 0 || strcmp(mode, "iowait") == 0)
            s->cpu_idle_s += l->value;
        s->known = true;
    }
    take_disk(s, l);
    take_net(s, l);
}

void node_parse(const char *text, double time, struct node_sample *out)
{
    memset(out, 0, sizeof(*out));
    out->time = time;
    while (*text) {
        struct line l;
        size_t len = strcspn(text, "\n");
        if (split_line(text, len, &l))
            take_line(out, &l);
        text += len + (text[len] == '\n');
    }
}

static const struct node_disk *disk_named(const struct node_sample *s, const char *name)
{
    for (size_t i = 0; i < s->n_disks; i++)
        if (strcmp(s->disks[i].name, name) == 0)
            return &s->disks[i];
    return NULL;
}

static bool was_restarted(const struct node_sample *before, const struct node_sample *now)
{
    return now->cpu_all_s < before->cpu_all_s || now->segments_sent < before->segments_sent;
}

/* The worst disk's utilisation and time a request; false: no disk is in both. */
static bool worst_disk(const struct node_sample *before, const struct node_sample *now,
                       double *util, double *await_us)
{
    bool any = false;
    *util = 0;
    *await_us = 0;
    for (size_t i = 0; i < now->n_disks; i++) {
        const struct node_disk *d = &now->disks[i];
        const struct node_disk *old = disk_named(before, d->name);
        if (!old || d->busy_s < old->busy_s || d->requests < old->requests)
            continue;
        any = true;
        *util = fmax(*util, (d->busy_s - old->busy_s) / (now->time - before->time));
        if (d->requests > old->requests)
            *await_us =
                fmax(*await_us, (d->wait_s - old->wait_s) / (d->requests - old->requests) * 1e6);
    }
    *util = fmin(*util, 1);
    return any;
}

size_t node_metrics(const struct node_sample *before, const struct node_sample *now,
                    struct node_metric out[NODE_METRICS_MAX])
{
    size_t n = 0;
    double util, await_us;
    if (now->memory_bytes > 0 && now->available_bytes <= now->memory_bytes)
        out[n++] = (struct node_metric){"mem_used", 1 - now->available_bytes / now->memory_bytes};
    if (!before->known || now->time <= before->time || was_restarted(before, now))
        return n;
    double cpu_s = now->cpu_all_s - before->cpu_all_s;
    double idle_s = now->cpu_idle_s - before->cpu_idle_s;
    if (cpu_s > 0)
        out[n++] = (struct node_metric){"cpu_busy", fmin(fmax(1 - idle_s / cpu_s, 0), 1)};
    if (worst_disk(before, now, &util, &await_us)) {
        out[n++] = (struct node_metric){"disk_util", util};
        out[n++] = (struct node_metric){"disk_await_us", await_us};
    }
    double sent = now->segments_sent - before->segments_sent;
    double resent = now->segments_resent - before->segments_resent;
    if (sent > 0 && resent >= 0)
        out[n++] = (struct node_metric){"net_loss", fmin(resent / sent, 1)};
    if (now->net_errors >= before->net_errors)
        out[n++] = (struct node_metric){"net_error_rate", (now->net_errors - before->net_errors) /
                                                              (now->time - before->time)};
    return n;
}
