/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cmd/migrate-exec/admit.h"
#include "cmd/migrate-exec/ahead.h"
#include "cmd/migrate-exec/aheadrow.h"
#include "cmd/migrate-exec/behind.h"
#include "cmd/migrate-exec/orphan.h"
#include "cmd/migrate-exec/reach.h"
#include "cmd/migrate-exec/rows.h"
#include "cmd/migrate-exec/sides.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/opts.h"
#include "common/nbd/probe.h"
#include "common/nbd/uri.h"

enum {
    PROBE_US = 5000000,           /* for a gateway's answer */
    FURTHER_MS = 3000,            /* for a further connection, of a gateway that has given one */
    CONNECTIONS = 5,              /* the director's, by default, and our own */
    CONNECTIONS_LEAST = 2,        /* one of each */
    JOURNALS_LEAST = 1024 * 1024, /* bytes free in the state folder: a dozen journals */
    JOURNALS_WARN = 64 * 1024 * 1024,
};

enum verdict { OK, WARN, FAIL };

struct check {
    struct exec *x;
    struct fleet fleet;
    bool failed;
    bool director_seen;
    char seen[128]; /* control socket that was tried last */
};

__attribute__((format(printf, 4, 5))) static void say(struct check *c, enum verdict v,
                                                      const char *what, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warn", "fail"};
    va_list ap;
    c->failed = c->failed || v == FAIL;
    printf("%-4s  %s: ", words[v], what);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout); /* a failure is found by the check of stdout at exit */
}

/* ---- configuration and state ---- */

/* 0, or 78 if nothing else can be looked at. */
static int check_configuration(struct check *c)
{
    const struct exec *x = c->x;
    char example[1024];
    const int bad = fleet_load(&c->fleet, x->dirs.config, FLEET_GATEWAYS | FLEET_VOLUMES);
    snprintf(example, sizeof(example), "%s/config/%s.csv", opts_share_dir(),
             bad < 0 && strstr(c->fleet.error, "/volumes.csv") ? "volumes" : "gateways");
    if (bad < 0) {
        say(c, FAIL, "configuration", "%s; an example is '%s'", c->fleet.error, example);
        return EX_CONFIG;
    }
    if (c->fleet.gateway_names.n == 0) {
        say(c, FAIL, "configuration",
            "no gateway is listed in '%s/gateways.csv'; an example is '%s'", x->dirs.config,
            example);
        return EX_CONFIG;
    }
    say(c, OK, "configuration", "%zu gateways and %zu volumes listed in '%s'",
        c->fleet.gateway_names.n, c->fleet.volume_names.n, x->dirs.config);
    c->x->fleet = &c->fleet;
    return 0;
}

static void check_frozen(struct check *c)
{
    char why[256];
    if (rows_frozen(c->x, why, sizeof(why)))
        say(c, WARN, "frozen", "nothing is started: %s; removing '%s/frozen' ends that", why,
            c->x->dirs.state);
    else
        say(c, OK, "frozen", "no");
}

static void check_space(struct check *c)
{
    struct statvfs fs;
    if (statvfs(c->x->dirs.state, &fs) < 0) {
        if (errno != ENOENT) /* which has been said */
            say(c, FAIL, "space for journals", "%s", err_text(errno));
        return;
    }
    unsigned long long free_bytes = (unsigned long long)fs.f_bavail * fs.f_frsize;
    enum verdict v = free_bytes < JOURNALS_LEAST ? FAIL : free_bytes < JOURNALS_WARN ? WARN : OK;
    say(c, v, "space for journals", "%llu MiB free in '%s'%s", free_bytes >> 20, c->x->dirs.state,
        v == OK ? "" : "; make room: a move that cannot write its journal does not begin");
}

/* May files be made in FOLDER (if it is there)? */
static void check_writable(struct check *c, const char *folder)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s%s", c->x->dirs.state, folder);
    if (n < 0 || (size_t)n >= sizeof(path))
        say(c, FAIL, "state folder", "its name is too long");
    else if (access(path, R_OK | W_OK | X_OK) == 0)
        say(c, OK, "state folder", "'%s' can be written", path);
    else if (errno != ENOENT)
        say(c, FAIL, "state folder", "cannot write '%s': %s; %s", path, err_text(errno),
            errno == EROFS ? "mount it to be written to" : "run as its owner, or as root");
    else if (!*folder)
        say(c, FAIL, "state folder", "cannot write '%s': %s; make it, owned by the director's user",
            path, err_text(errno));
}

static int count_route(const struct route *r, void *arg)
{
    size_t *n = arg;
    (void)r;
    ++*n;
    return 0;
}

