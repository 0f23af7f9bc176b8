/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/route-set/verify.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/route-set/print.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/parse.h"
#include "common/nbd/ask.h"
#include "common/route/control.h"

enum column { VOLUME, GATEWAY, EPOCH, STATE, DIRECTOR, DIRECTOR_EPOCH, EXPORTED, VERDICT, REASON };

enum finding { FINDING_OK, FINDING_UNKNOWN, FINDING_DIFFERS };
static const char *const finding_words[] = {"ok", "unknown", "differs", NULL};

static const struct rec_column columns[] = {
    {"volume", REC_NAME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"epoch", REC_UINT, 0, NULL},
    {"state", REC_WORD, 0, rec_route_state_words},
    {"director", REC_NAME, REC_EMPTY, NULL},
    {"director_epoch", REC_UINT, REC_EMPTY, NULL},
    {"exported", REC_TEXT, REC_EMPTY, NULL},
    {"verdict", REC_WORD, 0, finding_words},
    {"reason", REC_TEXT, REC_EMPTY, NULL},
};
static const struct rec_schema schema = {"verification", columns,
                                         sizeof(columns) / sizeof(*columns)};

struct verifier {
    const struct opts_dirs *dirs;
    const struct fleet *fleet;
    const char *only; /* this volume; "": all */
    int timeout_ms;
    struct rec_writer *writer;
    bool *mute; /* by gateway: did not answer */
    bool found;
    bool all_ok;
};

/* What is known of one volume. */
struct facts {
    char director[NAME_LEN_MAX + 1]; /* the owner that the director has; "": nobody serves it */
    uint64_t director_epoch;
    /* Gateways that take one connection, which the director has (S9); "": none. */
    char held_owner[NAME_LEN_MAX + 1], held_target[NAME_LEN_MAX + 1];
    struct buf exported;
    enum finding finding; /* the worst so far … */
    struct buf reason;    /* … and what there is to say */
};

