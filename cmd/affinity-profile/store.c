/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * STATE/affinity: "demand.bin" (counts, and which records they hold), "models.bin" (written by
 * --train), "lock".  Each file is replaced as a whole, so a crash leaves the old or the new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "cmd/affinity-profile/profile.h"
#include "common/affinity/state.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"

/* More than this is not a state file of ours. */
#define STORE_MAX ((size_t)16 << 30)

static struct buf path_of(const char *state, const char *name)
{
    struct buf b = {0};
    if (buf_printf(&b, "%s/affinity%s%s", state, *name ? "/" : "", name) < 0)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    return b;
}

/* With the lock held, a temporary file is one that a killed run left. */
static void remove_leftovers(const char *state)
{
    struct buf pattern = path_of(state, "*.bin.??????");
    glob_t found;
    if (glob(pattern.data, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    buf_release(&pattern);
}

void store_lock(const char *state)
{
    struct buf dir = path_of(state, ""), lock = path_of(state, "lock");
    int r = fsfile_mkdirs(dir.data);
    if (r < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", dir.data, err_text(r));
    /* Closed, and with that let go, when the program ends. */
    int fd = open(lock.data, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", lock.data, err_text(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        err_die(errno == EWOULDBLOCK ? EX_TEMPFAIL : EX_OSERR,
                "cannot lock '%s': another affinity-profile uses it", lock.data);
    remove_leftovers(state);
    buf_release(&dir);
    buf_release(&lock);
}

static void die_unusable(const char *path, int r)
{
    if (r == -EPROTO)
        err_die(EX_DATAERR, "cannot use '%s': not a state file of this version", path);
    if (r == -EBADMSG)
        err_die(EX_DATAERR, "cannot use '%s': damaged; restore it, or move it away to start anew",
                path);
    err_die(r == -ENOMEM ? EX_OSERR : EX_IOERR, "cannot read '%s': %s", path, err_text(r));
}

/* Reads STATE/affinity/NAME: false if there is none. */
static bool load(const char *state, const char *name, struct buf *path, struct buf *data)
{
    *path = path_of(state, name);
    *data = (struct buf){0};
    int r = fsfile_read(path->data, STORE_MAX, data);
    if (r < 0 && r != -ENOENT)
        die_unusable(path->data, r == -EFBIG ? -EPROTO : r);
    return r == 0;
}

void store_load(const char *state, struct profile *p)
{
    struct buf path, data;
    int r = 0;
    if (load(state, "demand.bin", &path, &data))
        r = state_unpack(&data, &p->demand, &p->seen);
    if (r < 0)
        die_unusable(path.data, r);
    buf_release(&path);
    buf_release(&data);
    if (load(state, "models.bin", &path, &data))
        r = models_unpack(&data, &p->models);
    if (r < 0)
        die_unusable(path.data, r);
    buf_release(&path);
    buf_release(&data);
}

static void save(const char *state, const char *name, const struct buf *data, int r)
{
    struct buf path = path_of(state, name);
    if (r == 0)
        r = fsfile_replace(path.data, data->data, data->len);
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_IOERR, "cannot write '%s': %s", path.data,
                err_text(r));
    buf_release(&path);
}

void store_save_demand(const char *state, struct profile *p)
{
    struct buf data = {0};
    int r = seen_settle(&p->seen);
    if (r == 0)
        r = state_pack(&p->demand, &p->seen, &data);
    save(state, "demand.bin", &data, r);
    buf_release(&data);
}

void store_save_models(const char *state, const struct profile *p)
{
    struct buf data = {0};
    save(state, "models.bin", &data, models_pack(&p->models, &data));
    buf_release(&data);
}
