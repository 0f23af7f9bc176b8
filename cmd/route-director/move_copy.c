/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copying and proving: claims, and what client writes do to them (S6-S8). */
#include "move_priv.h"

#include <errno.h>

#include "common/base/error.h"

/* ---- copying and proving ---- */

/* Is the move where claims make sense?  False: C has its answer. */
bool move_is_copying(const struct move *m, struct control *c)
{
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

void move_claim(struct move *m, struct control *c, enum claim_kind kind, uint64_t max)
{
    uint64_t offset, length;
    if (!move_is_copying(m, c))
        return;
    int64_t id = blocks_claim(m->blocks, kind, max, c, &offset, &length);
    if (id < 0) {
        control_err(c, (int)id, "%s", err_text((int)id));
        return;
    }
    if (id > 0) {
        control_ok(c, "%lld %llu %llu", (long long)id, (unsigned long long)offset,
                   (unsigned long long)length);
        return;
    }
    struct blocks_counts n = blocks_counts(m->blocks);
    control_ok(c, "none %llu %llu %llu %llu", (unsigned long long)n.dirty,
               (unsigned long long)n.copying, (unsigned long long)n.haunted,
               (unsigned long long)n.unproved);
}

static void no_such_claim(struct control *c, uint64_t claim)
{
    control_err(c, ESTALE, "no claim %llu of yours", (unsigned long long)claim);
}

void move_done(struct move *m, struct control *c, enum claim_kind kind, uint64_t claim)
{
    if (!may_end_claims(m, c))
        return;
    if (blocks_done(m->blocks, claim, kind, c, volume_range_busy, m->v) < 0) {
        no_such_claim(c, claim);
        return;
    }
    struct blocks_counts n = blocks_counts(m->blocks);
    if (kind == CLAIM_COPY)
        m->flushed = m->copies_flushed = false;
    control_ok(c, "%llu", (unsigned long long)(kind == CLAIM_COPY ? n.dirty : n.unproved));
}

void move_release(struct move *m, struct control *c, uint64_t claim)
{
    if (!may_end_claims(m, c))
        return;
    m->flushed = m->copies_flushed = false;
    if (blocks_release(m->blocks, claim, c) < 0)
        no_such_claim(c, claim);
    else
        control_ok(c, "%s", "");
}

void move_differs(struct move *m, struct control *c, uint64_t claim)
{
    if (!may_end_claims(m, c))
        return;
    int r = blocks_differ(m->blocks, claim, c, volume_range_busy, m->v);
    if (r < 0)
        no_such_claim(c, claim);
    else if (r > 0)
        control_ok(c, "raced");
    else
        control_err(c, EILSEQ, "the target does not hold what was written to it");
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
    if (!move_is_open(m) || !r->nbd.length)
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
    if (!m->blocks || !r->nbd.length)
        return;
    m->flushed = m->flushed && !r->mirrored;
    blocks_written(m->blocks, r->nbd.offset, r->nbd.length, r->mirrored && !r->error);
}
