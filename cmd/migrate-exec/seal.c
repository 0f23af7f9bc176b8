/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/seal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH = 16,       /* blocks read at once */
    REPLY_MS = 10000, /* without a reply for so long there is no digest */
    ALIGN = 4096,
};

struct batch {
    unsigned char *buffer; /* DEPTH blocks */
    uint64_t offset[DEPTH];
    uint64_t length[DEPTH];
    unsigned n;
    int error;
};

static void block_read(void *arg, int result)
{
    struct batch *b = arg;
    if (result < 0)
        b->error = result;
}

static int start_batch(struct batch *b, const struct digests *d, struct nbd_export *source,
                       uint64_t *at)
{
    uint64_t length;
    for (b->n = 0; b->n < DEPTH && digests_open(d, at, &length); b->n++) {
        b->offset[b->n] = *at;
        b->length[b->n] = length;
        int r = nbd_export_read(source, b->buffer + (size_t)b->n * DIGEST_BLOCK, length, *at,
                                block_read, b);
        if (r < 0)
            return r;
        *at += length;
    }
    return 0;
}

static int await_batch(struct batch *b, struct nbd_export *source)
{
    while (nbd_export_in_flight(source)) {
        int n = nbd_export_wait(&source, 1, REPLY_MS);
        if (n == 0)
            return -ETIMEDOUT;
        if (n < 0 && n != -EINTR)
            return n;
    }
    return b->error;
}

static int close_open(struct digests *d, struct nbd_export *source, struct batch *b)
{
    uint64_t at = 0;
    do {
        int r = start_batch(b, d, source, &at);
        int end = await_batch(b, source);
        r = r < 0 ? r : end;
        if (r < 0)
            return r;
        for (unsigned i = 0; i < b->n; i++)
            digests_close(d, b->offset[i], b->buffer + (size_t)i * DIGEST_BLOCK);
    } while (b->n);
    return 0;
}

int seal(struct digests *d, struct nbd_export **source, char text[SEAL_TEXT])
{
    struct batch *b = calloc(1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->buffer = aligned_alloc(ALIGN, (size_t)DEPTH * DIGEST_BLOCK);
    int r = b->buffer ? close_open(d, *source, b) : -ENOMEM;
    if (nbd_export_in_flight(*source)) { /* replies may still come into the buffer */
        nbd_export_free(*source);
        *source = NULL;
    }
    free(b->buffer);
    free(b);
    if (r < 0)
        return r;
    struct hash128 root = digests_root(d);
    for (size_t i = 0; i < sizeof(root.bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", root.bytes[i]);
    return 0;
}

bool seal_of(const char *detail, char text[SEAL_TEXT])
{
    const char *at = strstr(detail, SEAL_WORD);
    if (!at)
        return false;
    at += strlen(SEAL_WORD);
    if (strspn(at, "0123456789abcdef") != SEAL_TEXT - 1)
        return false; /* a detail that was cut off */
    memcpy(text, at, SEAL_TEXT - 1);
    text[SEAL_TEXT - 1] = 0;
    return true;
}
