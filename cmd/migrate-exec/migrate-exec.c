/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * migrate-exec: carries a plan out.
 *
 * Each row is a migration: redirect, replicate, hand over, retire (move.h), with a journal of its
 * own, so that a run that was killed is gone on with by --resume.  The director makes the commit;
 * this command copies, proves and asks for it (gateshift-safety(7): S1, S5-S8, S15).
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-exec/admit.h"
#include "cmd/migrate-exec/dryrun.h"
#include "cmd/migrate-exec/move.h"
#include "cmd/migrate-exec/recover.h"
#include "cmd/migrate-exec/signals.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/opts.h"

enum action { RUN_PLAN, DRY_RUN, STATUS, RESUME, COMMIT, ABORT };

struct opts {
    struct exec exec;
    enum action action;
    double max_age_s;
    bool wait;
    const char *arg; /* PLAN or ID; NULL if none */
};

enum {
    KEY_ABORT = OPT_LONG,
    KEY_ATTEMPTS,
    KEY_BWLIMIT,
    KEY_COMMIT,
    KEY_COMPARE,
    KEY_CONNECTIONS,
    KEY_CONTROL,
    KEY_DRY_RUN,
    KEY_HEAT,
    KEY_MAX_AGE,
    KEY_MAX_SLOWDOWN,
    KEY_ON_FAIL,
    KEY_OVERWRITE,
    KEY_QUARANTINE,
    KEY_RESUME,
    KEY_STATUS,
    KEY_VERIFY,
    KEY_WAIT,
    KEY_WINDOW,
};

static const struct argp_option options[] = {
    {"abort", KEY_ABORT, 0, 0, "End migration ID on the source; not after it has switched", 0},
    {"attempts", KEY_ATTEMPTS, "N", 0, "Holds to try before --on-fail (default 5)", 0},
    {"bwlimit", KEY_BWLIMIT, "RATE", 0,
     "Copy and prove at most RATE bytes a second (K, M, G; default: no limit); not in the hold", 0},
    {"commit", KEY_COMMIT, 0, 0, "Let the old copy of the switched migration ID go", 0},
    {"compare", KEY_COMPARE, "WHEN", 0,
     "Read the target too and send only what differs: auto (unless its export is new), always or "
     "never",
     0},
    {"connections", KEY_CONNECTIONS, "N", 0,
     "Copy over at most N connections to each gateway, 1 to 4 (default 4)", 0},
    {"control", KEY_CONTROL, "PATH", 0,
     "The director's control socket (default: the one that serves the volume, else "
     "RUN/director.sock)",
     0},
    {"dry-run", KEY_DRY_RUN, 0, 0, "Say what would be moved, and move nothing", 0},
    {"heat", KEY_HEAT, "FILE", 0,
     "Heat records: what they expect to be written within the hour is copied last", 0},
    {"max-age", KEY_MAX_AGE, "DURATION", 0, "Refuse rows older than this (default 1h)", 0},
    {"max-slowdown", KEY_MAX_SLOWDOWN, "PERCENT", 0,
     "Copy and prove slower while clients wait by more than PERCENT longer than before", 0},
    {"on-fail", KEY_ON_FAIL, "ACTION", 0,
     "When the attempts are used up: retry, defer or abort (default defer)", 0},
    {"overwrite", KEY_OVERWRITE, 0, 0,
     "Move also onto an export that the target has already and that no move of the volume left", 0},
    {"quarantine", KEY_QUARANTINE, "DURATION", 0,
     "Wait so long for the director's quarantine of unanswered writes (default 60s)", 0},
    {"resume", KEY_RESUME, 0, 0, "Go on with migration ID, or with all that have not ended", 0},
    {"status", KEY_STATUS, 0, 0, "Print the latest event of migration ID, or of each", 0},
    {"verify", KEY_VERIFY, "KIND", 0,
     "What must be proved equal before the switch: full, every block (default, the only kind)", 0},
    {"wait", KEY_WAIT, 0, 0, "Wait for the not_before of rows instead of leaving them", 0},
    {"window", KEY_WINDOW, "MS", 0, "The longest hold of an attempt, milliseconds (default 100)",
     0},
    {0},
};

