/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/fsfile.h"

enum {
    RESERVE_BYTES = 64 * 1024, /* some hundred events */
    HISTORY_MAX = 1024 * 1024 * 1024,
};

struct journal {
    int fd;
    struct rec_writer *writer;
};

/* ---- files of whole lines ---- */

/* Position behind the last newline of FD, *END; 0 or -errno. */
static int whole_lines_end(int fd, off_t *end)
{
    char block[4096];
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    off_t stop = st.st_size;
    while (stop > 0) {
        size_t len = stop < (off_t)sizeof(block) ? (size_t)stop : sizeof(block);
        ssize_t n = pread(fd, block, len, stop - (off_t)len);
        if (n != (ssize_t)len)
            return n < 0 ? -errno : -EIO;
        const char *newline = memrchr(block, '\n', len);
        if (newline) {
            *end = stop - (off_t)len + (newline - block) + 1;
            return 0;
        }
        stop -= (off_t)len;
    }
    *end = 0;
    return 0;
}

/* Cuts off a torn last line, under the caller's lock; *EMPTY tells if nothing is left. */
static int cut_torn_line(int fd, bool *empty)
{
    off_t end = 0;
    int r = whole_lines_end(fd, &end);
    if (r < 0)
        return r;
    *empty = end == 0;
    return ftruncate(fd, end) < 0 ? -errno : 0;
}

/* Appends E, and the header before it if asked, in one write. */
static int append_event(int fd, struct rec_writer *w, const struct event *e, bool header)
{
    struct buf line = {0};
    event_put(w, e);
    int r = header ? rec_format_header(w, &line) : 0;
    if (r == 0)
        r = rec_format(w, &line);
    if (r == 0)
        r = fsfile_write_all(fd, line.data, line.len);
    buf_release(&line);
    return r;
}

/* ---- the journal ---- */

/* Opens and locks PATH. */
static int open_locked(const char *path, bool create)
{
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC;
    int fd = create ? fsfile_open(path, flags) : open(path, flags);
    if (fd < 0)
        return create ? fd : -errno;
    int r = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        r = errno == EWOULDBLOCK ? -EAGAIN : -errno;
    if (r == 0 && create)
        r = fsfile_sync_parent(path);
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

/* The header alone, durable, so that an empty journal is a header. */
static int write_header(struct journal *j)
{
    struct buf line = {0};
    int r = rec_format_header(j->writer, &line);
    if (r == 0)
        r = fsfile_write_all(j->fd, line.data, line.len);
    if (r == 0 && fdatasync(j->fd) < 0)
        r = -errno;
    buf_release(&line);
    return r;
}

static int make_folder(const char *state)
{
    struct buf dir = {0};
    int r = buf_printf(&dir, "%s/migrations", state);
    if (r == 0)
        r = fsfile_mkdirs(dir.data);
    buf_release(&dir);
    return r;
}

static int journal_start(struct journal *j)
{
    bool empty = false;
    int r = cut_torn_line(j->fd, &empty);
    if (r == 0)
        r = journal_reserve(j);
    if (r == 0 && empty)
        r = write_header(j);
    return r;
}

int journal_open(const char *state, const char *id, bool create, struct journal **out)
{
    struct buf path = {0};
    struct journal *j = calloc(1, sizeof(*j));
    if (!j)
        return -ENOMEM;
    j->fd = -1;
    int r = create ? make_folder(state) : 0;
    if (r == 0)
        r = journal_path(state, id, &path);
    if (r == 0)
        r = j->fd = open_locked(path.data, create);
    if (r >= 0)
        r = (j->writer = rec_writer_new(&rec_event, NULL)) ? 0 : -ENOMEM;
    if (r == 0)
        r = journal_start(j);
    buf_release(&path);
    if (r < 0) {
        journal_close(j);
        return r;
    }
    *out = j;
    return 0;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    rec_writer_free(j->writer);
    free(j);
}

int journal_reserve(struct journal *j)
{
    struct stat st;
    if (fstat(j->fd, &st) < 0)
        return -errno;
    /* The size stays: a reader sees lines, not the reserve. */
    if (fallocate(j->fd, FALLOC_FL_KEEP_SIZE, st.st_size, RESERVE_BYTES) == 0)
        return 0;
    return errno == EOPNOTSUPP ? 0 : -errno; /* then the file system can't promise anything */
}

int journal_append(struct journal *j, const struct event *e)
{
    struct stat before;
    if (fstat(j->fd, &before) < 0)
        return -errno;
    int r = append_event(j->fd, j->writer, e, false);
    if (r == 0 && fdatasync(j->fd) < 0)
        r = -errno;
    if (r < 0 && ftruncate(j->fd, before.st_size) < 0)
        return r; /* a torn line is cut off by the next writer */
    return r;
}

/* ---- history ---- */

/* Does the file PATH have the very line of E?  1, 0 or -errno. */
static int has_event(const char *path, struct rec_writer *w, const struct event *e)
{
    struct buf line = {0};
    struct buf text = {0};
    event_put(w, e);
    int r = rec_format(w, &line);
    if (r == 0)
        r = fsfile_read(path, HISTORY_MAX, &text);
    if (r == 0)
        r = memmem(text.data, text.len, line.data, line.len) != NULL;
    buf_release(&text);
    buf_release(&line);
    return r;
}

/* Appends E, or leaves nothing of it: a full disk takes a part of a line. */
static int append_whole(int fd, struct rec_writer *w, const struct event *e, bool header)
{
    struct stat before;
    if (fstat(fd, &before) < 0)
        return -errno;
    int r = append_event(fd, w, e, header);
    if (r < 0 && ftruncate(fd, before.st_size) < 0)
        return r; /* a torn line is cut off by the next writer, and no reader minds it */
    return r;
}

/* Appends E to PATH, opened as FD, under its lock; unless it is there, if ONCE. */
static int append_locked(const char *path, int fd, const struct event *e, bool once)
{
    if (flock(fd, LOCK_EX) < 0)
        return -errno;
    bool empty = false;
    int r = cut_torn_line(fd, &empty);
    struct rec_writer *w = rec_writer_new(&rec_event, NULL);
    if (r == 0)
        r = w ? 0 : -ENOMEM;
    if (r == 0 && once && !empty)
        r = has_event(path, w, e);
    if (r == 0)
        r = append_whole(fd, w, e, empty);
    rec_writer_free(w);
    return r < 0 ? r : 0;
}

static int put_in_history(const char *state, const struct event *e, bool once)
{
    struct buf path = {0};
    int r = buf_printf(&path, "%s/history.csv", state);
    int fd = r < 0 ? -1 : fsfile_open(path.data, O_RDWR | O_APPEND);
    if (r == 0 && fd < 0)
        r = fd;
    if (r == 0)
        r = append_locked(path.data, fd, e, once);
    if (fd >= 0)
        close(fd);
    buf_release(&path);
    return r;
}

int history_append(const char *state, const struct event *e)
{
    return put_in_history(state, e, false);
}

int history_complete(const char *state, const struct event *e)
{
    return put_in_history(state, e, true);
}
