/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * migrate-exec: carries a plan out.
 *
 * Each row is a migration: redirect, replicate, hand over, retire (move.h), with a journal of its
 * own, so that a run that was killed is gone on with by --resume.  The director makes the commit;
 * this command copies, proves and asks for it (gateshift-safety(7): S1, S5-S8, S15).
 */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-exec/check.h"
#include "cmd/migrate-exec/jobs.h"
#include "cmd/migrate-exec/missing.h"
#include "cmd/migrate-exec/modify.h"
#include "cmd/migrate-exec/move.h"
#include "cmd/migrate-exec/recover.h"
#include "cmd/migrate-exec/rows.h"
#include "cmd/migrate-exec/silence.h"
#include "cmd/migrate-exec/status.h"
#include "common/base/error.h"
#include "common/base/opts.h"

enum action {
    RUN_PLAN,
    DRY_RUN,
    CHECK,
    MISSING,
    STATUS,
    RESUME,
    EXPIRE,
    COMMIT,
    CUTOVER,
    MODIFY,
    ABORT,
    REVERT
};

struct opts {
    struct exec exec;
    enum action action;
    unsigned given;    /* MODIFY_… */
    const char *arg;   /* PLAN or ID; NULL if none */
    char *const *args; /* of --check: PLANs and VOLUMEs */
    size_t n_args;
};

enum {
    KEY_ABORT = OPT_LONG,
    KEY_ARCHIVE,
    KEY_ATTEMPTS,
    KEY_BWLIMIT,
    KEY_CHECK,
    KEY_COMMIT,
    KEY_COMPARE,
    KEY_CONNECTIONS,
    KEY_CONTROL,
    KEY_CUTOVER,
    KEY_DRY_RUN,
    KEY_EXPIRE,
    KEY_FENCE_WINDOW,
    KEY_FORCE,
    KEY_HEAT,
    KEY_HOOK_TIMEOUT,
    KEY_IO_TIMEOUT,
    KEY_JOBS,
    KEY_KEEP_MIRRORED,
    KEY_MAX_AGE,
    KEY_MAX_SLOWDOWN,
    KEY_MISSING,
    KEY_MODIFY,
    KEY_ON_FAIL,
    KEY_OVERWRITE,
    KEY_PER_GATEWAY,
    KEY_QUARANTINE,
    KEY_REMOVE,
    KEY_RESUME,
    KEY_RETAIN,
    KEY_REVERT,
    KEY_STANDBY,
    KEY_STATUS,
    KEY_VERIFY,
    KEY_WAIT,
    KEY_WINDOW,
};

