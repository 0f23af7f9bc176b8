/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * route-director: the NBD proxy on the clients' path, which knows who owns each volume.
 *
 * Event loops (epoll), each in a thread of its own with its own volumes, terminate the fixed
 * newstyle handshake towards clients, look the volume's owner up in the route store, negotiate with
 * it and forward requests and replies; a second leg, driven over the control socket, moves a volume
 * without the clients noticing (gateshift-safety(7)).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "accesslog.h"
#include "ask.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/opts.h"
#include "copyname.h"
#include "director.h"
#include "doors.h"
#include "leg.h"
#include "limits.h"
#include "service.h"
#include "worker.h"

enum { LISTEN_MAX = 16 };

struct opts {
    struct settings set;
    struct accesslog_opts log;
    const char *ask; /* a verb for the director that runs; NULL: be one */
    const char *volume;
    const char *listen[LISTEN_MAX];
    size_t n_listen;
    unsigned threads;
};

/* A listening socket. */
struct door {
    struct loop_fd io;
    struct loop_timer rest; /* while no descriptor is free */
    struct director *d;
    const char *spec;
    bool control;
};

enum {
    KEY_CONTROL = OPT_LONG,
    KEY_HANDSHAKE,
    KEY_CONNECT,
    KEY_LEG,
    KEY_PROMOTE,
    KEY_QUARANTINE,
    KEY_RETRY,
    KEY_REVERSE,
    KEY_INFLIGHT,
    KEY_INFLIGHT_BYTES,
    KEY_CONNS,
    KEY_REPLAY,
    KEY_SILENCE,
    KEY_PROXIED,
    KEY_THREADS,
    KEY_MAX_CLIENTS,
    KEY_LOG_SIZE,
    KEY_LOG_KEEP,
    KEY_SAMPLE,
    KEY_STATS,
    KEY_STATUS,
};

static const struct argp_option options[] = {
    {"access-log", 'a', "FILE", 0, "Append an access record for each request to FILE ('-': stdout)",
     0},
    {"access-log-keep", KEY_LOG_KEEP, "N", 0, "Keep the last N files moved aside (default all)", 0},
    {"access-log-size", KEY_LOG_SIZE, "SIZE", 0,
     "Move FILE aside when it has this size, and pack it with lz4 (default never)", 0},
    {"access-sample", KEY_SAMPLE, "1/N", 0,
     "Write one record of N, by chance, with N as its count (default all)", 0},
    {"connect-timeout", KEY_CONNECT, "DURATION", 0,
     "A gateway must have answered the handshake within this time (default 5s)", 0},
    {"control", KEY_CONTROL, "PATH", 0, "The control socket (default RUN/director.sock)", 0},
    {"gateway-connections", KEY_CONNS, "N", 0,
     "Connections to one gateway for a volume, at most (default 4)", 0},
    {"gateway-timeout", KEY_SILENCE, "DURATION", 0,
     "A gateway that owes answers and is silent for so long is connected to anew (default 30s)", 0},
    {"handshake-timeout", KEY_HANDSHAKE, "DURATION", 0,
     "A client must have asked for its volume within this time (default 10s)", 0},
    {"inflight", KEY_INFLIGHT, "N", 0, "Requests of one connection in flight (default 1024)", 0},
    {"inflight-bytes", KEY_INFLIGHT_BYTES, "SIZE", 0,
     "Their payload, in either direction (default 64M)", 0},
    {"leg-timeout", KEY_LEG, "DURATION", 0,
     "A move's target that is later than this with a mirrored write is dropped (default 1s)", 0},
    {"listen", 'l', "ADDRESS", 0, "Listen on unix:PATH or HOST:PORT; may be repeated", 0},
    {"max-clients", KEY_MAX_CLIENTS, "N", 0,
     "Client connections at a time, in all; further ones are closed (default 4096)", 0},
    {"promote-after", KEY_PROMOTE, "DURATION", 0,
     "A move's complete target, or a mirrored copy, takes the place of an owner that is dead "
     "for so long, or never (default 2s)",
     0},
    {"quarantine", KEY_QUARANTINE, "DURATION", 0,
     "Assume that a gateway is done with the writes of a dead connection after this time "
     "(default 30s)",
     0},
    {"proxied", KEY_PROXIED, NULL, 0,
     "Unix sockets lead to proxies: the end of who listens there tells nothing of a gateway", 0},
    {"replay-log", KEY_REPLAY, "SIZE", 0,
     "Memory for a volume's writes that are acknowledged and not flushed; 0: none (default 64M)",
     0},
    {"retry-for", KEY_RETRY, "DURATION", 0,
     "Requests wait so long for a gateway that went away, then fail (default 60s)", 0},
    {"reverse-timeout", KEY_REVERSE, "DURATION", 0,
     "A kept copy that is later than this with a write is mirrored no more (default 500ms)", 0},
    {"stats", KEY_STATS, 0, 0, "Print the metrics of the director that runs, as records", 0},
    {"status", KEY_STATUS, 0, 0, "Print what the director that runs is doing, a line a volume", 0},
    {"threads", KEY_THREADS, "N", 0, "Spread the volumes over N threads (default 1)", 0},
    {0},
};

