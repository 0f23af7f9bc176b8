/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a migration ends at the director and in its journal: aborted, or switched and retired. */
#include "cmd/migrate-exec/move_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/digests.h"
#include "cmd/migrate-exec/mirrored.h"
#include "cmd/migrate-exec/reach.h"
#include "cmd/migrate-exec/retain.h"
#include "cmd/migrate-exec/seal.h"
#include "cmd/migrate-exec/shared.h"
#include "cmd/migrate-exec/sides.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    ABORT_US = 10000000, /* for a director that is writing the store */
    ABORT_AGAIN_MS = 20,
    LET_GO_US = 1000000, /* for a director between its last word about a volume and its lock */
    FLUSH_MS = 120 * 1000,
};

/* Who serves the volume: 1 (PATH), 0 or -errno.  A holder without a path is about to let go. */
static int find_holder(const struct move *m, char *path, size_t size)
{
    uint64_t end = clock_mono_us() + LET_GO_US;
    int r;
    while ((r = route_serve_holder(m->exec->dirs.state, m->volume, path, size)) == 1 && !path[0] &&
           clock_mono_us() < end)
        poll(NULL, 0, ABORT_AGAIN_MS);
    return r;
}

int move_settle(struct move *m, bool idle)
{
    struct route route;
    char path[128];
    int r = m->exec->store ? route_store_get(m->exec->store, m->volume, &route) : 0;
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    if (strcmp(route.gateway, m->source) != 0)
        return -ESTALE;
    if (route.state == ROUTE_STATE_STEADY || (m->back && route.state == ROUTE_STATE_UNCOMMITTED))
        return 0;
    if (route.epoch != m->epoch)
        return -ESTALE;
    r = find_holder(m, path, sizeof(path));
    bool asked = idle && r == 1 && strcmp(path, director_path(m->director)) == 0;
    if (r != 0 && !asked)
        return r < 0 ? r : -EBUSY;
    int state = (int)route.state;
    route_settle(&route);
    route.time = clock_now();
    r = route_store_cas(m->exec->store, m->epoch, state, &route, -1);
    if (r == 0 && asked)
        director_reload(m->director); /* it reads the record before a move in any case */
    return r;
}

/* Asks the director to end it, for as long as it says that it is writing the store. */
static int abort_at_director(struct move *m)
{
    uint64_t end = clock_mono_us() + ABORT_US;
    int r;
    while ((r = director_abort(m->director)) == -EAGAIN && clock_mono_us() < end)
        poll(NULL, 0, ABORT_AGAIN_MS);
    return r;
}

/* Ends it at whoever has it; the reason of a failure goes to WHY. */
static int abort_where_it_is(struct move *m, char *why, size_t size)
{
    int r = move_open_director(m) == 0 ? abort_at_director(m) : -ENOTCONN;
    if (r < 0 && r != -ENOTCONN && r != -ENOENT) {
        snprintf(why, size, "%s", director_error(m->director));
        return r;
    }
    r = move_settle(m, r != -ENOTCONN);
    if (r < 0)
        snprintf(why, size, "%s", r == -EBUSY ? "its director does not answer" : err_text(r));
    return r;
}

enum outcome move_abort(struct move *m)
{
    char why[128];
    int r = m->begun ? abort_where_it_is(m, why, sizeof(why)) : 0;
    move_disconnect(m);
    /* Before the last event: who can't be unfenced is resumed, not forgotten. */
    if (r == 0 && m->fenced && shared_unfence(m) != GO) {
        move_event(m, m->ending, "%s", m->why);
        return DEFERRED;
    }
    if (r < 0) {
        err_warn("cannot abort '%s': %s", m->id, why);
        move_event(m, EVENT_STALLED, "%.120s; cannot abort: %.100s", m->why, why);
        return DEFERRED;
    }
    if ((m->begun || m->created) && !m->shared)
        r = move_event(m, m->ending, "%.150s" REC_LEFT "%.40s: export %.50s", m->why, m->target,
                       m->volume);
    else
        r = move_event(m, m->ending, "%s", m->why);
    if (r < 0)
        err_warn("'%s' has ended, which its journal does not say: %s; end it there with: "
                 "migrate-exec --abort %s",
                 m->id, m->why, m->id);
    return FAILED;
}

