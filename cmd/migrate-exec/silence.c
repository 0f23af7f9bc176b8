/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/silence.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/clock.h"
#include "common/nbd/probe.h"
#include "common/nbd/uri.h"

/* ---- what is known ---- */

enum { KNOWN_MAX = 64 }; /* what does not fit is asked each time */

/* Written once, by who has got its number; read by all that find it ready. */
struct known {
    atomic_bool ready;
    uint64_t at_us; /* clock_mono_us() */
    char gateway[NAME_LEN_MAX + 1];
    char why[128];
};

struct silences {
    atomic_uint n; /* given out; may be more than there are */
    struct known known[KNOWN_MAX];
};

struct silences *silences_new(void)
{
    void *p = mmap(NULL, sizeof(struct silences), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void silences_free(struct silences *s)
{
    if (s)
        munmap(s, sizeof(*s));
}

static const struct known *find(const struct silences *s, const char *gateway)
{
    uint64_t now = clock_mono_us();
    for (int i = 0; s && i < KNOWN_MAX; i++) {
        const struct known *k = &s->known[i];
        if (atomic_load(&k->ready) && strcmp(k->gateway, gateway) == 0 &&
            now - k->at_us < UINT64_C(1000000) * SILENCE_KNOWN_S)
            return k;
    }
    return NULL;
}

static void remember(struct silences *s, const char *gateway, const char *why)
{
    unsigned i = s ? atomic_fetch_add(&s->n, 1) : KNOWN_MAX;
    if (i >= KNOWN_MAX)
        return;
    s->known[i].at_us = clock_mono_us();
    snprintf(s->known[i].gateway, sizeof(s->known[i].gateway), "%s", gateway);
    snprintf(s->known[i].why, sizeof(s->known[i].why), "%s", why);
    atomic_store(&s->known[i].ready, true);
}

bool silence_is_known(const struct move *m, const char *gateway)
{
    return find(m->exec->silences, gateway) != NULL;
}

/* ---- questions ---- */

static bool hook_answers(const struct move *m, const char *gateway, char *why, size_t size)
{
    struct hook hook = move_hook(m, gateway);
    uint64_t bytes;
    if (!hook_there(&hook))
        return true;
    if (!hook.timeout_s || hook.timeout_s > SILENCE_HOOK_S)
        hook.timeout_s = SILENCE_HOOK_S;
    int r = hook_size(&hook, &bytes, why, size);
    return r == HOOK_DONE || r == HOOK_CANNOT || r == HOOK_ABSENT;
}

/* Whatever it exports: a machine that is up is for its operator to mend. */
static bool server_answers(const struct move *m, const char *gateway)
{
    const struct fleet_gateway *g = fleet_gateway(m->exec->fleet, gateway);
    struct nbd_addr addr;
    if (!g || nbd_addr_parse(g->uri, &addr) < 0)
        return true; /* nobody can say that it does not */
    struct nbd_probe *p = nbd_probe_new(&addr, NULL, 0, 0);
    if (!p)
        return true;
    nbd_probe_run(p, UINT64_C(1000) * SILENCE_SERVER_MS);
    bool connected = nbd_probe_report(p)->connected;
    nbd_probe_free(p);
    return connected;
}

enum silence silence_of(const struct move *m, const char *gateway, char *why, size_t size)
{
    const struct known *k = find(m->exec->silences, gateway);
    if (k) {
        snprintf(why, size, "%s", k->why);
        return SILENCE_ALL;
    }
    if (hook_answers(m, gateway, why, size))
        return SILENCE_NONE;
    if (server_answers(m, gateway))
        return SILENCE_HOOK;
    remember(m->exec->silences, gateway, why);
    return SILENCE_ALL;
}
