/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/retain.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char words[] = "; retained until ";
static const char standby_words[] = "; standby";

/* Appends TEXT as far as it fits whole. */
static void append(char *detail, size_t size, const char *text)
{
    size_t len = strlen(detail);
    if (len + strlen(text) < size)
        snprintf(detail + len, size - len, "%s", text);
}

void retain_put(char *detail, size_t size, double time, bool standby)
{
    char text[64];
    /* The second that has begun: what is retained for 0 s is over at once. */
    snprintf(text, sizeof(text), "%s%s%.0f", standby ? standby_words : "", words,
             floor(time < REC_TIME_MAX ? time : REC_TIME_MAX));
    append(detail, size, text);
}

static bool is_note(const struct event *e)
{
    return e->event == EVENT_SWITCHED && e->phase == PHASE_RETIRE;
}

int retain_get(const struct event *e, double *until)
{
    const char *at = is_note(e) ? strstr(e->detail, words) : NULL;
    uint64_t n;
    if (!at || parse_u64(at + strlen(words), &n) < 0)
        return 0;
    *until = (double)n;
    return 1;
}

bool retain_is_standby(const struct event *e, bool before)
{
    double until;
    return retain_get(e, &until) ? strstr(e->detail, standby_words) != NULL : before;
}

void retain_describe(struct event *e, double now)
{
    char text[128];
    double until;
    if (!is_note(e))
        return;
    int known = retain_get(e, &until);
    bool standby = retain_is_standby(e, false);
    snprintf(text, sizeof(text), ": %llu bytes, %.0f s old", (unsigned long long)e->bytes_total,
             now > e->time ? now - e->time : 0);
    append(e->detail, sizeof(e->detail), text);
    if (known && until > now) {
        snprintf(text, sizeof(text), ", %.0f s left", until - now);
        append(e->detail, sizeof(e->detail), text);
    } else if (known) {
        append(e->detail, sizeof(e->detail), standby ? ", kept as standby" : ", to be committed");
    }
}
