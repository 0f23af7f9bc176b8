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

#include "common/base/clock.h"
#include "common/base/error.h"
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
};

struct opts {
    struct opts_dirs dirs;
    struct wish wish; /* names are "" where not given */
    const char *import;
    bool force;
    bool expects; /* --expect-epoch was given */
    uint64_t expect_epoch;
};

struct wishes {
    struct wish *items; /* owned */
    size_t n;
    size_t cap;
};

/* ---- command line ---- */

enum { KEY_EXPECT_EPOCH = OPT_LONG, KEY_IMPORT, KEY_SIZE };

static const struct argp_option options[] = {
    {"expect-epoch", KEY_EXPECT_EPOCH, "N", 0,
     "Change nothing unless the volume is at epoch N (0: has no record); else exit 1", 0},
    {"force", 'f', 0, 0,
     "Also while a director serves the volume (it is told), a move is open, or volumes.csv "
     "forbids the gateway",
     0},
    {"import", KEY_IMPORT, "FILE", 0,
     "Set many: records with the columns volume, gateway and, if known, size_bytes; - is "
     "standard input.  Other columns are ignored",
     0},
    {"size", KEY_SIZE, "SIZE", 0, "Record the volume's size in bytes (K, M, G, T; default: kept)",
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

static void check_usage(const struct argp_state *st, const struct opts *o)
{
    bool sets = o->wish.gateway[0];
    if (o->import && (o->wish.volume[0] || o->expects || o->wish.size_bytes))
        argp_error(st, "--import takes neither VOLUME nor --expect-epoch nor --size");
    if (!o->import && !sets && (o->force || o->expects || o->wish.size_bytes))
        argp_error(st, "--force, --expect-epoch and --size need VOLUME and GATEWAY");
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
    case KEY_EXPECT_EPOCH:
        o->expect_epoch = opts_u64(st, "expect-epoch", arg, 0, UINT64_MAX - 1);
        o->expects = true;
        return 0;
    case KEY_IMPORT:
        o->import = arg;
        return 0;
    case KEY_SIZE:
        o->wish.size_bytes = opts_size(st, "size", arg, 1, INT64_MAX);
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

static int status_of(int err)
{
    switch (-err) {
    case EBADMSG:
        return EX_DATAERR;
    case ENOMEM:
        return EX_OSERR;
    case EAGAIN:
        return EX_TEMPFAIL;
    default:
        return EX_IOERR;
    }
}

static _Noreturn void die_of_store(const struct route_store *s, int err)
{
    if (*route_store_error(s))
        err_die(status_of(err), "%s", route_store_error(s));
    err_die(status_of(err), "cannot use '%s': %s", route_store_path(s), err_text(err));
}

static struct route_store *open_to_write(const struct opts *o)
{
    struct route_store *s;
    int r = route_store_open(o->dirs.state, true, &s);
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_CANTCREAT, "cannot create '%s/routes.log': %s",
                o->dirs.state, err_text(r));
    return s;
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
        err_die(r == -ENOMEM ? EX_OSERR : EX_NOINPUT, "cannot open '%s/routes.log': %s",
                o->dirs.state, err_text(r));
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

static struct rec_writer *new_writer(void)
{
    struct rec_writer *w = rec_writer_new(&rec_route, stdout);
    if (!w)
        err_die(EX_OSERR, "cannot print: %s", err_text(ENOMEM));
    rec_writer_with(w, ROUTE_VERIFY);
    return w;
}

/* A failed write is found at exit; lack of memory is not. */
static void check_print(int err)
{
    if (err == -ENOMEM)
        err_die(EX_OSERR, "cannot print: %s", err_text(err));
}

static int print_route(const struct route *r, void *arg)
{
    route_put(arg, r);
    check_print(rec_write(arg));
    return 0;
}

static void print_all(const struct opts *o, struct rec_writer *w)
{
    struct route_store *s = open_to_read(o);
    check_print(rec_writer_header(w));
    if (!s)
        return;
    int r = route_store_each(s, print_route, w);
    if (r < 0)
        die_of_store(s, r);
    route_store_close(s);
}

/* False if VOLUME has no record. */
static bool print_one(const struct opts *o, struct rec_writer *w)
{
    struct route now = {0};
    struct route_store *s = open_to_read(o);
    if (s)
        read_route(s, o->wish.volume, &now);
    check_print(rec_writer_header(w));
    if (now.epoch)
        print_route(&now, w);
    route_store_close(s);
    return now.epoch != 0;
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
    return now->state == ROUTE_STATE_STEADY && strcmp(now->gateway, wish->gateway) == 0 &&
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
    if (!same_owner || now->state != ROUTE_STATE_STEADY)
        next.epoch++;
    memcpy(next.volume, wish->volume, sizeof(next.volume));
    memcpy(next.gateway, wish->gateway, sizeof(next.gateway));
    route_settle(&next);
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

enum { IMPORT_VOLUME, IMPORT_GATEWAY, IMPORT_SIZE_BYTES };

/* So that a list made by hand, and the output of route-set, both will do. */
static const struct rec_column import_columns[] = {
    {"volume", REC_NAME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"size_bytes", REC_UINT, REC_EMPTY | REC_OPTIONAL, NULL},
};
static const struct rec_schema rec_import = {"import", import_columns, 3};

/* Takes the reader's record in.  An import never moves a volume: that would lose its data. */
static void add_wish(const struct opts *o, const struct fleet *f, struct route_store *s,
                     struct rec_reader *r, struct wishes *all)
{
    struct wish wish = {.size_bytes = rec_uint(r, IMPORT_SIZE_BYTES)};
    struct route now;
    memcpy(wish.volume, rec_text(r, IMPORT_VOLUME), strlen(rec_text(r, IMPORT_VOLUME)) + 1);
    memcpy(wish.gateway, rec_text(r, IMPORT_GATEWAY), strlen(rec_text(r, IMPORT_GATEWAY)) + 1);
    check_gateway(f, o, &wish);
    read_route(s, wish.volume, &now);
    if (now.epoch && !o->force && strcmp(now.gateway, wish.gateway) != 0)
        err_die(EX_DATAERR, "%s: volume '%s' is owned by '%s', not '%s'", rec_reader_where(r),
                wish.volume, now.gateway, wish.gateway);
    if (vec_room(&all->items, all->n, &all->cap, sizeof(*all->items)) < 0)
        err_die(EX_OSERR, "cannot import: %s", err_text(ENOMEM));
    all->items[all->n++] = wish;
}

/* Every row is checked before the first is written. */
static void import(const struct opts *o, const struct fleet *f, struct route_store *s,
                   struct rec_writer *w)
{
    struct wishes all = {0};
    char *paths[] = {(char *)o->import};
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
    check_print(rec_writer_header(w));
    for (size_t i = 0; i < all.n; i++)
        set_route(o, s, &all.items[i], w);
    free(all.items);
}

static void change(const struct opts *o, struct rec_writer *w)
{
    struct fleet fleet = {0};
    if (fleet_load(&fleet, o->dirs.config, FLEET_GATEWAYS | FLEET_VOLUMES) < 0)
        err_die(fleet.status, "%s", fleet.error);
    struct route_store *s = NULL;
    if (!o->import)
        check_gateway(&fleet, o, &o->wish);
    s = open_to_write(o);
    if (o->import)
        import(o, &fleet, s, w);
    else
        set_route(o, s, &o->wish, w);
    route_store_close(s);
    fleet_release(&fleet);
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
    struct opts o = {0};
    bool found = true;
    opts_dirs_init(&o.dirs);
    opts_parse(&argp, argc, argv, &o);
    struct rec_writer *w = new_writer();
    if (o.import || o.wish.gateway[0])
        change(&o, w);
    else if (o.wish.volume[0])
        found = print_one(&o, w);
    else
        print_all(&o, w);
    rec_writer_free(w);
    return found ? EX_OK : EX_NO;
}
