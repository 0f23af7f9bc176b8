/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access records into counts. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cmd/affinity-profile/profile.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/record/record.h"
#include "common/record/schema.h"

/* A digest of everything that tells one record from another. */
static uint64_t digest(const struct rec_reader *r, struct buf *b)
{
    static const size_t texts[] = {ACCESS_VOLUME, ACCESS_GATEWAY, ACCESS_CLIENT};
    const double reals[] = {rec_real(r, ACCESS_TIME), rec_real(r, ACCESS_LATENCY_US)};
    const uint64_t whole[] = {rec_word(r, ACCESS_OP), rec_uint(r, ACCESS_OFFSET),
                              rec_uint(r, ACCESS_LENGTH), (uint64_t)rec_int(r, ACCESS_ERROR),
                              rec_uint(r, ACCESS_COUNT)};
    int failed = 0;
    buf_clear(b);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *s = rec_text(r, texts[i]);
        failed |= buf_add(b, s, strlen(s) + 1);
    }
    failed |= buf_add(b, reals, sizeof(reals));
    failed |= buf_add(b, whole, sizeof(whole));
    if (failed)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    return hash64(b->data, b->len);
}

static enum demand_op op_of(unsigned word)
{
    switch (word) {
    case OP_READ:
        return DEMAND_READ;
    case OP_WRITE:
        return DEMAND_WRITE;
    case OP_FLUSH:
        return DEMAND_FLUSH;
    default:
        return DEMAND_CLEAR;
    }
}

static struct demand_record record_of(const struct profile *p, const struct rec_reader *r)
{
    return (struct demand_record){
        .time = rec_real(r, ACCESS_TIME),
        .volume = rec_text(r, ACCESS_VOLUME),
        .site = fleet_site_of(&p->fleet, rec_text(r, ACCESS_CLIENT)),
        .gateway = rec_text(r, ACCESS_GATEWAY),
        .op = op_of(rec_word(r, ACCESS_OP)),
        .offset = rec_uint(r, ACCESS_OFFSET),
        .length = rec_uint(r, ACCESS_LENGTH),
        .count = rec_present(r, ACCESS_COUNT) ? rec_uint(r, ACCESS_COUNT) : 1,
    };
}

/* Counts the current record if it is new: 1, 0, or -errno of demand_add(). */
static int count_record(struct profile *p, const struct rec_reader *r, struct buf *scratch)
{
    struct demand_record a = record_of(p, r);
    /* Checked before it is noted as counted. */
    uint64_t end;
    if (__builtin_add_overflow(a.offset, a.length, &end) || end > INT64_MAX)
        return -ERANGE;
    int fresh = seen_new(&p->seen, a.time, digest(r, scratch));
    if (fresh <= 0)
        return fresh;
    int e = demand_add(&p->demand, &a);
    return e < 0 ? e : 1;
}

/* Reports a failure; with KEEP_GOING a malformed record only makes the status 65. */
static int complain(int status, const char *text, bool keep_going)
{
    if (status != EX_DATAERR || !keep_going)
        err_die(status, "%s", text);
    err_warn("%s", text);
    return status;
}

int ingest(struct profile *p, char *const *paths, size_t n, double until, bool keep_going,
           uint64_t *counted)
{
    struct rec_reader *r = rec_reader_new(&rec_access);
    struct buf scratch = {0};
    uint64_t later = 0;
    int status = 0, got;
    if (!r)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    *counted = 0;
    rec_reader_files(r, paths, n);
    while ((got = rec_reader_next(r)) != 0) {
        if (got < 0) {
            status = complain(rec_reader_status(r), rec_reader_error(r), keep_going);
            continue;
        }
        if (until >= 0 && rec_real(r, ACCESS_TIME) > until) {
            later++;
            continue;
        }
        int e = count_record(p, r, &scratch);
        if (e == -ERANGE) {
            buf_clear(&scratch);
            buf_printf(&scratch, "%s: offset + length is too large", rec_reader_where(r));
            status = complain(EX_DATAERR, scratch.data, keep_going);
        } else if (e < 0) {
            err_die(EX_OSERR, "%s", err_text(e));
        } else {
            *counted += (uint64_t)e;
        }
    }
    if (later)
        err_warn("%" PRIu64 " records later than --now were not counted", later);
    buf_release(&scratch);
    rec_reader_free(r);
    return status;
}
