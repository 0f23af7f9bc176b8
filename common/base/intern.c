/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/intern.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/hash.h"

static bool same(const char *name, const char *bytes, size_t len)
{
    return strncmp(name, bytes, len) == 0 && !name[len];
}

/* The slot where NAME is or belongs.  There is always a free one: the table is kept half empty. */
static size_t slot_of(const struct intern *t, const char *name, size_t len, uint64_t hash)
{
    size_t i = hash & (t->nslots - 1);
    unsigned upper = (unsigned)(hash >> 32);
    while (t->slots[i].id1 &&
           (t->slots[i].hash != upper || !same(t->names[t->slots[i].id1 - 1], name, len)))
        i = (i + 1) & (t->nslots - 1);
    return i;
}

static int grow(struct intern *t)
{
    size_t nslots = t->nslots ? t->nslots * 2 : 64;
    struct intern_slot *slots = calloc(nslots, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    free(t->slots);
    t->slots = slots;
    t->nslots = nslots;
    for (size_t id = 0; id < t->n; id++) {
        size_t len = strlen(t->names[id]);
        uint64_t hash = hash64(t->names[id], len);
        t->slots[slot_of(t, t->names[id], len, hash)] =
            (struct intern_slot){(unsigned)id + 1, (unsigned)(hash >> 32)};
    }
    return 0;
}

long intern_find_bytes(const struct intern *t, const char *name, size_t len)
{
    if (!t->nslots)
        return -1;
    return (long)t->slots[slot_of(t, name, len, hash64(name, len))].id1 - 1;
}

long intern_find(const struct intern *t, const char *name)
{
    return intern_find_bytes(t, name, strlen(name));
}

long intern_add_bytes(struct intern *t, const char *name, size_t len)
{
    if (2 * (t->n + 1) > t->nslots && grow(t) < 0)
        return -ENOMEM;
    uint64_t hash = hash64(name, len);
    size_t i = slot_of(t, name, len, hash);
    if (t->slots[i].id1)
        return (long)t->slots[i].id1 - 1;
    if (vec_room(&t->names, t->n, &t->cap, sizeof(*t->names)) < 0)
        return -ENOMEM;
    char *copy = strndup(name, len);
    if (!copy)
        return -ENOMEM;
    t->names[t->n] = copy;
    t->slots[i] = (struct intern_slot){(unsigned)++t->n, (unsigned)(hash >> 32)};
    return (long)t->n - 1;
}

long intern_add(struct intern *t, const char *name)
{
    return intern_add_bytes(t, name, strlen(name));
}

void intern_release(struct intern *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->names[i]);
    free(t->names);
    free(t->slots);
    *t = (struct intern){0};
}
