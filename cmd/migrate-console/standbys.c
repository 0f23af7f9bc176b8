/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Standbys that were made ahead of a move, told from moves that are deferred. */
#include <string.h>

#include "cmd/migrate-console/names.h"
#include "common/record/journal.h"

enum { ATTEMPTS_MAX = 1000 }; /* migrations to one epoch that are looked at */

/* 1: the journal of attempt N to bring R's volume to the next epoch ends in what is said of a
 * standby; 0: it does not; or -errno: there is none, or it can't be read. */
static int says_so(const struct console *c, const struct route *r, unsigned n)
{
    char id[NAME_LEN_MAX + 1];
    struct event last = {.time = 0};
    int found = migration_id(r->volume, r->epoch + 1, n, id);
    if (found == 0)
        found = journal_last(c->dirs.state, id, &last);
    if (found <= 0)
        return found;
    return last.event == EVENT_DEFERRED &&
           strncmp(last.detail, REC_STANDS_BY ": ", strlen(REC_STANDS_BY ": ")) == 0;
}

bool names_stands_by(const struct console *c, const struct route *r)
{
    int is = 0;
    for (unsigned n = 1; n <= ATTEMPTS_MAX && is == 0; n++)
        is = says_so(c, r, n);
    return is == 1;
}
