/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "admission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/fleet/fleet.h"
#include "ratelog.h"

/*
 * SLOTS: volumes whose names fall into the same slot share its line a second, so that names that
 * somebody makes up take no memory.  RACY_S: no file system's times are coarser; a file that was
 * changed so shortly before it was read may have been changed again without a trace.
 */
enum { SLOTS = 256, RACY_S = 2 };

/* What tells one content of a file from another. */
struct stamp {
    bool there;
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

struct admission {
    const char *config;
    struct buf path;
    struct fleet fleet;
    int result; /* of fleet_load() */
    bool loaded;
    struct stamp stamp; /* before it was read */
    double loaded_at;
    struct ratelog broken;
    struct ratelog refused[SLOTS];
};

struct admission *admission_new(const char *config)
{
    struct admission *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->config = config;
    if (buf_printf(&a->path, "%s/volumes.csv", config) < 0) {
        free(a);
        return NULL;
    }
    return a;
}

void admission_free(struct admission *a)
{
    if (!a)
        return;
    fleet_release(&a->fleet);
    buf_release(&a->path);
    free(a);
}

/* ---- the file ---- */

static struct stamp look(const struct admission *a)
{
    struct stat st;
    struct stamp s = {0};
    if (stat(a->path.data, &st) < 0)
        return s;
    s.there = true;
    s.dev = st.st_dev;
    s.ino = st.st_ino;
    s.size = st.st_size;
    s.mtime = st.st_mtim;
    s.ctime = st.st_ctim;
    return s;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same(const struct stamp *a, const struct stamp *b)
{
    return a->there == b->there && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime);
}

/* What was read is what is there.  A failure may have been one of memory or descriptors. */
static bool is_current(const struct admission *a, const struct stamp *now)
{
    return a->loaded && a->result == 0 && now->there && same(&a->stamp, now) &&
           a->loaded_at - (double)now->ctime.tv_sec > RACY_S;
}

/* 0, or -errno: then fleet.error says why. */
static int refresh(struct admission *a)
{
    struct stamp now = look(a);
    if (is_current(a, &now))
        return 0;
    fleet_release(&a->fleet);
    a->loaded_at = clock_now();
    a->result = fleet_load(&a->fleet, a->config, FLEET_VOLUMES);
    a->stamp = now;
    a->loaded = true;
    return a->result;
}

/* ---- questions ---- */

const char *admission_refuses(struct admission *a, const char *volume, const char *client)
{
    bool broken = refresh(a) < 0;
    if (!broken && fleet_admits(&a->fleet, volume, client))
        return NULL;
    struct ratelog *log = &a->refused[hash64(volume, strlen(volume)) % SLOTS];
    if (ratelog_due(log, clock_mono_us()))
        err_warn("client %s: volume '%s' refused: %s%s", client, volume,
                 broken ? a->fleet.error : "volumes.csv does not admit the client", log->note);
    return broken ? "the director's configuration is broken" : "not open to this client";
}

void admission_begin_list(struct admission *a)
{
    if (refresh(a) < 0 && ratelog_due(&a->broken, clock_mono_us()))
        err_warn("%s: no volume is listed%s", a->fleet.error, a->broken.note);
}

bool admission_lists(const struct admission *a, const char *volume, const char *client)
{
    return a->result == 0 && fleet_admits(&a->fleet, volume, client);
}