/* ---- command line ---- */

static enum on_fail parse_on_fail(const struct argp_state *st, const char *arg)
{
    static const char *const words[] = {"retry", "defer", "abort"};
    for (int i = 0; i < 3; i++)
        if (strcmp(arg, words[i]) == 0)
            return (enum on_fail)i;
    argp_error(st, "on-fail is retry, defer or abort, not '%s'", arg);
    return ON_FAIL_DEFER;
}

static enum compare parse_compare(const struct argp_state *st, const char *arg)
{
    static const char *const words[] = {"auto", "always", "never"};
    for (int i = 0; i < 3; i++)
        if (strcmp(arg, words[i]) == 0)
            return (enum compare)i;
    argp_error(st, "compare is auto, always or never, not '%s'", arg);
    return COMPARE_AUTO;
}

static void set_action(const struct argp_state *st, struct opts *o, enum action a)
{
    if (o->action != RUN_PLAN)
        argp_error(st, "only one of --dry-run, --status, --resume, --commit and --abort");
    o->action = a;
}

static void check_usage(const struct argp_state *st, const struct opts *o)
{
    if ((o->action == COMMIT || o->action == ABORT) && !o->arg)
        argp_error(st, "the ID of a migration is missing");
    if (o->action > DRY_RUN && o->arg && parse_name(o->arg) < 0)
        argp_error(st, "not the ID of a migration: '%s'", o->arg);
}

static error_t parse_number(int key, const char *arg, const struct argp_state *st, struct opts *o)
{
    struct exec *x = &o->exec;
    switch (key) {
    case KEY_ATTEMPTS:
        x->attempts = (unsigned)opts_u64(st, "attempts", arg, 1, 1000);
        return 0;
    case KEY_BWLIMIT:
        x->bwlimit = opts_size(st, "bwlimit", arg, 4096, UINT64_C(1) << 50);
        return 0;
    case KEY_CONNECTIONS:
        x->connections = (unsigned)opts_u64(st, "connections", arg, 1, FLOW_CONNECTIONS);
        return 0;
    case KEY_MAX_AGE:
        o->max_age_s = opts_duration(st, "max-age", arg, 0, 1e9);
        return 0;
    case KEY_MAX_SLOWDOWN:
        x->max_slowdown = (unsigned)opts_u64(st, "max-slowdown", arg, 1, 100000);
        return 0;
    case KEY_QUARANTINE:
        x->quarantine_us = (uint64_t)(opts_duration(st, "quarantine", arg, 0, 86400) * 1e6);
        return 0;
    case KEY_WINDOW:
        x->window_ms = (unsigned)opts_u64(st, "window", arg, 1, 60000);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->exec.dirs;
        return 0;
    case KEY_ABORT:
        set_action(st, o, ABORT);
        return 0;
    case KEY_COMMIT:
        set_action(st, o, COMMIT);
        return 0;
    case KEY_COMPARE:
        o->exec.compare = parse_compare(st, arg);
        return 0;
    case KEY_CONTROL:
        o->exec.control = arg;
        return 0;
    case KEY_DRY_RUN:
        set_action(st, o, DRY_RUN);
        return 0;
    case KEY_HEAT:
        o->exec.heat = arg;
        return 0;
    case KEY_ON_FAIL:
        o->exec.on_fail = parse_on_fail(st, arg);
        return 0;
    case KEY_OVERWRITE:
        o->exec.overwrite = true;
        return 0;
    case KEY_RESUME:
        set_action(st, o, RESUME);
        return 0;
    case KEY_STATUS:
        set_action(st, o, STATUS);
        return 0;
    case KEY_VERIFY:
        if (strcmp(arg, "full") != 0)
            argp_error(st, "verify is full: nothing less is built yet");
        return 0;
    case KEY_WAIT:
        o->wait = true;
        return 0;
    case ARGP_KEY_ARG:
        if (st->arg_num > 0)
            argp_error(st, "too many arguments");
        o->arg = arg;
        return 0;
    case ARGP_KEY_END:
        check_usage(st, o);
        return 0;
    default:
        return parse_number(key, arg, st, o);
    }
}