static void check_routes(struct check *c)
{
    size_t n = 0;
    int r = route_store_open(c->x->dirs.state, false, &c->x->store);
    if (r == 0)
        r = route_store_each(c->x->store, count_route, &n);
    if (r == -ENOENT || (r == 0 && n == 0))
        say(c, WARN, "routes", "no volume has one; say who owns each: route-set VOLUME GATEWAY");
    else if (r < 0)
        say(c, FAIL, "routes", "%s",
            c->x->store && *route_store_error(c->x->store) ? route_store_error(c->x->store)
                                                           : err_text(r));
    else
        say(c, OK, "routes", "%zu volumes", n);
}

static void say_behind(void *arg, const char *id, const struct event *last)
{
    char what[2 * NAME_LEN_MAX + 16];
    snprintf(what, sizeof(what), "copy of %s on %s", last->volume, last->source);
    say(arg, WARN, what,
        "left behind by %s, as %s did not answer; when it is back --resume has the copy fenced and "
        "made cold; if that is never, take its hook out of gateways.csv",
        id, last->source);
}

/* ---- director ---- */

/* Is the director that serves VOLUME, or would, there, and does it listen to us? */
static void check_director(struct check *c, const char *volume)
{
    const struct exec *x = c->x;
    struct director *d = NULL;
    struct director_status s;
    int r = director_open(x->control, x->dirs.state, x->dirs.run, volume, &d);
    if (r < 0) {
        if (!c->director_seen)
            say(c, FAIL, "director", "none answers %s '%s': %s; %s", x->control ? "at" : "in",
                x->control ? x->control : x->dirs.run, err_text(r),
                r == -EACCES ? "run as its user, or as root"
                             : "start it: route-director(8), or name its --control or --run");
        c->director_seen = true;
        return;
    }
    bool again = c->director_seen && strcmp(c->seen, director_path(d)) == 0;
    r = again ? 0 : director_status(d, &s);
    if (r < 0 && r != -ENOENT)
        say(c, FAIL, "director", "at '%s': %s", director_path(d), director_error(d));
    else if (!again)
        say(c, OK, "director", "answers at '%s'", director_path(d));
    c->director_seen = true;
    snprintf(c->seen, sizeof(c->seen), "%s", director_path(d));
    director_close(d);
}

/* ---- gateways ---- */

/* A volume on a gateway, as the source or a target of moves. */
struct place {
    const char *volume;
    const struct fleet_gateway *gateway;
    uint64_t size_bytes; /* 0: not known */
    bool target;
};

/* Is the place where the director that serves the volume has the one connection? */
static bool is_held(const struct check *c, const struct place *p)
{
    const struct exec *x = c->x;
    struct director *d = NULL;
    if (p->target || director_open(x->control, x->dirs.state, x->dirs.run, p->volume, &d) < 0)
        return false;
    bool held = reach_is_held(d, p->gateway->name);
    director_close(d);
    return held;
}

/* A gateway's volume that the director has open over its one connection. */
struct held {
    struct check *c;
    struct place place;
    bool found;
};

static int look_if_held(const struct route *r, void *arg)
{
    struct held *h = arg;
    if (strcmp(r->gateway, h->place.gateway->name) == 0) {
        h->place.volume = r->volume;
        h->found = is_held(h->c, &h->place);
    }
    return h->found;
}

/* Is there no answer because the director has the one connection that G takes? */
static bool is_taken(struct check *c, const struct fleet_gateway *g)
{
    struct held h = {.c = c, .place.gateway = g};
    if (c->x->store)
        route_store_each(c->x->store, look_if_held, &h);
    return h.found;
}

/* Does gateway G answer at all? */
static void check_reachable(struct check *c, const struct fleet_gateway *g)
{
    char what[NAME_LEN_MAX + 16];
    struct nbd_addr addr;
    snprintf(what, sizeof(what), "gateway %s", g->name);
    int r = nbd_addr_parse(g->uri, &addr);
    struct nbd_probe *p = r < 0 ? NULL : nbd_probe_new(&addr, NULL, 0, 0);
    if (!p) {
        say(c, FAIL, what, "'%s': %s; mend uri in gateways.csv", g->uri,
            err_text(r < 0 ? r : ENOMEM));
        return;
    }
    nbd_probe_run(p, PROBE_US);
    const struct nbd_probe_report *report = nbd_probe_report(p);
    if (!report->connected && is_taken(c, g))
        say(c, OK, what, "the director has the one connection that it takes");
    else if (!report->connected)
        say(c, FAIL, what, "%s; start its NBD server, or mend uri '%s' in gateways.csv",
            nbd_probe_error(p), g->uri);
    else if (g->state != GATEWAY_STATE_ACTIVE)
        say(c, WARN, what, "answers, but is %s in gateways.csv: it takes no new volume",
            rec_gateway_state_words[g->state]);
    else
        say(c, OK, what, "answers in %llu us", (unsigned long long)report->connect_us);
    nbd_probe_free(p);
}

