/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/letgo.h"

#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/reach.h"
#include "cmd/migrate-exec/sides.h"
#include "common/base/error.h"

/* The journal's word, the hook's action behind "cold" if any, and what the copy is then. */
static const struct {
    const char *word;
    const char *action;
    const char *done;
} ways[] = {
    [DISPOSAL_COLD] = {"commit", NULL, "cold"},
    [DISPOSAL_ARCHIVE] = {"commit, archive", "archive", "archived"},
    [DISPOSAL_REMOVE] = {"commit, remove", "remove", "removed"},
};

const char *letgo_word(enum disposal d)
{
    return ways[d].word;
}

enum disposal letgo_disposal(const char *detail)
{
    for (int d = (int)(sizeof(ways) / sizeof(ways[0])) - 1; d > DISPOSAL_COLD; d--)
        if (strncmp(detail, ways[d].word, strlen(ways[d].word)) == 0)
            return (enum disposal)d;
    return DISPOSAL_COLD;
}

/* It has switched, and has not been let go: the reason is for the operator, and for --status. */
static enum outcome stops(struct move *m, const char *why)
{
    err_warn("cannot commit '%s': %s", m->id, why);
    move_event(m, EVENT_STALLED, "commit: %.200s", why);
    return FAILED;
}

/* One action of the source's hook: HOOK_DONE, HOOK_CANNOT or HOOK_ABSENT, or -1 with an event. */
static int act(struct move *m, const struct letgo *l, const char *action)
{
    struct hook hook = move_hook(m, m->source);
    char text[128];
    char why[NAME_LEN_MAX + sizeof(text) + 32];
    hook.label = l->label;
    int r = hook_run(&hook, action, text, sizeof(text));
    if (r == HOOK_DONE || r == HOOK_CANNOT || r == HOOK_ABSENT)
        return r;
    snprintf(why, sizeof(why), "hook of %s, %s: %s", m->source, action, text);
    stops(m, why);
    return -1;
}

/*
 * The director has the one connection that the new owner takes.  That lives on without the export,
 * so that only the hook can say if it is there still.
 */
static bool export_is_there(const struct move *m, const char *owner, char *why, size_t size)
{
    struct hook hook = move_hook(m, owner);
    uint64_t bytes;
    char text[100];
    int r = hook_there(&hook) ? hook_size(&hook, &bytes, text, sizeof(text)) : HOOK_CANNOT;
    if (r == HOOK_DONE || r == HOOK_CANNOT)
        return true;
    snprintf(why, size, "hook of %.60s: %s", owner, r == HOOK_ABSENT ? "no export" : text);
    return false;
}

static bool owner_serves(const struct move *m, const char *owner, char *why, size_t size)
{
    const struct fleet_gateway *g = fleet_gateway(m->exec->fleet, owner);
    struct nbd_export *e;
    if (!g) {
        snprintf(why, size, "gateway '%s' is not in gateways.csv", owner);
        return false;
    }
    if (reach_is_held(m->director, owner))
        return export_is_there(m, owner, why, size);
    if (side_connect(owner, g->uri, m->volume, m->size_bytes, SIDE_WRITABLE, m->exec->io_timeout_ms,
                     &e, why, size) < 0)
        return false;
    nbd_export_free(e);
    return true;
}

/* Two gateways on one storage: what was made cold was the owner's export itself. */
static enum outcome take_back(struct move *m, const struct letgo *l, const char *reason)
{
    char why[512];
    bool back = act(m, l, "unfence") == HOOK_DONE;
    snprintf(why, sizeof(why), "without the copy on %s, %.200s; %s", m->source, reason,
             back ? "it is back in service" : "PUT IT BACK INTO SERVICE");
    return stops(m, why);
}

static bool may_begin(const struct move *m, const char *owner)
{
    char why[200];
    if (owner_serves(m, owner, why, sizeof(why)))
        return true;
    err_warn("cannot commit '%s': %s", m->id, why);
    return false;
}

bool letgo_may_begin(struct move *m)
{
    return may_begin(m, m->target);
}

#define PACKED      "packed as archive/"
#define DIGEST_WORD "XXH3-128 "

void letgo_recall(struct letgo *l, const char *detail)
{
    const char *at = strstr(detail, DIGEST_WORD);
    if (!at)
        return;
    snprintf(l->digest, sizeof(l->digest), "%s", at + strlen(DIGEST_WORD));
    l->packed = strncmp(detail, PACKED, strlen(PACKED)) == 0;
}