static uint64_t duration_us(struct argp_state *st, const char *name, const char *arg)
{
    return (uint64_t)(opts_duration(st, name, arg, 0.001, 86400) * 1e6);
}

static uint64_t promote_us(struct argp_state *st, const char *arg)
{
    if (strcmp(arg, "never") == 0)
        return PROMOTE_NEVER;
    return (uint64_t)(opts_duration(st, "promote-after", arg, 0, 86400) * 1e6);
}

static uint64_t sample(struct argp_state *st, const char *arg)
{
    if (strncmp(arg, "1/", 2) != 0)
        argp_error(st, "access-sample: not 1/N: '%s'", arg);
    return opts_u64(st, "access-sample", arg + 2, 1, 1000000);
}

static void check(const struct opts *o, struct argp_state *st)
{
    bool file = o->log.path && strcmp(o->log.path, "-") != 0;
    if (o->volume && (!o->ask || parse_name(o->volume) < 0))
        argp_error(st, o->ask ? "not a volume's name: '%s'" : "takes no arguments: '%s'",
                   o->volume);
    if (!o->n_listen && !o->ask && !service_has_sockets())
        argp_error(st, "--listen is missing");
    if (o->log.size_bytes && !file)
        argp_error(st, "--access-log-size needs --access-log=FILE");
    if (o->log.keep && !o->log.size_bytes)
        argp_error(st, "--access-log-keep needs --access-log-size");
    if (o->log.sample && !o->log.path)
        argp_error(st, "--access-sample needs --access-log");
}

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->set.dirs;
        return 0;
    case 'a':
        o->log.path = arg;
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
    case KEY_PROMOTE:
        o->set.promote_us = promote_us(st, arg);
        return 0;
    case KEY_QUARANTINE:
        o->set.quarantine_us = (uint64_t)(opts_duration(st, "quarantine", arg, 0, 86400) * 1e6);
        return 0;
    case KEY_RETRY:
        o->set.retry_us = duration_us(st, "retry-for", arg);
        return 0;
    case KEY_REVERSE:
        o->set.reverse_us = duration_us(st, "reverse-timeout", arg);
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
    case KEY_REPLAY:
        o->set.replay_bytes = opts_size(st, "replay-log", arg, 0, UINT64_C(1) << 40);
        return 0;
    case KEY_PROXIED:
        o->set.proxied = true;
        return 0;
    case KEY_SILENCE:
        o->set.silence_us = duration_us(st, "gateway-timeout", arg);
        return 0;
    case KEY_MAX_CLIENTS:
        o->set.max_clients = opts_u64(st, "max-clients", arg, 1, 1 << 20);
        return 0;
    case KEY_LOG_SIZE:
        o->log.size_bytes = opts_size(st, "access-log-size", arg, 4096, 1ull << 40);
        return 0;
    case KEY_LOG_KEEP:
        o->log.keep = (unsigned)opts_u64(st, "access-log-keep", arg, 1, 1000000);
        return 0;
    case KEY_SAMPLE:
        o->log.sample = sample(st, arg);
        return 0;
    case KEY_STATS:
        o->ask = "stats";
        return 0;
    case KEY_STATUS:
        o->ask = "status";
        return 0;
    case KEY_THREADS:
        o->threads = (unsigned)opts_u64(st, "threads", arg, 1, WORKERS_MAX);
        return 0;
    case ARGP_KEY_ARG:
        if (o->volume)
            argp_error(st, "too many arguments: '%s'", arg);
        o->volume = arg;
        return 0;
    case ARGP_KEY_END:
        check(o, st);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- sockets ---- */

