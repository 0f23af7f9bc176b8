/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * route-set: prints and sets the owner of record of volumes.
 *
 * The record is the one that directors go by; no data are moved.  Every change is a
 * compare-and-set on the volume's epoch (common/route/store.h), made while this process stands in
 * the director's place, so that none can begin to serve the volume in between.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd/route-set/follow.h"
#include "cmd/route-set/print.h"
#include "cmd/route-set/verify.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/intern.h"
#include "common/base/opts.h"
#include "common/fleet/fleet.h"
#include "common/route/control.h"
#include "common/route/store.h"

enum {
    STORE_WAIT_MS = 5000,     /* for the store's lock */
    DIRECTOR_WAIT_MS = 10000, /* for the answer to "reload" */
    PLACE_POLL_NS = 2 * 1000 * 1000
};

/* What a volume shall be: of the command line, or of a row of --import. */
struct wish {
    char volume[NAME_LEN_MAX + 1];
    char gateway[NAME_LEN_MAX + 1];
    uint64_t size_bytes; /* 0: as it is */
    enum rec_route_state state;
    bool listed;          /* by --import, which changes no state of a volume that has a record */
    uint64_t first_epoch; /* of a volume without a record */
};

enum mode { MODE_PRINT, MODE_SET, MODE_IMPORT, MODE_EXPORT, MODE_HISTORY, MODE_VERIFY, MODE_WATCH };

struct opts {
    struct opts_dirs dirs;
    enum mode mode;
    struct wish wish; /* names are "" where not given */
    const char *file; /* of --import, --export */
    int timeout_ms;   /* of --verify, for each answer */
    bool force;
    bool as;      /* --as was given */
    bool expects; /* --expect-epoch was given */
    uint64_t expect_epoch;
};

struct wishes {
    struct wish *items; /* owned */
    struct intern volumes;
    size_t n;
    size_t cap;
};

/* ---- command line ---- */

enum {
    KEY_AS = OPT_LONG,
    KEY_EXPECT_EPOCH,
    KEY_EXPORT,
    KEY_HISTORY,
    KEY_IMPORT,
    KEY_SIZE,
    KEY_TIMEOUT,
    KEY_VERIFY,
    KEY_WATCH
};

static const struct argp_option options[] = {
    {"as", KEY_AS, "STATE", 0,
     "Set the volume's state, too: steady (default), or manual-recovery, which nothing but --force "
     "ends",
     0},
    {"expect-epoch", KEY_EXPECT_EPOCH, "N", 0,
     "Change nothing unless the volume is at epoch N (0: has no record); else exit 1", 0},
    {"export", KEY_EXPORT, "FILE", 0,
     "Write the records of all volumes to FILE, whole or not at all; - is standard output", 0},
    {"force", 'f', 0, 0,
     "Also while a director serves the volume (it is told), a move is open, or volumes.csv "
     "forbids the gateway",
     0},
    {"history", KEY_HISTORY, 0, 0,
     "Print the records that VOLUME has had, or all volumes, oldest first", 0},
    {"import", KEY_IMPORT, "FILE", 0,
     "Set many: records with the columns volume, gateway and, if known, size_bytes; - is "
     "standard input.  Other columns are ignored",
     0},
    {"size", KEY_SIZE, "SIZE", 0, "Record the volume's size in bytes (K, M, G, T; default: kept)",
     0},
    {"timeout", KEY_TIMEOUT, "DURATION", 0,
     "How long --verify waits for a director or a gateway (default 5s)", 0},
    {"verify", KEY_VERIFY, 0, 0,
     "Ask directors and gateways who really serves VOLUME, or all volumes; exit 1 if that is not "
     "what the store says",
     0},
    {"watch", KEY_WATCH, 0, 0,
     "Print the record of VOLUME, or of all volumes, and each new one as it is written, until "
     "interrupted",
     0},
    {0},
};

static void take_name(const struct argp_state *st, const char *what, const char *arg,
                      char out[NAME_LEN_MAX + 1])
{
    if (parse_name(arg) < 0)
        argp_error(st, "not a %s name: '%s'", what, arg);
    memcpy(out, arg, strlen(arg) + 1);
}

static void take_mode(const struct argp_state *st, enum mode mode)
{
    struct opts *o = st->input;
    if (o->mode != MODE_PRINT && o->mode != mode)
        argp_error(st, "--export, --history, --import, --verify and --watch exclude each other");
    o->mode = mode;
}