/* "USER: COMMAND LINE", for the events. */
static char *describe_caller(int argc, char **argv)
{
    struct buf who = {0};
    const struct passwd *pw = getpwuid(getuid());
    int r = pw ? buf_printf(&who, "%s:", pw->pw_name)
               : buf_printf(&who, "uid %lu:", (unsigned long)getuid());
    for (int i = 0; r == 0 && i < argc; i++)
        r = buf_printf(&who, " %s", i ? argv[i] : program_invocation_short_name);
    if (r < 0)
        err_die(EX_OSERR, "cannot start: %s", err_text(r));
    for (char *p = who.data; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = '?';
    return who.data;
}

/* ---- a plan ---- */

static void read_row(const struct rec_reader *r, struct plan_row *row)
{
    *row = (struct plan_row){
        .time = rec_real(r, PLAN_TIME),
        .epoch = rec_uint(r, PLAN_EPOCH),
        .kind = rec_word(r, PLAN_KIND),
        .not_before = rec_real(r, PLAN_NOT_BEFORE),
    };
    snprintf(row->volume, sizeof(row->volume), "%s", rec_text(r, PLAN_VOLUME));
    snprintf(row->source, sizeof(row->source), "%s", rec_text(r, PLAN_SOURCE));
    snprintf(row->target, sizeof(row->target), "%s", rec_text(r, PLAN_TARGET));
    snprintf(row->reason, sizeof(row->reason), "%s", rec_text(r, PLAN_REASON));
}

/* Is starting forbidden by STATE/frozen?  Then says so, with the reason in the file. */
static bool frozen(const struct exec *x)
{
    struct buf path = {0};
    struct buf text = {0};
    bool is = false;
    if (buf_printf(&path, "%s/frozen", x->dirs.state) == 0 && access(path.data, F_OK) == 0) {
        is = true;
        int r = fsfile_read(path.data, 65536, &text);
        size_t len = text.len ? strcspn(text.data, "\n") : 0;
        err_warn("frozen by '%s': %.*s", path.data, (int)len,
                 len ? text.data : (r < 0 ? err_text(r) : "no reason given"));
    }
    buf_release(&text);
    buf_release(&path);
    return is;
}

/* Opens M's journal if it is a new one: 0, 1 (it has events, *LAST is the last), or -errno. */
static int open_new(struct move *m, struct event *last)
{
    const char *state = m->exec->dirs.state;
    int r = journal_last(state, m->id, last);
    if (r == 1 || (r < 0 && r != -ENOENT))
        return r;
    r = journal_open(state, m->id, true, &m->journal);
    if (r < 0)
        return r;
    r = journal_last(state, m->id, last); /* somebody may have been quicker with the lock */
    if (r != 0) {
        journal_close(m->journal);
        m->journal = NULL;
    }
    return r;
}

/* Opens the first journal of M's move that is not of an attempt that has ended. */
static enum outcome open_journal(struct move *m)
{
    for (unsigned n = 1;; n++) {
        struct event last = {.who = ""};
        int r = migration_id(m->volume, m->epoch + 1, n, m->id);
        if (r == 0)
            r = open_new(m, &last);
        if (r == 1 && event_is_final(last.event))
            continue;
        if (r == 1) {
            err_warn("migration '%s' is open (%s): migrate-exec --resume %s", m->id,
                     rec_event_words[last.event], m->id);
            return DEFERRED;
        }
        if (r == 0)
            return GO;
        if (r == -EAGAIN) {
            err_warn("migration '%s' is driven by another process", m->id);
            return DEFERRED;
        }
        err_warn("cannot open the journal of '%s': %s", *m->id ? m->id : m->volume, err_text(r));
        return FAILED;
    }
}

static enum outcome move_row(const struct opts *o, const struct plan_row *row,
                             const struct route *route)
{
    struct move m;
    move_init(&m, &o->exec);
    memcpy(m.volume, row->volume, sizeof(m.volume));
    memcpy(m.source, row->source, sizeof(m.source));
    memcpy(m.target, row->target, sizeof(m.target));
    memcpy(m.reason, row->reason, sizeof(m.reason));
    m.epoch = row->epoch;
    m.size_bytes = route->size_bytes;
    enum outcome out;
    if (o->action == DRY_RUN) {
        migration_id(m.volume, m.epoch + 1, 1, m.id);
        out = dry_run(&m);
    } else {
        out = open_journal(&m);
        if (out == GO)
            out = move_drive(&m, false);
    }
    move_release(&m);
    return out;
}

/* The row against the store as it is now. */
static enum admission admit_row(const struct opts *o, const struct plan_row *row, double max_age_s,
                                struct route *route, char *why, size_t size)
{
    int r = o->exec.store ? route_store_get(o->exec.store, row->volume, route) : 0;
    if (r < 0)
        err_die(EX_IOERR, "cannot read '%s': %s", route_store_path(o->exec.store),
                *route_store_error(o->exec.store) ? route_store_error(o->exec.store) : err_text(r));
    enum admission a = admit(row, r ? route : NULL, clock_now(), max_age_s, why, size);
    bool may = a == ADMIT_NOW || a == ADMIT_LATER;
    return may && admit_forbids(o->exec.fleet, row->volume, row->source, row->target, why, size)
               ? ADMIT_NEVER
               : a;
}

/* Sleeps until TIME; a signal ends the program, nothing is open. */
static void sleep_until(double time)
{
    for (double left; (left = time - clock_now()) > 0;)
        poll(NULL, 0, left > 1 ? 1000 : (int)(left * 1000) + 1);
}

static enum outcome carry_out(const struct opts *o, const struct plan_row *row)
{
    struct route route = {.epoch = 0};
    char why[256];
    enum admission a = admit_row(o, row, o->max_age_s, &route, why, sizeof(why));
    if (a == ADMIT_LATER && o->wait) {
        sleep_until(row->not_before);
        a = admit_row(o, row, INFINITY, &route, why, sizeof(why)); /* it aged while we waited */
    }
    if (a == ADMIT_SKIP) {
        err_warn("skipped '%s': %s", row->volume, why);
        return SETTLED;
    }
    if (a != ADMIT_NOW) {
        err_warn("%s '%s': %s", a == ADMIT_LATER ? "left" : "refused", row->volume, why);
        return a == ADMIT_LATER ? DEFERRED : FAILED;
    }
    if (o->action != DRY_RUN && frozen(&o->exec))
        return DEFERRED;
    signals_block();
    enum outcome out = move_row(o, row, &route);
    if (!signals_pending())
        signals_unblock();
    return out;
}

static int exit_status(enum outcome worst)
{
    switch (worst) {
    case DEFERRED:
        return EX_TEMPFAIL;
    case UNAVAILABLE:
        return EX_UNAVAILABLE;
    case FAILED:
        return EX_NO;
    case MANUAL:
        return EX_SOFTWARE;
    default:
        return EX_OK;
    }
}

static int run_plan(const struct opts *o)
{
    char *path = (char *)(uintptr_t)o->arg; /* the reader does not change it */
    struct rec_reader *r = rec_reader_new(&rec_plan);
    enum outcome worst = GO;
    int more = 0;
    if (!r)
        err_die(EX_OSERR, "cannot read the plan: %s", err_text(ENOMEM));
    rec_reader_files(r, &path, o->arg ? 1 : 0);
    rec_reader_tie(r, o->exec.out);
    while (!signals_pending() && (more = rec_reader_next(r)) > 0) {
        struct plan_row row;
        read_row(r, &row);
        enum outcome out = carry_out(o, &row);
        worst = out > worst ? out : worst;
    }
    int status = exit_status(worst);
    if (more < 0) {
        err_warn("%s", rec_reader_error(r));
        status = worst == MANUAL ? status : rec_reader_status(r);
    } else if (signals_pending() && worst < DEFERRED) {
        status = EX_TEMPFAIL; /* rows were left */
    }
    rec_reader_free(r);
    return status;
}

/* ---- wiring ---- */

static void load_fleet(struct opts *o, struct fleet *fleet)
{
    if (fleet_load(fleet, o->exec.dirs.config, FLEET_GATEWAYS | FLEET_VOLUMES) < 0)
        err_die(fleet->status, "%s", fleet->error);
    o->exec.fleet = fleet;
}

/* A folder mistyped must not look like one in which nothing is left to do. */
static void check_state(const struct exec *x)
{
    if (access(x->dirs.state, F_OK) < 0)
        err_die(EX_NOINPUT, "cannot open '%s': %s", x->dirs.state, err_text(errno));
}

static void check_heat(const struct exec *x)
{
    if (x->heat && access(x->heat, R_OK) < 0)
        err_die(EX_NOINPUT, "cannot open '%s': %s", x->heat, err_text(errno));
}

/* Without a store no volume has a route, and no migration was begun. */
static void open_store(struct exec *x)
{
    int r = route_store_open(x->dirs.state, false, &x->store);
    if (r < 0 && r != -ENOENT)
        err_die(EX_NOINPUT, "cannot open the routes in '%s': %s", x->dirs.state, err_text(r));
}

static int act(struct opts *o)
{
    struct exec *x = &o->exec;
    switch (o->action) {
    case STATUS:
        return exit_status(recover_status(x, o->arg));
    case RESUME:
        if (frozen(x))
            return EX_TEMPFAIL;
        return exit_status(o->arg ? recover_resume(x, o->arg) : recover_resume_all(x));
    case COMMIT:
        return exit_status(recover_commit(x, o->arg));
    case ABORT:
        return exit_status(recover_abort(x, o->arg));
    default:
        return run_plan(o);
    }
}

int main(int argc, char **argv)
{
    const struct argp_child children[] = {{&opts_dirs_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        options,
        parse_opt,
        "[PLAN]\n--status [ID]\n--resume [ID]\n--commit ID\n--abort ID",
        "Carry out the moves of a plan (default: standard input), printing event records; or "
        "look after migrations that were begun before.",
        children,
        NULL,
        NULL,
    };
    struct opts o = {
        .exec = {.window_ms = 100,
                 .attempts = 5,
                 .connections = FLOW_CONNECTIONS,
                 .on_fail = ON_FAIL_DEFER,
                 .quarantine_us = UINT64_C(60000000)},
        .max_age_s = 3600,
    };
    struct fleet fleet = {0};
    opts_dirs_init(&o.exec.dirs);
    opts_parse(&argp, argc, argv, &o);
    if (o.action > DRY_RUN)
        check_state(&o.exec);
    check_heat(&o.exec);
    char *who = describe_caller(argc, argv);
    o.exec.who = who;
    o.exec.out = rec_writer_new(&rec_event, stdout);
    if (!o.exec.out)
        err_die(EX_OSERR, "cannot start: %s", err_text(ENOMEM));
    signal(SIGPIPE, SIG_IGN); /* a reader that left must not kill a move in its hold */
    if (o.action != STATUS) {
        load_fleet(&o, &fleet);
        open_store(&o.exec);
    }
    rec_writer_header(o.exec.out);
    int status = act(&o);
    rec_writer_free(o.exec.out);
    route_store_close(o.exec.store);
    fleet_release(&fleet);
    free(who);
    return status;
}
