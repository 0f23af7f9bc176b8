/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/standby.h"

#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/mirrored.h"
#include "cmd/migrate-exec/place.h"
#include "cmd/migrate-exec/retain.h"
#include "common/base/error.h"

bool standby_is(const struct story *s)
{
    return s->standby && s->switched && s->retired && !s->committing &&
           s->last.event == EVENT_SWITCHED;
}

static enum outcome not_now(const struct move *m, const char *why)
{
    err_warn("'%s': its copy on %s does not stand by: %s", m->id, m->source, why);
    return SETTLED;
}

/* Who ends it has to know that there was a mirror, whatever becomes of us. */
static int note(struct move *m, const struct story *s)
{
    char what[sizeof(s->last.detail)];
    if (s->mirrored)
        return 0;
    snprintf(what, sizeof(what), "copy kept on %.60s" MIRRORED_WORDS, m->source);
    retain_put(what, sizeof(what), s->retain_until, true);
    m->phase = PHASE_RETIRE;
    return move_note(m, EVENT_SWITCHED, "%s", what);
}

enum outcome standby_renew(struct move *m, const struct story *s)
{
    struct route route;
    struct director_status status;
    uint64_t behind;
    if (place_of(m, &route) != ON_TARGET || !place_keeps(&route, m->source))
        return SETTLED;
    if (move_find_director(m) != GO)
        return not_now(m, m->why);
    int r = director_status(m->director, &status);
    if (r == 0 && (status.mirrored || strcmp(status.target, "-") != 0))
        return SETTLED; /* or a move is open */
    if (note(m, s) < 0)
        return DEFERRED;
    r = director_reverse(m->director, &behind);
    if (r < 0)
        return not_now(m, director_error(m->director));
    err_warn("'%s': its copy on %s is mirrored again, %llu bytes are behind", m->id, m->source,
             (unsigned long long)behind);
    return SETTLED;
}
