/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * anomaly_asd MACHINE_train.csv...: how well a gateway's anomaly finds what is labelled in ASD: the
 * train part is streamed first, then MACHINE_test.csv, whose labels are in MACHINE_test_label.txt.
 * Lines are samples five minutes apart.  Raw F1 over samples, labelled events met, and runs of
 * flagged samples that meet none: no point adjustment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/parse.h"
#include "common/health/anomaly.h"
#include "common/health/board.h"

enum { METRICS_MAX = 64, TEST_MAX = 100000 };

#define STEP_S 300.0

struct tally {
    unsigned hits; /* samples */
    unsigned false_alarms;
    unsigned misses;
    unsigned events;
    unsigned events_met;
    unsigned runs;
    unsigned false_runs;
};

static FILE *open_part(const char *train, const char *part)
{
    char path[4096];
    size_t len = strlen(train);
    size_t tail = strlen("_train.csv");
    if (len <= tail || len + 32 > sizeof(path))
        err_die(EX_USAGE, "not a train file: '%s'", train);
    snprintf(path, sizeof(path), "%.*s%s", (int)(len - tail), train, part);
    FILE *f = fopen(path, "r");
    if (!f)
        err_die(EX_NOINPUT, "cannot open '%s'", path);
    return f;
}

/* Feeds B with LINE's values; the gateway's anomaly after them. */
static double feed(struct health_board *b, char *line, double time)
{
    char *end;
    unsigned k = 0;
    for (char *s = line; *s && *s != '\n' && k < METRICS_MAX; s = *end ? end + 1 : end, k++) {
        char name[32];
        double v = strtod(s, &end);
        snprintf(name, sizeof(name), "m%u", k);
        if (end == s || health_board_add(b, time, "machine", name, v, NULL, NULL) < 0)
            err_die(EX_DATAERR, "bad line: %s", line);
    }
    struct health_score score;
    if (health_board_score(b, 0, time, &score) < 0)
        err_die(EX_OSERR, "out of memory");
    return score.anomaly;
}

static void judge(struct tally *t, const bool *flag, const bool *label, unsigned n)
{
    bool met = false;
    bool true_run = false;
    for (unsigned i = 0; i < n; i++) {
        bool before = i && label[i - 1];
        t->hits += flag[i] && label[i];
        t->false_alarms += flag[i] && !label[i];
        t->misses += !flag[i] && label[i];
        t->events += label[i] && !before;
        met = label[i] && before && met;
        t->events_met += label[i] && flag[i] && !met;
        met = met || (label[i] && flag[i]);
        if (!flag[i])
            continue;
        true_run = (i && flag[i - 1] && true_run) || label[i];
        bool ends = i + 1 == n || !flag[i + 1];
        t->runs += ends;
        t->false_runs += ends && !true_run;
    }
}

static void run_machine(const char *train, struct tally *t)
{
    static bool flag[TEST_MAX];
    static bool label[TEST_MAX];
    static const struct health_rules rules = {.horizon_s = 86400,
                                              .silent_after_s = 60,
                                              .max_series = 1000,
                                              .damping = SIGNAL_DAMPING_DEFAULT};
    struct health_limits limits = {0};
    struct health_board *b = health_board_new(&limits, &rules);
    char line[8192];
    double time = 1700000000;
    unsigned n = 0;
    if (!b)
        err_die(EX_OSERR, "out of memory");
    FILE *f = open_part(train, "_train.csv");
    for (; fgets(line, sizeof(line), f); time += STEP_S)
        feed(b, line, time);
    fclose(f);
    f = open_part(train, "_test.csv");
    FILE *labels = open_part(train, "_test_label.txt");
    for (; n < TEST_MAX && fgets(line, sizeof(line), f); time += STEP_S, n++) {
        flag[n] = feed(b, line, time) > ANOMALY_THRESHOLD;
        label[n] = fgets(line, sizeof(line), labels) && line[0] == '1';
    }
    fclose(labels);
    fclose(f);
    judge(t, flag, label, n);
    health_board_free(b);
}

static void print(const char *name, const struct tally *t)
{
    double f1 = 2.0 * t->hits / (2.0 * t->hits + t->false_alarms + t->misses);
    printf("%-24s F1 %.3f, events %u of %u, runs %u, false ones %u\n", name, f1, t->events_met,
           t->events, t->runs, t->false_runs);
}

int main(int argc, char **argv)
{
    struct tally all = {0};
    for (int i = 1; i < argc; i++) {
        struct tally one = {0};
        const char *name = strrchr(argv[i], '/');
        run_machine(argv[i], &one);
        run_machine(argv[i], &all);
        print(name ? name + 1 : argv[i], &one);
    }
    print("all", &all);
    return 0;
}
