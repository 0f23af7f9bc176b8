/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "track.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "changes.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "intents.h"
#include "volume.h"

/* Which director this is: no two have the same. */
static uint64_t incarnation;

static void choose_incarnation(void)
{
    if (getrandom(&incarnation, sizeof(incarnation), 0) != sizeof(incarnation))
        incarnation = clock_mono_us() ^ ((uint64_t)getpid() << 40);
    incarnation |= !incarnation;
}

/* NEXT: of the map that is made for a switch to come; no volume's name begins with a dot. */
static int path_of(const char *state, const char *volume, bool next, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/changes/%s%s%s", state, next ? "." : "", volume,
                     next ? ".next" : "");
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

bool track_is_kept(const struct route *r, const char *gateway)
{
    return r->state == ROUTE_STATE_UNCOMMITTED && r->target[0] && strcmp(r->target, gateway) == 0;
}

static struct changes_id id_of(const struct route *r)
{
    return (struct changes_id){.volume = r->volume,
                               .owner = r->gateway,
                               .kept = r->target,
                               .size = r->size_bytes,
                               .epoch = r->epoch};
}

/* 0 or -errno. */
static int set_up(struct changes_setup *s, const char *path, const struct route *r)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct intents_host host;
    int err = intents_host(&host);
    pthread_once(&once, choose_incarnation);
    *s = (struct changes_setup){
        .path = path, .id = id_of(r), .boot = host.boot, .incarnation = incarnation};
    return err < 0 ? err : r->size_bytes ? 0 : -EINVAL;
}

/* ---- a volume's life ---- */

static void discard(const char *volume, const char *path)
{
    int r = changes_discard(path);
    if (r < 0)
        err_warn("volume '%s': cannot remove '%s': %s", volume, path, err_text(r));
}

static void say_void(const struct volume *v, const char *why)
{
    err_warn("volume '%s': what has changed since the copy on '%s' was left is not known: %s",
             v->name, v->route.target, why);
}

void track_open(struct volume *v)
{
    char path[PATH_MAX], next[PATH_MAX];
    struct changes_setup s;
    const char *why = NULL;
    const char *state = v->d->set.dirs.state;
    if (path_of(state, v->name, false, path) < 0 || path_of(state, v->name, true, next) < 0)
        return;
    if (access(next, F_OK) == 0)
        discard(v->name, next); /* of a move that a killed director had begun */
    if (!track_is_kept(&v->route, v->route.target)) {
        if (access(path, F_OK) == 0)
            discard(v->name, path);
        return;
    }
    int r = set_up(&s, path, &v->route);
    s.unclean = v->unclean;
    if (r == 0)
        r = changes_open(&s, &v->changes, &why);
    if (r == 0)
        return;
    say_void(v, r == -ESTALE ? why : r == -ENOENT ? "there is no change map" : err_text(r));
    discard(v->name, path);
}

void track_close(struct volume *v, bool clean)
{
    changes_close(v->changes, clean);
    v->changes = NULL;
}

void track_follow(struct volume *v)
{
    struct changes_id id = id_of(&v->route);
    if (!v->changes ||
        (track_is_kept(&v->route, v->route.target) && changes_are_of(v->changes, &id)))
        return;
    changes_drop(v->changes);
    v->changes = NULL;
}

/* ---- a switch ---- */

struct changes *track_prepare(const char *state, const struct route *now, const char *target,
                              char *why, size_t size)
{
    char path[PATH_MAX], folder[PATH_MAX];
    struct changes_setup s;
    struct changes *c = NULL;
    struct route next = *now;
    next.epoch++;
    snprintf(next.target, sizeof(next.target), "%s", now->gateway);
    snprintf(next.gateway, sizeof(next.gateway), "%s", target);
    int r = path_of(state, now->volume, true, path);
    if (r == 0) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
        r = fsfile_mkdirs(folder);
    }
    if (r == 0)
        r = set_up(&s, path, &next);
    if (r == 0)
        r = changes_create(&s, &c);
    if (r < 0)
        snprintf(why, size, "%s", err_text(r));
    return r < 0 ? NULL : c;
}

void track_switched(struct volume *v, struct changes *next)
{
    char path[PATH_MAX];
    struct changes_id id = id_of(&v->route);
    changes_drop(v->changes); /* of the copy that is the owner now, or of nobody's */
    v->changes = NULL;
    int r = !next || !changes_are_of(next, &id)
                ? -ESTALE
                : path_of(v->d->set.dirs.state, v->name, false, path);
    if (r == 0)
        r = changes_rename(next, path);
    if (r == 0) {
        v->changes = next;
        return;
    }
    changes_drop(next);
    if (r != -ESTALE)
        say_void(v, err_text(r));
}
