/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/verify.h"

#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/move.h"

#define NOTE "verify "
#define COLD ", cold copy"

enum rec_verify verify_choose(const struct exec *x, bool mandatory, bool back)
{
    if (x->verify != VERIFY_BY_KIND)
        return (enum rec_verify)x->verify;
    return mandatory || back ? VERIFY_DELTA : VERIFY_FULL;
}

void verify_ask(struct move *m)
{
    if (m->exec->verify != VERIFY_BY_KIND && !m->terms.cold)
        m->terms.verify = (enum rec_verify)m->exec->verify;
}

static bool same(const struct terms *a, const struct terms *b)
{
    return a->verify == b->verify && a->cold == b->cold;
}

int verify_note(struct move *m)
{
    const struct terms *t = &m->terms;
    if (same(t, &m->noted))
        return 0;
    int r =
        move_note(m, EVENT_BEGIN, NOTE "%s%s", rec_verify_words[t->verify], t->cold ? COLD : "");
    if (r == 0)
        m->noted = *t;
    return r;
}

bool verify_of_note(const char *detail, struct terms *t)
{
    if (strncmp(detail, NOTE, strlen(NOTE)) != 0)
        return false;
    detail += strlen(NOTE);
    size_t len = strcspn(detail, ",");
    for (unsigned i = 0; rec_verify_words[i]; i++) {
        if (strlen(rec_verify_words[i]) != len || strncmp(detail, rec_verify_words[i], len) != 0)
            continue;
        *t = (struct terms){.verify = (enum rec_verify)i, .cold = strstr(detail, COLD) != NULL};
        return true;
    }
    return false;
}

int verify_cold(struct move *m)
{
    m->terms.verify = VERIFY_FULL;
    m->terms.cold = true;
    return verify_note(m);
}

enum rec_verify verify_reached(const struct move *m)
{
    struct route route;
    if (m->exec->store && route_store_get(m->exec->store, m->volume, &route) == 1 &&
        route.epoch == m->epoch + 1 && strcmp(route.gateway, m->target) == 0 &&
        route.state == ROUTE_STATE_UNCOMMITTED)
        return route.verify;
    return m->terms.verify;
}

void verify_describe(enum rec_verify v, char *text, size_t size)
{
    text[0] = 0;
    if (v != VERIFY_FULL)
        snprintf(text, size, "; verify=%s", rec_verify_words[v]);
}
