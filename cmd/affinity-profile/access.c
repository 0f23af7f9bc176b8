/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/affinity-profile/access.h"

#include <string.h>

#include "common/base/hash.h"
#include "common/record/plain.h"
#include "common/record/schema.h"

/* By a word's first letter, without jumps that would go now here, now there. */
static inline enum demand_op op_of(char first)
{
    static const unsigned char op[32] = {
        ['r' & 31] = DEMAND_READ,  ['w' & 31] = DEMAND_WRITE, ['f' & 31] = DEMAND_FLUSH,
        ['t' & 31] = DEMAND_CLEAR, ['z' & 31] = DEMAND_CLEAR,
    };
    return (enum demand_op)op[first & 31];
}

static struct access_text text_of(const struct rec_reader *r, size_t col)
{
    struct access_text t;
    t.at = rec_bytes(r, col, &t.len);
    return t;
}

static void take_any(const struct rec_reader *r, struct access *out)
{
    *out = (struct access){
        .time = rec_real(r, ACCESS_TIME),
        .volume = text_of(r, ACCESS_VOLUME),
        .gateway = text_of(r, ACCESS_GATEWAY),
        .client = text_of(r, ACCESS_CLIENT),
        .op = op_of(*text_of(r, ACCESS_OP).at),
        .offset = rec_uint(r, ACCESS_OFFSET),
        .length = rec_uint(r, ACCESS_LENGTH),
        .count = rec_present(r, ACCESS_COUNT) ? rec_uint(r, ACCESS_COUNT) : 1,
    };
}

static inline struct access_text quick_text(const struct rec_quick *q, size_t col)
{
    return (struct access_text){q->base + q->at[col], q->at[col + 1] - q->at[col] - 1};
}

static inline uint64_t quick_uint(const struct rec_quick *q, size_t col)
{
    struct access_text t = quick_text(q, col);
    return plain_digits(t.at, (unsigned)t.len);
}

void access_take(struct rec_reader *r, struct access *out)
{
    const struct rec_quick *quick = rec_quick(r);
    struct rec_quick q = {0};
    struct access_text time = {0};
    if (quick) {
        q = *quick;
        time = quick_text(&q, ACCESS_TIME);
    }
    if (!quick || !plain_real(time.at, time.len, &out->time)) {
        take_any(r, out);
        return;
    }
    out->volume = quick_text(&q, ACCESS_VOLUME);
    out->gateway = quick_text(&q, ACCESS_GATEWAY);
    out->client = quick_text(&q, ACCESS_CLIENT);
    out->op = op_of(*quick_text(&q, ACCESS_OP).at);
    out->offset = quick_uint(&q, ACCESS_OFFSET);
    out->length = quick_uint(&q, ACCESS_LENGTH);
    out->count = 1;
    /* Without a count the text is the same whether the file has that column. */
    out->line = (struct access_text){time.at, q.at[ACCESS_COUNT] - q.at[0] - 1};
    if (q.n > ACCESS_COUNT && quick_text(&q, ACCESS_COUNT).len) {
        out->count = quick_uint(&q, ACCESS_COUNT);
        out->line.len = q.at[ACCESS_COUNT + 1] - q.at[0] - 1;
    }
}

int access_digest(struct rec_reader *r, const struct access *a, struct buf *scratch, uint64_t *out)
{
    int failed = 0;
    if (a->line.at) {
        *out = hash64(a->line.at, a->line.len);
        return 0;
    }
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
