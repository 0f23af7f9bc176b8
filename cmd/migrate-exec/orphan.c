/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/orphan.h"

#include <string.h>

#include "common/record/journal.h"

/* Is ID the name of a migration of VOLUME?  Then *EPOCH is the one that it makes. */
static bool is_of(const char *id, const char *volume, uint64_t *epoch)
{
    const size_t len = strlen(volume);
    return strrchr(id, '-') == id + len && strncmp(id, volume, len) == 0 &&
           migration_epoch(id, epoch) == 0;
}

/*
 * The journal of what is open is that of the epoch to come or, after the switch, of the route's.
 * It is that of the one before where a director has changed the route without migrate-exec: by
 * making a copy the owner, or by taking the volume back.
 */
static bool may_be_of(const struct exec *x, const char *id, const struct route *route)
{
    const uint64_t epoch = route->epoch + (route->state != ROUTE_STATE_UNCOMMITTED);
    uint64_t of = 0;
    struct event last;
    if (!is_of(id, route->volume, &of) || (of != epoch && of + 1 != epoch))
        return false;
    const int r = journal_last(x->dirs.state, id, &last);
    if (r <= 0 || of == epoch)
        return r != 0;
    return last.event == EVENT_SWITCHED || !event_is_final(last.event);
}

bool orphan_is(const struct exec *x, const struct route *route)
{
    char **ids;
    size_t n;
    bool known = route->state == ROUTE_STATE_STEADY ||
                 route->state == ROUTE_STATE_MANUAL_RECOVERY ||
                 journal_ids(x->dirs.state, &ids, &n) < 0;
    if (known)
        return false;
    for (size_t i = 0; i < n && !known; i++)
        known = may_be_of(x, ids[i], route);
    journal_ids_free(ids, n);
    return !known;
}
