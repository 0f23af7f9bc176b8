/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * route-director: the NBD proxy on the clients' path, which knows who owns each volume.
 *
 * An event loop (epoll) terminates the fixed newstyle handshake towards clients, looks the volume's
 * owner up in the route store, negotiates with it and forwards requests and replies; a second leg,
 * driven over the control socket, moves a volume without the clients noticing
 * (gateshift-safety(7)).  With --threads there are several loops, and each volume has its own
 * (worker.h).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "accesslog.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/opts.h"
#include "director.h"
#include "doors.h"
#include "leg.h"
#include "worker.h"

enum { LISTEN_MAX = 16 };

struct opts {
    struct settings set;
    unsigned threads;
    const char *access_log;
    const char *listen[LISTEN_MAX];
    size_t n_listen;
};

enum {
    KEY_CONTROL = OPT_LONG,
    KEY_HANDSHAKE,
    KEY_CONNECT,
    KEY_LEG,
    KEY_QUARANTINE,
    KEY_RETRY,
    KEY_INFLIGHT,
    KEY_INFLIGHT_BYTES,
    KEY_CONNS,
    KEY_THREADS,
};

static const struct argp_option options[] = {
    {"access-log", 'a', "FILE", 0, "Append an access record for each request to FILE ('-': stdout)",
     0},
    {"connect-timeout", KEY_CONNECT, "DURATION", 0,
     "A gateway must have answered the handshake within this time (default 5s)", 0},
    {"control", KEY_CONTROL, "PATH", 0, "The control socket (default RUN/director.sock)", 0},
    {"gateway-connections", KEY_CONNS, "N", 0,
     "Connections to one gateway for a volume, at most (default 4)", 0},
    {"handshake-timeout", KEY_HANDSHAKE, "DURATION", 0,
     "A client must have asked for its volume within this time (default 10s)", 0},
    {"inflight", KEY_INFLIGHT, "N", 0, "Requests of one connection in flight (default 1024)", 0},
    {"inflight-bytes", KEY_INFLIGHT_BYTES, "SIZE", 0,
     "Their payload, in either direction (default 64M)", 0},
    {"leg-timeout", KEY_LEG, "DURATION", 0,
     "A move's target that is later than this with a mirrored write is dropped (default 1s)", 0},
    {"listen", 'l', "ADDRESS", 0, "Listen on unix:PATH or HOST:PORT; may be repeated", 0},
    {"quarantine", KEY_QUARANTINE, "DURATION", 0,
     "Assume that a gateway is done with the writes of a dead connection after this time "
     "(default 30s)",
     0},
    {"retry-for", KEY_RETRY, "DURATION", 0,
     "Held requests wait so long while a commit is in doubt, then fail (default 60s)", 0},
    {"threads", KEY_THREADS, "N", 0, "Spread the volumes over N threads (default 1)", 0},
    {0},
};

static uint64_t duration_us(struct argp_state *st, const char *name, const char *arg)
{
    return (uint64_t)(opts_duration(st, name, arg, 0.001, 86400) * 1e6);
}

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->set.dirs;
        return 0;
    case 'a':
        o->access_log = arg;
        return 0;
    case 'l':
        if (o->n_listen == LISTEN_MAX)
            argp_error(st, "--listen may be given %d times", LISTEN_MAX);
        o->listen[o->n_listen++] = arg;
        return 0;
    case KEY_CONTROL:
        o->set.control_path = arg;
        return 0;
    case KEY_HANDSHAKE:
        o->set.handshake_us = duration_us(st, "handshake-timeout", arg);
        return 0;
    case KEY_CONNECT:
        o->set.connect_us = duration_us(st, "connect-timeout", arg);
        return 0;
    case KEY_LEG:
        o->set.leg_us = duration_us(st, "leg-timeout", arg);
        return 0;
    case KEY_QUARANTINE:
        o->set.quarantine_us = (uint64_t)(opts_duration(st, "quarantine", arg, 0, 86400) * 1e6);
        return 0;
    case KEY_RETRY:
        o->set.retry_us = duration_us(st, "retry-for", arg);
        return 0;
    case KEY_INFLIGHT:
        o->set.inflight_max = opts_u64(st, "inflight", arg, 1, 65536);
        return 0;
    case KEY_INFLIGHT_BYTES:
        o->set.inflight_bytes = opts_size(st, "inflight-bytes", arg, 1 << 20, 1u << 30);
        return 0;
    case KEY_CONNS:
        o->set.gateway_conns = (unsigned)opts_u64(st, "gateway-connections", arg, 1, LEG_CONNS_MAX);
        return 0;
    case KEY_THREADS:
        o->threads = (unsigned)opts_u64(st, "threads", arg, 1, WORKERS_MAX);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(st, "takes no arguments: '%s'", arg);
        return 0;
    case ARGP_KEY_END:
        if (!o->n_listen)
            argp_error(st, "--listen is missing");
        if (o->access_log && o->threads > 1)
            argp_error(st, "--access-log cannot be used with several --threads");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- signals ---- */

