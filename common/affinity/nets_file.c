/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/nets_file.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/affinity/pack.h"

static const char magic[] = "GSNETS01";

/* A weight of more than this would overflow the sums. */
static const double weight_most = 1e6;

/* A leg of more steps would take years. */
static const uint64_t steps_most = UINT64_C(1) << 40;

/* Little-endian IEEE 754, of single precision. */
static void pack_float(struct packer *p, float v)
{
    uint32_t bits;
    unsigned char b[4];
    memcpy(&bits, &v, sizeof(bits));
    for (size_t i = 0; i < sizeof(b); i++)
        b[i] = (unsigned char)(bits >> 8 * i);
    if (!p->failed && buf_add(p->out, b, sizeof(b)) < 0)
        p->failed = true;
}

/* Finite, LEAST … weight_most. */
static float unpack_float(struct unpacker *u, double least)
{
    uint32_t bits = 0;
    float v;
    if (u->failed || u->end - u->at < 4) {
        u->failed = true;
        return 0;
    }
    for (size_t i = 0; i < 4; i++)
        bits |= (uint32_t)u->at[i] << 8 * i;
    u->at += 4;
    memcpy(&v, &bits, sizeof(v));
    if (isfinite(v) && (double)v >= least && (double)v <= weight_most)
        return v;
    u->failed = true;
    return 0;
}

static void pack_net(struct packer *p, const struct adam *a)
{
    const float *const all[] = {a->weight, a->average, a->m, a->v};
    pack_uint(p, a->step);
    for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
        for (size_t i = 0; i < a->n; i++)
            pack_float(p, all[k][i]);
}

static void unpack_net(struct unpacker *u, struct adam *a)
{
    float *const all[] = {a->weight, a->average, a->m, a->v};
    a->step = unpack_uint(u, steps_most);
    for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
        for (size_t i = 0; i < a->n && !u->failed; i++)
            all[k][i] = unpack_float(u, all[k] == a->v ? 0 : -weight_most);
}

static void pack_head(struct packer *p, const struct nets *n)
{
    pack_uint(p, SAMPLE_VERSION);
    pack_uint(p, n->config.nets);
    pack_uint(p, n->config.hidden);
    pack_fixed(p, n->config.seed);
    pack_real(p, n->config.decay);
    pack_uint(p, n->leg.number);
    pack_uint(p, n->leg.steps);
    pack_real(p, n->leg.rate);
    pack_uint(p, n->done);
    pack_fixed(p, n->origin);
}

/* -EPROTO: the nets see other features. */
static int unpack_head(struct unpacker *u, struct nets *n)
{
    if (unpack_uint(u, UINT64_MAX) != SAMPLE_VERSION)
        return u->failed ? -EBADMSG : -EPROTO;
    n->config.nets = (uint32_t)unpack_uint(u, NETS_MAX);
    n->config.hidden = (uint32_t)unpack_uint(u, NETS_HIDDEN_MAX);
    n->config.seed = unpack_fixed(u);
    n->config.decay = unpack_real(u, 0, 1);
    n->leg.number = unpack_uint(u, steps_most);
    n->leg.steps = unpack_uint(u, steps_most);
    n->leg.rate = unpack_real(u, 0, 1);
    n->done = unpack_uint(u, n->leg.steps);
    n->origin = unpack_fixed(u);
    return u->failed || !n->config.nets || !n->config.hidden || !n->origin ? -EBADMSG : 0;
}

int nets_pack(const struct nets *n, struct buf *out)
{
    struct buf body = {0};
    struct packer p = {&body, false};
    pack_head(&p, n);
    for (size_t i = 0; i < n->config.nets; i++)
        pack_net(&p, &n->net[i]);
    int r = p.failed ? -ENOMEM : pack_file(magic, &body, out);
    buf_release(&body);
    return r;
}

int nets_unpack(const struct buf *file, struct nets *n)
{
    struct unpacker u;
    struct nets head = {0};
    *n = (struct nets){0};
    int r = unpack_file(magic, file, &u);
    if (r == 0)
        r = unpack_head(&u, &head);
    if (r < 0)
        return r;
    /* The size says whether the memory is worth asking for. */
    size_t weights = lstm_weights(nets_shape(&head)) * head.config.nets;
    if ((size_t)(u.end - u.at) < weights * 4 * sizeof(float))
        return -EBADMSG;
    r = nets_init(n, &head.config);
    if (r < 0)
        return r;
    n->leg = head.leg;
    n->done = head.done;
    n->origin = head.origin;
    for (size_t i = 0; i < n->config.nets; i++)
        unpack_net(&u, &n->net[i]);
    if (u.failed || u.at != u.end) {
        nets_release(n);
        return -EBADMSG;
    }
    return 0;
}
