/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
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

/* Locks FD and says in it where the holder is reached. */
static int take(int fd, const char *control_path)
{
    struct flock lock = whole_file();
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
        return errno == EACCES ? -EAGAIN : -errno;
    if (ftruncate(fd, 0) < 0)
        return -errno;
    return fsfile_write_all(fd, control_path, strlen(control_path));
}

int route_serve_lock(const char *state, const char *volume, const char *control_path)
{
    char path[PATH_MAX];
    int r = serving_path(state, volume, path);
    if (r == 0)
        r = make_folder(state);
    if (r < 0)
        return r;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    r = take(fd, control_path);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

static int read_control(int fd, char *control, size_t size)
{
    ssize_t n = pread(fd, control, size, 0);
    if (n < 0)
        return -errno;
    if ((size_t)n >= size)
        return -ENAMETOOLONG;
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
