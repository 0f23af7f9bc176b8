/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * route-director: the NBD proxy on the clients' path, which knows who owns each volume.
 *
 * A single-threaded event loop (epoll) terminates the fixed newstyle handshake towards clients,
 * looks the volume's owner up in the route store, negotiates with it and forwards requests and
 * replies; a second leg, driven over the control socket, moves a volume without the clients
 * noticing (gateshift-safety(7)).
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "accesslog.h"
#include "admission.h"
#include "ask.h"
#include "client.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/opts.h"
#include "common/nbd/uri.h"
#include "control.h"
#include "director.h"
#include "leg.h"
#include "limits.h"
#include "quarantine.h"
#include "routewatch.h"
#include "service.h"
#include "storejobs.h"
#include "volume.h"

/* REST_US: between two looks at who wants in, while there is no descriptor for anybody. */
enum { LISTEN_MAX = 16, REST_US = 100000 };

struct opts {
    struct settings set;
    struct accesslog_opts log;
    const char *ask; /* a verb for the director that runs; NULL: be one */
    const char *volume;
    const char *listen[LISTEN_MAX];
    size_t n_listen;
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
    KEY_QUARANTINE,
    KEY_RETRY,
    KEY_INFLIGHT,
    KEY_INFLIGHT_BYTES,
    KEY_CONNS,
    KEY_REPLAY,
    KEY_SILENCE,
    KEY_PROXIED,
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
    {"stats", KEY_STATS, 0, 0, "Print the metrics of the director that runs, as records", 0},
    {"status", KEY_STATUS, 0, 0, "Print what the director that runs is doing, a line a volume", 0},
    {0},
};

static uint64_t duration_us(struct argp_state *st, const char *name, const char *arg)
{
    return (uint64_t)(opts_duration(st, name, arg, 0.001, 86400) * 1e6);
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

/* ---- doors ---- */

/* "uid:N" behind a unix socket, else the address. */
static void name_client(int fd, char *name, size_t size)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    struct ucred cred = {0};
    socklen_t clen = sizeof(cred);
    char text[INET6_ADDRSTRLEN] = "unknown";
    getpeername(fd, (struct sockaddr *)&a, &len);
    if (a.ss_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)&a)->sin_addr, text, sizeof(text));
    } else if (a.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&a)->sin6_addr, text, sizeof(text));
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &clen) == 0) {
        snprintf(name, size, "uid:%u", (unsigned)cred.uid);
        return;
    }
    snprintf(name, size, "%s", text);
}

/* Only root and the director's own user may steer it. */
static bool may_control(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
           (cred.uid == 0 || cred.uid == geteuid());
}

static void rested(struct loop_timer *t)
{
    struct door *door = (struct door *)((char *)t - offsetof(struct door, rest));
    loop_events(door->d->loop, &door->io, EPOLLIN);
}

/* Nobody can be let in now; who waits would wake the loop again and again. */
static void rest(struct door *door)
{
    struct loop *loop = door->d->loop;
    if (loop_timer_set(loop, &door->rest, loop_now_us(loop) + REST_US, rested) == 0)
        loop_events(loop, &door->io, 0);
}

static void on_knock(struct loop_fd *io, uint32_t events)
{
    struct door *door = (struct door *)((char *)io - offsetof(struct door, io));
    char name[64];
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            rest(door);
        return; /* or the client went away */
    }
    if (!door->control && !limits_take(door->d)) {
        close(fd);
    } else if (!door->control) {
        limits_socket(fd);
        name_client(fd, name, sizeof(name));
        client_new(door->d, fd, name);
    } else if (may_control(fd)) {
        control_new(door->d, fd);
    } else {
        err_warn("control connection of another user refused");
        close(fd);
    }
}

static void open_door(struct director *d, struct door *door, const char *spec, bool control)
{
    /* Clients may be anybody who reaches the socket; steering is the owner's. */
    mode_t mask = control ? umask(0177) : 0;
    int fd = nbd_listen(spec);
    if (control)
        umask(mask);
    *door = (struct door){.d = d, .spec = spec, .control = control, .io.fd = -1};
    int r = fd < 0 ? fd : loop_add(d->loop, &door->io, fd, EPOLLIN, on_knock);
    if (r < 0)
        err_die(r == -EINVAL ? EX_USAGE : EX_CANTCREAT, "cannot listen on '%s': %s", spec,
                err_text(r));
}

/* A socket that the service manager opened, and will want again: its path stays. */
static void adopt_door(struct director *d, struct door *door, const struct service_socket *s)
{
    *door = (struct door){.d = d, .spec = "passed", .control = s->control, .io.fd = -1};
    int r = loop_add(d->loop, &door->io, s->fd, EPOLLIN, on_knock);
    if (r < 0)
        err_die(EX_OSERR, "cannot listen on passed descriptor %d: %s", s->fd, err_text(r));
}

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