/* The source flushed by ourselves, where no director has it open any more. */
static int flush_source(struct move *m)
{
    if (reach_source_again(m) != GO)
        return -EIO;
    return nbd_export_info(m->from)->flush ? nbd_export_flush(m->from, FLUSH_MS) : 0;
}

enum outcome move_retire(struct move *m)
{
    m->phase = PHASE_RETIRE;
    enum outcome o = move_find_director(m);
    int r = o == GO ? director_retire(m->director) : -ENOENT;
    /* Who died before it was replaced (S17) may have lost what a flush now can't bring back. */
    if (r == -ENOENT && !m->unsure && !m->promoted)
        r = flush_source(m);
    if (r < 0)
        err_warn("copy of '%s' left on '%s' is unknown: its flush failed: %s", m->volume, m->source,
                 r == -ENOENT ? "nobody saw it" : err_text(r));
    char what[256], no_flush[VERIFY_FLUSH_TEXT];
    bool mirrored = r == 0 && m->exec->keep_mirrored;
    verify_describe_flush(m, no_flush, sizeof(no_flush));
    if (r < 0)
        snprintf(what, sizeof(what), "copy on %s is unknown: its flush failed", m->source);
    else
        snprintf(what, sizeof(what), "copy kept on %.60s%s%s%s", m->source,
                 m->terms.no_flush[0] ? "" : ", flushed", mirrored ? MIRRORED_WORDS : "", no_flush);
    retain_put(what, sizeof(what), clock_now() + m->exec->retain_s, mirrored && m->exec->standby);
    r = move_note(m, EVENT_SWITCHED, "%s", what);
    if (m->lone && m->from) { /* it may be the one connection that the mirror needs */
        nbd_export_part(m->from, PART_MS);
        m->from = NULL;
    }
    if (r == 0 && mirrored)
        r = mirrored_begin(m);
    return r < 0 ? move_journal_failed(m, r) : SWITCHED;
}

/*
 * The source's private export has ended with the switch.  If anything is to be read there still, it
 * is connected to when the director has let it go.
 */
static enum outcome reach_old_source(struct move *m)
{
    uint64_t at = 0, length;
    if (!digests_open(m->digests, &at, &length))
        return GO;
    if (m->promoted)
        return move_fails(m, "%s was dead", m->source);
    if (m->director)
        director_retire(m->director); /* how it ended is asked again later */
    return reach_source_again(m);
}

/* "; digest=…" of what was switched to; "" if we cannot say.  All of it was proved. */
static void describe_digest(struct move *m, char *text, size_t size)
{
    char root[SEAL_TEXT];
    text[0] = 0;
    if (!m->digests || !m->from)
        return;
    if (m->from_private && reach_old_source(m) != GO) {
        err_warn("'%s' has no digest: %s", m->id, m->why);
        return;
    }
    int r = seal(m->digests, &m->from, root);
    if (r < 0)
        err_warn("'%s' has no digest: read from source: %s", m->id, err_text(r));
    else
        snprintf(text, size, SEAL_WORD "%s", root);
}

enum outcome move_finish(struct move *m)
{
    char proof[SEAL_TEXT + 16]; /* its digest, or how much of it there is */
    enum rec_verify verify = verify_reached(m);
    m->dirty = 0;
    if (verify == VERIFY_FULL)
        describe_digest(m, proof, sizeof(proof));
    else
        verify_describe(verify, proof, sizeof(proof));
    m->phase = PHASE_HANDOVER;
    char how[96] = "", no_flush[VERIFY_FLUSH_TEXT];
    verify_describe_flush(m, no_flush, sizeof(no_flush));
    if (m->promoted)
        snprintf(how, sizeof(how), "; promoted as the source is dead, %llu bytes unproved",
                 (unsigned long long)m->unproved);
    int r =
        move_event(m, EVENT_SWITCHED, "epoch %llu%s; kept on %s until migrate-exec --commit %s%s%s",
                   (unsigned long long)m->epoch + 1, how, m->source, m->id, no_flush, proof);
    if (r < 0) {
        err_warn("'%s' has switched to %s; have it recorded with: migrate-exec --resume %s", m->id,
                 m->target, m->id);
        return move_journal_failed(m, r);
    }
    return move_retire(m);
}
