/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/verify.h"

#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/move.h"

#define NOTE "verify "
#define COLD ", cold copy"
static const char *const no_flush[] = {", no-flush source", ", no-flush target"};

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
    for (int i = 0; i < 2; i++)
        if (a->no_flush[i] != b->no_flush[i])
            return false;
    return a->verify == b->verify && a->cold == b->cold;
}

int verify_note(struct move *m)
{
    const struct terms *t = &m->terms;
    if (same(t, &m->noted))
        return 0;
    int r =
        move_note(m, EVENT_BEGIN, NOTE "%s%s%s%s", rec_verify_words[t->verify], t->cold ? COLD : "",
                  t->no_flush[0] ? no_flush[0] : "", t->no_flush[1] ? no_flush[1] : "");
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
        *t = (struct terms){
            .verify = (enum rec_verify)i,
            .cold = strstr(detail, COLD) != NULL,
            .no_flush = {strstr(detail, no_flush[0]) != NULL, strstr(detail, no_flush[1]) != NULL}};
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

bool verify_no_flush(const struct move *m)
{
    return m->exec->force || m->terms.no_flush[0] || m->terms.no_flush[1];
}

int verify_flushes(struct move *m)
{
    char text[VERIFY_FLUSH_TEXT];
    /* What is left to a later proof is read over connections of its own (S9). */
    if (m->lone && m->terms.verify == VERIFY_DELTA)
        m->terms.verify = VERIFY_FULL;
    int r = verify_note(m);
    verify_describe_flush(m, text, sizeof(text));
    if (r == 0 && *text)
        r = move_event(m, EVENT_PASS, "what it answers counts as durable%s", text);
    return r;
}

void verify_describe_flush(const struct move *m, char *text, size_t size)
{
    const bool *no = m->terms.no_flush;
    text[0] = 0;
    if (no[0] || no[1])
        snprintf(text, size, "; no-flush: %.40s%s%.40s", no[0] ? m->source : "",
                 no[0] && no[1] ? ", " : "", no[1] ? m->target : "");
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
