/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/outfile.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fsfile.h"

void outfile_discard(const struct outfile *o)
{
    if (o->temporary)
        unlink(o->temporary);
}

static _Noreturn void fail(const struct outfile *o, int status, int err)
{
    outfile_discard(o);
    err_die(status, "cannot write '%s': %s", o->path, err_text(err));
}

void outfile_fail(const struct outfile *o, int err)
{
    fail(o, EX_IOERR, err);
}

static FILE *open_temporary(struct outfile *o)
{
    if (asprintf(&o->temporary, "%s.XXXXXX", o->place) < 0)
        err_die(EX_OSERR, "out of memory");
    int fd = mkstemp(o->temporary);
    if (fd < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", o->path, err_text(errno));
    /* mkstemp() makes a private file; what takes its place should be like any other. */
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(fd, 0666 & ~mask) < 0)
        fail(o, EX_CANTCREAT, errno);
    return fdopen(fd, "w");
}

void outfile_open(struct outfile *o, const char *path)
{
    *o = (struct outfile){.path = path};
    const int directly = fsfile_place(path, &o->place);
    if (directly < 0)
        fail(o, EX_CANTCREAT, directly);
    o->stream = directly ? fopen(path, "ae") : open_temporary(o);
    if (!o->stream)
        fail(o, EX_CANTCREAT, errno);
}

static void replace(const struct outfile *o)
{
    if (fsync(fileno(o->stream)) < 0)
        fail(o, EX_IOERR, errno);
    if (rename(o->temporary, o->place) < 0)
        fail(o, EX_CANTCREAT, errno);
    fsfile_sync_parent(o->place);
}

void outfile_close(struct outfile *o)
{
    if (fflush(o->stream) != 0 || ferror(o->stream))
        fail(o, EX_IOERR, errno ? errno : EIO);
    if (o->temporary)
        replace(o);
    fclose(o->stream);
    free(o->temporary);
    free(o->place);
    *o = (struct outfile){0};
}
