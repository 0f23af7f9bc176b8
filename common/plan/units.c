/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/units.h"

#include <errno.h>
#include <stdlib.h>

struct row {
    size_t group; /* a number of its own for a volume without one */
    size_t owner;
    size_t place;
};

static int by_unit(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->owner != b->owner)
        return a->owner < b->owner ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static int by_place(const void *pa, const void *pb)
{
    const struct plan_unit *a = pa, *b = pb;
    return a->place < b->place ? -1 : a->place > b->place;
}

static void fill_rows(const struct plan_fleet *f, struct row *rows)
{
    for (size_t i = 0; i < f->volume_names.n; i++) {
        const struct plan_volume *v = &f->volumes[f->volume_order[i]];
        const size_t group = v->group == PLAN_NONE ? f->groups.n + i : v->group;
        rows[i] = (struct row){group, v->owner, i};
    }
}

/* Without groups they are in order: then a look will do. */
static void sort(void *list, size_t n, size_t size, int (*by)(const void *, const void *))
{
    for (size_t i = 1; i < n; i++)
        if (by((char *)list + (i - 1) * size, (char *)list + i * size) > 0) {
            qsort(list, n, size, by);
            return;
        }
}

static void split(struct plan_units *u, const struct plan_fleet *f, const struct row *rows)
{
    for (size_t i = 0; i < f->volume_names.n; i++) {
        u->members[i] = f->volume_order[rows[i].place];
        if (i && rows[i].group == rows[i - 1].group && rows[i].owner == rows[i - 1].owner)
            u->list[u->n - 1].n++;
        else
            u->list[u->n++] = (struct plan_unit){&u->members[i], 1, rows[i].place};
    }
}

int plan_units_init(struct plan_units *u, const struct plan_fleet *f)
{
    const size_t n = f->volume_names.n;
    struct row *rows = reallocarray(NULL, n + 1, sizeof(*rows));
    *u = (struct plan_units){
        .list = reallocarray(NULL, n + 1, sizeof(*u->list)),
        .members = reallocarray(NULL, n + 1, sizeof(*u->members)),
    };
    if (!rows || !u->list || !u->members) {
        free(rows);
        return -ENOMEM;
    }
    fill_rows(f, rows);
    sort(rows, n, sizeof(*rows), by_unit);
    split(u, f, rows);
    sort(u->list, u->n, sizeof(*u->list), by_place);
    free(rows);
    return 0;
}

void plan_units_release(struct plan_units *u)
{
    free(u->list);
    free(u->members);
    *u = (struct plan_units){0};
}
