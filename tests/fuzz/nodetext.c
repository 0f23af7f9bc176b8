/* links: cmd/gateway-probe */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two answers of a node_exporter, any bytes, apart by a NUL.  Held to: what is read of them is
 * bounded and not negative; every metric is a finite number, a share where it is one, and there
 * once; and the same answer twice is a host at rest.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/gateway-probe/nodetext.h"
#include "fuzz.h"

static void check_counter(double v)
{
    require(isfinite(v) && v >= 0);
}

static void check_sample(const struct node_sample *s)
{
    const double counters[] = {s->cpu_idle_s,      s->cpu_all_s,     s->memory_bytes,
                               s->available_bytes, s->segments_sent, s->segments_resent,
                               s->net_errors};
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
        check_counter(counters[i]);
    require(s->n_disks <= NODE_DISKS_MAX);
    for (size_t i = 0; i < s->n_disks; i++) {
        const struct node_disk *d = &s->disks[i];
        require(memchr(d->name, 0, NODE_NAME_MAX) != NULL && d->name[0]);
        check_counter(d->busy_s);
        check_counter(d->wait_s);
        check_counter(d->requests);
        for (size_t k = 0; k < i; k++)
            require(strcmp(d->name, s->disks[k].name) != 0);
    }
}

static bool is_share(const char *name)
{
    static const char *const shares[] = {"mem_used", "cpu_busy", "disk_util", "net_loss"};
    for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++)
        if (strcmp(name, shares[i]) == 0)
            return true;
    return false;
}

static size_t check_metrics(const struct node_sample *before, const struct node_sample *now,
                            struct node_metric out[NODE_METRICS_MAX])
{
    size_t n = node_metrics(before, now, out);
    require(n <= NODE_METRICS_MAX);
    for (size_t i = 0; i < n; i++) {
        check_counter(out[i].value);
        require(out[i].value <= 1 || !is_share(out[i].name));
        for (size_t k = 0; k < i; k++)
            require(strcmp(out[i].name, out[k].name) != 0);
    }
    return n;
}

/* Nothing has been done between NOW and a later look that says the same. */
static void check_rest(const struct node_sample *now)
{
    struct node_metric m[NODE_METRICS_MAX];
    struct node_sample later = *now;
    later.time += 10;
    size_t n = check_metrics(now, &later, m);
    for (size_t i = 0; i < n; i++)
        require(strcmp(m[i].name, "mem_used") == 0 || !(m[i].value > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node_sample none = {0};
    struct node_sample first, second;
    struct node_metric m[NODE_METRICS_MAX];
    char *text = calloc(1, size + 2);
    require(text != NULL);
    if (size)
        memcpy(text, data, size);
    node_parse(text, 1000, &first);
    node_parse(text + strlen(text) + 1, 1010, &second);
    check_sample(&first);
    check_sample(&second);
    check_metrics(&none, &first, m);
    check_metrics(&first, &second, m);
    check_metrics(&second, &first, m);
    check_rest(&first);
    free(text);
    return 0;
}
