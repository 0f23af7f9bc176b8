/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/lz4out.h"

#include <errno.h>
#include <lz4frame.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/fsfile.h"

enum { PART = 64 << 10 }; /* packed at once */

struct lz4out {
    int fd;
    bool begun;
    LZ4F_cctx *lz4;
    LZ4F_preferences_t preferences;
    size_t size; /* of PACKED: room for a packed part, or for the header or the end */
    unsigned char *packed;
};

static const LZ4F_preferences_t defaults = {
    .frameInfo = {.blockSizeID = LZ4F_max256KB, .contentChecksumFlag = LZ4F_contentChecksumEnabled},
};

static int new_frame(int fd, const LZ4F_preferences_t *preferences, struct lz4out **out)
{
    struct lz4out *z = calloc(1, sizeof(*z));
    if (!z)
        return -ENOMEM;
    z->fd = fd;
    z->preferences = *preferences;
    z->size = LZ4F_compressBound(PART, preferences);
    if (z->size < LZ4F_HEADER_SIZE_MAX)
        z->size = LZ4F_HEADER_SIZE_MAX;
    z->packed = malloc(z->size);
    if (!z->packed || LZ4F_isError(LZ4F_createCompressionContext(&z->lz4, LZ4F_VERSION))) {
        lz4out_free(z);
        return -ENOMEM;
    }
    *out = z;
    return 0;
}

int lz4out_new(int fd, struct lz4out **out)
{
    return new_frame(fd, &defaults, out);
}

int lz4out_new_sized(int fd, uint64_t size, struct lz4out **out)
{
    LZ4F_preferences_t preferences = defaults;
    preferences.frameInfo.contentSize = size;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    return new_frame(fd, &preferences, out);
}

void lz4out_free(struct lz4out *z)
{
    if (!z)
        return;
    LZ4F_freeCompressionContext(z->lz4);
    free(z->packed);
    free(z);
}

/* Writes the N bytes that a function of the library has left in PACKED, unless it failed: with
 * parts of this size it is only memory that it can lack. */
static int hand_on(struct lz4out *z, size_t n)
{
    return LZ4F_isError(n) ? -ENOMEM : fsfile_write_all(z->fd, z->packed, n);
}

static int begin(struct lz4out *z)
{
    if (z->begun)
        return 0;
    z->begun = true;
    return hand_on(z, LZ4F_compressBegin(z->lz4, z->packed, z->size, &z->preferences));
}

int lz4out_write(struct lz4out *z, const void *data, size_t len)
{
    const unsigned char *p = data;
    int r = begin(z);
    while (r == 0 && len) {
        size_t n = len < PART ? len : PART;
        r = hand_on(z, LZ4F_compressUpdate(z->lz4, z->packed, z->size, p, n, NULL));
        p += n;
        len -= n;
    }
    return r;
}

int lz4out_end(struct lz4out *z)
{
    int r = begin(z);
    return r < 0 ? r : hand_on(z, LZ4F_compressEnd(z->lz4, z->packed, z->size, NULL));
}
