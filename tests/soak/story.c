/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "story.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The index of WORD in WORDS; -1: it is not there. */
static int index_of(const char *word, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

bool story_parse(char *line, struct story_event *e)
{
    enum { TIME, ID, VOLUME, SOURCE, TARGET, PHASE, EVENT, FIELDS };
    char *field[FIELDS];
    for (int i = 0; i < FIELDS; i++)
        if (!(field[i] = strsep(&line, ",")))
            return false;
    int phase = index_of(field[PHASE], rec_phase_words);
    int event = index_of(field[EVENT], rec_event_words);
    if (phase < 0 || event < 0)
        return false;
    *e = (struct story_event){.phase = (enum rec_phase)phase, .event = (enum rec_event)event};
    snprintf(e->id, sizeof(e->id), "%s", field[ID]);
    snprintf(e->volume, sizeof(e->volume), "%s", field[VOLUME]);
    snprintf(e->source, sizeof(e->source), "%s", field[SOURCE]);
    snprintf(e->target, sizeof(e->target), "%s", field[TARGET]);
    return true;
}

static void take(struct story *s, char *line)
{
    struct story_event e;
    bool unknown = strstr(line, "is unknown") != NULL;
    if (!story_parse(line, &e))
        return;
    /* What a commit reads or proves changes nothing of where the migration stands. */
    if (e.phase == PHASE_RETIRE && (e.event == EVENT_PASS || e.event == EVENT_STALLED))
        return;
    s->last = e;
    if (e.event != EVENT_SWITCHED)
        return;
    if (e.phase == PHASE_RETIRE) {
        s->known = !unknown;
    } else {
        s->twice = s->switched;
        s->switched = true;
    }
}

/* A line without its end never happened. */
static bool read_one(const char *state, const char *id, struct story *s)
{
    char path[256], *line = NULL;
    size_t cap = 0;
    ssize_t n;
    snprintf(path, sizeof(path), "%s/migrations/%s.csv", state, id);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    while ((n = getline(&line, &cap, f)) > 0 && line[n - 1] == '\n') {
        line[n - 1] = 0;
        take(s, line);
    }
    free(line);
    fclose(f);
    return true;
}

bool story_read(const char *state, const char *volume, uint64_t epoch, struct story *s)
{
    struct story one;
    bool any = false;
    for (unsigned n = 1;; n++) {
        char id[128];
        one = (struct story){.epoch = epoch};
        snprintf(id, sizeof(id), n > 1 ? "%s-%" PRIu64 ".%u" : "%s-%" PRIu64, volume, epoch, n);
        if (!read_one(state, id, &one))
            return any;
        if (one.last.id[0]) {
            *s = one;
            any = true;
        }
    }
}

bool story_failed(const struct story *s)
{
    return !s->switched && (s->last.event == EVENT_FAILED || s->last.event == EVENT_ABORTED);
}

bool story_open(const struct story *s)
{
    switch (s->last.event) {
    case EVENT_FAILED:
    case EVENT_ABORTED:
    case EVENT_REVERTED:
    case EVENT_COMMITTED:
        return false;
    case EVENT_SWITCHED:
        return s->last.phase != PHASE_RETIRE;
    default:
        return true;
    }
}

void story_tail(const char *path, const char *title, long max, FILE *to)
{
    char text[8192];
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    max = max < (long)sizeof(text) ? max : (long)sizeof(text);
    if (fseek(f, -max, SEEK_END) < 0)
        rewind(f);
    size_t n = fread(text, 1, (size_t)max, f);
    if (n > 0)
        fprintf(to, "%s:\n%.*s", title, (int)n, text);
    fclose(f);
}
