/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/opts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/parse.h"

#ifndef GS_VERSION
#define GS_VERSION "0"
#endif
#ifndef GS_SHAREDIR
#define GS_SHAREDIR "/usr/local/share/gateshift"
#endif

enum { KEY_LONG_OPTIONS = OPT_RESERVED, KEY_CONFIG, KEY_STATE, KEY_RUN };

static void print_version(FILE *out, struct argp_state *st)
{
    fprintf(out, "%s (gateshift) %s\n", st->name, GS_VERSION);
}

static void print_options(const struct argp *argp)
{
    for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++)
        if (o->name && !(o->flags & OPTION_HIDDEN))
            printf("--%s%s\n", o->name, o->arg && !(o->flags & OPTION_ARG_OPTIONAL) ? "=" : "");
    for (const struct argp_child *c = argp->children; c && c->argp; c++)
        print_options(c->argp);
}

static error_t parse_common(int key, char *arg, struct argp_state *st)
{
    (void)arg;
    if (key == ARGP_KEY_INIT) {
        st->child_inputs[0] = st->input;
        return 0;
    }
    if (key != KEY_LONG_OPTIONS)
        return ARGP_ERR_UNKNOWN;
    print_options(st->root_argp->children[0].argp);
    puts("--help\n--usage\n--version");
    exit(0);
}

void opts_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    static const struct argp_option common[] = {
        {"long-options", KEY_LONG_OPTIONS, 0, OPTION_HIDDEN, "Print all long options", 0},
        {0},
    };
    const struct argp_child children[] = {{argp, 0, NULL, 0}, {0}};
    const struct argp root = {
        common, parse_common, NULL, argp->doc, children, argp->help_filter, NULL,
    };
    err_check_stdout();
    argp_program_version_hook = print_version;
    /* It exits by itself on wrong usage; what it returns is lack of memory. */
    error_t err = argp_parse(&root, argc, argv, 0, NULL, input);
    if (err)
        err_die(EX_OSERR, "cannot parse the command line: %s", err_text(err));
}

static const char *env_or(const char *name, const char *fallback)
{
    const char *v = getenv(name);
    return v && *v ? v : fallback;
}

void opts_dirs_init(struct opts_dirs *d)
{
    d->config = env_or("GATESHIFT_CONFIG", "/etc/gateshift");
    d->state = env_or("GATESHIFT_STATE", "/var/lib/gateshift");
    d->run = env_or("GATESHIFT_RUN", "/run/gateshift");
}

const char *opts_share_dir(void)
{
    return env_or("GATESHIFT_SHARE", GS_SHAREDIR);
}

static error_t parse_dirs(int key, char *arg, struct argp_state *st)
{
    struct opts_dirs *d = st->input;
    switch (key) {
    case KEY_CONFIG:
        d->config = arg;
        return 0;
    case KEY_STATE:
        d->state = arg;
        return 0;
    case KEY_RUN:
        d->run = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp opts_dirs_argp = {
    (const struct argp_option[]){
        {0, 0, 0, 0, "Folders:", 90},
        {"config", KEY_CONFIG, "DIR", 0,
         "Configuration (default $GATESHIFT_CONFIG or /etc/gateshift)", 90},
        {"run", KEY_RUN, "DIR", 0, "Sockets (default $GATESHIFT_RUN or /run/gateshift)", 90},
        {"state", KEY_STATE, "DIR", 0, "State (default $GATESHIFT_STATE or /var/lib/gateshift)",
         90},
        {0},
    },
    parse_dirs,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
};

uint64_t opts_u64(const struct argp_state *st, const char *name, const char *arg, uint64_t min,
                  uint64_t max)
{
    uint64_t v = 0;
    if (parse_u64(arg, &v) < 0 || v < min || v > max)
        argp_error(st, "--%s takes a whole number from %llu to %llu, not '%s'", name,
                   (unsigned long long)min, (unsigned long long)max, arg);
    return v;
}

double opts_f64(const struct argp_state *st, const char *name, const char *arg, double min,
                double max)
{
    double v = 0;
    if (parse_f64(arg, &v) < 0 || v < min || v > max)
        argp_error(st, "--%s takes a number from %g to %g, not '%s'", name, min, max, arg);
    return v;
}

uint64_t opts_size(const struct argp_state *st, const char *name, const char *arg, uint64_t min,
                   uint64_t max)
{
    uint64_t v = 0;
    if (parse_size(arg, &v) < 0 || v < min || v > max)
        argp_error(st, "--%s takes a size from %llu to %llu bytes (K, M, G, T), not '%s'", name,
                   (unsigned long long)min, (unsigned long long)max, arg);
    return v;
}

double opts_duration(const struct argp_state *st, const char *name, const char *arg, double min_s,
                     double max_s)
{
    double v = 0;
    if (parse_duration(arg, &v) < 0 || v < min_s || v > max_s)
        argp_error(st, "--%s takes a duration from %gs to %gs (ms, s, m, h, d, w), not '%s'", name,
                   min_s, max_s, arg);
    return v;
}