struct signals {
    struct loop_fd io;
    struct director *d;
};

static void on_signal(struct loop_fd *io, uint32_t events)
{
    struct signals *s = (struct signals *)((char *)io - offsetof(struct signals, io));
    struct signalfd_siginfo info;
    (void)events;
    if (read(io->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo != SIGHUP) {
        loop_stop(s->d->loop);
        return;
    }
    int r = s->d->log ? accesslog_reopen(s->d->log) : 0;
    if (r < 0)
        err_warn("cannot reopen the access log: %s", err_text(r));
}

static void watch_signals(struct director *d, struct signals *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    *s = (struct signals){.d = d, .io.fd = -1};
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0 || loop_add(d->loop, &s->io, fd, EPOLLIN, on_signal) < 0)
        err_die(EX_OSERR, "cannot watch signals: %s", err_text(errno));
}

/* ---- main ---- */

static void start(struct workers *w, const struct opts *o)
{
    int r = fsfile_mkdirs(o->set.dirs.state);
    if (r < 0)
        err_die(EX_CANTCREAT, "cannot use state folder '%s': %s", o->set.dirs.state, err_text(r));
    r = workers_new(w, &o->set, o->threads);
    if (r < 0)
        err_die(EX_OSERR, "cannot start: %s", err_text(r));
    struct director *d = workers_director(w, 0);
    if (o->access_log && (r = accesslog_open(d, o->access_log, &d->log)) < 0)
        err_die(EX_CANTCREAT, "cannot open access log '%s': %s", o->access_log, err_text(r));
}

static void stop(struct workers *w)
{
    /* The volumes are left as they are: closing sockets is all that a gateway or client would see
     * of an orderly end, and the locks go with the process. */
    accesslog_close(workers_director(w, 0)->log);
    workers_release(w);
}

static struct doors *open_doors(struct director *d, const struct opts *o)
{
    struct buf spec = {0};
    struct doors *doors = doors_new(d);
    if (!doors || buf_printf(&spec, "unix:%s", o->set.control_path) < 0)
        err_die(EX_OSERR, "cannot start: %s", err_text(ENOMEM));
    for (size_t i = 0; i < o->n_listen; i++)
        doors_open(doors, o->listen[i], DOOR_CLIENTS);
    doors_open(doors, spec.data, DOOR_CONTROL);
    buf_release(&spec);
    return doors;
}

int main(int argc, char **argv)
{
    const struct argp argp = {
        options,
        parse_opt,
        NULL,
        "Stand between NBD clients and gateways: serve each volume from the gateway that owns it, "
        "and move it without the clients noticing.\vgateways.csv and volumes.csv are read from "
        "the configuration folder, routes from the state folder (route-set).",
        (const struct argp_child[]){{&opts_dirs_argp, 0, NULL, 0}, {0}},
        NULL,
        NULL,
    };
    struct opts o = {.set = {.handshake_us = 10000000,
                             .connect_us = 5000000,
                             .leg_us = 1000000,
                             .quarantine_us = 30000000,
                             .retry_us = 60000000,
                             .inflight_max = 1024,
                             .inflight_bytes = 64 << 20,
                             .gateway_conns = 4},
                     .threads = 1};
    struct workers workers;
    struct signals signals;
    struct buf control = {0};
    opts_dirs_init(&o.set.dirs);
    opts_parse(&argp, argc, argv, &o);
    if (!o.set.control_path) {
        if (buf_printf(&control, "%s/director.sock", o.set.dirs.run) < 0)
            err_die(EX_OSERR, "%s", err_text(ENOMEM));
        o.set.control_path = control.data;
        int r = fsfile_mkdirs(o.set.dirs.run);
        if (r < 0)
            err_die(EX_CANTCREAT, "cannot create '%s': %s", o.set.dirs.run, err_text(r));
    }
    start(&workers, &o);
    watch_signals(workers_director(&workers, 0), &signals);
    struct doors *doors = open_doors(workers_director(&workers, 0), &o);
    int r = workers_run(&workers);
    doors_free(doors);
    stop(&workers);
    buf_release(&control);
    /*
     * Not by return: what open volumes and clients hold hangs on WORKERS, which a leak checker then
     * sees.
     */
    exit(r < 0 ? EX_OSERR : 0);
}
