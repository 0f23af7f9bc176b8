/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/input.h"

#include <errno.h>
#include <fcntl.h>
#include <lz4frame.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACKED_SIZE ((size_t)64 * 1024)

static const unsigned char lz4_magic[4] = {0x04, 0x22, 0x4d, 0x18};

struct input {
    int fd;
    bool started; /* the first bytes were looked at */
    LZ4F_dctx *lz4;
    bool in_frame;         /* between a frame's first byte and its end mark */
    unsigned char *packed; /* read but not yet handed on: [pos, len) */
    size_t pos;
    size_t len;
    uint64_t given; /* bytes handed out */
};

int input_open(const char *path, struct input **out)
{
    struct input *in = calloc(1, sizeof(*in));
    if (!in)
        return -ENOMEM;
    in->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int r = 0;
    if (in->fd < 0 || fstat(in->fd, &st) < 0)
        r = -errno;
    else if (S_ISDIR(st.st_mode))
        r = -EISDIR;
    else if (!(in->packed = aligned_alloc(64, PACKED_SIZE)))
        r = -ENOMEM;
    if (r < 0)
        input_close(in);
    else
        *out = in;
    return r;
}

void input_close(struct input *in)
{
    if (!in)
        return;
    if (in->fd > STDIN_FILENO)
        close(in->fd);
    LZ4F_freeDecompressionContext(in->lz4);
    free(in->packed);
    free(in);
}

static ssize_t read_some(int fd, void *dst, size_t size)
{
    ssize_t n;
    do
        n = read(fd, dst, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/*
 * Reads the first bytes, no further than is needed to tell a frame from text: text that comes
 * slowly must not wait for four bytes.
 */
static int detect(struct input *in)
{
    while (in->len < sizeof(lz4_magic) && memcmp(in->packed, lz4_magic, in->len) == 0) {
        ssize_t n = read_some(in->fd, in->packed + in->len, PACKED_SIZE - in->len);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        in->len += (size_t)n;
    }
    in->started = true;
    if (in->len < sizeof(lz4_magic) || memcmp(in->packed, lz4_magic, sizeof(lz4_magic)) != 0)
        return 0;
    return LZ4F_isError(LZ4F_createDecompressionContext(&in->lz4, LZ4F_VERSION)) ? -ENOMEM : 0;
}

/* What LZ4F_decompress() failed with; the numbers of its errors are not public. */
static int lz4_error(size_t code)
{
    return strcmp(LZ4F_getErrorName(code), "ERROR_allocation_failed") == 0 ? -ENOMEM : -EBADMSG;
}

static ssize_t unpack(struct input *in, void *dst, size_t size)
{
    for (;;) {
        if (in->pos == in->len) {
            ssize_t n = read_some(in->fd, in->packed, PACKED_SIZE);
            if (n < 0)
                return n;
            if (n == 0)
                return in->in_frame ? -EBADMSG : 0;
            in->pos = 0;
            in->len = (size_t)n;
        }
        size_t from = in->len - in->pos;
        size_t to = size;
        size_t hint = LZ4F_decompress(in->lz4, dst, &to, in->packed + in->pos, &from, NULL);
        if (LZ4F_isError(hint))
            return lz4_error(hint);
        in->pos += from;
        in->in_frame = hint != 0;
        if (to)
            return (ssize_t)to;
    }
}

static ssize_t read_any(struct input *in, void *dst, size_t size)
{
    int r = in->started ? 0 : detect(in);
    if (r < 0)
        return r;
    if (in->lz4)
        return unpack(in, dst, size);
    if (in->pos == in->len)
        return read_some(in->fd, dst, size);
    size_t n = in->len - in->pos < size ? in->len - in->pos : size;
    memcpy(dst, in->packed + in->pos, n);
    in->pos += n;
    return (ssize_t)n;
}

ssize_t input_read(struct input *in, void *dst, size_t size)
{
    ssize_t n = read_any(in, dst, size);
    in->given += n > 0 ? (uint64_t)n : 0;
    return n;
}

/* Reads on until POS. */
static int skip_to(struct input *in, uint64_t pos)
{
    char scratch[4096];
    while (in->given < pos) {
        uint64_t left = pos - in->given;
        ssize_t n =
            input_read(in, scratch, left < sizeof(scratch) ? (size_t)left : sizeof(scratch));
        if (n <= 0)
            return n < 0 ? (int)n : -ENODATA;
    }
    return 0;
}

int input_seek(struct input *in, uint64_t pos)
{
    struct stat st;
    int r = in->started ? 0 : detect(in);
    if (r < 0)
        return r;
    if (in->lz4 || fstat(in->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return pos < in->given ? -ESPIPE : skip_to(in, pos);
    if (pos > (uint64_t)st.st_size)
        return -ENODATA;
    if (lseek(in->fd, (off_t)pos, SEEK_SET) < 0)
        return -errno;
    in->pos = in->len = 0;
    in->given = pos;
    return 0;
}
