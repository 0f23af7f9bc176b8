/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers and names as bytes of a state file, and back with every bound checked. */
#ifndef GS_AFFINITY_PACK_H
#define GS_AFFINITY_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/hash.h"

/* A sink that remembers that memory ran out, so that it is asked once, at the end. */
struct packer {
    struct buf *out; /* borrowed */
    bool failed;
};

enum { PACK_UINT_MAX = 10 }; /* the most bytes of pack_uint() */

/* V to the PACK_UINT_MAX bytes at TO; behind its last. */
static inline unsigned char *pack_uint_to(unsigned char *to, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *to++ = (unsigned char)(v | 0x80);
    *to++ = (unsigned char)v;
    return to;
}

void pack_bytes(struct packer *p, const void *data, size_t n);
void pack_uint(struct packer *p, uint64_t v);  /* LEB128 */
void pack_int(struct packer *p, int64_t v);    /* zigzag, LEB128 */
void pack_real(struct packer *p, double v);    /* IEEE 754, little-endian */
void pack_fixed(struct packer *p, uint64_t v); /* 8 bytes, little-endian */
void pack_text(struct packer *p, const char *s);

/* A source; after a failure every value is 0 and the text "". */
struct unpacker {
    const unsigned char *at, *end; /* borrowed */
    bool failed;
};

uint64_t unpack_uint(struct unpacker *u, uint64_t max);
int64_t unpack_int(struct unpacker *u, int64_t min, int64_t max);
/* Finite, MIN … MAX. */
double unpack_real(struct unpacker *u, double min, double max);
uint64_t unpack_fixed(struct unpacker *u);
/* A name (parse_name()) into TEXT of SIZE bytes. */
void unpack_name(struct unpacker *u, char *text, size_t size);
/* A number of things of at least SIZE bytes each: no more than can still follow, nor than MAX. */
size_t unpack_count(struct unpacker *u, size_t max, size_t size);

/* ---- a file: MAGIC (8 characters), XXH3-128 of the body, body ---- */

/* MAGIC and the digest of the BODY that is to follow. */
void pack_file_head(struct packer *p, const char *magic, const struct hash128 *body);
/* Appends MAGIC and BODY's digest and BODY to OUT.  0 or -ENOMEM. */
int pack_file(const char *magic, const struct buf *body, struct buf *out);
/* Finds the body in FILE: 0, -EBADMSG (damaged) or -EPROTO (something else, or another version). */
int unpack_file(const char *magic, const struct buf *file, struct unpacker *body);

#endif