static void take_state(const struct argp_state *st, const char *arg, enum rec_route_state *out)
{
    if (strcmp(arg, rec_route_state_words[ROUTE_STATE_STEADY]) == 0)
        *out = ROUTE_STATE_STEADY;
    else if (strcmp(arg, rec_route_state_words[ROUTE_STATE_MANUAL_RECOVERY]) == 0)
        *out = ROUTE_STATE_MANUAL_RECOVERY;
    else
        argp_error(st, "--as is steady or manual-recovery: '%s'", arg);
}

static void check_usage(const struct argp_state *st, struct opts *o)
{
    bool changes = o->expects || o->wish.size_bytes || o->as;
    if (o->mode == MODE_PRINT && o->wish.gateway[0])
        o->mode = MODE_SET;
    if ((o->mode == MODE_IMPORT || o->mode == MODE_EXPORT) && o->wish.volume[0])
        argp_error(st, "--import and --export take no VOLUME");
    if (o->mode != MODE_SET && o->wish.gateway[0])
        argp_error(st, "--history, --verify and --watch take no GATEWAY");
    if (o->mode != MODE_SET && changes)
        argp_error(st, "--as, --expect-epoch and --size need VOLUME and GATEWAY");
    if (o->mode != MODE_SET && o->mode != MODE_IMPORT && o->force)
        argp_error(st, "--force needs VOLUME and GATEWAY, or --import");
}

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->dirs;
        return 0;
    case 'f':
        o->force = true;
        return 0;
    case KEY_AS:
        take_state(st, arg, &o->wish.state);
        o->as = true;
        return 0;
    case KEY_EXPECT_EPOCH:
        o->expect_epoch = opts_u64(st, "expect-epoch", arg, 0, UINT64_MAX - 1);
        o->expects = true;
        return 0;
    case KEY_EXPORT:
    case KEY_IMPORT:
        take_mode(st, key == KEY_EXPORT ? MODE_EXPORT : MODE_IMPORT);
        o->file = arg;
        return 0;
    case KEY_HISTORY:
        take_mode(st, MODE_HISTORY);
        return 0;
    case KEY_SIZE:
        o->wish.size_bytes = opts_size(st, "size", arg, 1, INT64_MAX);
        return 0;
    case KEY_TIMEOUT:
        o->timeout_ms = (int)(opts_duration(st, "timeout", arg, 0.001, 3600) * 1000);
        return 0;
    case KEY_VERIFY:
        take_mode(st, MODE_VERIFY);
        return 0;
    case KEY_WATCH:
        take_mode(st, MODE_WATCH);
        return 0;
    case ARGP_KEY_ARG:
        if (st->arg_num == 0)
            take_name(st, "volume", arg, o->wish.volume);
        else if (st->arg_num == 1)
            take_name(st, "gateway", arg, o->wish.gateway);
        else
            argp_error(st, "too many arguments: '%s'", arg);
        return 0;
    case ARGP_KEY_END:
        check_usage(st, o);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the store ---- */

static struct route_store *open_to_write(const struct opts *o)
{
    struct route_store *s;
    int r = route_store_open(o->dirs.state, true, &s);
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_CANTCREAT, "cannot create '%s/routes.log': %s",
                o->dirs.state, err_text(r));
    return s;
}

/* Whoever verifies may be at the very beginning. */
static const char *where_to_look(const struct opts *o)
{
    return o->mode == MODE_VERIFY ? "; migrate-exec --check says what is missing, and what to do"
                                  : "";
}

/* NULL when nothing was ever recorded: the folder is there, but no log in it. */
static struct route_store *open_to_read(const struct opts *o)
{
    struct route_store *s;
    struct stat st;
    int r = route_store_open(o->dirs.state, false, &s);
    if (r == -ENOENT && stat(o->dirs.state, &st) == 0)
        return NULL;
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_NOINPUT, "cannot open '%s/routes.log': %s%s",
                o->dirs.state, err_text(r), where_to_look(o));
    return s;
}

/* The current record, or one of epoch 0 when there is none. */
static void read_route(struct route_store *s, const char *volume, struct route *out)
{
    *out = (struct route){0};
    int r = route_store_get(s, volume, out);
    if (r < 0)
        die_of_store(s, r);
}

/* ---- printing ---- */

static void print_all(const struct opts *o, struct rec_writer *w)
{
    struct route_store *s = open_to_read(o);
    print_check(rec_writer_header(w));
    if (!s)
        return;
    int r = route_store_each(s, print_route, w);
    if (r < 0)
        die_of_store(s, r);
    route_store_close(s);
}