/* Is the control socket among those that were passed?  Then its path is the one that counts. */
static bool use_passed(struct opts *o, const struct service_socket *s, size_t n)
{
    size_t controls = 0;
    for (size_t i = 0; i < n; i++) {
        if (!s[i].control)
            continue;
        controls++;
        if (o->set.control_path && strcmp(o->set.control_path, s[i].path) != 0)
            err_die(EX_USAGE, "--control is '%s', the control socket that was passed is '%s'",
                    o->set.control_path, s[i].path);
        o->set.control_path = s[i].path;
    }
    if (!o->n_listen && n == controls)
        err_die(EX_USAGE, "--listen is missing, and no socket for clients was passed");
    return controls > 0;
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
    if (s->d->log)
        workers_reopen_log(s->d->workers);
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

/* Without a place for its locks and logs a director would run, and turn every client away. */
static void use_state(const char *state)
{
    int r = fsfile_mkdirs(state);
    if (r == 0 && faccessat(AT_FDCWD, state, W_OK | X_OK, AT_EACCESS) < 0)
        r = -errno;
    if (r < 0)
        err_die(EX_CANTCREAT, "cannot use state folder '%s': %s", state, err_text(r));
}

static void start(struct workers *w, const struct opts *o)
{
    struct accesslog *log = NULL;
    int r = 0;
    use_state(o->set.dirs.state);
    if (o->log.path && (r = accesslog_open(&o->log, &log)) < 0)
        err_die(EX_CANTCREAT, "cannot open access log '%s': %s", o->log.path, accesslog_error(r));
    r = workers_new(w, &o->set, o->threads, log);
    if (r < 0)
        err_die(EX_OSERR, "cannot start: %s", err_text(r));
    limits_open_files(&o->set);
}

static void stop(struct workers *w)
{
    /* Open moves are left as they are, as a killed director would leave them; the locks go with the
     * process. */
    struct accesslog *log = workers_director(w, 0)->log;
    workers_release(w);
    accesslog_close(log);
}

/* Where no such socket can be, gateways that need it are refused (S9); all else goes on. */
static void open_copy_door(struct doors *doors, struct director *d)
{
    struct buf spec = {0};
    char *path = copy_socket(d->set.control_path);
    if (!path || buf_printf(&spec, "unix:%s", path) < 0)
        err_die(EX_OSERR, "cannot start: %s", err_text(ENOMEM));
    int r = doors_try(doors, spec.data, DOOR_COPIERS);
    buf_release(&spec);
    if (r == 0) {
        d->workers->copy_path = path;
        return;
    }
    err_warn("gateways without multi-conn take part in no move: cannot listen on '%s': %s", path,
             err_text(r));
    free(path);
}

static struct doors *open_doors(struct director *d, const struct opts *o,
                                const struct service_socket *passed, size_t n_passed,
                                bool control_passed)
{
    struct buf spec = {0};
    struct doors *doors = doors_new(d);
    if (!doors || buf_printf(&spec, "unix:%s", o->set.control_path) < 0)
        err_die(EX_OSERR, "cannot start: %s", err_text(ENOMEM));
    for (size_t i = 0; i < o->n_listen; i++)
        doors_open(doors, o->listen[i], DOOR_CLIENTS);
    for (size_t i = 0; i < n_passed; i++)
        doors_adopt(doors, passed[i].fd, passed[i].control ? DOOR_CONTROL : DOOR_CLIENTS);
    if (!control_passed)
        doors_open(doors, spec.data, DOOR_CONTROL);
    open_copy_door(doors, d);
    buf_release(&spec);
    return doors;
}

int main(int argc, char **argv)
{
    const struct argp argp = {
        options,
        parse_opt,
        "--listen=ADDRESS\n--status [VOLUME]\n--stats [VOLUME]",
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
                             .promote_us = 2000000,
                             .retry_us = 60000000,
                             .reverse_us = 500000,
                             .silence_us = 30000000,
                             .replay_bytes = 64 << 20,
                             .inflight_max = 1024,
                             .inflight_bytes = 64 << 20,
                             .gateway_conns = 4,
                             .max_clients = 4096},
                     .threads = 1};
    struct workers workers;
    struct service_socket passed[LISTEN_MAX + 1];
    struct service service;
    struct signals signals;
    struct buf control = {0};
    opts_dirs_init(&o.set.dirs);
    opts_parse(&argp, argc, argv, &o);
    size_t n_passed = o.ask ? 0 : service_take_sockets(passed, LISTEN_MAX + 1);
    bool control_passed = !o.ask && use_passed(&o, passed, n_passed);
    service_init(&service);
    if (!o.set.control_path) {
        if (buf_printf(&control, "%s/director.sock", o.set.dirs.run) < 0)
            err_die(EX_OSERR, "%s", err_text(ENOMEM));
        o.set.control_path = control.data;
        int r = o.ask ? 0 : fsfile_mkdirs(o.set.dirs.run);
        if (r < 0)
            err_die(EX_CANTCREAT, "cannot create '%s': %s", o.set.dirs.run, err_text(r));
    }
    if (o.ask)
        exit(ask_director(o.set.control_path, o.ask, o.volume));
    start(&workers, &o);
    struct director *d = workers_director(&workers, 0);
    watch_signals(d, &signals);
    struct doors *doors = open_doors(d, &o, passed, n_passed, control_passed);
    service_ready(&service, d);
    int r = workers_run(&workers);
    service_stopping(&service);
    doors_free(doors);
    if (r == 0)
        workers_settle(&workers);
    stop(&workers);
    buf_release(&control);
    /*
     * Not by return: what open volumes and clients hold hangs on WORKERS, which a leak checker then
     * sees.
     */
    exit(r < 0 ? EX_OSERR : 0);
}
