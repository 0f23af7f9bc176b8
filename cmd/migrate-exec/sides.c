/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/sides.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/clock.h"

/* Requests of ours are multiples of this, but for the volume's tail. */
enum { GRAIN = 4096 };

/* Why the export can't take part; NULL if it can. */
static const char *objection(const struct nbd_export_info *i, uint64_t size_bytes, unsigned needs)
{
    if (i->size_bytes < size_bytes)
        return "its export is smaller than the volume";
    if (needs & SIDE_FLUSHES && !i->flush)
        return "it cannot flush";
    if (needs & SIDE_WRITABLE && i->read_only)
        return "its export is read-only";
    if (i->block_min > GRAIN || size_bytes % i->block_min)
        return "its smallest block does not fit the volume";
    if (i->block_max < GRAIN)
        return "its largest block is too small";
    return NULL;
}

/* E was connected to with the result R: *OUT if it can take part, unless NO says why not. */
static int connected(const char *gateway, struct nbd_export *e, int r, const char *no,
                     struct nbd_export **out, char *why, size_t why_size)
{
    if (r == 0 && !no) {
        *out = e;
        return 0;
    }
    if (r < 0)
        snprintf(why, why_size, "cannot connect to %s: %s", gateway, nbd_export_error(e));
    else
        snprintf(why, why_size, "%s cannot take part: %s", gateway, no);
    nbd_export_free(e);
    return r < 0 ? r : -EOPNOTSUPP;
}

static int connect_ms(unsigned io_timeout_ms)
{
    return io_timeout_ms < CONNECT_MS ? (int)io_timeout_ms : CONNECT_MS;
}

static int out_of_memory(char *why, size_t why_size)
{
    snprintf(why, why_size, "out of memory");
    return -ENOMEM;
}

int side_connect(const char *gateway, const char *uri, const char *volume, uint64_t size_bytes,
                 unsigned needs, unsigned io_timeout_ms, struct nbd_export **out, char *why,
                 size_t why_size)
{
    const char *no = NULL;
    struct nbd_export *e = nbd_export_new();
    if (!e)
        return out_of_memory(why, why_size);
    int r = nbd_export_connect(e, uri, volume, connect_ms(io_timeout_ms));
    if (r == 0)
        no = objection(nbd_export_info(e), size_bytes, needs);
    return connected(gateway, e, r, no, out, why, why_size);
}

int side_connect_private(const char *gateway, const char *path, const char *name,
                         uint64_t size_bytes, unsigned needs, unsigned io_timeout_ms,
                         struct nbd_export **out, char *why, size_t why_size)
{
    const char *no = NULL;
    struct nbd_export *e = nbd_export_new();
    if (!e)
        return out_of_memory(why, why_size);
    int r = nbd_export_connect_unix(e, path, name, connect_ms(io_timeout_ms));
    if (r == 0)
        no = objection(nbd_export_info(e), size_bytes, needs & (unsigned)~SIDE_FLUSHES);
    return connected(gateway, e, r, no, out, why, why_size);
}

static bool alike(const struct nbd_export_info *a, const struct nbd_export_info *b)
{
    return a->size_bytes == b->size_bytes && a->block_min == b->block_min &&
           a->block_max == b->block_max && a->read_only == b->read_only && a->flush == b->flush &&
           a->zeroes == b->zeroes && a->multi_conn == b->multi_conn;
}

unsigned side_widen(const struct nbd_export *first, const char *uri, const char *volume,
                    struct nbd_export **out, unsigned n)
{
    uint64_t deadline = clock_mono_us() + UINT64_C(1000) * WIDEN_MS;
    unsigned got = 0;
    while (got < n) {
        uint64_t now = clock_mono_us();
        struct nbd_export *e = now < deadline ? nbd_export_new() : NULL;
        if (e && nbd_export_connect(e, uri, volume, (int)((deadline - now) / 1000)) == 0 &&
            alike(nbd_export_info(e), nbd_export_info(first))) {
            out[got++] = e;
            continue;
        }
        nbd_export_free(e);
        while (got > 0)
            nbd_export_free(out[--got]);
        return 0;
    }
    return n;
}
