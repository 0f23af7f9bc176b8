/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/pack.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/hash.h"
#include "common/base/parse.h"

enum { MAGIC_LEN = 8 };

/* Large memory that is filled in one go: pages of 2 MiB, if there are some, cost less. */
static void prefer_large_pages(void *memory, size_t size)
{
    const uintptr_t page = (uintptr_t)2 << 20;
    uintptr_t from = ((uintptr_t)memory + page - 1) & -page;
    uintptr_t to = ((uintptr_t)memory + size) & -page;
    if (from < to)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
}

void pack_room(struct packer *p, size_t n)
{
    size_t before = p->out->cap;
    if (!p->failed && buf_reserve(p->out, n) < 0)
        p->failed = true;
    if (!p->failed && p->out->cap > before)
        prefer_large_pages(p->out->data, p->out->len + n);
}

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

size_t pack_begin(struct packer *p, const char *magic)
{
    static const struct hash128 none;
    size_t place = p->out->len + HEAD_LEN;
    pack_bytes(p, magic, MAGIC_LEN);
    pack_bytes(p, none.bytes, sizeof(none.bytes));
    return place;
}

int pack_end(struct packer *p, size_t place)
{
    struct buf *out = p->out;
    if (p->failed) {
        out->len = place - HEAD_LEN;
        return -ENOMEM;
    }
    struct hash128 h = hash128(out->data + place, out->len - place);
    memcpy(out->data + place - sizeof(h.bytes), h.bytes, sizeof(h.bytes));
    return 0;
}

int pack_file(const char *magic, const struct buf *body, struct buf *out)
{
    struct packer p = {out, false};
    size_t place = pack_begin(&p, magic);
    pack_bytes(&p, body->data, body->len);
    return pack_end(&p, place);
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
