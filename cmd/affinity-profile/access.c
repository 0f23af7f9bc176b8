/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/affinity-profile/access.h"

#include "common/base/hash.h"
#include "common/record/schema.h"

static struct access_text text_of(const struct rec_reader *r, size_t col)
{
    struct access_text t;
    t.at = rec_bytes(r, col, &t.len);
    return t;
}

void access_take(const struct rec_reader *r, struct access *out)
{
    *out = (struct access){
        .time = rec_real(r, ACCESS_TIME),
        .volume = text_of(r, ACCESS_VOLUME),
        .gateway = text_of(r, ACCESS_GATEWAY),
        .client = text_of(r, ACCESS_CLIENT),
        .op = text_of(r, ACCESS_OP),
        .offset = rec_uint(r, ACCESS_OFFSET),
        .length = rec_uint(r, ACCESS_LENGTH),
        .count = rec_present(r, ACCESS_COUNT) ? rec_uint(r, ACCESS_COUNT) : 1,
    };
}

int access_digest(const struct rec_reader *r, struct buf *scratch, uint64_t *out)
{
    int failed = 0;
    buf_clear(scratch);
    for (size_t col = 0; col <= ACCESS_COUNT; col++) {
        size_t len;
        const char *text = rec_bytes(r, col, &len);
        if (col == ACCESS_COUNT && len == 0)
            break;
        failed |= col ? buf_add(scratch, ",", 1) : 0;
        failed |= buf_add(scratch, text, len);
    }
    *out = hash64(scratch->data, scratch->len);
    return failed;
}
