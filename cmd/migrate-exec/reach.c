/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/reach.h"

#include <poll.h>
#include <string.h>

#include "cmd/migrate-exec/sides.h"
#include "cmd/migrate-exec/verify.h"
#include "common/base/clock.h"

enum { AGAIN_MS = 20 };

/* One of the two gateways, as the functions here see it. */
struct place {
    const char *gateway;
    bool target;
    unsigned needs;             /* SIDE_… */
    struct nbd_export **export; /* m->from or m->to */
    bool *private;              /* it is the director's */
};

static unsigned flushes(const struct move *m)
{
    return verify_no_flush(m) ? 0 : SIDE_FLUSHES;
}

static struct place source_of(struct move *m)
{
    return (struct place){m->source, false, flushes(m), &m->from, &m->from_private};
}

static struct place target_of(struct move *m)
{
    return (struct place){m->target, true, SIDE_WRITABLE | flushes(m), &m->to, &m->to_private};
}

static void leave(const struct place *p)
{
    nbd_export_free(*p->export);
    *p->export = NULL;
    *p->private = false;
}

static enum outcome connect_directly(struct move *m, const struct place *p)
{
    const struct fleet_gateway *g = fleet_gateway(m->exec->fleet, p->gateway);
    char why[200];
    if (!g)
        return move_fails(m, "gateway '%s' is not in gateways.csv", p->gateway);
    int r = side_connect(p->gateway, g->uri, m->volume, m->size_bytes, p->needs,
                         m->exec->io_timeout_ms, p->export, why, sizeof(why));
    return r < 0 ? move_fails(m, "%s", why) : GO;
}

/* The same where another's only connection has just ended: the gateway may have yet to see that. */
static enum outcome connect_patiently(struct move *m, const struct place *p)
{
    uint64_t end = clock_mono_us() + UINT64_C(1000) * PART_MS;
    enum outcome o;
    while ((o = connect_directly(m, p)) != GO && clock_mono_us() < end)
        poll(NULL, 0, AGAIN_MS);
    return o;
}

static enum outcome connect_privately(struct move *m, const struct place *p, const char *socket,
                                      const char *name)
{
    char why[200];
    int r = side_connect_private(p->gateway, socket, name, m->size_bytes, p->needs,
                                 m->exec->io_timeout_ms, p->export, why, sizeof(why));
    *p->private = r == 0;
    return r < 0 ? move_fails(m, "%s", why) : GO;
}

bool reach_is_held(struct director *d, const char *gateway)
{
    struct director_status s;
    return d && director_status(d, &s) == 0 && s.private_source && s.here &&
           strcmp(s.owner, gateway) == 0;
}

/* Has the director the one connection to the source, or, with the move still open, the target? */
static bool is_held(struct move *m, const struct place *p)
{
    struct director_status s;
    if (!m->director || director_status(m->director, &s) < 0)
        return false;
    bool held = p->target ? s.private_target && strcmp(s.target, p->gateway) == 0
                          : s.private_source && strcmp(s.owner, p->gateway) == 0;
    if (held && m->size_bytes == 0)
        m->size_bytes = s.size_bytes;
    if (held && !p->target)
        m->terms.no_flush[0] = s.no_flush;
    m->lone = m->lone || held;
    return held;
}

/* Connects to see if the gateway will do, and stays only where others may be connected as well. */
static enum outcome look_at(struct move *m, const struct place *p)
{
    if (is_held(m, p))
        return GO;                        /* and it has looked itself */
    bool mirrored = m->back && p->target; /* until now, perhaps */
    enum outcome o = mirrored ? connect_patiently(m, p) : connect_directly(m, p);
    if (o != GO)
        return is_held(m, p) ? GO : o; /* it was opened meanwhile, by a client */
    if (!p->target && m->size_bytes == 0)
        m->size_bytes = nbd_export_info(*p->export)->size_bytes;
    m->terms.no_flush[p->target] = !nbd_export_info(*p->export)->flush;
    if (!nbd_export_info(*p->export)->multi_conn) {
        m->lone = true;
        nbd_export_part(*p->export, PART_MS);
        *p->export = NULL;
    }
    return GO;
}

enum outcome reach_source(struct move *m)
{
    const struct place p = source_of(m);
    return look_at(m, &p);
}

enum outcome reach_target(struct move *m)
{
    const struct place p = target_of(m);
    return look_at(m, &p);
}

/* NAME: of the private export, or "". */
static enum outcome reach(struct move *m, const struct place *p, const char *socket,
                          const char *name)
{
    if (*name) {
        leave(p);
        return connect_privately(m, p, socket, name);
    }
    return *p->export ? GO : connect_directly(m, p);
}

enum outcome reach_both(struct move *m, const struct director_begun *begun)
{
    const struct place source = source_of(m), target = target_of(m);
    enum outcome o = reach(m, &source, begun->socket, begun->source);
    return o == GO ? reach(m, &target, begun->socket, begun->target) : o;
}

enum outcome reach_source_again(struct move *m)
{
    const struct place p = source_of(m);
    if (m->from && !m->from_private)
        return GO;
    leave(&p);
    return connect_patiently(m, &p);
}
