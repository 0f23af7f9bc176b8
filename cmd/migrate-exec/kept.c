/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/kept.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/ahead.h"
#include "cmd/migrate-exec/behind.h"
#include "cmd/migrate-exec/dryrun.h"
#include "cmd/migrate-exec/foresee.h"
#include "cmd/migrate-exec/orphan.h"
#include "cmd/migrate-exec/place.h"
#include "cmd/migrate-exec/recover.h"
#include "cmd/migrate-exec/signals.h"
#include "cmd/migrate-exec/silence.h"
#include "cmd/migrate-exec/takeover.h"
#include "common/base/clock.h"
#include "common/base/error.h"

/* The migration that has left the copy. */
struct kept {
    char id[NAME_LEN_MAX + 1];
    struct story story;
    bool taken_over; /* its copy is the owner by now, which no journal says */
};

/* ---- which it is ---- */

/* Is ID the one that VOLUME's record in the store is of?  Then *K is set. */
static void look(const struct exec *x, const char *id, const char *volume, struct kept *k)
{
    struct story s;
    struct route route;
    struct move m;
    if (story_load(x, id, &s) < 0 || !s.any || strcmp(s.last.volume, volume) != 0 ||
        s.last.event == EVENT_COMMITTED || s.last.event == EVENT_REVERTED ||
        (event_is_final(s.last.event) && !s.switched))
        return;
    move_init(&m, x);
    if (story_set_move(&m, id, &s.last) < 0)
        return;
    enum place place = place_of(&m, &route);
    if (place != ON_TARGET && (place != TAKEN_OVER || !s.switched))
        return;
    snprintf(k->id, sizeof(k->id), "%s", id);
    k->story = s;
    k->taken_over = place == TAKEN_OVER;
}

/* 1, with *K; 0: no journal is of the volume's record; or -errno. */
static int find(const struct exec *x, const char *volume, struct kept *k)
{
    char **ids;
    size_t n;
    int r = journal_ids(x->dirs.state, &ids, &n);
    if (r < 0)
        return r;
    *k = (struct kept){.id = ""};
    for (size_t i = 0; i < n; i++) /* the last, if a way back is open */
        look(x, ids[i], volume, k);
    journal_ids_free(ids, n);
    return k->id[0] != 0;
}

/* ---- words ---- */

static enum outcome refuse(const struct plan_row *row, const char *why)
{
    err_warn("refused '%s': its last move is not committed: %s", row->volume, why);
    return FAILED;
}

/* What would be done: VERB to the migration of K, and then what REST says. */
static enum outcome say_dry(const struct exec *x, const struct plan_row *row,
                            const struct route *route, const struct kept *k, const char *verb,
                            const char *rest)
{
    struct move m;
    char first[NAME_LEN_MAX + 64];
    rows_set_move(&m, x, row, route);
    snprintf(first, sizeof(first), "%s of %s%s: ", verb, k->id, rest);
    enum outcome o = dry_run(&m, first);
    move_release(&m);
    return o;
}

/* ---- back ---- */

/* A row that asks for a standby where the copy is kept as one. */
static enum outcome stay(const struct exec *x, const struct plan_row *row, const struct kept *k)
{
    if (!x->dry_run)
        return recover_resume(x, k->id);
    err_warn("nothing to do for '%s': the copy of %s stands by on %s", row->volume, k->id,
             row->target);
    return SETTLED;
}

static enum outcome go_back(const struct exec *x, const struct plan_row *row,
                            const struct route *route, const struct kept *k)
{
    struct exec own = *x;
    if (x->dry_run)
        return say_dry(x, row, route, k, "revert", "");
    own.reason = row->reason;
    return recover_revert(&own, k->id);
}

/* ---- on ---- */

/* May the copy be given up for ROW?  If not, it is said why. */
static bool may_give_up(const struct plan_row *row, const struct route *route, const struct kept *k)
{
    const struct story *s = &k->story;
    char why[2 * NAME_LEN_MAX + 64];
    if (row->kind == PLAN_KIND_MANDATORY || s->committing ||
        (s->retain_until != 0 && s->retain_until <= clock_now()))
        return true;
    int n = snprintf(why, sizeof(why), "%s keeps its copy on %s", k->id, route->target);
    if (s->retain_until != 0)
        snprintf(why + n, sizeof(why) - (size_t)n, " until %.0f", s->retain_until);
    refuse(row, why);
    return false;
}

/*
 * Does the hook that is to take the copy out of service answer?  A commit that is begun and can't
 * go on would keep the volume from going back, too.  If the whole gateway is silent a row that is
 * mandatory LEAVES the copy behind (behind.h).  False: it is said why not.
 */
