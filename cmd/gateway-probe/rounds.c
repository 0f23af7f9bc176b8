/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/gateway-probe/rounds.h"

#include "cmd/gateway-probe/fetch.h"
#include "cmd/gateway-probe/nodetext.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/record/schema.h"

/* A gateway and where it stands on its schedule. */
struct gate {
    const char *name;
    struct nbd_probe *probe;
    uint64_t due_us; /* start of the probe under way, or of the next one */
    uint64_t done;   /* probes */
    bool running;
    long host; /* index in hosts; -1: none */
    int told;  /* the error last said on stderr, so that it is said once */
};

/* A host that is asked for its metrics whenever its gateway is probed. */
struct host {
    size_t gate;
    bool failing; /* that is said once, too */
    struct node_sample before;
};

struct rounds {
    const struct rounds_plan *plan;
    struct rec_writer *out;
    struct gate *gates;
    size_t n;
    size_t cap;
    struct fetcher *fetcher;
    struct host *hosts; /* by number of the fetch */
    size_t hosts_cap;
    size_t n_hosts;
    struct pollfd *polls; /* of the gates, then the signals', then the fetcher's */
    char error[128];
};

static int take_answer(void *arg, size_t number, const char *text, const char *error);

struct rounds *rounds_new(const struct rounds_plan *plan, struct rec_writer *out)
{
    struct rounds *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->plan = plan;
    r->out = out;
    r->fetcher = fetcher_new(plan->timeout_us, take_answer, r);
    if (!r->fetcher) {
        free(r);
        return NULL;
    }
    return r;
}

void rounds_free(struct rounds *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        nbd_probe_free(r->gates[i].probe);
    fetcher_free(r->fetcher);
    free(r->hosts);
    free(r->gates);
    free(r->polls);
    free(r);
}

const char *rounds_error(const struct rounds *r)
{
    return r->error;
}

static int failed(struct rounds *r, const char *what, int err)
{
    snprintf(r->error, sizeof(r->error), "%s: %s", what, err_text(err));
    return err < 0 ? err : -err;
}

/* -EIO, whatever the reason, so that it is told from a poll() that failed. */
static int output_failed(struct rounds *r, int err)
{
    failed(r, "write failed 'stdout'", err);
    return -EIO;
}

/* The last gate gets a host, to be asked at URL. */
static int add_host(struct rounds *r, const char *url)
{
    if (vec_room(&r->hosts, r->n_hosts, &r->hosts_cap, sizeof(*r->hosts)) < 0)
        return -ENOMEM;
    long number = fetcher_add(r->fetcher, url);
    if (number < 0)
        return -ENOMEM;
    memset(&r->hosts[r->n_hosts], 0, sizeof(*r->hosts));
    r->hosts[r->n_hosts++].gate = r->n - 1;
    r->gates[r->n - 1].host = number;
    return 0;
}

int rounds_add(struct rounds *r, const char *name, struct nbd_probe *p, const char *metrics)
{
    if (vec_room(&r->gates, r->n, &r->cap, sizeof(*r->gates)) < 0) {
        nbd_probe_free(p);
        return -ENOMEM;
    }
    r->gates[r->n] = (struct gate){.name = name, .probe = p, .host = -1};
    r->n++;
    return metrics[0] ? add_host(r, metrics) : 0;
}

static int put_metric(struct rounds *r, double time, const char *gateway, const char *metric,
                      double value)
{
    rec_put_real(r->out, METRIC_TIME, time);
    rec_put_text(r->out, METRIC_GATEWAY, gateway);
    rec_put_text(r->out, METRIC_METRIC, metric);
    rec_put_real(r->out, METRIC_VALUE, value);
    return rec_write(r->out);
}

/* Nothing is made up: what was not measured has no record. */
static int put_report(struct rounds *r, const struct gate *g)
{
    const struct nbd_probe_report *rep = nbd_probe_report(g->probe);
    double now = clock_now();
    double errors = 1;
    int e = 0;
    if (rep->connected) {
        errors = rep->reads ? (double)rep->failed / rep->reads : 0;
        e = put_metric(r, now, g->name, "nbd_connect_us", (double)rep->connect_us);
    }
    if (e == 0 && rep->reads > rep->failed)
        e = put_metric(r, now, g->name, "nbd_read_us", (double)rep->read_us);
    if (e == 0)
        e = put_metric(r, now, g->name, "nbd_error_ratio", errors);
    if (e == 0 && fflush(stdout) != 0)
        e = -errno;
    return e;
}

/* Says on stderr when a host can't be asked any more, and when it can again. */
static void tell_host(const struct rounds *r, struct host *h, const char *error)
{
    const char *name = r->gates[h->gate].name;
    if (error && !h->failing)
        err_warn("metrics of gateway '%s' failed: %s", name, error);
    else if (!error && h->failing)
        err_warn("metrics of gateway '%s' are there again", name);
    h->failing = error;
}

