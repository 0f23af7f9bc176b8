/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-exec/sides.h"
#include "cmd/migrate-exec/signals.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/hash.h"
#include "common/record/input.h"
#include "common/record/lz4out.h"

enum {
    PIECE = 1024 * 1024,
    DEPTH = 4, /* requests in flight */
};

/* One of the pieces in flight, a ring in the order of the export. */
struct piece {
    unsigned char *data;
    size_t len;
    bool done;
    int result;
};

struct reader {
    struct nbd_export *from;
    unsigned io_timeout_ms; /* no reply for so long: the gateway is gone */
    uint64_t size;
    uint64_t asked; /* bytes */
    uint64_t taken;
    size_t piece_max;
    struct piece ring[DEPTH];
    unsigned next; /* to be asked for */
    unsigned oldest;
    unsigned n; /* in the ring */
    struct hash_stream *hash;
    struct lz4out *out; /* NULL: only digested */
};

static void piece_read(void *arg, int result)
{
    struct piece *p = arg;
    p->done = true;
    p->result = result;
}

/* Asks for as much as there is room for.  0 or -errno. */
static int ask(struct reader *r)
{
    while (r->n < DEPTH && r->asked < r->size) {
        struct piece *p = &r->ring[r->next];
        uint64_t left = r->size - r->asked;
        p->len = left < r->piece_max ? (size_t)left : r->piece_max;
        p->done = false;
        int e = nbd_export_read(r->from, p->data, p->len, r->asked, piece_read, p);
        if (e < 0)
            return e;
        r->asked += p->len;
        r->next = (r->next + 1) % DEPTH;
        r->n++;
    }
    return 0;
}

/* Digests and packs what has come, in order.  0 or -errno. */
static int take(struct reader *r)
{
    for (; r->n && r->ring[r->oldest].done; r->n--) {
        struct piece *p = &r->ring[r->oldest];
        if (p->result < 0)
            return p->result;
        hash_stream_add(r->hash, p->data, p->len);
        int e = r->out ? lz4out_write(r->out, p->data, p->len) : 0;
        if (e < 0)
            return e;
        r->taken += p->len;
        r->oldest = (r->oldest + 1) % DEPTH;
    }
    return 0;
}

static int read_all(struct reader *r)
{
    while (r->taken < r->size) {
        if (signals_pending())
            return -EINTR;
        int e = ask(r);
        if (e < 0)
            return e;
        int n = nbd_export_wait(&r->from, 1, (int)r->io_timeout_ms);
        if (n == 0)
            return -ETIMEDOUT;
        if (n < 0 && n != -EINTR)
            return n;
        e = take(r);
        if (e < 0)
            return e;
    }
    return r->out ? lz4out_end(r->out) : 0;
}

static void digest_text(struct hash128 h, char out[DIGEST_SIZE])
{
    for (int i = 0; i < (int)sizeof(h.bytes); i++)
        snprintf(out + 2 * i, 3, "%02x", h.bytes[i]);
}

/* Reads the export to the end, to FD too unless that is -1. */
static int read_export(struct reader *r, int fd, char digest[DIGEST_SIZE])
{
    int e = fd < 0 ? 0 : lz4out_new_sized(fd, r->size, &r->out);
    if (e == 0)
        e = (r->hash = hash_stream_new()) ? 0 : -ENOMEM;
    for (int i = 0; e == 0 && i < DEPTH; i++)
        e = (r->ring[i].data = malloc(PIECE)) ? 0 : -ENOMEM;
    if (e == 0)
        e = read_all(r);
    if (e == 0)
        digest_text(hash_stream_end(r->hash), digest);
    nbd_export_free(r->from); /* before the buffers that its requests point to */
    for (int i = 0; i < DEPTH; i++)
        free(r->ring[i].data);
    hash_stream_free(r->hash);
    lz4out_free(r->out);
    return e;
}

/* Is what PATH unpacks to what was read?  0, -EILSEQ or another -errno. */
static int compare(const char *path, uint64_t size, const char *digest)
{
    char found[DIGEST_SIZE];
    struct input *in = NULL;
    struct hash_stream *hash = hash_stream_new();
    unsigned char *data = malloc(PIECE);
    uint64_t bytes = 0;
    ssize_t n = hash && data ? input_open(path, &in) : -ENOMEM;
    while (n >= 0 && (n = input_read(in, data, PIECE)) > 0) {
        hash_stream_add(hash, data, (size_t)n);
        bytes += (uint64_t)n;
    }
    if (n == 0) {
        digest_text(hash_stream_end(hash), found);
        n = bytes == size && strcmp(found, digest) == 0 ? 0 : -EILSEQ;
    }
    if (in)
        input_close(in);
    free(data);
    hash_stream_free(hash);
    return (int)n;
}

/* Reads into PART, which becomes PATH. */
static int pack_export(struct reader *r, const char *part, const char *path,
                       char digest[DIGEST_SIZE])
{
    uint64_t size = r->size;
    int fd = fsfile_open(part, O_WRONLY | O_TRUNC);
    if (fd < 0)
        nbd_export_free(r->from);
    int e = fd < 0 ? fd : read_export(r, fd, digest);
    if (e == 0 && fsync(fd) < 0)
        e = -errno;
    if (fd >= 0)
        close(fd);
    if (e == 0)
        e = compare(part, size, digest);
    if (e == 0 && rename(part, path) < 0)
        e = -errno;
    if (e < 0)
        unlink(part);
    return e < 0 ? e : fsfile_sync_parent(path);
}

static int pack(const struct move *m, struct reader *r, char digest[DIGEST_SIZE])
{
    struct buf dir = {0};
    struct buf path = {0};
    struct buf part = {0};
    int e = buf_printf(&dir, "%s/archive", m->exec->dirs.state);
    if (e == 0)
        e = buf_printf(&path, "%s/%s.lz4", dir.data, m->id);
    if (e == 0)
        e = buf_printf(&part, "%s.part", path.data);
    if (e == 0)
        e = fsfile_mkdirs(dir.data);
    if (e == 0)
        e = pack_export(r, part.data, path.data, digest);
    else
        nbd_export_free(r->from);
    buf_release(&dir);
    buf_release(&path);
    buf_release(&part);
    return e;
}

int archive_read(const struct move *m, bool keep, char digest[DIGEST_SIZE], char *why, size_t size)
{
    const struct fleet_gateway *g = fleet_gateway(m->exec->fleet, m->source);
    struct reader r = {.io_timeout_ms = m->exec->io_timeout_ms};
    int e = g ? side_connect(m->source, g->uri, m->volume, m->size_bytes, 0, m->exec->io_timeout_ms,
                             &r.from, why, size)
              : -ENOENT;
    if (!g)
        snprintf(why, size, "gateway '%s' is not in gateways.csv", m->source);
    if (e < 0)
        return e;
    const struct nbd_export_info *info = nbd_export_info(r.from);
    r.size = info->size_bytes;
    r.piece_max = info->block_max < PIECE ? info->block_max : PIECE;
    e = keep ? pack(m, &r, digest) : read_export(&r, -1, digest);
    if (e < 0)
        snprintf(why, size, "cannot archive the copy on %s: %s", m->source,
                 e == -EILSEQ ? "what was packed is not what was read" : err_text(e));
    return e;
}