/* Opens further connections beside FIRST, all at once; how many there were in the end. */
static int count_connections(const struct place *p)
{
    struct nbd_export *more[CONNECTIONS - 1] = {NULL};
    int n = 1;
    while (n < CONNECTIONS) {
        struct nbd_export *e = more[n - 1] = nbd_export_new();
        if (!e || nbd_export_connect(e, p->gateway->uri, p->volume, FURTHER_MS) < 0)
            break;
        n++;
    }
    for (int i = 0; i < CONNECTIONS - 1; i++)
        nbd_export_free(more[i]);
    return n;
}

/* One that may be connected to once (S9): nothing is wrong with that. */
static void say_lone(struct check *c, const char *what, const struct nbd_export_info *i)
{
    say(c, i->flush ? OK : WARN, what,
        "%llu bytes, %s, no multi-conn, %sblocks of %lu to %lu: one connection, a move copies "
        "through the director",
        (unsigned long long)i->size_bytes,
        i->flush ? "flush" : "no-flush: its replies count as durable", i->zeroes ? "zeroes, " : "",
        (unsigned long)i->block_min, (unsigned long)i->block_max);
}

/* The export's own properties, and the connections that a move takes. */
static void check_export(struct check *c, const struct place *p, const char *what)
{
    struct nbd_export *e;
    char why[256];
    const struct fleet_gateway *g = p->gateway;
    if (is_held(c, p)) {
        say(c, OK, what, "one connection, which the director has: a move copies through it");
        return;
    }
    unsigned needs = (p->target ? SIDE_WRITABLE : 0) | (c->x->force ? 0 : SIDE_FLUSHES);
    if (side_connect(g->name, g->uri, p->volume, p->size_bytes, needs, c->x->io_timeout_ms, &e, why,
                     sizeof(why)) < 0) {
        say(c, FAIL, what, "%s; the server of %s must export %s so", why, g->name, p->volume);
        return;
    }
    const struct nbd_export_info *i = nbd_export_info(e);
    if (!i->multi_conn) {
        say_lone(c, what, i);
        nbd_export_part(e, PART_MS);
        return;
    }
    int n = count_connections(p);
    char more[64] = "";
    if (n < CONNECTIONS)
        snprintf(more, sizeof(more), ", no more: a move opens up to %d", CONNECTIONS);
    say(c,
        n < CONNECTIONS_LEAST          ? FAIL
        : n < CONNECTIONS || !i->flush ? WARN
                                       : OK,
        what, "%llu bytes, %s, multi-conn, %sblocks of %lu to %lu, %d connection%s at once%s",
        (unsigned long long)i->size_bytes,
        i->flush ? "flush" : "no-flush: its replies count as durable", i->zeroes ? "zeroes, " : "",
        (unsigned long)i->block_min, (unsigned long)i->block_max, n, n == 1 ? "" : "s", more);
    nbd_export_free(e);
}

/* The gateway's hook: is it there, and does it answer?  False: the export is not there. */
static bool check_hook(struct check *c, const struct place *p)
{
    char what[2 * NAME_LEN_MAX + 16];
    char why[256];
    uint64_t bytes = 0;
    struct hook hook = {.line = p->gateway->hook,
                        .gateway = p->gateway->name,
                        .volume = p->volume,
                        .size_bytes = p->size_bytes};
    snprintf(what, sizeof(what), "hook of %s", p->gateway->name);
    if (!hook_there(&hook)) {
        say(c, WARN, what, "none: exports are made by hand, and old copies stay in service");
        return true;
    }
    int r = hook_size(&hook, &bytes, why, sizeof(why));
    if (r == HOOK_DONE)
        say(c, OK, what, "has %s with %llu bytes", p->volume, (unsigned long long)bytes);
    else if (r == HOOK_ABSENT)
        say(c, OK, what, "has no %s", p->volume);
    else if (r == HOOK_CANNOT)
        say(c, OK, what, "answers, but knows no sizes");
    else
        say(c, FAIL, what, "%s; mend it, or the column hook '%s' in gateways.csv", why,
            p->gateway->hook);
    return r != HOOK_ABSENT;
}