/* Of a fetch that ended (fetch_done): the host's metrics. */
static int take_answer(void *arg, size_t number, const char *text, const char *error)
{
    struct rounds *r = arg;
    struct host *h = &r->hosts[number];
    struct node_sample now = {0};
    struct node_metric metrics[NODE_METRICS_MAX];
    if (text)
        node_parse(text, clock_now(), &now);
    if (text && !now.known)
        error = "it has none of node_exporter's";
    tell_host(r, h, error);
    size_t n = error ? 0 : node_metrics(&h->before, &now, metrics);
    h->before = now;
    int e = 0;
    for (size_t i = 0; i < n && e == 0; i++)
        e = put_metric(r, now.time, r->gates[h->gate].name, metrics[i].name, metrics[i].value);
    if (e == 0 && fflush(stdout) != 0)
        e = -errno;
    return e < 0 ? output_failed(r, e) : 0;
}

/* Says on stderr when a gateway begins to fail, or fails differently, or is well again. */
static void tell(struct gate *g)
{
    int error = nbd_probe_report(g->probe)->error;
    if (error == g->told)
        return;
    g->told = error;
    if (error)
        err_warn("probe of gateway '%s' failed: %s", g->name, nbd_probe_error(g->probe));
    else
        err_warn("gateway '%s' answers again", g->name);
}

/* The first point of the schedule after NOW. */
static uint64_t next_due(const struct gate *g, uint64_t interval_us, uint64_t now)
{
    uint64_t missed = now > g->due_us ? (now - g->due_us) / interval_us : 0;
    return g->due_us + (missed + 1) * interval_us;
}

static int finish(struct rounds *r, struct gate *g)
{
    g->running = false;
    g->done++;
    g->due_us = next_due(g, r->plan->interval_us, clock_mono_us());
    tell(g);
    int e = put_report(r, g);
    return e < 0 ? output_failed(r, e) : 0;
}

static bool has_more(const struct rounds *r, const struct gate *g)
{
    return g->running || !r->plan->count || g->done < r->plan->count;
}

/* Starts what is due. */
static int start_due(struct rounds *r, uint64_t now)
{
    for (size_t i = 0; i < r->n; i++) {
        struct gate *g = &r->gates[i];
        if (g->running || !has_more(r, g) || g->due_us > now)
            continue;
        g->running = true;
        if (g->host >= 0)
            fetcher_begin(r->fetcher, (size_t)g->host);
        if (nbd_probe_begin(g->probe, now + r->plan->timeout_us)) {
            int e = finish(r, g);
            if (e < 0)
                return e;
        }
    }
    return 0;
}

/* Fills the poll table; the next moment at which something is to be done, or 0 if nothing is. */
static uint64_t prepare(struct rounds *r)
{
    uint64_t wake = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct gate *g = &r->gates[i];
        r->polls[i] = (struct pollfd){.fd = -1};
        if (!has_more(r, g))
            continue;
        if (g->running)
            r->polls[i] = nbd_probe_pollfd(g->probe);
        uint64_t at = g->running ? nbd_probe_deadline_us(g->probe) : g->due_us;
        if (wake == 0 || at < wake)
            wake = at;
    }
    r->polls[r->n + 1] = (struct pollfd){.fd = -1};
    if (fetcher_busy(r->fetcher)) {
        r->polls[r->n + 1] = fetcher_pollfd(r->fetcher);
        uint64_t at = fetcher_wake_us(r->fetcher);
        if (wake == 0 || at < wake)
            wake = at;
    }
    return wake;
}

static int wait_until(struct rounds *r, uint64_t wake)
{
    uint64_t now = clock_mono_us();
    uint64_t us = wake > now ? wake - now : 0;
    struct timespec left = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    if (ppoll(r->polls, r->n + 2, &left, NULL) < 0 && errno != EINTR)
        return failed(r, "poll failed", errno);
    return 0;
}

static int step_all(struct rounds *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct gate *g = &r->gates[i];
        if (g->running && nbd_probe_step(g->probe, r->polls[i].revents)) {
            int e = finish(r, g);
            if (e < 0)
                return e;
        }
    }
    return 0;
}

/* Until all is done or a signal is there to be read. */
static int loop(struct rounds *r)
{
    int e = 0;
    uint64_t wake;
    while (e == 0 && !r->polls[r->n].revents) {
        e = start_due(r, clock_mono_us());
        if (e < 0 || (wake = prepare(r)) == 0)
            break;
        e = wait_until(r, wake);
        if (e == 0)
            e = step_all(r);
        if (e == 0 && fetcher_busy(r->fetcher))
            e = fetcher_step(r->fetcher);
    }
    return e;
}

int rounds_run(struct rounds *r)
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    r->polls = calloc(r->n + 2, sizeof(*r->polls));
    if (!r->polls)
        return failed(r, "probing", ENOMEM);
    sigprocmask(SIG_BLOCK, &set, &old);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return failed(r, "signalfd failed", errno);
    r->polls[r->n] = (struct pollfd){.fd = fd, .events = POLLIN};
    uint64_t now = clock_mono_us();
    for (size_t i = 0; i < r->n; i++)
        r->gates[i].due_us = now;
    int e = rec_writer_header(r->out);
    e = e < 0 ? output_failed(r, e) : loop(r);
    /* A signal that ended us was only an order to stop: it is not delivered any more. */
    close(fd);
    return e;
}
