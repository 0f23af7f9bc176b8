/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fsfile.h"
#include "common/route/store.h"

/*
 * An open-file-description lock, because F_OFD_GETLK can ask for its holder without taking it: a
 * probe that took a shared flock would make a director that starts just then believe that another
 * one serves the volume.
 */
static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static int serving_path(const char *state, const char *volume, char path[PATH_MAX])
{
    if (parse_name(volume) < 0)
        return -EINVAL;
    int n = snprintf(path, PATH_MAX, "%s/serving/%s", state, volume);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int make_folder(const char *state)
{
    char dir[PATH_MAX];
    int n = snprintf(dir, sizeof(dir), "%s/serving", state);
    return n < 0 || (size_t)n >= sizeof(dir) ? -ENAMETOOLONG : fsfile_mkdirs(dir);
}

/*
 * The file's first line is the control path; this second one goes when a director let go in order.
 */
static const char mark[] = "in use\n";

static int read_file(int fd, char text[PATH_MAX + sizeof(mark)])
{
    ssize_t n = pread(fd, text, PATH_MAX + sizeof(mark) - 1, 0);
    if (n < 0)
        return -errno;
    text[n] = 0;
    return 0;
}

/* What FD's file shall hold; the mark stays until a director lets go in order. */
static int write_holder(int fd, const char *control_path, bool in_use)
{
    char text[PATH_MAX + sizeof(mark)];
    bool marked = in_use || *control_path;
    int n = snprintf(text, sizeof(text), "%s\n%s", control_path, marked ? mark : "");
    if (n < 0 || (size_t)n >= sizeof(text))
        return -ENAMETOOLONG;
    /* Written before it is cut: at no moment is a mark missing that was there. */
    ssize_t done = pwrite(fd, text, (size_t)n, 0);
    if (done != n)
        return done < 0 ? -errno : -EIO;
    if (ftruncate(fd, n) < 0)
        return -errno;
    /* A gateway may outlive this machine, so the mark must, too, before the first write is sent. */
    return marked && !in_use && fdatasync(fd) < 0 ? -errno : 0;
}

/* Locks FD and says in it where the holder is reached. */
static int take(int fd, const char *control_path, bool *unclean)
{
    char text[PATH_MAX + sizeof(mark)];
    struct flock lock = whole_file();
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
        return errno == EACCES ? -EAGAIN : -errno;
    int r = read_file(fd, text);
    if (r < 0)
        return r;
    const char *end = strchr(text, '\n');
    bool in_use = end && strncmp(end + 1, mark, strlen(mark)) == 0;
    if (unclean)
        *unclean = in_use;
    return write_holder(fd, control_path, in_use);
}

/* Opens PATH; a new file's name is made durable. */
static int open_holder(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd < 0 ? -errno : fd;
    fd = fsfile_open(path, O_RDWR);
    if (fd < 0)
        return fd;
    int r = fsfile_sync_parent(path);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int route_serve_lock(const char *state, const char *volume, const char *control_path, bool *unclean)
{
    char path[PATH_MAX];
    int r = serving_path(state, volume, path);
    if (r == 0)
        r = make_folder(state);
    if (r < 0)
        return r;
    int fd = open_holder(path);
    if (fd < 0)
        return fd;
    r = take(fd, control_path, unclean);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

void route_serve_unlock(int fd)
{
    /* If it can't be emptied the next holder waits without need: no harm. */
    if (ftruncate(fd, 0) < 0)
        errno = 0;
    close(fd);
}

static int read_control(int fd, char *control, size_t size)
{
    char text[PATH_MAX + sizeof(mark)];
    int r = read_file(fd, text);
    if (r < 0)
        return r;
    size_t n = strcspn(text, "\n");
    if (n >= size)
        return -ENAMETOOLONG;
    memcpy(control, text, n);
    control[n] = 0;
    return 1;
}

int route_serve_holder(const char *state, const char *volume, char *control, size_t size)
{
    char path[PATH_MAX];
    int r = serving_path(state, volume, path);
    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    struct flock lock = whole_file();
    if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
        r = -errno;
    else if (lock.l_type != F_UNLCK)
        r = read_control(fd, control, size);
    close(fd);
    return r;
}
