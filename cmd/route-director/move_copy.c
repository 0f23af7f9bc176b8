/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copying and proving: claims, and what client writes do to them (S6-S8). */
#include "move_priv.h"

#include <errno.h>
#include <stdio.h>

#include "changes.h"
#include "common/base/error.h"

enum {
    EQUAL_MAX = 16 << 20, /* an extent of which nothing is sent may be so long, bytes */
    BUSY_MAX = 16,        /* so many pieces in a row that are written to are looked at for one */
    GRANT_MAX = 64,       /* "ID OFFSET LENGTH unchanged", and what separates it from the next */
};

/* ---- copying and proving ---- */

/* Is the move where claims make sense?  False: C has its answer. */
bool move_is_copying(const struct move *m, struct control *c)
{
    if (m->shared) {
        control_err(c, EINVAL, "on shared storage there is nothing to copy");
        return false;
    }
    if (m->phase == MOVE_COPYING || m->phase == MOVE_HELD)
        return true;
    if (!move_is_stalled(m, c))
        control_err(c, EBUSY, "the move is in phase %s", move_phase_name(m));
    return false;
}

/* The same for the end of a claim, which is heard while the owner is away, too. */
static bool may_end_claims(const struct move *m, struct control *c)
{
    return move_is_open(m) || move_is_copying(m, c);
}

/*
 * On the way back: an extent that is all changed, or all equal on the kept copy, by the map as it
 * is now.  Nobody reads the latter, so that it may be longer than MAX.
 */
static int64_t claim_back(struct move *m, struct control *c, uint64_t max, uint64_t *offset,
                          uint64_t *length, bool *equal)
{
    uint64_t most = max > EQUAL_MAX ? max : EQUAL_MAX;
    int64_t id = blocks_claim(m->blocks, CLAIM_COPY, most, c, offset, length);
    if (id <= 0)
        return id;
    enum changes_kind kind;
    uint64_t run = changes_run(m->v->changes, *offset, *length, &kind);
    *equal = kind != CHANGES_DIFFER;
    uint64_t whole = max < BLOCK_SIZE ? BLOCK_SIZE : max / BLOCK_SIZE * BLOCK_SIZE;
    if (!*equal && run > whole)
        run = whole;
    if (run < *length)
        *length = run;
    blocks_cut(m->blocks, (uint64_t)id, c, run);
    if (kind == CHANGES_MIRRORED)
        blocks_claim_mirrored(m->blocks, (uint64_t)id, c);
    else if (*equal)
        blocks_claim_equal(m->blocks, (uint64_t)id, c);
    return id;
}

/* The extents of a claim's answer. */
struct grants {
    char text[CLAIMS_MAX * GRANT_MAX];
    size_t len;
};

static void grant(struct grants *g, int64_t id, uint64_t offset, uint64_t length, bool equal)
{
    int n = snprintf(g->text + g->len, GRANT_MAX, "%s%lld %llu %llu%s", g->len ? ";" : "",
                     (long long)id, (unsigned long long)offset, (unsigned long long)length,
                     equal ? " unchanged" : "");
    g->len += (size_t)n;
}

/* What came of asking for claims, the last answer being ID. */
static void answer_claim(const struct move *m, struct control *c, const struct grants *g,
                         int64_t id)
{
    if (g->len) {
        control_ok(c, "%s", g->text);
        return;
    }
    if (id < 0) {
        control_err(c, (int)id, "%s", err_text((int)id));
        return;
    }
    struct blocks_counts n = blocks_counts(m->blocks);
    control_ok(c, "none %llu %llu %llu %llu", (unsigned long long)n.dirty,
               (unsigned long long)n.copying, (unsigned long long)n.haunted,
               (unsigned long long)n.unproved);
}

void move_claim(struct move *m, struct control *c, enum claim_kind kind, uint64_t max,
                uint64_t count)
{
    struct grants g = {.len = 0};
    int64_t id = 1;
    if (!move_is_copying(m, c))
        return;
    bool mapped = m->back && kind == CLAIM_COPY && m->v->changes;
    while (count-- > 0 && id > 0) {
        uint64_t offset = 0, length = 0;
        bool equal = false;
        id = mapped ? claim_back(m, c, max, &offset, &length, &equal)
                    : blocks_claim(m->blocks, kind, max, c, &offset, &length);
        if (id > 0)
            grant(&g, id, offset, length, equal);
    }
    answer_claim(m, c, &g, id);
}

void move_claim_in(struct move *m, struct control *c, uint64_t from, uint64_t to, uint64_t max)
{
    struct grants g = {.len = 0};
    uint64_t offset = 0, length = 0;
    if (!move_is_copying(m, c))
        return;
    int64_t id = blocks_claim_in(m->blocks, from, to, max, c, &offset, &length);
    if (id > 0)
        grant(&g, id, offset, length, false);
    answer_claim(m, c, &g, id);
}

static void no_such_claim(struct control *c, uint64_t claim)
{
    control_err(c, ESTALE, "no claim %llu of yours", (unsigned long long)claim);
}

void move_done(struct move *m, struct control *c, enum claim_kind kind, const uint64_t *claims,
               size_t n)
{
    if (!may_end_claims(m, c))
        return;
    if (kind == CLAIM_COPY)
        m->flushed = m->copies_flushed = false;
    for (size_t i = 0; i < n; i++)
        if (blocks_done(m->blocks, claims[i], kind, c, volume_range_busy, m->v) < 0) {
            no_such_claim(c, claims[i]);
            return;
        }
    struct blocks_counts left = blocks_counts(m->blocks);
    control_ok(c, "%llu", (unsigned long long)(kind == CLAIM_COPY ? left.dirty : left.unproved));
}

