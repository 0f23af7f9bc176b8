/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/rows.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-exec/aheadrow.h"
#include "cmd/migrate-exec/behind.h"
#include "cmd/migrate-exec/dryrun.h"
#include "cmd/migrate-exec/kept.h"
#include "cmd/migrate-exec/signals.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"

void rows_read(const struct rec_reader *r, struct plan_row *row)
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

bool rows_frozen(const struct exec *x, char *why, size_t size)
{
    struct buf path = {0};
    struct buf text = {0};
    bool is = false;
    if (buf_printf(&path, "%s/frozen", x->dirs.state) == 0 && access(path.data, F_OK) == 0) {
        is = true;
        int r = fsfile_read(path.data, 65536, &text);
        size_t len = text.len ? strcspn(text.data, "\n") : 0;
        snprintf(why, size, "%.*s", len ? (int)len : INT_MAX,
                 len ? text.data : (r < 0 ? err_text(r) : "no reason given"));
    }
    buf_release(&text);
    buf_release(&path);
    return is;
}

bool rows_say_frozen(const struct exec *x)
{
    char why[1024];
    bool is = rows_frozen(x, why, sizeof(why));
    if (is)
        err_warn("frozen by '%s/frozen': %s", x->dirs.state, why);
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

void rows_set_move(struct move *m, const struct exec *x, const struct plan_row *row,
                   const struct route *route)
{
    move_init(m, x);
    memcpy(m->volume, row->volume, sizeof(m->volume));
    memcpy(m->source, row->source, sizeof(m->source));
    memcpy(m->target, row->target, sizeof(m->target));
    memcpy(m->reason, row->reason, sizeof(m->reason));
    m->epoch = row->epoch;
    m->size_bytes = route->size_bytes;
    m->terms.verify = verify_choose(x, row->kind == PLAN_KIND_MANDATORY, false);
    m->ahead = row->kind == PLAN_KIND_STANDBY;
}

enum outcome rows_read_steady(const struct exec *x, const struct plan_row *row, struct route *route)
{
    int r = route_store_get(x->store, row->volume, route);
    if (r == 1 && route->state == ROUTE_STATE_STEADY && route->epoch == row->epoch &&
        strcmp(route->gateway, row->source) == 0)
        return GO;
    err_warn("refused '%s': its route was changed meanwhile", row->volume);
    return FAILED;
}

static enum outcome move_row(const struct exec *x, const struct plan_row *row,
                             const struct route *route)
{
    struct move m;
    rows_set_move(&m, x, row, route);
    enum outcome out;
    if (x->dry_run) {
        out = dry_run(&m, m.ahead ? "standby: " : "");
    } else {
        out = open_journal(&m);
        if (out == GO)
            out = move_drive(&m, false);
    }
    move_release(&m);
    return out;
}

/* The row against the store as it is now. */
static enum admission admit_row(const struct exec *x, const struct plan_row *row, double max_age_s,
                                struct route *route, char *why, size_t size)
{
    int r = x->store ? route_store_get(x->store, row->volume, route) : 0;
    if (r < 0)
        err_die(EX_IOERR, "cannot read '%s': %s", route_store_path(x->store),
                *route_store_error(x->store) ? route_store_error(x->store) : err_text(r));
    enum admission a = admit(row, r ? route : NULL, clock_now(), max_age_s, why, size);
    bool may = a == ADMIT_NOW || a == ADMIT_KEPT || a == ADMIT_OPEN || a == ADMIT_LATER;
    return may && admit_forbids(x->fleet, row->volume, row->source, row->target, why, size)
               ? ADMIT_NEVER
               : a;
}

/* Sleeps until TIME; a signal ends the program, nothing is open. */
static void sleep_until(double time)
{
    for (double left; (left = time - clock_now()) > 0;)
        poll(NULL, 0, left > 1 ? 1000 : (int)(left * 1000) + 1);
}

enum outcome rows_carry_out(const struct exec *x, const struct plan_row *row)
{
    struct route route = {.epoch = 0};
    char why[256];
    enum admission a = admit_row(x, row, x->max_age_s, &route, why, sizeof(why));
    if (a == ADMIT_LATER && x->wait) {
        sleep_until(row->not_before);
        a = admit_row(x, row, INFINITY, &route, why, sizeof(why)); /* it aged while we waited */
    }
    if (a == ADMIT_SKIP) {
        err_warn("skipped '%s': %s", row->volume, why);
        return SETTLED;
    }
    if (a != ADMIT_NOW && a != ADMIT_KEPT && a != ADMIT_OPEN) {
        err_warn("%s '%s': %s", a == ADMIT_LATER ? "left" : "refused", row->volume, why);
        return a == ADMIT_LATER ? DEFERRED : FAILED;
    }
    if (!x->dry_run && rows_say_frozen(x))
        return DEFERRED;
    signals_catch();
    enum outcome out = x->dry_run ? GO : behind_clear(x, row->volume, row->target);
    if (out == GO && a == ADMIT_KEPT)
        out = kept_carry_out(x, row, &route);
    else if (out == GO && !x->dry_run)
        out = kept_finish(x, row);
    if (out == GO)
        out = aheadrow_carry_out(x, row, &route, a == ADMIT_OPEN ? why : NULL);
    if (out == GO)
        out = move_row(x, row, &route);
    if (!signals_pending())
        signals_release();
    return out;
}
