/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/mirrored.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/retain.h"
#include "common/base/clock.h"
#include "common/base/error.h"

#define NOT_MIRRORED ", not mirrored: "

bool mirrored_get(const struct event *e, bool before)
{
    if (strstr(e->detail, MIRRORED_WORDS))
        return true;
    return before && !strstr(e->detail, NOT_MIRRORED);
}

int mirrored_begin(struct move *m)
{
    char what[sizeof(((struct event *)0)->detail)];
    uint64_t behind;
    int r = m->director ? director_reverse(m->director, &behind) : -ENOTCONN;
    if (r == 0)
        return 0;
    const char *why = m->director ? director_error(m->director) : err_text(r);
    if (r == -ECONNRESET) { /* it may begin it yet: the journal's "mirrored" stands */
        err_warn("nobody can say if the copy of '%s' on '%s' is mirrored: %s", m->volume, m->source,
                 why);
        return 0;
    }
    err_warn("copy of '%s' on '%s' is not mirrored: %s", m->volume, m->source, why);
    snprintf(what, sizeof(what), "copy kept on %s" NOT_MIRRORED "%.60s", m->source, why);
    retain_put(what, sizeof(what), clock_now() + m->exec->retain_s, m->exec->standby);
    return move_note(m, EVENT_SWITCHED, "%s", what);
}

void mirrored_give_way(struct move *m)
{
    director_reverse_off(m->director);
}

enum outcome mirrored_end(struct move *m, bool *mirrored, bool *unknown)
{
    int r = m->director ? director_reverse_off(m->director) : -ENOENT;
    *mirrored = *mirrored || r == 0; /* the journal does not know who else has begun one */
    if (r == 0 || (r == -ENOENT && !*mirrored))
        return GO;
    if (r != -ENOENT && r != -EIO) {
        err_warn("cannot end the mirror of '%s' on '%s': %s", m->volume, m->source,
                 director_error(m->director));
        return DEFERRED;
    }
    *unknown = true;
    r = move_note(m, EVENT_SWITCHED, "copy on %s is unknown: %.200s", m->source,
                  r == -EIO ? director_error(m->director) : "nobody saw its mirror end");
    return r < 0 ? move_journal_failed(m, r) : GO;
}
