/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The planner's constants as options: one table for the command line and for recordings. */
#ifndef GS_PLAN_KNOBS_H
#define GS_PLAN_KNOBS_H

#include <argp.h>
#include <stdbool.h>

#include "common/base/buf.h"
#include "common/plan/limits.h"

struct knobs {
    struct plan_limits limits;
    unsigned set; /* a bit for each one given on the command line */
};

/* A child parser; its input is a struct knobs, initialised by knobs_init(). */
extern const struct argp knobs_argp;

void knobs_init(struct knobs *k);

/* Appends a line "NAME VALUE" for each, exact to the last bit.  0 or -ENOMEM. */
int knobs_format(const struct knobs *k, struct buf *b);

/*
 * Takes a value out of a recording, unless the command line gave another.  0, -ENOENT: no such
 * name, or -EINVAL: no value of its kind.
 */
int knobs_restore(struct knobs *k, const char *name, const char *value);

#endif
