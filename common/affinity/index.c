/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/index.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/pack.h"

static const char magic[] = "GSINDEX2";

#define TIME_MAX 253402300800.0

void index_init(struct index *x, double lateness_s)
{
    *x = (struct index){.newest_hour = INT64_MIN, .newest = -1};
    seen_init(&x->seen, lateness_s);
}

void index_release(struct index *x)
{
    seen_release(&x->seen);
    sources_release(&x->sources);
    free(x->week);
    index_init(x, x->seen.lateness_s);
}

struct index_week *index_at(struct index *x, int64_t week)
{
    size_t at = x->n;
    while (at && x->week[at - 1].week >= week)
        at--;
    if (at < x->n && x->week[at].week == week)
        return &x->week[at];
    if (vec_room(&x->week, x->n, &x->cap, sizeof(*x->week)) < 0)
        return NULL;
    memmove(x->week + at + 1, x->week + at, (x->n - at) * sizeof(*x->week));
    x->week[at] = (struct index_week){.week = week};
    x->n++;
    return &x->week[at];
}

void index_name(const struct index_week *w, enum weekfile_kind kind, char name[INDEX_NAME])
{
    static const char *const prefix[WEEKFILE_KINDS] = {"demand", "heat"};
    int n = snprintf(name, INDEX_NAME, "%s-%06" PRId64 "-", prefix[kind], w->week);
    for (size_t i = 0; i < 8; i++)
        n += snprintf(name + n, INDEX_NAME - (size_t)n, "%02x", w->digest[kind].bytes[i]);
}

static void pack_seen(struct packer *p, const struct seen *s)
{
    pack_real(p, s->newest);
    pack_real(p, s->settled);
    pack_uint(p, s->n_old);
    for (size_t i = 0; i < s->n_old; i++) {
        pack_real(p, s->old[i].time);
        pack_fixed(p, s->old[i].digest);
    }
}

int index_pack(const struct index *x, struct buf *out)
{
    struct buf body = {0};
    struct packer p = {&body, false};
    pack_int(&p, x->newest_hour == INT64_MIN ? -1 : x->newest_hour);
    pack_real(&p, x->newest);
    pack_seen(&p, &x->seen);
    sources_pack(&p, &x->sources);
    pack_uint(&p, x->n);
    for (size_t i = 0; i < x->n; i++) {
        const struct index_week *w = &x->week[i];
        pack_int(&p, w->week);
        for (size_t k = 0; k < WEEKFILE_KINDS; k++) {
            pack_uint(&p, w->has[k]);
            for (size_t b = 0; w->has[k] && b < sizeof(w->digest[k].bytes); b++)
                pack_uint(&p, w->digest[k].bytes[b]);
        }
    }
    int r = p.failed ? -ENOMEM : pack_file(magic, &body, out);
    buf_release(&body);
    return r;
}

static int unpack_seen(struct unpacker *u, struct seen *s)
{
    s->newest = unpack_real(u, -1, TIME_MAX);
    s->settled = unpack_real(u, -1e12, TIME_MAX);
    size_t n = unpack_count(u, SIZE_MAX, 16);
    s->old = calloc(n + 1, sizeof(*s->old));
    s->met = calloc(n + 1, sizeof(*s->met));
    if (!s->old || !s->met)
        return -ENOMEM;
    s->n_old = n;
    for (size_t i = 0; i < n; i++) {
        s->old[i].time = unpack_real(u, 0, TIME_MAX);
        s->old[i].digest = unpack_fixed(u);
        if (i && s->old[i].time < s->old[i - 1].time)
            u->failed = true;
    }
    return 0;
}

static int unpack_week(struct unpacker *u, struct index *x)
{
    struct index_week w = {.week = unpack_int(u, 0, WEEKFILE_HOUR_MAX / HOURS_A_WEEK)};
    for (size_t k = 0; k < WEEKFILE_KINDS; k++) {
        w.has[k] = unpack_uint(u, 1);
        for (size_t b = 0; w.has[k] && b < sizeof(w.digest[k].bytes); b++)
            w.digest[k].bytes[b] = (unsigned char)unpack_uint(u, 255);
    }
    if (x->n && x->week[x->n - 1].week >= w.week)
        u->failed = true;
    if (u->failed)
        return 0;
    struct index_week *to = index_at(x, w.week);
    if (!to)
        return -ENOMEM;
    *to = w;
    return 0;
}

int index_unpack(const struct buf *file, struct index *x)
{
    struct unpacker u;
    int r = unpack_file(magic, file, &u);
    if (r < 0)
        return r;
    int64_t newest = unpack_int(&u, -1, WEEKFILE_HOUR_MAX);
    x->newest_hour = newest < 0 ? INT64_MIN : newest;
    x->newest = unpack_real(&u, -1, TIME_MAX);
    r = unpack_seen(&u, &x->seen);
    if (r == 0)
        r = sources_unpack(&u, &x->sources);
    size_t n = unpack_count(&u, SIZE_MAX, 3);
    for (size_t i = 0; r == 0 && !u.failed && i < n; i++)
        r = unpack_week(&u, x);
    if (r == 0 && (u.failed || u.at != u.end))
        r = -EBADMSG;
    return r;
}
