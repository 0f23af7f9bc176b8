/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kept.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/buf.h"
#include "common/base/error.h"

struct copy {
    const struct volume *v;
    char path[256];
    struct stat st; /* as it was */
};

struct kept {
    struct world *w;
    struct copy *copies;
    size_t n, cap;
};

struct kept *kept_new(struct world *w)
{
    struct kept *k = calloc(1, sizeof(*k));
    if (k)
        k->w = w;
    return k;
}

void kept_free(struct kept *k)
{
    if (k)
        free(k->copies);
    free(k);
}

static void add(struct kept *k, const struct volume *v, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    for (size_t i = 0; i < k->n; i++)
        if (k->copies[i].st.st_ino == st.st_ino && strcmp(k->copies[i].path, path) == 0)
            return;
    if (vec_room(&k->copies, k->n, &k->cap, sizeof(*k->copies)) < 0)
        soak_abort(k->w, EX_OSERR, "out of memory");
    struct copy *c = &k->copies[k->n++];
    *c = (struct copy){.v = v, .st = st};
    snprintf(c->path, sizeof(c->path), "%s", path);
}

void kept_add_export(struct kept *k, const struct volume *v, unsigned g)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", v->gateways[g].path, v->name);
    add(k, v, path);
}

/* Is NAME a cold copy's, VOLUME.N? */
static bool is_cold(const char *name, const char *volume)
{
    size_t n = strlen(volume);
    return strncmp(name, volume, n) == 0 && name[n] == '.' && isdigit((unsigned char)name[n + 1]) &&
           name[n + 1 + strspn(name + n + 1, "0123456789")] == 0;
}

void kept_add_cold(struct kept *k, const struct volume *v, unsigned g)
{
    char path[512];
    struct dirent *e;
    snprintf(path, sizeof(path), "%s/.cold", v->gateways[g].path);
    DIR *dir = opendir(path);
    while (dir && (e = readdir(dir)))
        if (is_cold(e->d_name, v->name)) {
            snprintf(path, sizeof(path), "%s/.cold/%.200s", v->gateways[g].path, e->d_name);
            add(k, v, path);
        }
    if (dir)
        closedir(dir);
}

void kept_drop(struct kept *k, const struct volume *v)
{
    size_t left = 0;
    for (size_t i = 0; i < k->n; i++)
        if (k->copies[i].v != v)
            k->copies[left++] = k->copies[i];
    k->n = left;
}

void kept_check(struct kept *k)
{
    for (size_t i = 0; i < k->n; i++) {
        const struct copy *c = &k->copies[i];
        struct stat st;
        /* Packed, removed or put back into service meanwhile: no copy of this name any more. */
        if (stat(c->path, &st) < 0 || st.st_ino != c->st.st_ino)
            continue;
        if (st.st_size != c->st.st_size || st.st_mtim.tv_sec != c->st.st_mtim.tv_sec ||
            st.st_mtim.tv_nsec != c->st.st_mtim.tv_nsec)
            soak_fail(k->w, c->v, NULL, NULL, "the copy '%s' was written to", c->path);
    }
}