/* False if VOLUME has no record. */
static bool print_one(const struct opts *o)
{
    struct rec_writer *w = print_new_routes(stdout);
    struct route now = {0};
    struct route_store *s = open_to_read(o);
    if (s)
        read_route(s, o->wish.volume, &now);
    print_check(rec_writer_header(w));
    if (now.epoch)
        print_route(&now, w);
    route_store_close(s);
    rec_writer_free(w);
    return now.epoch != 0;
}

static bool print(const struct opts *o)
{
    if (o->wish.volume[0])
        return print_one(o);
    struct rec_writer *w = print_new_routes(stdout);
    print_all(o, w);
    rec_writer_free(w);
    return true;
}

/* To a file by its name: a backup that is there is whole. */
static void export_to(const struct opts *o)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    if (!memory)
        err_die(EX_OSERR, "cannot export: %s", err_text(ENOMEM));
    struct rec_writer *w = print_new_routes(memory);
    print_all(o, w);
    int r = rec_flush(w);
    rec_writer_free(w);
    if (fclose(memory) != 0 || r < 0)
        print_check(-ENOMEM);
    r = fsfile_put(o->file, text, len);
    free(text);
    if (r < 0)
        err_die(EX_CANTCREAT, "cannot write '%s': %s", o->file, err_text(r));
}

/* ---- setting ---- */

static void check_gateway(const struct fleet *f, const struct opts *o, const struct wish *wish)
{
    if (!fleet_gateway(f, wish->gateway))
        err_die(EX_CONFIG, "unknown gateway '%s': not in '%s/gateways.csv'", wish->gateway,
                o->dirs.config);
    if (!o->force && !fleet_allowed(f, wish->volume, wish->gateway))
        err_die(EX_CONFIG, "gateway '%s' is not allowed for volume '%s': '%s/volumes.csv'",
                wish->gateway, wish->volume, o->dirs.config);
}

static void check_expectation(const struct opts *o, const struct route *now)
{
    if (o->expects && now->epoch != o->expect_epoch)
        err_die(EX_NO, "volume '%s' not changed: it is at epoch %" PRIu64 ", not %" PRIu64,
                o->wish.volume, now->epoch, o->expect_epoch);
}

/* Whether NOW already is what is wished for. */
static bool is_granted(const struct route *now, const struct wish *wish)
{
    return (wish->listed || now->state == wish->state) &&
           strcmp(now->gateway, wish->gateway) == 0 &&
           (!wish->size_bytes || wish->size_bytes == now->size_bytes);
}

/*
 * The record that follows NOW.  A new owner takes a new epoch, and so does the end of an open move
 * by force: whoever carried it out must find that it is no longer his.
 */
static struct route next_route(const struct route *now, const struct wish *wish)
{
    struct route next = *now;
    bool same_owner = strcmp(now->gateway, wish->gateway) == 0;
    if (!same_owner || now->state != wish->state)
        next.epoch = now->epoch ? now->epoch + 1 : wish->first_epoch;
    memcpy(next.volume, wish->volume, sizeof(next.volume));
    memcpy(next.gateway, wish->gateway, sizeof(next.gateway));
    route_settle(&next);
    next.state = wish->state;
    if (wish->size_bytes)
        next.size_bytes = wish->size_bytes;
    next.time = clock_now();
    return next;
}

/* Does a director serve VOLUME, not another process like this one? */
static bool is_served(const struct opts *o, const char *volume)
{
    char path[PATH_MAX];
    return route_serve_holder(o->dirs.state, volume, path, sizeof(path)) == 1 && path[0];
}

/* Takes the director's place: a descriptor, to be closed. */
static int stand_in(const struct opts *o, const char *volume)
{
    uint64_t deadline = clock_mono_us() + STORE_WAIT_MS * 1000;
    int fd = route_serve_lock(o->dirs.state, volume, "", NULL);
    while (fd == -EAGAIN && !is_served(o, volume) && clock_mono_us() < deadline) {
        nanosleep(&(struct timespec){.tv_nsec = PLACE_POLL_NS}, NULL);
        fd = route_serve_lock(o->dirs.state, volume, "", NULL);
    }
    if (fd == -EAGAIN)
        err_die(EX_TEMPFAIL, "volume '%s' not changed: a director serves it", volume);
    if (fd < 0)
        err_die(fd == -ENOMEM ? EX_OSERR : EX_CANTCREAT, "cannot lock '%s/serving/%s': %s",
                o->dirs.state, volume, err_text(fd));
    return fd;
}