static const struct argp_option options[] = {
    {"abort", KEY_ABORT, 0, 0, "End migration ID on the source; not after it has switched", 0},
    {"archive", KEY_ARCHIVE, 0, 0, "With --commit: compress the old copy, and keep its digest", 0},
    {"attempts", KEY_ATTEMPTS, "N", 0, "Holds to try before --on-fail (default 5)", 0},
    {"bwlimit", KEY_BWLIMIT, "RATE", 0,
     "Copy and prove at most RATE bytes a second (K, M, G; default: no limit); not in the hold", 0},
    {"check", KEY_CHECK, 0, 0,
     "Look at what moves need (configuration, rights, director, hooks, gateways), change nothing",
     0},
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
    {"cutover", KEY_CUTOVER, 0, 0,
     "Catch up with the deferred migration ID, and hand the volume over", 0},
    {"dry-run", KEY_DRY_RUN, 0, 0, "Say what would be moved, and move nothing", 0},
    {"expire", KEY_EXPIRE, 0, 0, "Commit all migrations whose old copies were retained long enough",
     0},
    {"fence-window", KEY_FENCE_WINDOW, "MS", 0,
     "On shared storage: the longest hold of an attempt, in which the source is fenced, "
     "milliseconds (default 5000)",
     0},
    {"force", KEY_FORCE, 0, 0,
     "Allow --verify=none, and gateways that cannot flush; with --commit: make cold or archive "
     "also "
     "what could not be proved",
     0},
    {"heat", KEY_HEAT, "FILE", 0,
     "Heat records: what they expect to be written within the hour is copied last", 0},
    {"hook-timeout", KEY_HOOK_TIMEOUT, "DURATION", 0, "Kill a hook that takes longer (default 5m)",
     0},
    {"io-timeout", KEY_IO_TIMEOUT, "DURATION", 0,
     "Take a gateway for gone that answers nothing for so long (default 30s; 10s to connect)", 0},
    {"jobs", KEY_JOBS, "N", 0,
     "Carry out up to N rows of the plan at once, or --resume so many (default 1)", 0},
    {"keep-mirrored", KEY_KEEP_MIRRORED, 0, 0,
     "After the switch have the old copy get the writes too, as long as it keeps up: --revert then "
     "has next to nothing to copy",
     0},
    {"max-age", KEY_MAX_AGE, "DURATION", 0, "Refuse rows older than this (default 1h)", 0},
    {"max-slowdown", KEY_MAX_SLOWDOWN, "PERCENT", 0,
     "Copy and prove slower while clients wait by more than PERCENT longer than before", 0},
    {"missing", KEY_MISSING, 0, 0,
     "Print what the target of the open migration ID lacks, as extent records", 0},
    {"modify", KEY_MODIFY, 0, 0,
     "Change --attempts, --bwlimit, --on-fail or --window of the running migration ID", 0},
    {"on-fail", KEY_ON_FAIL, "ACTION", 0,
     "When the attempts are used up: retry, defer or abort (default defer)", 0},
    {"overwrite", KEY_OVERWRITE, 0, 0,
     "Move also onto an export that the target has already and that no move of the volume left", 0},
    {"per-gateway", KEY_PER_GATEWAY, "N", 0,
     "With --jobs: at most N moves from a gateway, and N to it, at once (default 1)", 0},
    {"quarantine", KEY_QUARANTINE, "DURATION", 0,
     "Wait so long for the director's quarantine of unanswered writes (default 60s)", 0},
    {"remove", KEY_REMOVE, 0, 0, "With --commit: delete the old copy", 0},
    {"resume", KEY_RESUME, 0, 0, "Go on with migration ID, or with all that have not ended", 0},
    {"retain", KEY_RETAIN, "DURATION", 0,
     "Keep old copies for so long, until --expire commits (default 24h)", 0},
    {"revert", KEY_REVERT, 0, 0,
     "Bring the volume of the switched migration ID back, sending only what has changed since", 0},
    {"standby", KEY_STANDBY, 0, 0,
     "--keep-mirrored, and --expire lets the old copy stay: it can take the place of an owner that "
     "dies",
     0},
    {"status", KEY_STATUS, 0, 0, "Print the latest event of migration ID, or of each", 0},
    {"verify", KEY_VERIFY, "KIND", 0,
     "What must be proved equal before the switch: full, every block; delta, what the move has "
     "sent "
     "or clients have written (default of mandatory moves and --revert, else full); none (needs "
     "--force)",
     0},
    {"wait", KEY_WAIT, 0, 0, "Wait for the not_before of rows instead of leaving them", 0},
    {"window", KEY_WINDOW, "MS", 0, "The longest hold of an attempt, milliseconds (default 100)",
     0},
    {0},
};

/* ---- command line ---- */

