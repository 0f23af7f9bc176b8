/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/fsfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* symbolic links that are followed, as many as the system does */

int fsfile_read_from(int fd, uint64_t offset, size_t max, struct buf *out)
{
    size_t start = out->len;
    for (;;) {
        if (buf_reserve(out, 65536) < 0)
            return -ENOMEM;
        off_t at = (off_t)(offset + (out->len - start));
        ssize_t n = pread(fd, out->data + out->len, 65536, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        out->len += (size_t)n;
        if (out->len - start > max)
            return -EFBIG;
    }
}

int fsfile_read(const char *path, size_t max, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = 0;
    for (;;) {
        if (buf_reserve(out, 65536) < 0) {
            r = -ENOMEM;
            break;
        }
        ssize_t n = read(fd, out->data + out->len, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            r = n < 0 ? -errno : 0;
            break;
        }
        out->len += (size_t)n;
        if (out->len > max) {
            r = -EFBIG;
            break;
        }
    }
    if (out->data)
        out->data[out->len] = 0;
    close(fd);
    return r;
}

int fsfile_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fsfile_sync_parent(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    int r = 0;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        r = -errno;
    if (fd >= 0)
        close(fd);
    free(copy);
    return r;
}

/* Gives FD the mode and owner of PATH; mode 0644 if that is not there. */
static int copy_owner(const char *path, int fd)
{
    struct stat old;
    struct stat now;
    if (stat(path, &old) < 0)
        return errno == ENOENT && fchmod(fd, 0644) == 0 ? 0 : -errno;
    if (fstat(fd, &now) < 0)
        return -errno;
    if ((old.st_uid != now.st_uid || old.st_gid != now.st_gid) &&
        fchown(fd, old.st_uid, old.st_gid) < 0)
        return -errno;
    return fchmod(fd, old.st_mode & 07777) < 0 ? -errno : 0;
}

/* What the name of a temporary file has behind that of the file, by mkostemp(). */
static const char tmp_suffix[] = ".XXXXXX";

int fsfile_begin(const char *path, struct buf *tmp)
{
    int r = buf_printf(tmp, "%s%s", path, tmp_suffix);
    int fd = r < 0 ? -1 : mkostemp(tmp->data, O_CLOEXEC);
    if (fd >= 0)
        return fd;
    r = r < 0 ? r : -errno;
    buf_release(tmp);
    return r;
}

int fsfile_end(const char *path, struct buf *tmp, int fd, int result)
{
    int r = result;
    if (r == 0)
        r = copy_owner(path, fd);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && rename(tmp->data, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(tmp->data);
    else
        r = fsfile_sync_parent(path);
    close(fd);
    buf_release(tmp);
    return r;
}

int fsfile_replace(const char *path, const void *data, size_t len)
{
    struct buf tmp = {0};
    int fd = fsfile_begin(path, &tmp);
    return fd < 0 ? fd : fsfile_end(path, &tmp, fd, fsfile_write_all(fd, data, len));
}

/* The length of PATH's folder, with its slash; 0: it is the current one. */
static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Is PATH a name of the system's for what is open, as what /dev/stdout leads to? */
static bool is_systems(const char *path)
{
    struct statfs fs;
    const size_t len = folder_len(path);
    char *folder = len ? strndup(path, len) : strdup(".");
    const bool is = folder && statfs(folder, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
    free(folder);
    return is;
}

/* Puts what the symbolic link *PATH leads to in its place: 0, or -errno. */
static int follow(char **path)
{
    char aim[PATH_MAX];
    char *next = NULL;
    struct stat st;
    /* The system may forbid it: whose link is it, in a folder where all may make some? */
    if (stat(*path, &st) < 0 && errno != ENOENT)
        return -errno;
    const ssize_t n = readlink(*path, aim, sizeof(aim));
    if (n < 0)
        return -errno;
    if (asprintf(&next, "%.*s%.*s", *aim == '/' ? 0 : (int)folder_len(*path), *path, (int)n, aim) <
        0)
        return -ENOMEM;
    free(*path);
    *path = next;
    return 0;
}

/* As fsfile_place(), of *PATH, which becomes the place. */
static int find_place(char **path)
{
    struct stat st;
    for (int links = 0; links < LINKS_MAX; links++) {
        if (lstat(*path, &st) < 0)
            return errno == ENOENT ? 0 : -errno;
        if (is_systems(*path))
            return 1;
        if (!S_ISLNK(st.st_mode))
            return S_ISREG(st.st_mode) ? 0 : S_ISDIR(st.st_mode) ? -EISDIR : 1;
        const int r = follow(path);
        if (r < 0)
            return r;
    }
    return -ELOOP;
}

int fsfile_place(const char *path, char **real)
{
    char *place = strdup(path);
    const int r = place ? find_place(&place) : -ENOMEM;
    if (r == 0)
        *real = place;
    else
        free(place);
    return r;
}

int fsfile_put(const char *path, const void *data, size_t len)
{
    char *real = NULL;
    int r = fsfile_place(path, &real);
    if (r == 0)
        r = fsfile_replace(real, data, len);
    else if (r > 0) {
        const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        r = fd < 0 ? -errno : fsfile_write_all(fd, data, len);
        if (fd >= 0 && close(fd) < 0 && r == 0)
            r = -errno;
    }
    free(real);
    return r;
}

void fsfile_sweep(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t len = strlen(name);
    struct buf folder = {0};
    struct dirent *e;
    if (buf_printf(&folder, "%.*s", slash ? (int)(name - path) : 1, slash ? path : ".") < 0)
        return;
    DIR *d = opendir(folder.data);
    while (d && (e = readdir(d)))
        if (strncmp(e->d_name, name, len) == 0 && e->d_name[len] == '.' &&
            strlen(e->d_name + len) == strlen(tmp_suffix))
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    buf_release(&folder);
}

/* What root has just made as PATH, open as FD, becomes the owner's of the folder around it. */
static void adopt(const char *path, int fd)
{
    struct stat folder;
    char *copy = geteuid() == 0 ? strdup(path) : NULL;
    /* Where the system lets nobody be given files, it stays root's. */
    if (copy && stat(dirname(copy), &folder) == 0 && folder.st_uid != 0)
        (void)!fchown(fd, folder.st_uid, folder.st_gid);
    free(copy);
}

int fsfile_open(const char *path, int flags)
{
    enum { TRIES = 3 }; /* against who makes it, or takes it away, at the same time */
    int err = 0;
    for (int i = 0; i < TRIES; i++) {
        int fd = open(path, flags | O_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT)
            return -errno;
        /* O_EXCL follows no link: nothing is made, and given away, elsewhere. */
        fd = open(path, flags | O_CLOEXEC | O_CREAT | O_EXCL, 0644);
        err = -errno;
        if (fd >= 0) {
            adopt(path, fd);
            return fd;
        }
        if (err != -EEXIST)
            return err;
    }
    return err;
}

static void adopt_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    adopt(path, fd);
    close(fd);
}

int fsfile_mkdirs(const char *dir)
{
    char *path = strdup(dir);
    if (!path)
        return -ENOMEM;
    int r = 0;
    for (char *p = path + 1; r == 0; p++) {
        if (*p && *p != '/')
            continue;
        char c = *p;
        *p = 0;
        if (mkdir(path, 0755) == 0) {
            adopt_folder(path);
            r = fsfile_sync_parent(path);
        } else if (errno != EEXIST) {
            r = -errno;
        }
        *p = c;
        if (!c)
            break;
    }
    struct stat st;
    if (r == 0 && (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)))
        r = -ENOTDIR;
    free(path);
    return r;
}
