/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes wrong, at times from a generator of its own, and what the model has to know of it. */
#ifndef SOAK_FAULTS_H
#define SOAK_FAULTS_H

#include "soak.h"

/* Names as --faults takes them. */
const char *fault_name(enum fault f);
/* A list of names with commas, "all" or "none", as bits.  0 or -EINVAL. */
int faults_parse(const char *list, unsigned *bits);

/* Lets F happen now, to V, or to its gateway G; false: it may not. */
bool faults_strike(struct world *w, struct volume *v, unsigned g, enum fault f);

void faults_setup(struct world *w);
/* Lets happen what is due; NEW: also begin something. */
void faults_tick(struct world *w, bool new);

#endif