static void check_place(struct check *c, const struct place *p)
{
    char what[2 * NAME_LEN_MAX + 16];
    snprintf(what, sizeof(what), "%s on %s", p->volume, p->gateway->name);
    bool there = check_hook(c, p);
    if (there)
        check_export(c, p, what);
    else if (p->target)
        say(c, OK, what, "no export yet: the hook makes it");
    else
        say(c, FAIL, what,
            "its hook says that it is not there; bring it there, or name the owner that has it: "
            "route-set %s GATEWAY",
            p->volume);
}

static void check_named(struct check *c, const char *volume, const char *gateway, uint64_t size,
                        bool target)
{
    struct place p = {.volume = volume,
                      .gateway = fleet_gateway(&c->fleet, gateway),
                      .size_bytes = size,
                      .target = target};
    if (p.gateway)
        check_place(c, &p);
    else
        say(c, FAIL, volume,
            "gateway '%s' is not in gateways.csv; add it, or name another owner: route-set %s "
            "GATEWAY",
            gateway, volume);
}

/* Do the hooks say that the gateways of a move of VOLUME, or of a STANDBY, share its storage? */
static void check_shared(struct check *c, const char *volume, const char *source,
                         const char *target, uint64_t size, bool standby)
{
    const char *const names[] = {target, source};
    char what[2 * NAME_LEN_MAX + 16];
    char why[256];
    int shared = 0;
    for (int i = 0; i < 2 && shared >= 0; i++) {
        const struct fleet_gateway *g = fleet_gateway(&c->fleet, names[i]);
        struct hook hook = {
            .line = g ? g->hook : "", .gateway = names[i], .volume = volume, .size_bytes = size};
        int r = hook_shared(&hook, names[!i], why, sizeof(why));
        shared = r ? r : shared;
    }
    snprintf(what, sizeof(what), "storage of %s", volume);
    if (shared < 0)
        say(c, FAIL, what, "hook, shared: %s; a hook that cannot tell ends with 3", why);
    else if (shared && standby)
        say(c, WARN, what, AHEAD_SHARED, source, target);
    else if (shared)
        say(c, OK, what, "%s and %s share it: nothing is copied, and %s is fenced", source, target,
            source);
}

/* ---- what to look at ---- */

static void check_gateways(struct check *c)
{
    size_t n = c->fleet.gateway_names.n;
    for (size_t i = 0; i < n; i++)
        check_reachable(c, &c->fleet.gateways[i]);
}

static void say_route(struct check *c, const struct route *r)
{
    char what[NAME_LEN_MAX + 16];
    bool manual = r->state == ROUTE_STATE_MANUAL_RECOVERY;
    static const char *const ways[] = {
        [ROUTE_STATE_STEADY] = "",
        [ROUTE_STATE_MOVING] = "; unless it is under way: migrate-exec --resume",
        [ROUTE_STATE_DEFERRED] = "; migrate-exec --cutover, --resume or --abort goes on",
        [ROUTE_STATE_UNCOMMITTED] = "; migrate-exec --commit or --revert ends that",
        [ROUTE_STATE_MANUAL_RECOVERY] = ("; " ORPHAN_WAY),
    };
    const bool lost = orphan_is(c->x, r);
    snprintf(what, sizeof(what), "route of %s", r->volume);
    say(c,
        manual || lost                   ? FAIL
        : r->state == ROUTE_STATE_STEADY ? OK
                                         : WARN,
        what, "%s at epoch %llu, %s%s", r->gateway, (unsigned long long)r->epoch,
        rec_route_state_words[r->state],
        lost ? ", and no journal is of it; " ORPHAN_WAY : ways[r->state]);
}

static int check_owner(const struct route *r, void *arg)
{
    struct check *c = arg;
    say_route(c, r);
    check_director(c, r->volume);
    check_named(c, r->volume, r->gateway, r->size_bytes, false);
    return 0;
}

/* 1, 0 (said so) */
static int find_route(struct check *c, const char *volume, struct route *route)
{
    int r = c->x->store ? route_store_get(c->x->store, volume, route) : 0;
    if (r == 1)
        return 1;
    if (r < 0)
        say(c, FAIL, volume, "%s", err_text(r));
    else
        say(c, FAIL, volume, "the volume has no route; say who owns it: route-set %s GATEWAY",
            volume);
    return 0;
}

/* The volume at its owner, and at every gateway that may take it. */
static void check_volume(struct check *c, const char *volume)
{
    struct route route;
    char why[256];
    if (!find_route(c, volume, &route))
        return;
    check_owner(&route, c);
    size_t n = c->fleet.gateway_names.n;
    for (size_t i = 0; i < n; i++) {
        const char *to = c->fleet.gateways[i].name;
        if (strcmp(to, route.gateway) != 0 &&
            !admit_forbids(&c->fleet, volume, route.gateway, to, why, sizeof(why))) {
            check_named(c, volume, to, route.size_bytes, true);
            check_shared(c, volume, route.gateway, to, route.size_bytes, false);
        }
    }
}