/* An earlier commit has taken the copy out of service. */
static bool cold_already(const struct move *m, const struct letgo *l)
{
    struct hook hook = move_hook(m, m->source);
    uint64_t bytes;
    char why[64];
    return l->again && hook_size(&hook, &bytes, why, sizeof(why)) == HOOK_ABSENT;
}

/* While the copy is still exported: its digest, and with OURS all of it, into the state folder. */
static enum outcome read_copy(struct move *m, struct letgo *l, bool ours)
{
    char why[512];
    if (l->digest[0] && (l->packed || !ours))
        return GO;
    if (cold_already(m, l)) {
        snprintf(why, sizeof(why), "the hook of %s has no action 'archive'; its copy is cold",
                 m->source);
        return ours ? stops(m, why) : GO;
    }
    if (archive_read(m, ours, l->digest, why, sizeof(why)) < 0)
        return stops(m, why);
    l->packed = ours;
    int r = ours ? move_event(m, EVENT_PASS, PACKED "%s.lz4, " DIGEST_WORD "%s", m->id, l->digest)
                 : move_event(m, EVENT_PASS, "read, " DIGEST_WORD "%s", l->digest);
    return r < 0 ? DEFERRED : GO;
}

/*
 * Where the hook archives, it is asked when the copy is cold.  It says that it can by doing so with
 * those that are there now.  Where it can't we do it, and it has to remove the copy then.
 */
static enum outcome prepare_archive(struct move *m, struct letgo *l)
{
    int r = act(m, l, "archive");
    if (r < 0)
        return FAILED;
    l->ours = r == HOOK_CANNOT;
    return read_copy(m, l, l->ours);
}

/* What is done with the copy once it is COLD, as the hook has answered. */
static enum outcome dispose(struct move *m, const struct letgo *l, int cold, int *result)
{
    char why[512];
    const char *action = l->ours ? "remove" : ways[l->disposal].action;
    *result = cold;
    if (!action || (cold == HOOK_ABSENT && !l->again))
        return GO;
    if (cold != HOOK_CANNOT)
        *result = act(m, l, action);
    if (*result < 0)
        return FAILED;
    if (*result != HOOK_CANNOT)
        return GO;
    snprintf(why, sizeof(why), "the hook of %s has no action '%s'; its copy is %s", m->source,
             cold == HOOK_CANNOT ? "cold" : action, cold == HOOK_CANNOT ? "kept" : "cold");
    return stops(m, why);
}

static void describe(const struct move *m, const struct letgo *l, int fenced, int result,
                     char *what, size_t size)
{
    char done[NAME_LEN_MAX + 64];
    snprintf(done, sizeof(done), l->ours ? PACKED "%s.lz4, removed" : "%s",
             l->ours ? m->id : ways[l->disposal].done);
    if (result == HOOK_ABSENT && l->again)
        snprintf(what, size, "%s on %s already", done, m->source);
    else if (result == HOOK_ABSENT)
        snprintf(what, size, "no copy on %s", m->source);
    else
        snprintf(what, size, "%s on %s%s%s%s", result == HOOK_DONE ? done : "kept", m->source,
                 fenced == HOOK_DONE ? "" : ", unfenced", result == HOOK_DONE ? "" : ": no cold",
                 l->unknown ? "; it is unknown: its flush failed" : "");
}

enum outcome letgo(struct move *m, struct letgo *l, char *what, size_t size)
{
    const char *owner = l->owner ? l->owner : m->target;
    struct hook hook = move_hook(m, m->source);
    char why[200];
    int result;
    enum outcome o = GO;
    if (!may_begin(m, owner))
        return DEFERRED;
    if (!hook_there(&hook)) {
        snprintf(what, size, "%s has no hook: its copy stays as it is, unfenced", m->source);
        return GO;
    }
    if (l->disposal == DISPOSAL_ARCHIVE)
        o = prepare_archive(m, l);
    if (o != GO)
        return o;
    int fenced = act(m, l, "fence");
    int cold = fenced < 0 ? -1 : act(m, l, "cold");
    if (cold < 0)
        return FAILED;
    if (cold == HOOK_DONE && !owner_serves(m, owner, why, sizeof(why)))
        return take_back(m, l, why);
    o = dispose(m, l, cold, &result);
    if (o == GO)
        describe(m, l, fenced, result, what, size);
    return o;
}
