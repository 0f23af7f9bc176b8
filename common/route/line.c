/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/route/line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"

enum {
    FIELDS_MIN = 7, /* without verify, which older logs do not have */
    FIELDS_MAX = 8,
    CHECKSUM_DIGITS = 16,
    LINE_MAX_BYTES = 1024 /* three names, four numbers, two words and a checksum: under 600 */
};

void route_settle(struct route *r)
{
    r->state = ROUTE_STATE_STEADY;
    r->target[0] = 0;
    r->verify = VERIFY_FULL;
}

void route_put(struct rec_writer *w, const struct route *r)
{
    rec_put_text(w, ROUTE_VOLUME, r->volume);
    rec_put_text(w, ROUTE_GATEWAY, r->gateway);
    rec_put_uint(w, ROUTE_EPOCH, r->epoch);
    rec_put_word(w, ROUTE_STATE, r->state);
    if (r->target[0])
        rec_put_text(w, ROUTE_TARGET, r->target);
    if (r->size_bytes)
        rec_put_uint(w, ROUTE_SIZE_BYTES, r->size_bytes);
    rec_put_real(w, ROUTE_TIME, r->time);
    if (r->verify != VERIFY_FULL)
        rec_put_word(w, ROUTE_VERIFY, r->verify);
}

int line_format(struct rec_writer *w, const struct route *r, struct buf *out)
{
    size_t start = out->len;
    route_put(w, r);
    int err = rec_format(w, out);
    if (err < 0)
        return err;
    out->len--;                   /* rec_format()'s newline */
    if (r->verify != VERIFY_FULL) /* else the line is what it was before there was such a column */
        err = buf_printf(out, ",%s", rec_verify_words[r->verify]);
    if (err < 0)
        return err;
    return buf_printf(out, ",%016" PRIx64 "\n", hash64(out->data + start, out->len - start));
}

/* Cuts LINE at its commas; FIELDS that it lacks are NULL.  False unless their number fits. */
static bool split(char *line, char *fields[FIELDS_MAX])
{
    size_t n = 0;
    memset(fields, 0, FIELDS_MAX * sizeof(*fields));
    while (line) {
        if (n == FIELDS_MAX)
            return false;
        fields[n++] = strsep(&line, ",");
    }
    return n >= FIELDS_MIN;
}

static int copy_name(char out[NAME_LEN_MAX + 1], const char *s)
{
    if (parse_name(s) < 0)
        return -EINVAL;
    memcpy(out, s, strlen(s) + 1);
    return 0;
}

/* The number of S among WORDS, or -EINVAL. */
static int parse_word(const char *s, const char *const words[])
{
    for (int i = 0; words[i]; i++)
        if (strcmp(s, words[i]) == 0)
            return i;
    return -EINVAL;
}

/* R from a record without its checksum; LINE is cut to pieces. */
static int parse_record(char *line, struct route *r)
{
    char *f[FIELDS_MAX];
    *r = (struct route){0};
    if (!split(line, f))
        return -EINVAL;
    int state = parse_word(f[3], rec_route_state_words);
    int verify = f[7] ? parse_word(f[7], rec_verify_words) : VERIFY_FULL;
    if (copy_name(r->volume, f[0]) < 0 || copy_name(r->gateway, f[1]) < 0)
        return -EINVAL;
    if (parse_u64(f[2], &r->epoch) < 0 || state < 0 || verify < 0)
        return -EINVAL;
    if (*f[4] && copy_name(r->target, f[4]) < 0)
        return -EINVAL;
    if (*f[5] && parse_u64(f[5], &r->size_bytes) < 0)
        return -EINVAL;
    /* A time that no record may have could be read, but not written again. */
    if (*f[6] == '-' || parse_f64(f[6], &r->time) < 0 || r->time > REC_TIME_MAX)
        return -EINVAL;
    r->state = (enum rec_route_state)state;
    r->verify = (enum rec_verify)verify;
    return 0;
}

const char *line_parse(const char *data, size_t len, struct route *r)
{
    char line[LINE_MAX_BYTES];
    char sum[CHECKSUM_DIGITS + 1];
    if (len <= CHECKSUM_DIGITS || len >= sizeof(line) || memchr(data, 0, len))
        return "not a line of a route log";
    size_t body = len - CHECKSUM_DIGITS - 1;
    snprintf(sum, sizeof(sum), "%016" PRIx64, hash64(data, body));
    if (data[body] != ',' || memcmp(data + body + 1, sum, CHECKSUM_DIGITS) != 0)
        return "checksum does not fit";
    memcpy(line, data, body);
    line[body] = 0;
    if (parse_record(line, r) < 0)
        return "malformed route record";
    return NULL;
}
