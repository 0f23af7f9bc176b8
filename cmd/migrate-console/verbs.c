/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-console/looks.h"
#include "cmd/migrate-console/moves.h"
#include "cmd/migrate-console/plan.h"
#include "cmd/migrate-console/signals.h"
#include "cmd/migrate-console/states.h"
#include "cmd/migrate-console/watch.h"
#include "common/base/error.h"

static int help(struct console *c, struct words *w);
static int leave(struct console *c, struct words *w);
static int shell(struct console *c, struct words *w);

enum { ANY = 1000000 };

const struct verb verbs[] = {
    {"!", "COMMAND", "run a command of the shell's", shell, 1, ANY, VERB_NOTHING, NULL},
    {"abort", "ID", "end a move; its source goes on alone", moves_abort, 1, 1, VERB_MIGRATION,
     "migrate-exec"},
    {"affinity", "VOL", "where a volume's demand comes from, and how gateways suit it",
     look_affinity, 1, 1, VERB_VOLUME, NULL},
    {"commit", "ID", "let the old copy of a switched move go", moves_commit, 1, 1, VERB_MIGRATION,
     "migrate-exec"},
    {"cordon", "GW", "plan no volume onto a gateway", states_cordon, 1, 1, VERB_GATEWAY, NULL},
    {"cutover", "ID", "hand over a deferred move now", moves_cutover, 1, 1, VERB_MIGRATION,
     "migrate-exec"},
    {"drain", "GW", "have the next plans empty a gateway", states_drain, 1, 1, VERB_GATEWAY, NULL},
    {"explain", "N|VOL", "every yes and no about the volume of row N, or about VOL", plan_explain,
     1, 1, VERB_ROW_OR_VOLUME, NULL},
    {"forecast", "VOL", "requests to come, by the hour, with their interval", look_forecast, 1, 1,
     VERB_VOLUME, NULL},
    {"gateways", "", "gateways, their states, and what is on them", look_gateways, 0, 0,
     VERB_NOTHING, NULL},
    {"health", "[GW]", "how gateways are, or all that is measured of one", look_health, 0, 1,
     VERB_GATEWAY, NULL},
    {"heat", "VOL", "the volume's heat map: parts, sites and gateways by hours", look_heat, 1, 1,
     VERB_VOLUME, NULL},
    {"help", "[VERB]", "this list, or one verb of it", help, 0, 1, VERB_VERB, NULL},
    {"log", "[ID|VOL]", "events of moves, of all or of one", look_log, 0, 1, VERB_MIGRATION, NULL},
    {"plan", "[OPTION...]", "what should move where, in numbered rows", plan_make, 0, ANY,
     VERB_NOTHING, "migrate-plan"},
    {"probe", "[GW...]", "sample gateways now, and score them", look_probe, 0, ANY, VERB_GATEWAY,
     NULL},
    {"quit", "", "leave; moves that were begun go on", leave, 0, 0, VERB_NOTHING, NULL},
    {"resume", "[ID]", "go on with moves that have stalled or lost their process", moves_resume, 0,
     1, VERB_MIGRATION, "migrate-exec"},
    {"revert", "ID", "bring the volume of a switched move back", moves_revert, 1, 1, VERB_MIGRATION,
     "migrate-exec"},
    {"routes", "[VOL]", "which gateway owns each volume", look_routes, 0, 1, VERB_VOLUME, NULL},
    {"run", "N...|all", "carry out rows of the plan", plan_run, 1, ANY, VERB_ROW, "migrate-exec"},
    {"status", "[ID]", "the director, moves that are not over, and alarms; or one move",
     look_status, 0, 1, VERB_MIGRATION, NULL},
    {"uncordon", "GW", "make a gateway active again", states_uncordon, 1, 1, VERB_GATEWAY, NULL},
    {"volumes", "", "volumes, and what may be done with them", look_volumes, 0, 0, VERB_NOTHING,
     NULL},
    {"watch", "", "live view of moves; q leaves it", watch, 0, 0, VERB_NOTHING, NULL},
    {0},
};