/* What a row does to the copy that the last move has left (kept.h). */
static const char *do_to_copy(const struct plan_row *row, const struct route *route)
{
    if (strcmp(row->target, route->target) != 0)
        return "it commits the last move first";
    return row->kind == PLAN_KIND_STANDBY
               ? "the copy of the last move stands by there, or is committed first"
               : "it reverts the last move, which is not committed";
}

/* A migration of the row's volume is open: that of a standby is no obstacle.  WHY: else it is. */
static void check_standby(struct check *c, const struct plan_row *row, const char *what,
                          const char *why)
{
    char id[NAME_LEN_MAX + 1], target[NAME_LEN_MAX + 1];
    if (!aheadrow_find(c->x, row, id, target))
        say(c, FAIL, what, "%s", why);
    else if (strcmp(row->target, target) != 0)
        say(c, OK, what, "may be carried out: it gives up the standby %s on %s first", id, target);
    else if (row->kind == PLAN_KIND_STANDBY)
        say(c, OK, what, "%s stands by there already", id);
    else
        say(c, OK, what, "may be carried out: it hands over to the standby %s", id);
}

static void check_row(struct check *c, const struct plan_row *row)
{
    struct route route;
    char what[NAME_LEN_MAX + 16];
    char why[256];
    snprintf(what, sizeof(what), "row of %s", row->volume);
    if (!find_route(c, row->volume, &route))
        return;
    enum admission a = admit(row, &route, clock_now(), c->x->max_age_s, why, sizeof(why));
    if (a == ADMIT_SKIP) {
        say(c, OK, what, "skipped: %s", why);
        return;
    }
    bool no = a == ADMIT_NEVER ||
              admit_forbids(&c->fleet, row->volume, row->source, row->target, why, sizeof(why));
    if (no)
        say(c, FAIL, what, "%s", why);
    else if (a == ADMIT_KEPT)
        say(c, OK, what, "may be carried out: %s", do_to_copy(row, &route));
    else if (a == ADMIT_OPEN)
        check_standby(c, row, what, why);
    else
        say(c, a == ADMIT_LATER ? WARN : OK, what, "%s",
            a == ADMIT_LATER ? why : "may be carried out");
    check_director(c, row->volume);
    check_named(c, row->volume, row->source, route.size_bytes, false);
    check_named(c, row->volume, row->target, route.size_bytes, true);
    check_shared(c, row->volume, row->source, row->target, route.size_bytes,
                 row->kind == PLAN_KIND_STANDBY);
}

/* 0, or the exit status of a plan that cannot be read. */
static int check_plan(struct check *c, const char *path)
{
    char *paths[] = {(char *)(uintptr_t)path}; /* the reader does not change it */
    struct rec_reader *r = rec_reader_new(&rec_plan);
    int more = -ENOMEM;
    int status = EX_OSERR;
    if (r) {
        rec_reader_files(r, paths, 1);
        struct plan_row row;
        while ((more = rec_reader_next(r)) > 0) {
            rows_read(r, &row);
            check_row(c, &row);
        }
        if (more < 0) {
            err_warn("%s", rec_reader_error(r));
            status = rec_reader_status(r);
        }
    }
    rec_reader_free(r);
    return more < 0 ? status : 0;
}

static int check_words(struct check *c, char *const *words, size_t n)
{
    int status = 0;
    for (size_t i = 0; i < n && status == 0; i++) {
        if (strcmp(words[i], "-") == 0 || parse_name(words[i]) < 0 || access(words[i], F_OK) == 0)
            status = check_plan(c, words[i]);
        else
            check_volume(c, words[i]);
    }
    return status;
}

int check_environment(struct exec *x, char *const *words, size_t n)
{
    struct check c = {.x = x};
    int status = check_configuration(&c);
    check_frozen(&c);
    check_writable(&c, "");
    check_writable(&c, "/migrations");
    check_space(&c);
    if (status == 0) {
        check_routes(&c);
        behind_each(x, say_behind, &c);
        check_gateways(&c);
        if (n)
            status = check_words(&c, words, n);
        else if (x->store)
            route_store_each(x->store, check_owner, &c);
        if (!c.director_seen)
            check_director(&c, "_"); /* any: the one in the run folder */
    }
    fleet_release(&c.fleet);
    x->fleet = NULL;
    return status ? status : c.failed ? EX_NO : EX_OK;
}
