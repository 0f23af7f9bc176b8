/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gateway-probe: samples gateways over NBD; metric records out.
 *
 * Each gateway is connected to anew each time, as a client would: the time to connect, the time
 * of small reads, and the share of what failed.  All gateways are probed at once, in one thread
 * (rounds.h), so that none waits for another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/gateway-probe/rounds.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/opts.h"
#include "common/fleet/fleet.h"
#include "common/record/schema.h"

struct opts {
    struct opts_dirs dirs;
    const char *volume; /* NULL: the gateway's first */
    unsigned reads;
    struct rounds_plan plan;
    char **gateways;
    size_t n_gateways; /* 0: all */
};

enum { KEY_COUNT = OPT_LONG, KEY_INTERVAL, KEY_READS, KEY_TIMEOUT, KEY_VOLUME };

static const struct argp_option options[] = {
    {"count", KEY_COUNT, "N", 0, "Probe each gateway N times and end (default: go on)", 0},
    {"interval", KEY_INTERVAL, "DURATION", 0, "From probe to probe (default 10s)", 0},
    {"reads", KEY_READS, "N", 0, "Reads of 4 KiB a probe, 0 to 64 (default 3)", 0},
    {"timeout", KEY_TIMEOUT, "DURATION", 0, "For a whole probe (default 5s)", 0},
    {"volume", KEY_VOLUME, "NAME", 0, "Read this export (default: the first that is listed)", 0},
    {0},
};

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->dirs;
        return 0;
    case KEY_COUNT:
        o->plan.count = opts_u64(st, "count", arg, 1, UINT64_MAX);
        return 0;
    case KEY_INTERVAL:
        o->plan.interval_us = (uint64_t)(opts_duration(st, "interval", arg, 0.01, 86400) * 1e6);
        return 0;
    case KEY_READS:
        o->reads = (unsigned)opts_u64(st, "reads", arg, 0, NBD_PROBE_READS_MAX);
        return 0;
    case KEY_TIMEOUT:
        o->plan.timeout_us = (uint64_t)(opts_duration(st, "timeout", arg, 0.001, 3600) * 1e6);
        return 0;
    case KEY_VOLUME:
        o->volume = arg;
        return 0;
    case ARGP_KEY_ARGS:
        o->gateways = st->argv + st->next;
        o->n_gateways = (size_t)(st->argc - st->next);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Adds G to the rounds, unless it is known to be down. */
static void add_gateway(struct rounds *r, const struct opts *o, const struct fleet_gateway *g)
{
    struct nbd_addr addr;
    if (g->state == GATEWAY_STATE_DOWN)
        return;
    int e = nbd_addr_parse(g->uri, &addr);
    if (e < 0)
        err_die(EX_CONFIG, "cannot probe gateway '%s': its uri '%s' is not understood: %s", g->name,
                g->uri, err_text(e));
    /* The offsets read should differ from run to run; nothing else hangs on the seed. */
    uint64_t seed = clock_mono_us();
    struct nbd_probe *p = nbd_probe_new(&addr, o->volume, o->reads, seed);
    if (!p || rounds_add(r, g->name, p, g->metrics) < 0)
        err_die(EX_OSERR, "out of memory");
}

/* Whether the NTH of the gateways that were asked for is there before it, too. */
static bool is_repeated(const struct opts *o, size_t nth)
{
    for (size_t i = 0; i < nth; i++)
        if (strcmp(o->gateways[i], o->gateways[nth]) == 0)
            return true;
    return false;
}

static void add_gateways(struct rounds *r, const struct opts *o, const struct fleet *f)
{
    for (size_t i = 0; i < o->n_gateways; i++) {
        const struct fleet_gateway *g = fleet_gateway(f, o->gateways[i]);
        if (!g)
            err_die(EX_USAGE, "no gateway '%s' in '%s/gateways.csv'", o->gateways[i],
                    o->dirs.config);
        if (is_repeated(o, i))
            continue;
        if (g->state == GATEWAY_STATE_DOWN)
            err_warn("gateway '%s' is down by '%s/gateways.csv': not probed", g->name,
                     o->dirs.config);
        add_gateway(r, o, g);
    }
    for (size_t i = 0; o->n_gateways == 0 && i < f->gateway_names.n; i++)
        add_gateway(r, o, &f->gateways[i]);
}

int main(int argc, char **argv)
{
    struct opts o = {.reads = 3, .plan = {.interval_us = 10000000, .timeout_us = 5000000}};
    const struct argp_child children[] = {{&opts_dirs_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        options,        parse_opt,
        "[GATEWAY...]", "Sample gateways over NBD: time to connect, time of small reads, errors.",
        children,       NULL,
        NULL,
    };
    struct fleet fleet = {0};
    opts_dirs_init(&o.dirs);
    opts_parse(&argp, argc, argv, &o);
    if (fleet_load(&fleet, o.dirs.config, FLEET_GATEWAYS) < 0)
        err_die(fleet.status, "%s", fleet.error);

    struct rec_writer *out = rec_writer_new(&rec_metric, stdout);
    struct rounds *rounds = rounds_new(&o.plan, out);
    if (!out || !rounds)
        err_die(EX_OSERR, "out of memory");
    add_gateways(rounds, &o, &fleet);
    int r = rounds_run(rounds);
    if (r < 0)
        err_die(r == -EIO ? EX_IOERR : EX_OSERR, "%s", rounds_error(rounds));
    rounds_free(rounds);
    rec_writer_free(out);
    fleet_release(&fleet);
    return EX_OK;
}
