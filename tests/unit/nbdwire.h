/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What either side of an NBD handshake sends, written byte by byte, for tests. */
#ifndef GS_UNIT_NBDWIRE_H
#define GS_UNIT_NBDWIRE_H

#include <stdbool.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/nbd/handshake.h"

/* The export of all conversations. */
static const struct nbd_export vol = {
    .size = 0x123456789a,
    .flags = NBD_TF_HAS_FLAGS | NBD_TF_FLUSH | NBD_TF_FUA,
    .min_block = 1,
    .pref_block = 4096,
    .max_block = NBD_PAYLOAD_MAX,
};

static inline void add16(struct buf *b, uint16_t v)
{
    unsigned char p[2];
    nbd_put16(p, v);
    buf_add(b, p, sizeof(p));
}

static inline void add32(struct buf *b, uint32_t v)
{
    unsigned char p[4];
    nbd_put32(p, v);
    buf_add(b, p, sizeof(p));
}

static inline void add64(struct buf *b, uint64_t v)
{
    unsigned char p[8];
    nbd_put64(p, v);
    buf_add(b, p, sizeof(p));
}

static inline void add_option(struct buf *b, uint32_t option, const void *data, size_t len)
{
    add64(b, NBD_OPTS_MAGIC);
    add32(b, option);
    add32(b, (uint32_t)len);
    buf_add(b, data, len);
}

/* GO or INFO; REQUESTS: block sizes are asked for so many times. */
static inline void add_go(struct buf *b, uint32_t option, const char *name, size_t requests)
{
    struct buf data = {0};
    add32(&data, (uint32_t)strlen(name));
    buf_adds(&data, name);
    add16(&data, (uint16_t)requests);
    for (size_t i = 0; i < requests; i++)
        add16(&data, NBD_INFO_BLOCK_SIZE);
    add_option(b, option, data.data, data.len);
    buf_release(&data);
}

static inline void add_reply(struct buf *b, uint32_t option, uint32_t type, const void *data,
                             size_t len)
{
    add64(b, NBD_REPLY_MAGIC);
    add32(b, option);
    add32(b, type);
    add32(b, (uint32_t)len);
    buf_add(b, data, len);
}

static inline void add_text_reply(struct buf *b, uint32_t option, uint32_t type, const char *text)
{
    add_reply(b, option, type, text, strlen(text));
}

/* SET_ or LIST_META_CONTEXT; QUERIES end with NULL. */
static inline void add_contexts(struct buf *b, uint32_t option, const char *name,
                                const char *const *queries)
{
    struct buf data = {0};
    uint32_t n = 0;
    while (queries[n])
        n++;
    add32(&data, (uint32_t)strlen(name));
    buf_adds(&data, name);
    add32(&data, n);
    for (; *queries; queries++) {
        add32(&data, (uint32_t)strlen(*queries));
        buf_adds(&data, *queries);
    }
    add_option(b, option, data.data, data.len);
    buf_release(&data);
}

static inline void add_set(struct buf *b, const char *name, const char *query)
{
    const char *queries[] = {query, NULL};
    add_contexts(b, NBD_OPT_SET_META_CONTEXT, name, queries);
}

static inline void add_list(struct buf *b, const char *name, const char *query)
{
    const char *queries[] = {query, NULL};
    add_contexts(b, NBD_OPT_LIST_META_CONTEXT, name, queries);
}

static inline void add_context_reply(struct buf *b, uint32_t option, uint32_t id, const char *name)
{
    struct buf data = {0};
    add32(&data, id);
    buf_adds(&data, name);
    add_reply(b, option, NBD_REP_META_CONTEXT, data.data, data.len);
    buf_release(&data);
}

static inline void add_info_flags(struct buf *b, uint32_t option, uint16_t flags)
{
    struct buf data = {0};
    add16(&data, NBD_INFO_EXPORT);
    add64(&data, vol.size);
    add16(&data, flags);
    add_reply(b, option, NBD_REP_INFO, data.data, data.len);
    buf_release(&data);
}

static inline void add_info_export(struct buf *b, uint32_t option)
{
    add_info_flags(b, option, vol.flags);
}

static inline void add_info_blocks(struct buf *b, uint32_t option, uint32_t min, uint32_t pref,
                                   uint32_t max)
{
    struct buf data = {0};
    add16(&data, NBD_INFO_BLOCK_SIZE);
    add32(&data, min);
    add32(&data, pref);
    add32(&data, max);
    add_reply(b, option, NBD_REP_INFO, data.data, data.len);
    buf_release(&data);
}

static inline void add_greeting(struct buf *b)
{
    add64(b, NBD_MAGIC);
    add64(b, NBD_OPTS_MAGIC);
    add16(b, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
}

static inline bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

#endif
