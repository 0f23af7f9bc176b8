/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Standbys that were made ahead of a move, told from moves that are deferred. */
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-console/names.h"
#include "common/base/fsfile.h"

enum {
    JOURNAL_MAX = 1 << 20, /* bytes: of a longer one nothing is said */
    ATTEMPTS_MAX = 1000,   /* migrations to one epoch that are looked at */
};

/* 1: the journal of attempt N to bring R's volume to the next epoch ends in what is said of a
 * standby; 0: it does not; -1: there is none, or it can't be read. */
static int says_so(const struct console *c, const struct route *r, unsigned n)
{
    struct buf path = {0}, text = {0};
    words_need(buf_printf(&path, "%s/migrations/%s-%llu", c->dirs.state, r->volume,
                          (unsigned long long)r->epoch + 1));
    if (n > 1)
        words_need(buf_printf(&path, ".%u", n));
    words_need(buf_adds(&path, ".csv"));
    int is = fsfile_read(path.data, JOURNAL_MAX, &text) < 0 ? -1 : 0;
    if (is == 0 && text.len > 1) {
        text.data[text.len - 1] = 0; /* the last newline */
        const char *last = strrchr(text.data, '\n');
        is = last && strstr(last, ",deferred,") && strstr(last, ",\"" REC_STANDS_BY ": ");
    }
    buf_release(&path);
    buf_release(&text);
    return is;
}

bool names_stands_by(const struct console *c, const struct route *r)
{
    int is = 0;
    for (unsigned n = 1; n <= ATTEMPTS_MAX && is == 0; n++)
        is = says_so(c, r, n);
    return is == 1;
}
