/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fsfile.h"

/* Of what is written past the cache, place, length and memory are multiples of a disk's block. */
#define PIECE ((size_t)1 << 20)
#define BLOCK ((size_t)4096)

static void set_direct(struct bulk *b, bool on)
{
    int flags = fcntl(b->fd, F_GETFL);
    int r = flags < 0 ? -1 : fcntl(b->fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
    b->direct = on && r == 0;
}

/* Writes past the cache as much as can be: so many bytes, or -errno. */
static ssize_t put_direct(struct bulk *b)
{
    ssize_t n;
    do
        n = write(b->fd, b->piece, b->len);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EINVAL)
        return -errno;
    /* Who takes none, or a part, gets the rest, and all that follows, the usual way. */
    if (n < 0 || (size_t)n < b->len)
        set_direct(b, false);
    return n < 0 ? 0 : n;
}

static int put(struct bulk *b)
{
    ssize_t n = b->direct ? put_direct(b) : 0;
    int r = n < 0 ? (int)n : fsfile_write_all(b->fd, b->piece + n, b->len - (size_t)n);
    b->len = 0;
    return r;
}

int bulk_begin(struct bulk *b, int fd)
{
    *b = (struct bulk){.fd = fd, .piece = aligned_alloc(BLOCK, PIECE)};
    b->error = b->piece ? 0 : -ENOMEM;
    return b->error;
}

int bulk_add(struct bulk *b, const void *data, size_t len)
{
    const char *from = data;
    while (b->error == 0 && len) {
        size_t n = PIECE - b->len < len ? PIECE - b->len : len;
        memcpy(b->piece + b->len, from, n);
        b->len += n;
        from += n;
        len -= n;
        if (b->len < PIECE)
            break;
        if (!b->is_large)
            set_direct(b, true);
        b->is_large = true;
        b->error = put(b);
    }
    return b->error;
}

int bulk_end(struct bulk *b)
{
    int r = b->error;
    if (b->direct)
        set_direct(b, false);
    if (r == 0)
        r = put(b);
    free(b->piece);
    *b = (struct bulk){.fd = -1};
    return r;
}