const struct verb *verb_find(const char *name)
{
    for (const struct verb *v = verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

/* ---- help, !, quit ---- */

static void print_verb(const struct verb *v)
{
    char head[64];
    snprintf(head, sizeof(head), "%s %s%s", v->name, v->args, v->options ? " [OPTION...]" : "");
    if (strcmp(v->name, "plan") == 0)
        snprintf(head, sizeof(head), "%s %s", v->name, v->args);
    printf("%-26s%s\n", head, v->help);
}

static void no_such_verb(const char *name)
{
    struct buf shown = {0};
    words_quote(&shown, name);
    err_warn("no such verb: %.100s (help lists them)", shown.data);
    buf_release(&shown);
}

static int help(struct console *c, struct words *w)
{
    const struct verb *v = w->n > 1 ? verb_find(w->v[1]) : NULL;
    (void)c;
    if (w->n > 1 && !v) {
        no_such_verb(w->v[1]);
        return EX_USAGE;
    }
    if (v) {
        print_verb(v);
        if (v->options)
            printf("%-26s%s: see %s --help\n", "", "OPTIONs are passed on", v->options);
        return 0;
    }
    for (v = verbs; v->name; v++)
        print_verb(v);
    puts("Several commands on a line are parted by ';'. Destructive ones ask, unless --yes is "
         "given.");
    return 0;
}

static int leave(struct console *c, struct words *w)
{
    (void)w;
    c->leave = true;
    return 0;
}

static int shell(struct console *c, struct words *w)
{
    struct pipeline p = {.plain = true, .hidden = true};
    run_stage(&p, "/bin/sh", "-c", w->v[1], (char *)NULL);
    return run(c, &p);
}

/* ---- running one ---- */

static size_t arguments(const struct words *w)
{
    size_t n = 0;
    for (size_t i = 1; i < w->n; i++)
        n += w->v[i][0] != '-';
    return n;
}

/* An option that the verb does not take; NULL: all are taken. */
static const char *strange_option(const struct verb *v, const struct words *w)
{
    for (size_t i = 1; i < w->n && !v->options && strcmp(v->name, "!") != 0; i++)
        if (w->v[i][0] == '-' && strcmp(w->v[i], "--yes") != 0)
            return w->v[i];
    return NULL;
}

int verb_run(struct console *c, struct words *w)
{
    const struct verb *v = verb_find(w->v[0]);
    struct buf shown = {0};
    int status = EX_USAGE;
    size_t n = v && strcmp(v->name, "!") == 0 ? w->n - 1 : arguments(w);
    const char *strange = v ? strange_option(v, w) : NULL;
    words_quote(&shown, strange ? strange : w->v[0]);
    if (!v)
        no_such_verb(w->v[0]);
    else if (strange)
        err_warn("%s takes no option %.100s", v->name, shown.data);
    else if (n < v->min || n > v->max)
        err_warn("usage: %s%s%s", v->name, *v->args ? " " : "", v->args);
    else
        status = v->fn(c, w);
    buf_release(&shown);
    fflush(stdout);
    return status;
}

int console_line(struct console *c, const char *line)
{
    struct words w = {0};
    int status = 0, r = 0;
    while (!c->leave && status == 0 && (r = words_next(&line, &w)) > 0) {
        status = verb_run(c, &w);
        if (status == 0 && signals_ending())
            status = 128 + signals_ending();
        /* Also where the command itself has made a good end of its interrupt. */
        if (status == 0 && signals_seen(SIGINT))
            status = 128 + SIGINT;
    }
    if (r < 0) {
        err_warn("a quote is not closed, or nothing stands behind the last \\");
        status = EX_USAGE;
    }
    words_release(&w);
    return status;
}
