/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reread.h"

#include <errno.h>
#include <string.h>

#include "move.h"
#include "track.h"
#include "volume.h"

static bool is_other(const struct volume *v, const struct route *now)
{
    return (v->state == VOLUME_SERVING || v->state == VOLUME_CONNECT) &&
           (strcmp(now->gateway, v->route.gateway) != 0 || now->epoch != v->route.epoch);
}

int reread_apply(struct director *d, const struct storejob *j)
{
    static const char why[] = "the route was changed";
    const struct route *now = &j->route;
    struct volume *v = j->result > 0 ? volume_find(d, now->volume) : NULL;
    if (!v)
        return 0;
    if (is_other(v, now)) {
        const struct move *m = v->move;
        if (m && (m->phase == MOVE_COMMIT || m->phase == MOVE_DOUBT))
            return -EBUSY;
        if (m)
            move_overtaken(v->move, why);
        volume_drop(v, why);
    } else if (v->state == VOLUME_SERVING && (!v->move || v->move->phase == MOVE_RETIRE)) {
        /* The same owner and epoch: a kept copy was let go, say. */
        v->route.state = now->state;
        v->route.verify = now->verify;
        memcpy(v->route.target, now->target, sizeof(v->route.target));
        track_follow(v);
    }
    return 0;
}
