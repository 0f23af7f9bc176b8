/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names to dense numbers 0, 1, 2 … in order of first sight, for tables keyed by name. */
#ifndef GS_BASE_INTERN_H
#define GS_BASE_INTERN_H

#include <stddef.h>

struct intern_slot {
    unsigned id1;  /* id + 1; 0: free */
    unsigned hash; /* its upper half, so that most other names need not be looked at */
};

/* Zero-initialise; intern_release() frees. */
struct intern {
    char **names; /* names[id], owned, stable until release */
    size_t n;
    size_t cap;
    struct intern_slot *slots; /* open addressing */
    size_t nslots;             /* a power of two */
};

/* The number of NAME, added if new; or -ENOMEM. */
long intern_add(struct intern *t, const char *name);
/* The number of NAME, or -1. */
long intern_find(const struct intern *t, const char *name);
/* The same for a name of LEN bytes without a NUL in or, needfully, behind it. */
long intern_add_bytes(struct intern *t, const char *name, size_t len);
long intern_find_bytes(const struct intern *t, const char *name, size_t len);
void intern_release(struct intern *t);

#endif
