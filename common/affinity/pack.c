/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/pack.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/parse.h"

enum { MAGIC_LEN = 8 };

void pack_bytes(struct packer *p, const void *data, size_t n)
{
    if (!p->failed && buf_add(p->out, data, n) < 0)
        p->failed = true;
}

void pack_uint(struct packer *p, uint64_t v)
{
    unsigned char b[PACK_UINT_MAX];
    pack_bytes(p, b, (size_t)(pack_uint_to(b, v) - b));
}

void pack_int(struct packer *p, int64_t v)
{
    pack_uint(p, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

void pack_fixed(struct packer *p, uint64_t v)
{
    unsigned char b[8];
    for (size_t i = 0; i < sizeof(b); i++)
        b[i] = (unsigned char)(v >> 8 * i);
    pack_bytes(p, b, sizeof(b));
}

void pack_real(struct packer *p, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    pack_fixed(p, bits);
}

void pack_text(struct packer *p, const char *s)
{
    pack_uint(p, strlen(s));
    pack_bytes(p, s, strlen(s));
}

static size_t left(const struct unpacker *u)
{
    return u->failed ? 0 : (size_t)(u->end - u->at);
}

uint64_t unpack_uint(struct unpacker *u, uint64_t max)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && left(u); shift += 7) {
        unsigned char b = *u->at++;
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b & 0x80)
            continue;
        /* One value, one encoding: no padding with zero groups. */
        if (v > max || (b == 0 && shift))
            break;
        return v;
    }
    u->failed = true;
    return 0;
}

int64_t unpack_int(struct unpacker *u, int64_t min, int64_t max)
{
    uint64_t z = unpack_uint(u, UINT64_MAX);
    int64_t v = (int64_t)(z >> 1 ^ (z & 1 ? UINT64_MAX : 0));
    if (v >= min && v <= max)
        return v;
    u->failed = true;
    return 0;
}

uint64_t unpack_fixed(struct unpacker *u)
{
    uint64_t v = 0;
    if (left(u) < 8) {
        u->failed = true;
        return 0;
    }
    for (size_t i = 0; i < 8; i++)
        v |= (uint64_t)u->at[i] << 8 * i;
    u->at += 8;
    return v;
}

double unpack_real(struct unpacker *u, double min, double max)
{
    uint64_t bits = unpack_fixed(u);
    double v;
    memcpy(&v, &bits, sizeof(v));
    if (isfinite(v) && v >= min && v <= max)
        return v;
    u->failed = true;
    return 0;
}

void unpack_name(struct unpacker *u, char *text, size_t size)
{
    size_t n = (size_t)unpack_uint(u, size - 1);
    if (n > left(u)) {
        u->failed = true;
        n = 0;
    }
    memcpy(text, u->at, n);
    text[n] = 0;
    u->at += n;
    if (!u->failed && (strlen(text) != n || parse_name(text) < 0))
        u->failed = true;
    if (u->failed)
        text[0] = 0;
}

size_t unpack_count(struct unpacker *u, size_t max, size_t size)
{
    uint64_t n = unpack_uint(u, max);
    if (n <= left(u) / size)
        return (size_t)n;
    u->failed = true;
    return 0;
}

enum { HEAD_LEN = MAGIC_LEN + sizeof(struct hash128) };

void pack_file_head(struct packer *p, const char *magic, const struct hash128 *body)
{
    pack_bytes(p, magic, MAGIC_LEN);
    pack_bytes(p, body->bytes, sizeof(body->bytes));
}

int pack_file(const char *magic, const struct buf *body, struct buf *out)
{
    struct packer p = {out, false};
    size_t before = out->len;
    struct hash128 digest = hash128(body->data, body->len);
    pack_file_head(&p, magic, &digest);
    pack_bytes(&p, body->data, body->len);
    if (p.failed)
        out->len = before;
    return p.failed ? -ENOMEM : 0;
}

int unpack_file(const char *magic, const struct buf *file, struct unpacker *body)
{
    struct hash128 h;
    if (file->len < MAGIC_LEN || memcmp(file->data, magic, MAGIC_LEN) != 0)
        return -EPROTO;
    if (file->len < HEAD_LEN)
        return -EBADMSG;
    h = hash128(file->data + HEAD_LEN, file->len - HEAD_LEN);
    if (memcmp(file->data + MAGIC_LEN, h.bytes, sizeof(h.bytes)) != 0)
        return -EBADMSG;
    const unsigned char *data = (const unsigned char *)file->data;
    *body = (struct unpacker){data + HEAD_LEN, data + file->len, false};
    return 0;
}
