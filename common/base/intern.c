/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/hash.h"

/* The slot where NAME is or belongs.  There is always a free one: the table is kept half empty. */
static size_t slot_of(const struct intern *t, const char *name)
{
    size_t i = hash64(name, strlen(name)) & (t->nslots - 1);
    while (t->slots[i] && strcmp(t->names[t->slots[i] - 1], name) != 0)
        i = (i + 1) & (t->nslots - 1);
    return i;
}

static int grow(struct intern *t)
{
    size_t nslots = t->nslots ? t->nslots * 2 : 64;
    unsigned *slots = calloc(nslots, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    free(t->slots);
    t->slots = slots;
    t->nslots = nslots;
    for (size_t id = 0; id < t->n; id++)
        t->slots[slot_of(t, t->names[id])] = (unsigned)id + 1;
    return 0;
}

long intern_find(const struct intern *t, const char *name)
{
    if (!t->nslots)
        return -1;
    return (long)t->slots[slot_of(t, name)] - 1;
}

long intern_add(struct intern *t, const char *name)
{
    if (2 * (t->n + 1) > t->nslots && grow(t) < 0)
        return -ENOMEM;
    size_t i = slot_of(t, name);
    if (t->slots[i])
        return (long)t->slots[i] - 1;
    if (vec_room(&t->names, t->n, &t->cap, sizeof(*t->names)) < 0)
        return -ENOMEM;
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    t->names[t->n] = copy;
    t->slots[i] = (unsigned)++t->n;
    return (long)t->n - 1;
}

void intern_release(struct intern *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->names[i]);
    free(t->names);
    free(t->slots);
    *t = (struct intern){0};
}