static void close_door(struct director *d, struct door *door)
{
    int fd = door->io.fd;
    loop_timer_cancel(d->loop, &door->rest);
    loop_del(d->loop, &door->io);
    close(fd);
    if (strncmp(door->spec, "unix:", 5) == 0)
        unlink(door->spec + 5);
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
    if (s->d->log) {
        accesslog_tap_flush(s->d->tap);
        accesslog_reopen(s->d->log);
    }
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

static void start(struct director *d, const struct opts *o)
{
    d->set = o->set;
    d->loop = loop_new();
    if (!d->loop)
        err_die(EX_OSERR, "cannot start: %s", err_text(errno));
    int r = fsfile_mkdirs(d->set.dirs.state);
    if (r == 0)
        r = storejobs_new(d->loop, d->set.dirs.state, &d->jobs);
    if (r < 0)
        err_die(EX_CANTCREAT, "cannot use state folder '%s': %s", d->set.dirs.state, err_text(r));
    d->admission = admission_new(d->set.dirs.config);
    if (!d->admission)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    limits_open_files(&d->set);
    r = routewatch_new(d, &d->watch);
    if (r < 0)
        err_warn("changes of the route store are seen by 'reload' only: %s", err_text(r));
    if (o->log.path && ((r = accesslog_open(&o->log, &d->log)) < 0 ||
                        (r = accesslog_tap_new(d->log, d->loop, &d->tap)) < 0))
        err_die(EX_CANTCREAT, "cannot open access log '%s': %s", o->log.path, accesslog_error(r));
}

/* SETTLE_US: the longest that an orderly end waits for gateways; POLL_US: between two looks. */
enum { SETTLE_US = 5000000, POLL_US = 5000 };

struct settling {
    struct loop_timer poll;
    struct director *d;
    uint64_t until_us;
};

static void settling(struct loop_timer *t)
{
    struct settling *s = (struct settling *)((char *)t - offsetof(struct settling, poll));
    struct loop *loop = s->d->loop;
    if (volumes_settled(s->d) || loop_now_us(loop) >= s->until_us)
        loop_stop(loop);
    else
        loop_timer_set(loop, t, loop_now_us(loop) + POLL_US, settling);
}

/* Clients go, and what they were told that is written is made durable. */
static void settle(struct director *d)
{
    struct settling s = {.d = d, .until_us = loop_now_us(d->loop) + SETTLE_US};
    volumes_settle(d);
    loop_timer_set(d->loop, &s.poll, loop_now_us(d->loop) + POLL_US, settling);
    loop_run(d->loop);
    loop_timer_cancel(d->loop, &s.poll);
    if (!volumes_settled(d))
        err_warn("ends with acknowledged writes that a gateway has not flushed");
}

static void stop(struct director *d)
{
    /* Open moves are left as they are, as a killed director would leave them; the locks go with the
     * process. */
    accesslog_tap_free(d->tap);
    accesslog_close(d->log);
    stats_release(&d->stats);
    quarantine_release(d);
    routewatch_free(d->watch);
    admission_free(d->admission);
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
                             .retry_us = 60000000,
                             .silence_us = 30000000,
                             .replay_bytes = 64 << 20,
                             .inflight_max = 1024,
                             .inflight_bytes = 64 << 20,
                             .gateway_conns = 4,
                             .max_clients = 4096}};
    struct director d = {0};
    struct service_socket passed[LISTEN_MAX + 1];
    struct door doors[LISTEN_MAX + 1 + LISTEN_MAX + 1];
    struct service service;
    struct signals signals;
    size_t n_doors = 0;
    struct buf control = {0}, spec = {0};
    opts_dirs_init(&o.set.dirs);
    opts_parse(&argp, argc, argv, &o);
    size_t n_passed = service_take_sockets(passed, LISTEN_MAX + 1);
    bool control_passed = use_passed(&o, passed, n_passed);
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
    start(&d, &o);
    watch_signals(&d, &signals);
    for (size_t i = 0; i < o.n_listen; i++)
        open_door(&d, &doors[n_doors++], o.listen[i], false);
    for (size_t i = 0; i < n_passed; i++)
        adopt_door(&d, &doors[n_doors++], &passed[i]);
    if (!control_passed) {
        buf_printf(&spec, "unix:%s", o.set.control_path);
        open_door(&d, &doors[n_doors++], spec.data, true);
    }
    service_ready(&service, &d);
    int r = loop_run(d.loop);
    service_stopping(&service);
    for (size_t i = 0; i < n_doors; i++)
        close_door(&d, &doors[i]);
    if (r == 0)
        settle(&d);
    stop(&d);
    buf_release(&control);
    buf_release(&spec);
    /*
     * Not by return: what open volumes and clients hold hangs on D, which a leak checker then sees.
     */
    exit(r < 0 ? EX_OSERR : 0);
}
