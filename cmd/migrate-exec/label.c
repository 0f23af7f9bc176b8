/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/label.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cmd/migrate-exec/journal.h"

#define LABEL_WORD   ", label "
#define LEFT_COLD    "commit" LABEL_WORD
#define UNKNOWN_WORD " of a copy that is unknown"

int label_make(char out[LABEL_SIZE], const char *volume, uint64_t epoch, uint64_t size_bytes,
               const char *digest)
{
    uint64_t nonce;
    if (getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return -EIO;
    int n = snprintf(out, LABEL_SIZE, "%s,%llu,%016llx,%llu,%s", volume, (unsigned long long)epoch,
                     (unsigned long long)nonce, (unsigned long long)size_bytes, digest);
    return n < LABEL_SIZE ? 0 : -ENAMETOOLONG;
}

void label_note(char out[LABEL_DETAIL_SIZE], const char *what, const char *label, bool unknown)
{
    snprintf(out, LABEL_DETAIL_SIZE, "%s" LABEL_WORD "%s%s", what, label,
             unknown ? UNKNOWN_WORD : "");
}

int label_of_note(const char *detail, char out[LABEL_SIZE], bool *unknown)
{
    const char *at = strstr(detail, LABEL_WORD);
    if (!at)
        return 0;
    at += strlen(LABEL_WORD);
    size_t len = strcspn(at, " ");
    if (len == 0 || len >= LABEL_SIZE)
        return 0;
    memcpy(out, at, len);
    out[len] = 0;
    if (unknown)
        *unknown = at[len] != 0;
    return 1;
}

struct search {
    const char *volume;
    const char *gateway;
    uint64_t epoch; /* of the migration whose commit it was */
    bool found;
    bool unknown;
    char label[LABEL_SIZE];
};

/*
 * The last one counts: a copy that came later has taken the place of those before.  One that was to
 * be archived or removed is not there: what is cold on the gateway is another, and stays.
 */
static int look(const struct event *e, void *arg)
{
    struct search *s = arg;
    uint64_t epoch;
    if (e->phase != PHASE_RETIRE || e->event != EVENT_BEGIN || strcmp(e->volume, s->volume) != 0 ||
        strcmp(e->source, s->gateway) != 0 || migration_epoch(e->migration, &epoch) < 0 ||
        epoch < s->epoch)
        return 0;
    s->epoch = epoch;
    s->found = strncmp(e->detail, LEFT_COLD, strlen(LEFT_COLD)) == 0 &&
               label_of_note(e->detail, s->label, &s->unknown) == 1;
    return 0;
}

int label_find(const char *state, const char *volume, const char *gateway, char out[LABEL_SIZE])
{
    struct search s = {.volume = volume, .gateway = gateway};
    char **ids;
    size_t n;
    int r = journal_ids(state, &ids, &n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        journal_each(state, ids[i], look, &s); /* one that is damaged has nothing to say */
    journal_ids_free(ids, n);
    if (!s.found || s.unknown)
        return 0;
    memcpy(out, s.label, sizeof(s.label));
    return 1;
}
