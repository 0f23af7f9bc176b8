/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/lost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_S = 60, LONGEST_S = 3600, FORGOTTEN_S = 86400 };

static const char words[] = "lost its mirror (";
static const char row_words[] = " in a row): ";
static const char until_words[] = "; not mirrored again before ";

static double pause_s(unsigned times)
{
    double s = FIRST_S;
    for (unsigned n = 2; n < times && s < LONGEST_S; n++)
        s *= 2;
    return times < 2 ? 0 : fmin(s, LONGEST_S);
}

void lost_add(struct lost *l, double stood_s, double time)
{
    l->times = stood_s >= FORGOTTEN_S ? 1 : l->times + 1;
    l->until = time + pause_s(l->times);
}

double lost_left_s(const struct lost *l, double now)
{
    double left = l->until - now;
    return left > 0 && left <= LONGEST_S ? left : 0;
}

void lost_put(char *detail, size_t size, const struct lost *l, double stood_s)
{
    snprintf(detail, size, "%s%u%sstood by for %.0f s%s%.0f", words, l->times, row_words,
             fmax(stood_s, 0), until_words, floor(l->until)); /* or the first would wait, too */
}

bool lost_get(const struct event *e, struct lost *l)
{
    const size_t skip = strlen(words);
    char number[24];
    uint64_t times, until;
    if (e->event != EVENT_STALLED || strncmp(e->detail, words, skip) != 0)
        return false;
    const char *end = strstr(e->detail, row_words);
    const char *at = strstr(e->detail, until_words);
    if (!end || !at || end - e->detail - (long)skip >= (long)sizeof(number))
        return false;
    snprintf(number, sizeof(number), "%.*s", (int)(end - e->detail - (long)skip), e->detail + skip);
    if (parse_u64(number, &times) < 0 || times > UINT32_MAX ||
        parse_u64(at + strlen(until_words), &until) < 0)
        return false;
    *l = (struct lost){(unsigned)times, (double)until};
    return true;
}
