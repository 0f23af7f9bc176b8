/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copies that nobody may write to: of a switch that waits for its commit, and what is cold. */
#ifndef SOAK_KEPT_H
#define SOAK_KEPT_H

#include "soak.h"

struct kept;

/* NULL: out of memory. */
struct kept *kept_new(struct world *w);
void kept_free(struct kept *k);

/* From now on V's export on its gateway G is not written to. */
void kept_add_export(struct kept *k, const struct volume *v, unsigned g);
/* The same for V's cold copies there. */
void kept_add_cold(struct kept *k, const struct volume *v, unsigned g);
/* All of V may be. */
void kept_drop(struct kept *k, const struct volume *v);

/* Ends the run if one was. */
void kept_check(struct kept *k);

#endif