/* The write of NEXT ended in doubt: make certain, and say what it is. */
static int settle(struct route_store *s, const struct route *next)
{
    struct route now;
    int r = route_store_settle(s);
    if (r < 0)
        return r;
    read_route(s, next->volume, &now);
    bool ours = now.epoch == next->epoch && strcmp(now.gateway, next->gateway) == 0;
    return ours ? 0 : -ESTALE;
}

static void write_route(struct route_store *s, const struct route *now, const struct route *next)
{
    int r = route_store_cas(s, now->epoch, now->epoch ? (int)now->state : -1, next, STORE_WAIT_MS);
    if (r == -EINPROGRESS)
        r = settle(s, next);
    if (r == -ESTALE)
        err_die(EX_TEMPFAIL, "volume '%s' not changed: somebody else was first", next->volume);
    if (r < 0)
        die_of_store(s, r);
}

/* Tells the director of VOLUME, if there is one, that the record is another now. */
static void tell_director(const struct opts *o, const char *volume)
{
    char path[PATH_MAX];
    struct control *c;
    int r = route_serve_holder(o->dirs.state, volume, path, sizeof(path));
    if (r == 0)
        return;
    if (r < 0 || !path[0])
        snprintf(path, sizeof(path), "%s/director.sock", o->dirs.run);
    r = control_open(path, &c);
    if (r < 0)
        err_die(EX_UNAVAILABLE,
                "volume '%s' is changed, but its director 'unix:%s' was not told: "
                "%s",
                volume, path, err_text(r));
    r = control_call(c, DIRECTOR_WAIT_MS, "reload %s", volume);
    if (r < 0 && r != -ENOENT) /* ENOENT: it let go of the volume meanwhile */
        err_die(EX_UNAVAILABLE, "volume '%s' is changed, but its director 'unix:%s' failed: %s %s",
                volume, path, err_text(r), control_reply(c));
    control_close(c);
}

static void set_route(const struct opts *o, struct route_store *s, const struct wish *wish,
                      struct rec_writer *w)
{
    struct route now;
    read_route(s, wish->volume, &now);
    check_expectation(o, &now);
    if (is_granted(&now, wish)) {
        print_route(&now, w);
        return;
    }
    if (now.state != ROUTE_STATE_STEADY && !o->force)
        err_die(EX_TEMPFAIL, "volume '%s' not changed: it is %s", wish->volume,
                rec_route_state_words[now.state]);
    int place = o->force ? -1 : stand_in(o, wish->volume);
    struct route next = next_route(&now, wish);
    write_route(s, &now, &next);
    print_route(&next, w);
    if (o->force)
        tell_director(o, wish->volume);
    else
        close(place);
}

/* ---- import ---- */

enum { IMPORT_VOLUME, IMPORT_GATEWAY, IMPORT_SIZE_BYTES, IMPORT_EPOCH, IMPORT_STATE };

/* So that a list made by hand, and the output of route-set, both will do. */
static const struct rec_column import_columns[] = {
    {"volume", REC_NAME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"size_bytes", REC_UINT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"epoch", REC_UINT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"state", REC_WORD, REC_EMPTY | REC_OPTIONAL, rec_route_state_words},
};
static const struct rec_schema rec_import = {"import", import_columns,
                                             sizeof(import_columns) / sizeof(*import_columns)};

/*
 * What a volume without a record gets of a saved one: its epoch, as no epoch may come twice, and
 * that nobody shall touch it.  A move that was open when the record was saved is not known any
 * more.
 */
static void take_history(struct rec_reader *r, struct wish *wish)
{
    wish->listed = true;
    wish->first_epoch = rec_present(r, IMPORT_EPOCH) ? rec_uint(r, IMPORT_EPOCH) : 1;
    if (wish->first_epoch == 0 || wish->first_epoch > INT64_MAX)
        err_die(EX_DATAERR, "%s: epoch is from 1 to %" PRId64, rec_reader_where(r), INT64_MAX);
    if (rec_present(r, IMPORT_STATE) && rec_word(r, IMPORT_STATE) == ROUTE_STATE_MANUAL_RECOVERY)
        wish->state = ROUTE_STATE_MANUAL_RECOVERY;
}

