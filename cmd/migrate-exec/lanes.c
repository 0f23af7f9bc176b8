/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/lanes.h"

#include <poll.h>

enum { REST_MS = 5 };

void lane_close(struct nbd_export *e)
{
    if (!e)
        return;
    nbd_export_free(e);
    poll(NULL, 0, REST_MS);
}

void lanes_add(struct lanes *l, struct nbd_export *const *more, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        l->conn[l->n++] = more[i];
}

void lanes_free(struct lanes *l)
{
    for (unsigned i = 1; i < l->n; i++)
        lane_close(l->conn[i]);
    l->n = 0;
}

struct nbd_export *lanes_idlest(const struct lanes *l)
{
    struct nbd_export *best = l->conn[0];
    for (unsigned i = 1; i < l->n; i++)
        if (nbd_export_in_flight(l->conn[i]) < nbd_export_in_flight(best))
            best = l->conn[i];
    return best;
}

bool lanes_busy(const struct lanes *l)
{
    for (unsigned i = 0; i < l->n; i++)
        if (nbd_export_in_flight(l->conn[i]))
            return true;
    return false;
}

int lanes_wait(const struct lanes sides[LANE_SIDES], int timeout_ms)
{
    struct nbd_export *all[LANE_SIDES * LANES_MAX];
    size_t n = 0;
    for (int side = 0; side < LANE_SIDES; side++)
        for (unsigned i = 0; i < sides[side].n; i++)
            all[n++] = sides[side].conn[i];
    return nbd_export_wait(all, n, timeout_ms);
}