static void note(struct facts *f, enum finding finding, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void note(struct facts *f, enum finding finding, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (finding > f->finding)
        f->finding = finding;
    print_check(buf_printf(&f->reason, "%s%s", f->reason.len ? "; " : "", text));
}

/* ---- the director ---- */

/* The value of "KEY=" in the status line, or "". */
static void status_word(const char *line, const char *key, char *out, size_t size)
{
    size_t len = strlen(key);
    *out = 0;
    for (const char *at = line; (at = strstr(at, key)); at += len) {
        if ((at != line && at[-1] != ' ') || at[len] != '=')
            continue;
        snprintf(out, size, "%.*s", (int)strcspn(at + len + 1, " \n"), at + len + 1);
        return;
    }
}

static void take_held(struct facts *f, const char *line)
{
    char sides[16];
    char place[16];
    status_word(line, "private", sides, sizeof(sides));
    status_word(line, "gateway", place, sizeof(place));
    bool both = strcmp(sides, "both") == 0;
    if ((both || strcmp(sides, "source") == 0) && strcmp(place, "here") == 0)
        status_word(line, "owner", f->held_owner, sizeof(f->held_owner));
    if (both || strcmp(sides, "target") == 0)
        status_word(line, "target", f->held_target, sizeof(f->held_target));
}

static void take_status(struct facts *f, const char *line)
{
    char epoch[32];
    take_held(f, line);
    status_word(line, "owner", f->director, sizeof(f->director));
    status_word(line, "epoch", epoch, sizeof(epoch));
    if (!*f->director || parse_u64(epoch, &f->director_epoch) < 0) {
        *f->director = 0;
        note(f, FINDING_UNKNOWN, "the director's answer is not understood");
    }
}

static void ask_director(const struct verifier *v, const struct route *r, struct facts *f)
{
    char path[PATH_MAX];
    struct control *c;
    int err = route_serve_holder(v->dirs->state, r->volume, path, sizeof(path));
    if (err < 0)
        note(f, FINDING_UNKNOWN, "who serves it cannot be told: %s", err_text(err));
    if (err <= 0 || !path[0])
        return; /* nobody, or somebody who only keeps directors out */
    err = control_open(path, &c);
    if (err < 0) {
        note(f, FINDING_UNKNOWN, "its director 'unix:%.100s' does not answer: %s", path,
             err_text(err));
        return;
    }
    err = control_call(c, v->timeout_ms, "status %s", r->volume);
    if (err == 0)
        take_status(f, control_data(c));
    else if (err != -ENOENT) /* it has let go of the volume meanwhile */
        note(f, FINDING_UNKNOWN, "its director 'unix:%.100s' does not answer: %s", path,
             err_text(err));
    control_close(c);
    if (*f->director && (strcmp(f->director, r->gateway) != 0 || f->director_epoch != r->epoch))
        note(f, FINDING_DIFFERS, "the director serves it from %s at epoch %llu", f->director,
             (unsigned long long)f->director_epoch);
}

/* ---- the gateways ---- */

/* The copy that the record tells of besides the owner's. */
static bool is_expected(const struct route *r, const char *gateway)
{
    return r->state != ROUTE_STATE_STEADY && strcmp(r->target, gateway) == 0;
}

static void found_export(const struct route *r, struct facts *f, const char *gateway, uint64_t size)
{
    bool owner = strcmp(r->gateway, gateway) == 0;
    print_check(buf_printf(&f->exported, "%s%s", f->exported.len ? " " : "", gateway));
    if (owner && size < r->size_bytes)
        note(f, FINDING_DIFFERS, "%s exports %llu bytes, not %llu", gateway,
             (unsigned long long)size, (unsigned long long)r->size_bytes);
    if (!owner && !is_expected(r, gateway))
        note(f, FINDING_DIFFERS, "%s exports a copy that the record knows nothing of", gateway);
}

static void ask_gateway(struct verifier *v, const struct route *r, struct facts *f, size_t i)
{
    const struct fleet_gateway *g = &v->fleet->gateways[i];
    bool owner = strcmp(r->gateway, g->name) == 0;
    if (g->state == GATEWAY_STATE_DOWN && !owner)
        return;
    if (strcmp(f->held_owner, g->name) == 0 || strcmp(f->held_target, g->name) == 0) {
        found_export(r, f, g->name, r->size_bytes); /* the director sees to its size (S24) */
        return;
    }
    if (v->mute[i]) {
        note(f, FINDING_UNKNOWN, "%s does not answer", g->name);
        return;
    }
    char why[512];
    uint64_t size;
    int err = nbd_ask(g->uri, r->volume, v->timeout_ms, &size, why, sizeof(why));
    if (err == 0) {
        found_export(r, f, g->name, size);
    } else if (err != -ENOENT && err != -EPERM) {
        v->mute[i] = true;
        note(f, FINDING_UNKNOWN, "%s does not answer: %s (start it, or mend uri in gateways.csv)",
             g->name, why);
    } else if (owner) {
        note(f, FINDING_DIFFERS,
             "%s, the owner, does not export it: %s (name the gateway that has it: route-set %s "
             "GATEWAY)",
             g->name, why, r->volume);
    }
}

static void ask_gateways(struct verifier *v, const struct route *r, struct facts *f)
{
    if (!fleet_gateway(v->fleet, r->gateway))
        note(f, FINDING_DIFFERS, "its owner is not in gateways.csv (add it)");
    for (size_t i = 0; i < v->fleet->gateway_names.n; i++)
        ask_gateway(v, r, f, i);
}

/* ---- a volume ---- */

static void put(struct rec_writer *w, const struct route *r, const struct facts *f)
{
    rec_put_text(w, VOLUME, r->volume);
    rec_put_text(w, GATEWAY, r->gateway);
    rec_put_uint(w, EPOCH, r->epoch);
    rec_put_word(w, STATE, r->state);
    if (*f->director) {
        rec_put_text(w, DIRECTOR, f->director);
        rec_put_uint(w, DIRECTOR_EPOCH, f->director_epoch);
    }
    rec_put_text(w, EXPORTED, f->exported.len ? f->exported.data : "");
    rec_put_word(w, VERDICT, f->finding);
    rec_put_text(w, REASON, f->reason.len ? f->reason.data : "");
    print_check(rec_write_now(w));
}

static int verify_volume(const struct route *r, void *arg)
{
    struct verifier *v = arg;
    struct facts f = {.finding = FINDING_OK};
    if (*v->only && strcmp(v->only, r->volume) != 0)
        return 0;
    v->found = true;
    if (r->state == ROUTE_STATE_MANUAL_RECOVERY)
        note(&f, FINDING_UNKNOWN, "the volume is in manual recovery");
    ask_director(v, r, &f);
    ask_gateways(v, r, &f);
    put(v->writer, r, &f);
    v->all_ok = v->all_ok && f.finding == FINDING_OK;
    buf_release(&f.exported);
    buf_release(&f.reason);
    return 0;
}

bool verify(const struct opts_dirs *dirs, const struct fleet *f, struct route_store *s,
            const char *volume, int timeout_ms)
{
    struct verifier v = {
        .dirs = dirs,
        .fleet = f,
        .only = volume,
        .timeout_ms = timeout_ms,
        .writer = print_new(&schema),
        .mute = calloc(f->gateway_names.n + 1, sizeof(bool)),
        .all_ok = true,
    };
    if (!v.mute)
        print_check(-ENOMEM);
    print_check(rec_writer_header(v.writer));
    int r = s ? route_store_each(s, verify_volume, &v) : 0;
    if (r < 0)
        die_of_store(s, r);
    rec_writer_free(v.writer);
    free(v.mute);
    if (!v.found && *volume)
        err_warn("no route of '%s'; set one: route-set %s GATEWAY", volume, volume);
    else if (!v.found)
        err_warn("no volume has a route; set one: route-set VOLUME GATEWAY");
    return v.all_ok && (v.found || !*volume);
}
