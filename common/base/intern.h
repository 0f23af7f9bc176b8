/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names to dense numbers 0, 1, 2 … in order of first sight, for tables keyed by name. */
#ifndef GS_BASE_INTERN_H
#define GS_BASE_INTERN_H

#include <stddef.h>

/* Zero-initialise; intern_release() frees. */
struct intern {
    char **names; /* names[id], owned, stable until release */
    size_t n;
    size_t cap;
    unsigned *slots; /* open addressing, id + 1, 0 = free */
    size_t nslots;   /* a power of two */
};

/* The number of NAME, added if new; or -ENOMEM. */
long intern_add(struct intern *t, const char *name);
/* The number of NAME, or -1. */
long intern_find(const struct intern *t, const char *name);
void intern_release(struct intern *t);

#endif