void move_adopt(struct move *m, struct control *c, const uint64_t *claims, size_t n, bool found)
{
    if (!may_end_claims(m, c))
        return;
    m->flushed = false; /* it may be equal by a write that ended after the last flush (S2, S3) */
    for (size_t i = 0; i < n; i++) {
        if (found)
            blocks_claim_equal(m->blocks, claims[i], c);
        int r = blocks_adopt(m->blocks, claims[i], c, volume_range_busy, m->v);
        if (r == -ESTALE)
            no_such_claim(c, claims[i]);
        else if (r < 0)
            control_err(c, r, "claim %llu was not told to be unchanged",
                        (unsigned long long)claims[i]);
        if (r < 0)
            return;
    }
    control_ok(c, "%llu", (unsigned long long)blocks_counts(m->blocks).dirty);
}

void move_release(struct move *m, struct control *c, uint64_t claim)
{
    if (!may_end_claims(m, c))
        return;
    int r = blocks_release(m->blocks, claim, c);
    if (r == 0) /* it may have been written there; who only read leaves what is flushed (S17) */
        m->flushed = m->copies_flushed = false;
    if (r < 0)
        no_such_claim(c, claim);
    else
        control_ok(c, "%s", "");
}

void move_differs(struct move *m, struct control *c, uint64_t claim)
{
    if (!may_end_claims(m, c))
        return;
    uint64_t offset = 0, length = 0;
    blocks_extent(m->blocks, claim, c, &offset, &length);
    int r = blocks_differ(m->blocks, claim, c, volume_range_busy, m->v);
    if (r == 0 && m->back && m->v->changes) /* whoever wrote there: it is not as it was left */
        changes_mark(m->v->changes, offset, length);
    if (r < 0)
        no_such_claim(c, claim);
    else if (r > 0)
        control_ok(c, "raced");
    else
        control_err(c, EILSEQ, "the target does not hold what was written to it");
}

/* ---- a copy that stands by is proved anew ---- */

static struct leg *standbys_leg(void *arg)
{
    struct move *m = arg;
    return move_stands_by(m) && !m->shared && !m->leg->lost ? m->leg : NULL;
}

static bool any_unproved(const void *arg)
{
    const struct move *m = arg;
    return blocks_counts(m->blocks).unproved > 0;
}

/* The next piece that nobody is writing to. */
static bool claim_proof(void *arg, uint64_t max, uint64_t *offset, uint64_t *length)
{
    struct move *m = arg;
    for (int i = 0; i < BUSY_MAX; i++) {
        int64_t id = blocks_claim(m->blocks, CLAIM_PROVE, max, &m->reprove, offset, length);
        if (id <= 0)
            return false;
        m->reproving = (uint64_t)id;
        if (!volume_range_busy(m->v, *offset, *length))
            return true;
        blocks_pass_over(m->blocks, *offset);
        blocks_release(m->blocks, m->reproving, &m->reprove);
    }
    return false;
}

static bool end_proof(void *arg, enum reprove_result result)
{
    struct move *m = arg;
    if (!m->blocks)
        return false;
    switch (result) {
    case REPROVE_EQUAL:
        return blocks_done(m->blocks, m->reproving, CLAIM_PROVE, &m->reprove, volume_range_busy,
                           m->v) == 0;
    case REPROVE_DIFFERS:
        return blocks_differ(m->blocks, m->reproving, &m->reprove, volume_range_busy, m->v) == 0;
    default:
        blocks_pass_over(m->blocks, m->reprove.offset);
        return blocks_release(m->blocks, m->reproving, &m->reprove) == 0;
    }
}

void move_reprove(struct move *m)
{
    static const struct reprove_ops ops = {standbys_leg, any_unproved, claim_proof, end_proof};
    if (!m->reprove.v)
        reprove_init(&m->reprove, m->v, m->target, &ops, m);
    reprove_look(&m->reprove);
}

void move_mirror(struct move *m, struct control *c)
{
    if (!move_is_copying(m, c))
        return;
    m->mirror = true;
    control_ok(c, "%s", "");
}

/* A gateway that lacks WRITE_ZEROES is written zeros as its owner, not as a target (S20). */
static bool takes_zeroes(const struct move *m)
{
    return m->leg->export.flags & m->v->owner.has.flags & NBD_TF_WRITE_ZEROES;
}

void move_write_arrives(struct move *m, struct request *r)
{
    if (!move_is_open(m) || !r->nbd.length || m->shared)
        return;
    /* TRIM may leave anything behind, and FAST_ZERO may fail on one leg alone (S20): the owner
     * gets them, and the copier brings what came of it. */
    bool mirrorable = r->nbd.type == NBD_CMD_WRITE ||
                      (r->nbd.type == NBD_CMD_WRITE_ZEROES && takes_zeroes(m) &&
                       !(r->nbd.flags & (NBD_CMD_FLAG_FAST_ZERO | NBD_CMD_FLAG_NO_HOLE)));
    r->mirrored = m->mirror && mirrorable && !m->leg->lost &&
                  blocks_all_synced(m->blocks, r->nbd.offset, r->nbd.length);
    if (r->mirrored)
        m->flushed = false;
    blocks_written(m->blocks, r->nbd.offset, r->nbd.length, r->mirrored);
}

void move_write_ends(struct move *m, struct request *r)
{
    if (!m->blocks || !r->nbd.length || m->shared)
        return;
    m->flushed = m->flushed && !r->mirrored;
    blocks_written(m->blocks, r->nbd.offset, r->nbd.length, r->mirrored && !r->error);
}
