/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What goes wrong, at times from a generator of its own, and what the model has to know of it.
 * Verbs of the control socket, which move volumes meanwhile, would be further kinds: an entry in
 * enum fault and in the table of faults.c.
 */
#ifndef SOAK_FAULTS_H
#define SOAK_FAULTS_H

#include "soak.h"

/* Names as --faults takes them. */
const char *fault_name(enum fault f);
/* A list of names with commas, "all" or "none", as bits.  0 or -EINVAL. */
int faults_parse(const char *list, unsigned *bits);

void faults_setup(struct world *w);
/* Lets happen what is due; NEW: also begin something. */
void faults_tick(struct world *w, bool new);

#endif
