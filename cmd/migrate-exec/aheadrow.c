/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/aheadrow.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/ahead.h"
#include "cmd/migrate-exec/dryrun.h"
#include "cmd/migrate-exec/foresee.h"
#include "cmd/migrate-exec/giveway.h"
#include "cmd/migrate-exec/recover.h"
#include "cmd/migrate-exec/shared.h"
#include "cmd/migrate-exec/signals.h"
#include "common/base/clock.h"
#include "common/base/error.h"

/* 1: migration ID, whose journal says S, is open and would bring ROW's volume to the next epoch;
 * 0: none is; or -errno. */
static int find_open(const struct exec *x, const struct plan_row *row, char id[NAME_LEN_MAX + 1],
                     struct story *s)
{
    int r = 0;
    for (unsigned n = 1; r == 0; n++) {
        r = migration_id(row->volume, row->epoch + 1, n, id);
        if (r == 0)
            r = story_load(x, id, s);
        if (r == -ENOENT || (r == 0 && !s->any))
            return 0;
        if (r == 0 && !event_is_final(s->last.event))
            return 1;
    }
    return r;
}

bool aheadrow_find(const struct exec *x, const struct plan_row *row, char id[NAME_LEN_MAX + 1],
                   char target[NAME_LEN_MAX + 1])
{
    struct story s = {.any = false};
    if (find_open(x, row, id, &s) != 1 || !s.ahead)
        return false;
    memcpy(target, s.last.target, sizeof(s.last.target));
    return true;
}

static enum outcome refuse(const struct plan_row *row, const char *why)
{
    err_warn("refused '%s': %s", row->volume, why);
    return FAILED;
}

static enum outcome say_dry(const struct exec *x, const struct plan_row *row,
                            const struct route *route, const char *verb, const char *id,
                            const char *rest)
{
    struct move m;
    char first[NAME_LEN_MAX + 64];
    rows_set_move(&m, x, row, route);
    snprintf(first, sizeof(first), "%s of %s%s: ", verb, id, rest);
    enum outcome o = dry_run(&m, first);
    move_release(&m);
    return o;
}

/* ---- where it stands by ---- */

static enum outcome stay(const struct exec *x, const struct plan_row *row, const char *id)
{
    if (!x->dry_run)
        return recover_resume(x, id);
    err_warn("nothing to do for '%s': %s stands by on %s", row->volume, id, row->target);
    return SETTLED;
}

/* Has who copies it give way, if ROW can't wait for that.  GO, or with its message printed. */
static enum outcome claim_way(const struct exec *x, const struct plan_row *row, const char *id)
{
    return row->kind == PLAN_KIND_MANDATORY ? giveway_ask(x, id) : GO;
}

/* Has it been given up, so that nothing stands by any more? */
static bool is_over(const struct exec *x, const char *id)
{
    struct story s;
    return story_load(x, id, &s) == 0 && s.any && !s.switched && event_is_final(s.last.event);
}

static enum outcome hand_over(const struct exec *x, const struct plan_row *row, struct route *route,
                              const char *id)
{
    struct exec own = *x;
    if (x->dry_run)
        return say_dry(x, row, route, "cutover", id, "");
    own.reason = row->reason; /* what it is to prove is the standby's: that may be proved already */
    enum outcome o = claim_way(x, row, id);
    if (o == GO && is_over(x, id)) /* by somebody else, while ROW waited */
        return rows_read_steady(x, row, route);
    return o == GO ? recover_cutover(&own, id) : o;
}

/* ---- elsewhere ---- */

/* Could ROW begin, once the standby ID is given up?  GO, or an outcome with its message printed. */
static enum outcome look_ahead(const struct exec *x, const struct plan_row *row,
                               const struct route *route, const char *id)
{
    struct move m;
    rows_set_move(&m, x, row, route);
    enum outcome o = foresee(&m);
    if (o == GO && m.ahead && m.shared)
        o = move_fails(&m, AHEAD_SHARED, m.source, m.target);
    if (o != GO)
        err_warn("cannot move '%s': %s; %s goes on standing by", m.volume, m.why, id);
    move_release(&m);
    return o;
}

static enum outcome give_up(const struct exec *x, const struct plan_row *row, struct route *route,
                            const char *id)
{
    struct exec own = *x;
    if (x->dry_run)
        return say_dry(x, row, route, "abort", id,
                       row->kind == PLAN_KIND_STANDBY ? ", then a standby" : ", then a move");
    enum outcome o = look_ahead(x, row, route, id);
    own.reason = row->reason;
    if (o == GO)
        o = claim_way(x, row, id);
    if (o == GO)
        o = recover_give_up(&own, id);
    if (o == SETTLED && signals_pending()) {
        err_warn("'%s' is not moved: interrupted by %s", row->volume, signals_pending());
        return DEFERRED;
    }
    return o == SETTLED ? rows_read_steady(x, row, route) : o;
}

/* ---- none yet ---- */

/* On shared storage there is only one copy. */
static enum outcome may_make(const struct exec *x, const struct plan_row *row,
                             const struct route *route)
{
    struct move m;
    rows_set_move(&m, x, row, route);
    enum outcome o = shared_ask(&m);
    if (o != GO) {
        err_warn("cannot make a standby of '%s': %s", row->volume, m.why);
    } else if (m.shared) {
        err_warn("skipped '%s': " AHEAD_SHARED, row->volume, row->source, row->target);
        o = SETTLED;
    }
    move_release(&m);
    return o;
}

/* Have the last attempts to make ROW's standby failed, so that the next one is to wait? */
static bool is_too_soon(const struct exec *x, const struct plan_row *row)
{
    struct lost lost = {.times = 0};
    char id[NAME_LEN_MAX + 1];
    for (unsigned n = 1; migration_id(row->volume, row->epoch + 1, n, id) == 0; n++) {
        struct story s;
        int r = story_load(x, id, &s);
        if (r == -ENOENT)
            break;
        if (r == 0 && s.any && s.ahead && strcmp(s.last.target, row->target) != 0)
            continue; /* which says nothing of this gateway */
        if (r == 0 && s.any && s.ahead && s.last.event == EVENT_FAILED)
            lost_add(&lost, 0, s.last.time);
        else
            lost = (struct lost){.times = 0};
    }
    if (lost_left_s(&lost, clock_now()) <= 0)
        return false;
    err_warn("left '%s': its standby on %s has failed %u times in a row: not before %.0f",
             row->volume, row->target, lost.times, ceil(lost.until));
    return true;
}

/* One that fails again and again is not made at once. */
static enum outcome make(const struct exec *x, const struct plan_row *row,
                         const struct route *route)
{
    return is_too_soon(x, row) ? DEFERRED : may_make(x, row, route);
}

enum outcome aheadrow_carry_out(const struct exec *x, const struct plan_row *row,
                                struct route *route, const char *open)
{
    struct story s = {.any = false};
    char id[NAME_LEN_MAX + 1];
    int r = find_open(x, row, id, &s);
    bool there = r == 1 && s.ahead && strcmp(s.last.source, row->source) == 0;
    if (!there && open)
        return refuse(row, open);
    if (!there)
        return row->kind == PLAN_KIND_STANDBY ? make(x, row, route) : GO;
    if (strcmp(s.last.target, row->target) != 0)
        return give_up(x, row, route, id);
    return row->kind == PLAN_KIND_STANDBY ? stay(x, row, id) : hand_over(x, row, route, id);
}