static enum on_fail parse_on_fail(const struct argp_state *st, const char *arg)
{
    for (int i = 0; on_fail_words[i]; i++)
        if (strcmp(arg, on_fail_words[i]) == 0)
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

static int parse_verify(const struct argp_state *st, const char *arg)
{
    for (int i = 0; rec_verify_words[i]; i++)
        if (strcmp(arg, rec_verify_words[i]) == 0)
            return i;
    argp_error(st, "verify is full, delta or none, not '%s'", arg);
    return VERIFY_FULL;
}

static void set_action(const struct argp_state *st, struct opts *o, enum action a)
{
    if (o->action != RUN_PLAN)
        argp_error(st, "only one of the actions at a time");
    o->action = a;
}

static void set_disposal(const struct argp_state *st, struct opts *o, enum disposal d)
{
    if (o->exec.disposal != DISPOSAL_COLD)
        argp_error(st, "only one of --archive and --remove");
    o->exec.disposal = d;
}

static void check_usage(const struct argp_state *st, const struct opts *o)
{
    if (o->n_args > 1 && o->action != CHECK)
        argp_error(st, "too many arguments");
    if (o->action == EXPIRE && o->arg)
        argp_error(st, "expire takes no argument");
    if ((o->action >= COMMIT || o->action == MISSING) && !o->arg)
        argp_error(st, "the ID of a migration is missing");
    if (o->exec.disposal != DISPOSAL_COLD && o->action != COMMIT)
        argp_error(st, "--archive and --remove are for --commit");
    if (o->exec.verify == VERIFY_NONE && !o->exec.force)
        argp_error(st, "--verify=none proves nothing: it needs --force");
    if (o->action == MODIFY && !o->given)
        argp_error(st, "modify needs --attempts, --bwlimit, --on-fail or --window");
    if (o->action > CHECK && o->arg && parse_name(o->arg) < 0)
        argp_error(st, "not the ID of a migration: '%s'", o->arg);
}

static error_t parse_number(int key, const char *arg, const struct argp_state *st, struct opts *o)
{
    struct exec *x = &o->exec;
    switch (key) {
    case KEY_ATTEMPTS:
        x->attempts = (unsigned)opts_u64(st, "attempts", arg, 1, ATTEMPTS_MAX);
        o->given |= MODIFY_ATTEMPTS;
        return 0;
    case KEY_BWLIMIT:
        x->bwlimit = opts_size(st, "bwlimit", arg, 0, UINT64_C(1) << 50);
        if (x->bwlimit && x->bwlimit < BWLIMIT_MIN)
            argp_error(st, "bwlimit is 0 (none), or 4K and more");
        o->given |= MODIFY_BWLIMIT;
        return 0;
    case KEY_RETAIN:
        x->retain_s = opts_duration(st, "retain", arg, 0, 1e9);
        return 0;
    case KEY_JOBS:
        x->jobs = (unsigned)opts_u64(st, "jobs", arg, 1, 64);
        return 0;
    case KEY_PER_GATEWAY:
        x->per_gateway = (unsigned)opts_u64(st, "per-gateway", arg, 1, 64);
        return 0;
    case KEY_CONNECTIONS:
        x->connections = (unsigned)opts_u64(st, "connections", arg, 1, LANES_MAX);
        return 0;
    case KEY_HOOK_TIMEOUT:
        x->hook_timeout_s = (unsigned)opts_duration(st, "hook-timeout", arg, 1, 7 * 86400);
        return 0;
    case KEY_IO_TIMEOUT:
        x->io_timeout_ms = (unsigned)(opts_duration(st, "io-timeout", arg, 0.1, 86400) * 1e3);
        return 0;
    case KEY_MAX_AGE:
        x->max_age_s = opts_duration(st, "max-age", arg, 0, 1e9);
        return 0;
    case KEY_MAX_SLOWDOWN:
        x->max_slowdown = (unsigned)opts_u64(st, "max-slowdown", arg, 1, 100000);
        return 0;
    case KEY_QUARANTINE:
        x->quarantine_us = (uint64_t)(opts_duration(st, "quarantine", arg, 0, 86400) * 1e6);
        return 0;
    case KEY_FENCE_WINDOW:
        x->fence_ms = (unsigned)opts_u64(st, "fence-window", arg, 1, WINDOW_MS_MAX);
        return 0;
    case KEY_WINDOW:
        x->window_ms = (unsigned)opts_u64(st, "window", arg, 1, WINDOW_MS_MAX);
        o->given |= MODIFY_WINDOW;
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
    case KEY_ARCHIVE:
        set_disposal(st, o, DISPOSAL_ARCHIVE);
        return 0;
    case KEY_CHECK:
        set_action(st, o, CHECK);
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
    case KEY_CUTOVER:
        set_action(st, o, CUTOVER);
        return 0;
    case KEY_DRY_RUN:
        set_action(st, o, DRY_RUN);
        o->exec.dry_run = true;
        return 0;
    case KEY_EXPIRE:
        set_action(st, o, EXPIRE);
        return 0;
    case KEY_FORCE:
        o->exec.force = true;
        return 0;
    case KEY_MISSING:
        set_action(st, o, MISSING);
        return 0;
    case KEY_MODIFY:
        set_action(st, o, MODIFY);
        return 0;
    case KEY_HEAT:
        o->exec.heat = arg;
        return 0;
    case KEY_KEEP_MIRRORED:
        o->exec.keep_mirrored = true;
        return 0;
    case KEY_ON_FAIL:
        o->exec.on_fail = parse_on_fail(st, arg);
        o->given |= MODIFY_ON_FAIL;
        return 0;
    case KEY_OVERWRITE:
        o->exec.overwrite = true;
        return 0;
    case KEY_REMOVE:
        set_disposal(st, o, DISPOSAL_REMOVE);
        return 0;
    case KEY_RESUME:
        set_action(st, o, RESUME);
        return 0;
    case KEY_REVERT:
        set_action(st, o, REVERT);
        return 0;
    case KEY_STANDBY:
        o->exec.keep_mirrored = o->exec.standby = true;
        return 0;
    case KEY_STATUS:
        set_action(st, o, STATUS);
        return 0;
    case KEY_VERIFY:
        o->exec.verify = parse_verify(st, arg);
        return 0;
    case KEY_WAIT:
        o->exec.wait = true;
        return 0;
    case ARGP_KEY_ARGS:
        o->args = st->argv + st->next;
        o->n_args = (size_t)(st->argc - st->next);
        o->arg = o->args[0];
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

/* Without a store no volume has a route, and no migration was begun.  Who only prints journals does
 * without. */
static void open_store(struct exec *x, bool needed)
{
    int r = route_store_open(x->dirs.state, false, &x->store);
    if (r < 0 && r != -ENOENT && needed)
        err_die(EX_NOINPUT, "cannot open the routes in '%s': %s", x->dirs.state, err_text(r));
}

/*
 * What is to be done of all migrations is nothing where the routes cannot be read, and "nothing"
 * must not look like success: 0, or the status, with the reason said.
 */
static int check_routes(const struct exec *x)
{
    struct route any;
    const int r = x->store ? route_store_get(x->store, "_", &any) : 0;
    if (r >= 0)
        return EX_OK;
    err_warn("%s; what hangs on it is left: see route-set(1), FILES",
             r == -EBADMSG ? route_store_error(x->store) : err_text(r));
    return r == -EBADMSG ? EX_DATAERR : EX_IOERR;
}

static int resume_all(const struct exec *x)
{
    const int routes = check_routes(x);
    const int status = x->jobs > 1 ? jobs_resume(x) : jobs_exit_status(recover_resume_all(x));
    return status ? status : routes;
}

static int expire_all(const struct exec *x)
{
    const int routes = check_routes(x);
    const int status = jobs_exit_status(recover_expire(x));
    return status ? status : routes;
}

static int act(struct opts *o)
{
    struct exec *x = &o->exec;
    switch (o->action) {
    case CHECK:
        return check_environment(x, o->args, o->n_args);
    case MISSING:
        return jobs_exit_status(missing_print(x, o->arg));
    case STATUS:
        return jobs_exit_status(status_show(x, o->arg));
    case RESUME:
        if (rows_say_frozen(x))
            return EX_TEMPFAIL;
        return o->arg ? jobs_exit_status(recover_resume(x, o->arg)) : resume_all(x);
    case CUTOVER:
        if (rows_say_frozen(x))
            return EX_TEMPFAIL;
        return jobs_exit_status(recover_cutover(x, o->arg));
    case EXPIRE:
        if (rows_say_frozen(x))
            return EX_TEMPFAIL;
        return expire_all(x);
    case MODIFY:
        return jobs_exit_status(modify(x, o->arg, o->given));
    case COMMIT:
        return jobs_exit_status(recover_commit(x, o->arg));
    case REVERT:
        if (rows_say_frozen(x))
            return EX_TEMPFAIL;
        return jobs_exit_status(recover_revert(x, o->arg));
    case ABORT:
        return jobs_exit_status(recover_abort(x, o->arg));
    default:
        return jobs_run_plan(x, o->arg);
    }
}

int main(int argc, char **argv)
{
    const struct argp_child children[] = {{&opts_dirs_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        options,
        parse_opt,
        "[PLAN]\n--check [PLAN | VOLUME...]\n--missing ID\n--status [ID]\n--resume [ID]\n--cutover "
        "ID\n--modify "
        "ID\n--commit "
        "ID\n--revert ID\n--abort ID",
        "Carry out the moves of a plan (default: standard input), printing event records; or "
        "look after migrations that were begun before.",
        children,
        NULL,
        NULL,
    };
    struct opts o = {
        .exec = {.window_ms = 100,
                 .fence_ms = 5000,
                 .attempts = 5,
                 .connections = LANES_MAX,
                 .on_fail = ON_FAIL_DEFER,
                 .verify = VERIFY_BY_KIND,
                 .io_timeout_ms = IO_TIMEOUT_MS,
                 .quarantine_us = UINT64_C(60000000),
                 .max_age_s = 3600,
                 .retain_s = 86400,
                 .jobs = 1,
                 .per_gateway = 1},
    };
    struct fleet fleet = {0};
    opts_dirs_init(&o.exec.dirs);
    opts_parse(&argp, argc, argv, &o);
    if (o.action > CHECK)
        check_state(&o.exec);
    check_heat(&o.exec);
    char *who = describe_caller(argc, argv);
    o.exec.who = who;
    o.exec.out = rec_writer_new(o.action == MISSING ? &rec_extent : &rec_event, stdout);
    if (!o.exec.out)
        err_die(EX_OSERR, "cannot start: %s", err_text(ENOMEM));
    signal(SIGPIPE, SIG_IGN); /* a reader that left must not kill a move in its hold */
    if (o.action != STATUS && o.action != CHECK && o.action != MISSING)
        load_fleet(&o, &fleet);
    if (o.action != CHECK && o.action != MISSING)
        open_store(&o.exec, o.action != STATUS);
    if (o.action != CHECK)
        rec_writer_header(o.exec.out);
    o.exec.silences = silences_new();
    int status = act(&o);
    silences_free(o.exec.silences);
    rec_writer_free(o.exec.out);
    route_store_close(o.exec.store);
    fleet_release(&fleet);
    free(who);
    return status;
}
