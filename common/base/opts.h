/* SPDX-License-Identifier: GPL-3.0-or-later */
/* argp, dressed the same way for every command: one parser call, checked option values. */
#ifndef GS_BASE_OPTS_H
#define GS_BASE_OPTS_H

#include <argp.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Keys of long-only options: use OPT_LONG + n with n from 0; what opts_parse() adds itself lies
 * above OPT_RESERVED.
 */
enum { OPT_LONG = 0x100, OPT_RESERVED = 0x7000 };

/*
 * Parses the command line with ARGP, whose children and doc are respected, and INPUT as argp's
 * input.  Adds --version, --help, --usage and the hidden --long-options, which prints every
 * visible long option, one a line, for completions and lint.  Exits 64 on wrong usage.  Registers
 * the stdout check (error.h).
 */
void opts_parse(const struct argp *argp, int argc, char **argv, void *input);

/* The three folders that every command knows; defaults from GATESHIFT_CONFIG, _STATE and _RUN. */
struct opts_dirs {
    const char *config; /* default /etc/gateshift */
    const char *state;  /* default /var/lib/gateshift */
    const char *run;    /* default /run/gateshift */
};

/* Fills D with the defaults; strings are borrowed from the environment. */
void opts_dirs_init(struct opts_dirs *d);

/*
 * The folder of what is installed read-only: $GATESHIFT_SHARE, else PREFIX/share/gateshift.
 * Borrowed from the environment.
 */
const char *opts_share_dir(void);

/*
 * A child parser with --config, --state and --run.  The parent sets
 * state->child_inputs[i] = its struct opts_dirs at ARGP_KEY_INIT.
 */
extern const struct argp opts_dirs_argp;

/*
 * Checked option values: each ends the program with argp_error (64), naming the option without
 * its dashes, when ARG is not of its form or lies outside MIN…MAX (inclusive).
 */
uint64_t opts_u64(const struct argp_state *st, const char *name, const char *arg, uint64_t min,
                  uint64_t max);
double opts_f64(const struct argp_state *st, const char *name, const char *arg, double min,
                double max);
/* Bytes: a number with K, M, G or T (1024). */
uint64_t opts_size(const struct argp_state *st, const char *name, const char *arg, uint64_t min,
                   uint64_t max);
/* Seconds: a number with ms, s, m, h, d or w; no unit means seconds. */
double opts_duration(const struct argp_state *st, const char *name, const char *arg, double min_s,
                     double max_s);

#endif