static bool keeper_answers(const struct exec *x, const struct plan_row *row,
                           const struct route *route, const struct kept *k, bool *leaves)
{
    struct move m;
    char text[200];
    char why[NAME_LEN_MAX + 256];
    rows_set_move(&m, x, row, route);
    enum silence silence = silence_of(&m, route->target, text, sizeof(text));
    move_release(&m);
    *leaves = silence == SILENCE_ALL && row->kind == PLAN_KIND_MANDATORY;
    if (silence == SILENCE_NONE || *leaves || k->story.committing)
        return true;
    snprintf(why, sizeof(why), "its copy cannot be let go: hook of %s, size: %s", route->target,
             text);
    refuse(row, why);
    return false;
}

/* Could the move begin, once the copy is let go?  GO, or an outcome with its message printed. */
static enum outcome look_ahead(const struct exec *x, const struct plan_row *row,
                               const struct route *route)
{
    struct move m;
    rows_set_move(&m, x, row, route);
    enum outcome o = foresee(&m);
    if (o != GO)
        err_warn("cannot move '%s': %s; its copy on %s is kept", m.volume, m.why, route->target);
    move_release(&m);
    return o;
}

/* Commits ID, as an operator would, whatever this run's options are for. */
static enum outcome commit(const struct exec *x, const struct kept *k)
{
    struct exec own = *x;
    own.force = own.keep_mirrored = own.standby = false;
    own.disposal = k->story.committing ? k->story.disposal : DISPOSAL_COLD;
    enum outcome o = recover_commit(&own, k->id);
    return o == SWITCHED || o == SETTLED ? GO : o;
}

static enum outcome go_on(const struct exec *x, const struct plan_row *row, struct route *route,
                          const struct kept *k)
{
    bool leaves;
    if (!may_give_up(row, route, k) || !keeper_answers(x, row, route, k, &leaves))
        return FAILED;
    if (x->dry_run && leaves)
        return say_dry(x, row, route, k, "copy", " left behind, then a move");
    if (x->dry_run)
        return say_dry(x, row, route, k, "commit",
                       row->kind == PLAN_KIND_STANDBY ? ", then a standby" : ", then a move");
    enum outcome o = look_ahead(x, row, route);
    if (o == GO)
        o = leaves ? behind_leave(x, k->id) : commit(x, k);
    if (o == GO && signals_pending()) {
        err_warn("'%s' is not moved: interrupted by %s", row->volume, signals_pending());
        return DEFERRED;
    }
    return o == GO ? rows_read_steady(x, row, route) : o;
}

/* ---- both ---- */

/* *K is the migration to go on with: of a takeover, and of a standby that did so, recorded. */
static enum outcome take_up(const struct exec *x, const struct plan_row *row, struct kept *k)
{
    int r = find(x, row->volume, k);
    bool alone = r == 1 && (k->taken_over || ahead_took_over(x, k->id, &k->story));
    if (alone && !x->dry_run) {
        enum outcome o = recover_resume(x, k->id);
        if (o != SWITCHED)
            return o;
        r = find(x, row->volume, k);
    }
    if (r < 0)
        return refuse(row, err_text(r));
    if (r == 0)
        return refuse(row, "no readable journal is of it; " ORPHAN_WAY);
    if (k->story.switched)
        return GO;
    err_warn("left '%s': first migrate-exec --resume %s: its switch was interrupted", row->volume,
             k->id);
    return DEFERRED;
}

enum outcome kept_carry_out(const struct exec *x, const struct plan_row *row, struct route *route)
{
    struct kept k;
    enum outcome o = take_up(x, row, &k);
    if (o != GO)
        return o;
    bool there = strcmp(row->target, route->target) == 0;
    if (row->kind == PLAN_KIND_STANDBY)
        return there && k.story.standby ? stay(x, row, &k) : go_on(x, row, route, &k);
    return there ? go_back(x, row, route, &k) : go_on(x, row, route, &k);
}

enum outcome kept_finish(const struct exec *x, const struct plan_row *row)
{
    struct story s;
    char id[NAME_LEN_MAX + 1];
    for (unsigned n = 1; migration_id(row->volume, row->epoch, n, id) == 0; n++) {
        int r = story_load(x, id, &s);
        if (r == -ENOENT)
            return GO;
        if (r < 0 || !s.switched || !s.committing || s.behind || s.last.event == EVENT_COMMITTED)
            continue;
        enum outcome o = recover_resume(x, id);
        return o == SWITCHED || o == SETTLED ? GO : o;
    }
    return GO;
}
