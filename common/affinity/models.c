/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/models.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/pack.h"
#include "common/affinity/weekfile.h"
#include "common/base/parse.h"

static const char magic[] = "GSMODEL3";

enum { KEY_SIZE = 2 * NAME_LEN_MAX + 2 };

void models_release(struct models *m)
{
    intern_release(&m->keys);
    free(m->entry);
    *m = (struct models){0};
}

static void make_key(char key[KEY_SIZE], const char *volume, const char *site)
{
    snprintf(key, KEY_SIZE, "%s/%s", volume, site);
}

const struct models_entry *models_find(const struct models *m, const char *volume, const char *site)
{
    char key[KEY_SIZE];
    make_key(key, volume, site);
    long id = intern_find(&m->keys, key);
    return id < 0 ? NULL : &m->entry[id];
}

int models_put(struct models *m, const char *volume, const char *site, const struct models_entry *e)
{
    char key[KEY_SIZE];
    make_key(key, volume, site);
    if (vec_room(&m->entry, m->keys.n, &m->cap, sizeof(*m->entry)) < 0)
        return -ENOMEM;
    long id = intern_add(&m->keys, key);
    if (id < 0)
        return -ENOMEM;
    m->entry[id] = *e;
    return 0;
}

static void pack_params(struct packer *p, const struct seasonal_params *s)
{
    const double all[] = {s->level, s->trend, s->day, s->week, s->ar, s->keep_week};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        pack_real(p, all[i]);
}

static struct seasonal_params unpack_params(struct unpacker *u, bool log, bool weekly)
{
    struct seasonal_params s = {.log = log, .weekly = weekly};
    double *const all[] = {&s.level, &s.trend, &s.day, &s.week, &s.ar, &s.keep_week};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        *all[i] = unpack_real(u, 0, 1);
    return s;
}

static void pack_model(struct packer *p, const struct model *m)
{
    pack_uint(p, m->kind);
    pack_uint(p, m->hours);
    for (size_t k = 0; k < MODEL_METHODS; k++)
        pack_real(p, m->weight[k]);
    pack_real(p, m->net);
    pack_real(p, m->net_gain);
    pack_real(p, m->mase);
    pack_params(p, &m->plain);
    pack_params(p, &m->log);
    for (size_t b = 0; b < MODEL_BANDS; b++) {
        pack_real(p, m->band[b].lower);
        pack_real(p, m->band[b].upper);
    }
}

static struct model unpack_model(struct unpacker *u)
{
    struct model m = {.kind = (enum model_kind)unpack_uint(u, MODEL_WEEKLY)};
    m.hours = (uint32_t)unpack_uint(u, UINT32_MAX);
    for (size_t k = 0; k < MODEL_METHODS; k++)
        m.weight[k] = unpack_real(u, 0, 1);
    m.net = unpack_real(u, 0, m.kind == MODEL_WEEKLY ? 1 : 0);
    m.net_gain = unpack_real(u, -1, 1);
    m.mase = unpack_real(u, 0, DBL_MAX);
    m.plain = unpack_params(u, false, m.kind == MODEL_WEEKLY);
    m.log = unpack_params(u, true, m.kind == MODEL_WEEKLY);
    for (size_t b = 0; b < MODEL_BANDS; b++) {
        m.band[b].lower = unpack_real(u, -1000, 0);
        m.band[b].upper = unpack_real(u, 0, 1000);
    }
    return m;
}

int models_pack(const struct models *m, struct buf *out)
{
    struct buf body = {0};
    struct packer p = {&body, false};
    pack_fixed(&p, m->nets);
    pack_uint(&p, m->keys.n);
    for (size_t i = 0; i < m->keys.n; i++) {
        char key[KEY_SIZE];
        snprintf(key, sizeof(key), "%s", m->keys.names[i]);
        size_t volume = strcspn(key, "/");
        key[volume] = 0;
        pack_text(&p, key);
        pack_text(&p, key + volume + 1);
        pack_int(&p, m->entry[i].hour);
        pack_model(&p, &m->entry[i].model);
    }
    int r = p.failed ? -ENOMEM : pack_file(magic, &body, out);
    buf_release(&body);
    return r;
}

int models_unpack(const struct buf *file, struct models *m)
{
    struct unpacker u;
    int r = unpack_file(magic, file, &u);
    if (r < 0)
        return r;
    m->nets = unpack_fixed(&u);
    size_t n = unpack_count(&u, SIZE_MAX, 1);
    for (size_t i = 0; r == 0 && !u.failed && i < n; i++) {
        char volume[NAME_LEN_MAX + 1], site[NAME_LEN_MAX + 1];
        unpack_name(&u, volume, sizeof(volume));
        unpack_name(&u, site, sizeof(site));
        struct models_entry e = {.hour = unpack_int(&u, 0, WEEKFILE_HOUR_MAX + 1)};
        e.model = unpack_model(&u);
        if (!u.failed)
            r = models_put(m, volume, site, &e);
    }
    if (r == 0 && (u.failed || u.at != u.end))
        r = -EBADMSG;
    return r;
}
