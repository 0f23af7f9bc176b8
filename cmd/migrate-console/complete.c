/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/complete.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-console/names.h"
#include "cmd/migrate-console/verbs.h"

static void add_verbs(struct words *out)
{
    for (const struct verb *v = verbs; v->name; v++)
        words_add(out, v->name);
}

static void add_rows(const struct console *c, struct words *out)
{
    char number[24];
    for (size_t i = 0; c->planned && i < records_n(&c->plan); i++) {
        snprintf(number, sizeof(number), "%zu", i + 1);
        words_add(out, number);
    }
}

static bool add_arguments(struct console *c, const struct verb *v, struct words *out)
{
    switch (v->kind) {
    case VERB_VOLUME:
        names_volumes(c, out);
        return true;
    case VERB_GATEWAY:
        names_gateways(c, out);
        return true;
    case VERB_MIGRATION:
        names_migrations(c, out);
        return true;
    case VERB_ROW:
        add_rows(c, out);
        words_add(out, "all");
        return true;
    case VERB_ROW_OR_VOLUME:
        add_rows(c, out);
        names_volumes(c, out);
        return true;
    case VERB_VERB:
        add_verbs(out);
        return true;
    case VERB_NOTHING:
        break;
    }
    /* Options' arguments, and the shell's commands, are files more often than not. */
    return !v->options && strcmp(v->name, "!") != 0;
}

/* The words of the last command of LINE, which ends where the word begins that is completed. */
static void last_command(const char *line, size_t len, struct words *out)
{
    char *copy = strndup(line, len);
    const char *rest = copy;
    struct words w = {0};
    words_need(copy ? 0 : -ENOMEM);
    while (words_next(&rest, &w) > 0) {
        /* A semicolon, or a pasted newline, at the end means that a new command begins. */
        words_clear(out);
        bool ended = !*rest && rest != copy && (rest[-1] == ';' || rest[-1] == '\n');
        for (size_t i = 0; !ended && i < w.n; i++)
            words_add(out, w.v[i]);
    }
    words_release(&w);
    free(copy);
}

bool complete(struct console *c, const char *line, size_t start, bool is_option, struct words *out)
{
    struct words before = {0};
    bool known = true;
    last_command(line, start, &before);
    const struct verb *v = before.n ? verb_find(before.v[0]) : NULL;
    if (!before.n) {
        add_verbs(out);
    } else if (v && is_option) {
        if (v->options)
            names_options(c, v->options, out);
        words_add(out, "--yes");
    } else if (v) {
        known = add_arguments(c, v, out);
    }
    words_release(&before);
    return known;
}