/* Takes the reader's record in.  An import never moves a volume: that would lose its data. */
static void add_wish(const struct opts *o, const struct fleet *f, struct route_store *s,
                     struct rec_reader *r, struct wishes *all)
{
    struct wish wish = {.size_bytes = rec_uint(r, IMPORT_SIZE_BYTES)};
    struct route now;
    memcpy(wish.volume, rec_text(r, IMPORT_VOLUME), strlen(rec_text(r, IMPORT_VOLUME)) + 1);
    memcpy(wish.gateway, rec_text(r, IMPORT_GATEWAY), strlen(rec_text(r, IMPORT_GATEWAY)) + 1);
    take_history(r, &wish);
    check_gateway(f, o, &wish);
    if (intern_find(&all->volumes, wish.volume) >= 0)
        err_die(EX_DATAERR, "%s: a second record of volume '%s'", rec_reader_where(r), wish.volume);
    read_route(s, wish.volume, &now);
    if (now.epoch && !o->force && strcmp(now.gateway, wish.gateway) != 0)
        err_die(EX_DATAERR, "%s: volume '%s' is owned by '%s', not '%s'", rec_reader_where(r),
                wish.volume, now.gateway, wish.gateway);
    if (vec_room(&all->items, all->n, &all->cap, sizeof(*all->items)) < 0 ||
        intern_add(&all->volumes, wish.volume) < 0)
        err_die(EX_OSERR, "cannot import: %s", err_text(ENOMEM));
    all->items[all->n++] = wish;
}

/* Every row is checked before the first is written. */
static void import(const struct opts *o, const struct fleet *f, struct route_store *s,
                   struct rec_writer *w)
{
    struct wishes all = {0};
    char *paths[] = {(char *)o->file};
    struct rec_reader *r = rec_reader_new(&rec_import);
    if (!r)
        err_die(EX_OSERR, "cannot import: %s", err_text(ENOMEM));
    rec_reader_files(r, paths, 1);
    int more;
    while ((more = rec_reader_next(r)) > 0)
        add_wish(o, f, s, r, &all);
    if (more < 0)
        err_die(rec_reader_status(r), "%s", rec_reader_error(r));
    rec_reader_free(r);
    print_check(rec_writer_header(w));
    for (size_t i = 0; i < all.n; i++)
        set_route(o, s, &all.items[i], w);
    free(all.items);
    intern_release(&all.volumes);
}

static void load_fleet(const struct opts *o, struct fleet *f)
{
    if (fleet_load(f, o->dirs.config, FLEET_GATEWAYS | FLEET_VOLUMES) < 0)
        err_die(f->status, "%s%s", f->error, where_to_look(o));
}

static void change(const struct opts *o)
{
    struct fleet fleet = {0};
    struct rec_writer *w = print_new_routes(stdout);
    load_fleet(o, &fleet);
    if (o->mode == MODE_SET)
        check_gateway(&fleet, o, &o->wish);
    struct route_store *s = open_to_write(o);
    if (o->mode == MODE_IMPORT)
        import(o, &fleet, s, w);
    else
        set_route(o, s, &o->wish, w);
    route_store_close(s);
    fleet_release(&fleet);
    rec_writer_free(w);
}

static bool verify_all(const struct opts *o)
{
    struct fleet fleet = {0};
    load_fleet(o, &fleet);
    struct route_store *s = open_to_read(o);
    bool good = verify(&o->dirs, &fleet, s, o->wish.volume, o->timeout_ms);
    route_store_close(s);
    fleet_release(&fleet);
    return good;
}

/* False for exit 1. */
static bool run(const struct opts *o)
{
    switch (o->mode) {
    case MODE_SET:
    case MODE_IMPORT:
        change(o);
        return true;
    case MODE_EXPORT:
        if (strcmp(o->file, "-") == 0)
            return print(o);
        export_to(o);
        return true;
    case MODE_HISTORY:
        return follow_history(o->dirs.state, o->wish.volume) || !o->wish.volume[0];
    case MODE_VERIFY:
        return verify_all(o);
    case MODE_WATCH:
        follow_watch(o->dirs.state, o->wish.volume);
    default:
        return print(o);
    }
}

int main(int argc, char **argv)
{
    const struct argp_child children[] = {{&opts_dirs_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        options,
        parse_opt,
        "[VOLUME [GATEWAY]]",
        "Print the owner of record of all volumes or of VOLUME, or set it to GATEWAY and print "
        "the new record.",
        children,
        NULL,
        NULL,
    };
    struct opts o = {.timeout_ms = 5000, .wish.first_epoch = 1};
    opts_dirs_init(&o.dirs);
    opts_parse(&argp, argc, argv, &o);
    return run(&o) ? EX_OK : EX_NO;
}
