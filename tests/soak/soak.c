/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * soak: random requests of many clients through the director to gateways that fail, checked
 * against a model of what each read may return.
 *
 * One process and one thread: clients (libnbd's asynchronous calls), the faults, and the parent of
 * gateways and director.  Everything random comes from one seed, which is printed: the same seed
 * asks the same and lets the same fail at the same times, as far as scheduling allows.
 */
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "client.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/opts.h"
#include "faults.h"
#include "moves.h"
#include "procs.h"
#include "soak.h"

/* MARGIN: of volumes whose gateway takes any byte; odd, so that no unit is aligned. */
enum { MIB = 1 << 20, SMALL_BYTES = 6 * MIB, MARGIN = 1111, EVENTS_SHOWN = 60, DIRECTOR_ARGS = 32 };

enum {
    KEY_BIG = OPT_LONG,
    KEY_CONNS,
    KEY_DIRECT,
    KEY_EVERY,
    KEY_FAULTS,
    KEY_GATEWAYS,
    KEY_GHOST,
    KEY_HANG,
    KEY_KEEP,
    KEY_RETRY,
    KEY_SECONDS,
    KEY_SEED,
    KEY_TOLERATE,
};

static const struct argp_option options[] = {
    {"big", KEY_BIG, "SIZE", 0, "The first volume's size (default 40M)", 0},
    {"connections", KEY_CONNS, "N", 0, "Of each volume (default 3)", 0},
    {"direct", KEY_DIRECT, NULL, 0, "Without a director: the clients ask the gateways", 0},
    {"fault-every", KEY_EVERY, "DURATION", 0, "Mean time between two faults (default 3s)", 0},
    {"faults", KEY_FAULTS, "LIST", 0,
     "What goes wrong: kill, twice, stop (a gateway); away (longer than --retry-for); director, "
     "crash (director and gateway); client (closes), stall (of a client); freeze (SIGSTOP of the "
     "director); mover, halt, signal (kill -9, SIGSTOP, SIGINT of a migrate-exec); all or none "
     "(default: all but away)",
     0},
    {"gateways", KEY_GATEWAYS, "LIST", 0,
     "One a volume, or several with pluses, between which it is moved: cache (nbdkit that loses "
     "what is not flushed), file (nbdkit that does not), "
     "slow, qemu (which takes one connection), qemu-shared; to test the test also stale (reads), "
     "unsafe (flushes nothing), failing (errors) (default "
     "cache+cache+file,cache+cache,file+qemu-shared,qemu)",
     0},
    {"ghost-time", KEY_GHOST, "DURATION", 0,
     "Unanswered writes of a closed connection may be executed for so long (default 1s)", 0},
    {"hang-time", KEY_HANG, "DURATION", 0,
     "A request must be answered within this time (default 30s and --retry-for)", 0},
    {"keep", KEY_KEEP, NULL, 0, "Leave the folder with logs and volumes", 0},
    {"retry-for", KEY_RETRY, "DURATION", 0, "Of the director (default 20s)", 0},
    {"seconds", KEY_SECONDS, "DURATION", 0, "How long to ask (default 20s)", 0},
    {"seed", KEY_SEED, "N", 0, "Of everything random (default: the time)", 0},
    {"tolerate-cuts", KEY_TOLERATE, NULL, 0, "Count connections that are cut off, do not fail", 0},
    {0},
};

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct settings *s = st->input;
    switch (key) {
    case KEY_BIG:
        s->big_bytes = opts_size(st, "big", arg, MIB, 1u << 30);
        return 0;
    case KEY_CONNS:
        s->n_conns = (unsigned)opts_u64(st, "connections", arg, 1, CONNS_MAX);
        return 0;
    case KEY_DIRECT:
        s->direct = true;
        return 0;
    case KEY_EVERY:
        s->fault_every_s = opts_duration(st, "fault-every", arg, 0.01, 3600);
        return 0;
    case KEY_FAULTS:
        if (faults_parse(arg, &s->faults) < 0)
            argp_error(st, "--faults: unknown kind in '%s'", arg);
        return 0;
    case KEY_GATEWAYS:
        s->gateways = arg;
        return 0;
    case KEY_GHOST:
        s->ghost_s = opts_duration(st, "ghost-time", arg, 0, 3600);
        return 0;
    case KEY_HANG:
        s->hang_s = opts_duration(st, "hang-time", arg, 1, 3600);
        return 0;
    case KEY_KEEP:
        s->keep_dir = true;
        return 0;
    case KEY_RETRY:
        s->retry_for_s = opts_duration(st, "retry-for", arg, 0.1, 3600);
        return 0;
    case KEY_SECONDS:
        s->seconds = opts_duration(st, "seconds", arg, 0.1, 86400);
        return 0;
    case KEY_SEED:
        s->seed = opts_u64(st, "seed", arg, 0, UINT64_MAX / 2000);
        return 0;
    case KEY_TOLERATE:
        s->tolerate_cuts = true;
        return 0;
    case ARGP_KEY_ARGS:
        s->director_args = st->argv + st->next;
        if (st->argc - st->next > DIRECTOR_ARGS)
            argp_error(st, "too many arguments for the director");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the end ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void clean_up(struct world *w)
{
    moves_release(w);
    clients_release(w);
    procs_release(w);
    for (unsigned i = 0; i < w->n_volumes; i++)
        model_free(w->volumes[i].model);
    if (w->set.keep_dir)
        printf("soak: see %s\n", w->dir);
    else
        nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    trace_release(&w->trace);
    close(w->signal_fd);
}

static void summary(const struct world *w, const char *verdict)
{
    const struct counters *n = &w->count;
    printf("soak: %s: seed %" PRIu64 ", %.1f s, %" PRIu64 " requests, %" PRIu64 " MiB, %" PRIu64
           " errors that were due, %" PRIu64 " connections opened, %" PRIu64 " refused, %" PRIu64
           " cut off; faults:",
           verdict, w->set.seed, (double)(clock_mono_us() - w->begin_us) / 1e6, n->requests,
           n->bytes >> 20, n->errors, n->reconnects, n->refused, n->cuts);
    for (int f = 0; f < FAULT_KINDS; f++)
        printf(" %s %" PRIu64, fault_name((enum fault)f), n->faults[f]);
    printf(" aborted gateways %" PRIu64, n->aborts);
    moves_summary(w);
    putchar('\n');
}

/* The end of a process's log. */
static void show_log(const struct world *w, const char *name)
{
    char path[128], text[2000];
    snprintf(path, sizeof(path), "%s/%s.log", w->dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t n =
        pread(fd, text, sizeof(text), size > (off_t)sizeof(text) ? size - (off_t)sizeof(text) : 0);
    close(fd);
    if (n > 0)
        printf("the last words of %s:\n%.*s", name, (int)n, text);
}

void soak_note(struct world *w, const struct volume *v, const char *what)
{
    soak_note_of(w, v, what, NULL);
}

void soak_note_of(struct world *w, const struct volume *v, const char *what, const char *who)
{
    trace_add(&w->trace, (struct event){.at_us = clock_mono_us() - w->begin_us,
                                        .what = what,
                                        .who = who,
                                        .volume = v ? v->name : NULL});
}

void soak_fail(struct world *w, const struct volume *v, const struct finding *f,
               const struct model_read *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("soak: FAILED after %.3f s, seed %" PRIu64 ": ",
           (double)(clock_mono_us() - w->begin_us) / 1e6, w->set.seed);
    if (v)
        printf("%s (%s): ", v->name, v->kinds);
    vprintf(fmt, ap);
    va_end(ap);
    if (f && r)
        printf(": unit %" PRIu64 " (byte %" PRIu64 "): %s\n", f->unit, f->offset, f->what);
    else
        printf("%s%s\n", f ? ": " : "", f ? f->what : "");
    if (f && r)
        model_explain(v->model, r, f->unit, stdout);
    printf("the last events there:\n");
    trace_print(&w->trace, v ? v->name : NULL, f ? f->unit : UINT64_MAX, EVENTS_SHOWN, stdout);
    show_log(w, w->director.name);
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned g = 0; g < w->volumes[i].n_gateways; g++)
            if (!v || v == &w->volumes[i])
                show_log(w, w->volumes[i].gateways[g].proc.name);
    moves_explain(w, v);
    summary(w, "FAILED");
    clean_up(w);
    exit(EX_NO);
}

void soak_abort(struct world *w, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("soak: ");
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    clean_up(w);
    exit(status);
}

/* ---- the run ---- */

/* One round of the loop; NEW: faults may begin. */
static void round_of(struct world *w, bool new)
{
    enum { ROUND_MS = 10 };
    struct pollfd fds[VOLUMES_MAX * CONNS_MAX + 1];
    w->now_us = clock_mono_us();
    procs_tick(w);
    faults_tick(w, new);
    moves_tick(w, new);
    fds[0] = (struct pollfd){.fd = w->signal_fd, .events = POLLIN};
    size_t n = clients_poll(w, fds + 1, VOLUMES_MAX * CONNS_MAX);
    if (poll(fds, n + 1, ROUND_MS) < 0 && errno != EINTR)
        soak_abort(w, EX_OSERR, "poll: %s", err_text(errno));
    w->now_us = clock_mono_us();
    if (fds[0].revents)
        soak_abort(w, EX_TEMPFAIL, "interrupted, seed %" PRIu64, w->set.seed);
    clients_turn(w, fds + 1, n);
}

/* Runs PHASE until all is calm. */
static void calm_down(struct world *w, enum phase phase)
{
    w->phase = phase;
    do
        round_of(w, false);
    while (!clients_calm(w) || !procs_all_up(w) || !moves_calm(w));
}

/* Ends the director in order, and looks at what it left on the gateways' disks. */
static void check_files(struct world *w)
{
    clients_cut(w, NULL);
    int status = w->set.direct ? 0 : proc_end(&w->director, w->set.hang_s);
    if (status < 0)
        soak_fail(w, NULL, NULL, NULL, "the director does not end");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        soak_fail(w, NULL, NULL, NULL, "the director ended with wait status %#x", (unsigned)status);
    for (unsigned i = 0; i < w->n_volumes; i++) {
        struct volume *v = &w->volumes[i];
        char path[200];
        struct model_read r;
        struct finding f;
        moves_look(w, v);
        snprintf(path, sizeof(path), "%s/%s", v->gateways[v->owner].path, v->name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        unsigned char *data = malloc(v->size);
        if (fd < 0 || !data || pread(fd, data, v->size, 0) != (ssize_t)v->size)
            soak_abort(w, EX_IOERR, "cannot read '%s': %s", path, err_text(errno));
        model_read_asked(v->model, &r);
        if (!model_check(v->model, &r, 0, data, v->size, &f))
            soak_fail(w, v, &f, &r, "the gateway's file");
        model_read_over(v->model, &r);
        free(data);
        close(fd);
    }
}

static void run(struct world *w)
{
    uint64_t end_us = w->begin_us + (uint64_t)(w->set.seconds * 1e6);
    do
        round_of(w, true);
    while (w->now_us < end_us);
    calm_down(w, PHASE_CALM);
    clients_read_all(w);
    calm_down(w, PHASE_READ);
    clients_flush(w);
    calm_down(w, PHASE_READ);
    check_files(w);
}

/* ---- setting up ---- */

/* Signals come by a descriptor; children get the mask that there was. */
static int signals(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGINT);
    sigaddset(&s, SIGTERM);
    sigaddset(&s, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &s, NULL);
    return signalfd(-1, &s, SFD_CLOEXEC);
}

static bool keeps_history(const struct settings *s)
{
    return s->faults & (1u << FAULT_CRASH | 1u << FAULT_DIRECTOR) || strchr(s->gateways, '+');
}

static void make_volume(struct world *w, const char *kind, size_t len)
{
    unsigned i = w->n_volumes;
    struct volume *v = &w->volumes[i];
    if (i == VOLUMES_MAX)
        err_die(EX_USAGE, "--gateways: too many");
    v->w = w;
    snprintf(v->name, sizeof(v->name), "v-%u", i);
    snprintf(v->kinds, sizeof(v->kinds), "%.*s", (int)len, kind);
    for (const char *p = kind, *end = p; p < kind + len; p = end + 1) {
        end = p + strcspn(p, "+,");
        const struct gateway_kind *k = gateway_kind(p, (size_t)(end - p));
        if (!k || v->n_gateways == GATEWAYS_MAX)
            err_die(EX_USAGE, "--gateways: unknown kind, or too many: '%.*s'", (int)len, kind);
        v->aligned = v->aligned || k->aligned;
        v->gateways[v->n_gateways++].kind = k;
    }
    /*
     * Sizes and units that are no multiple of anything, where the gateway can serve them.  But a
     * gateway may mix overlapping writes within a unit; only a director keeps them apart.
     */
    bool odd = !v->aligned && !w->set.direct;
    v->size = (i ? SMALL_BYTES : w->set.big_bytes) + (odd ? 12345 : 0);
    v->model = model_new(i, v->size, odd ? MARGIN : 0, keeps_history(&w->set));
    if (!v->model)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    w->n_volumes++;
}

static void setup(struct world *w)
{
    for (const char *p = w->set.gateways, *end; p; p = *end ? end + 1 : NULL) {
        end = strchrnul(p, ',');
        make_volume(w, p, (size_t)(end - p));
    }
    w->signal_fd = signals();
    w->begin_us = w->now_us = clock_mono_us();
    /* A socket's path must be short: not below $TMPDIR. */
    snprintf(w->dir, sizeof(w->dir), "/tmp/soak.XXXXXX");
    if (w->signal_fd < 0 || trace_init(&w->trace) < 0 || !mkdtemp(w->dir))
        err_die(EX_CANTCREAT, "cannot begin: %s", err_text(errno));
    printf("soak: seed %" PRIu64 ", in %s\n", w->set.seed, w->dir);
    procs_setup(w);
    clients_setup(w);
    faults_setup(w);
    moves_setup(w);
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_opt,
        "[-- DIRECTOR-OPTION...]",
        "Ask at random through route-director, let gateways fail and volumes move, and check every "
        "answer.",
        NULL,
        NULL,
        NULL};
    struct settings set = {.seed = (uint64_t)clock_now(),
                           .seconds = 20,
                           .fault_every_s = 3,
                           .retry_for_s = 20,
                           .ghost_s = 1,
                           .n_conns = 3,
                           .faults = ((1u << FAULT_KINDS) - 1) & ~(1u << FAULT_AWAY),
                           .gateways = "cache+cache+file,cache+cache,file+qemu-shared,qemu",
                           .big_bytes = 40 * MIB,
                           .director_args = argv + argc};
    opts_parse(&argp, argc, argv, &set);
    if (set.hang_s <= 0)
        set.hang_s = 30 + set.retry_for_s;
    struct world *w = calloc(1, sizeof(*w));
    if (!w)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    w->set = set;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setup(w);
    run(w);
    summary(w, "ok");
    clean_up(w);
    free(w);
    return 0;
}
