/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A route log of any bytes.  Held to: what is read stands in a whole line with a good checksum;
 * what can be read can be changed, keeps all else, and reads alike after a rewrite; what is damaged
 * stays as it is, byte for byte.
 *
 * The first byte says whether the rest is taken as it is, or as lines that get a header and their
 * checksums here, so that the fuzzer comes past these.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fsfile.h"
#include "common/base/hash.h"
#include "common/route/store.h"
#include "folder.h"
#include "fuzz.h"

/* ---- the input ---- */

static void add_checked_lines(struct buf *out, const char *data, size_t size)
{
    require(buf_adds(out, "volume,gateway,epoch,state,target,size_bytes,time,xxh3\n") == 0);
    while (size) {
        const char *nl = memchr(data, '\n', size);
        size_t len = nl ? (size_t)(nl - data) : size;
        require(buf_add(out, data, len) == 0);
        require(buf_printf(out, ",%016" PRIx64 "\n", hash64(data, len)) == 0);
        data += len + (nl != NULL);
        size -= len + (nl != NULL);
    }
}

static void write_log(const char *path, const struct buf *log)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    require(fd >= 0 && fsfile_write_all(fd, log->data, log->len) == 0);
    close(fd);
}

static bool holds(const char *path, const struct buf *log)
{
    struct buf now = {0};
    require(fsfile_read(path, 1 << 24, &now) == 0);
    bool same = now.len == log->len && (!log->len || memcmp(now.data, log->data, log->len) == 0);
    buf_release(&now);
    return same;
}

/* ---- what is read ---- */

/* Is there a whole line with R's owner and epoch and a good checksum? */
static bool is_backed(const struct buf *log, const struct route *r)
{
    char start[2 * NAME_LEN_MAX + 32];
    char sum[32];
    int n = snprintf(start, sizeof(start), "%s,%s,", r->volume, r->gateway);
    for (const char *p = log->data, *nl; (nl = memchr(p, '\n', log->len - (size_t)(p - log->data)));
         p = nl + 1) {
        size_t len = (size_t)(nl - p);
        if (len < 17 + (size_t)n || memcmp(p, start, (size_t)n) != 0)
            continue;
        snprintf(sum, sizeof(sum), ",%016" PRIx64, hash64(p, len - 17));
        if (memcmp(nl - 17, sum, 17) == 0 && strtoull(p + n, NULL, 10) == r->epoch)
            return true;
    }
    return false;
}

struct seen {
    const struct buf *log;
    struct buf text; /* the records, printed */
    size_t n;
};

static int see(const struct route *r, void *arg)
{
    struct seen *s = arg;
    require(!s->log || is_backed(s->log, r));
    s->n++;
    return buf_printf(&s->text, "%s %s %s %" PRIu64 " %d %" PRIu64 " %.6f\n", r->volume, r->gateway,
                      r->target, r->epoch, r->state, r->size_bytes, r->time);
}

/* Everything readable was read: a change succeeds, and all else is as it was. */
static void change(struct route_store *s, struct seen *before)
{
    struct seen after = {0};
    struct route next = {.volume = "fuzz", .gateway = "gw", .time = 1};
    struct route now = {0};
    require(route_store_get(s, "fuzz", &now) >= 0);
    if (now.epoch == UINT64_MAX)
        return;
    next.epoch = now.epoch + 1;
    require(route_store_cas(s, now.epoch, -1, &next, 0) == 0);
    require(route_store_each(s, see, &after) == 0);
    require(after.n == before->n + (now.epoch == 0));
    require(route_store_settle(s) == 0);
    buf_clear(&before->text);
    before->log = NULL;
    require(route_store_each(s, see, before) == 0);
    require(strcmp(before->text.data, after.text.data) == 0);
    buf_release(&after.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct buf log = {0};
    struct route_store *s;
    if (size == 0)
        return 0;
    if (data[0] & 1)
        add_checked_lines(&log, (const char *)data + 1, size - 1);
    else
        require(buf_add(&log, data + 1, size - 1) == 0);
    snprintf(path, sizeof(path), "%s/routes.log", folder());
    write_log(path, &log);
    require(route_store_open(folder(), false, &s) == 0);
    struct seen seen = {.log = &log};
    int r = route_store_each(s, see, &seen);
    require(r == 0 || r == -EBADMSG);
    if (r == 0) {
        change(s, &seen);
    } else {
        struct route next = {.volume = "fuzz", .gateway = "gw", .epoch = 1};
        require(route_store_cas(s, 0, -1, &next, 0) == -EBADMSG);
        require(route_store_settle(s) == -EBADMSG);
        require(holds(path, &log));
    }
    route_store_close(s);
    buf_release(&seen.text);
    buf_release(&log);
    unlink(path);
    return 0;
}
