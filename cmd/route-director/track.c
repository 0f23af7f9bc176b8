/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "track.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "changes.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/parse.h"
#include "intents.h"
#include "reverse.h"
#include "volume.h"

/* The map, the one that is made for a switch to come, and who served the volume last. */
enum file { MAP, NEXT, LAST };

/* No volume's name begins with a dot. */
static int path_of(const char *state, const char *volume, enum file f, char path[PATH_MAX])
{
    static const char *const behind[] = {[MAP] = "", [NEXT] = ".next", [LAST] = ".last"};
    int n = snprintf(path, PATH_MAX, "%s/changes/%s%s%s", state, f == MAP ? "" : ".", volume,
                     behind[f]);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* ---- incarnations ---- */

static uint64_t new_incarnation(void)
{
    uint64_t n = 0;
    if (getrandom(&n, sizeof(n), 0) != sizeof(n))
        n = clock_mono_us() ^ ((uint64_t)getpid() << 40);
    return n ? n : 1;
}

/* Who served the volume last; 0: unknown. */
static uint64_t read_last(const char *path)
{
    struct buf text = {0};
    uint64_t n = 0;
    if (fsfile_read(path, 64, &text) < 0 || text.len == 0 || parse_u64(text.data, &n) < 0)
        n = 0;
    buf_release(&text);
    return n;
}

/* Durably.  If it can't be said, at least nobody is taken for the last.  0 or -errno. */
static int write_last(const char *path, uint64_t incarnation)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRIu64, incarnation);
    int r = read_last(path) == incarnation ? 0 : fsfile_replace(path, text, (size_t)n);
    if (r < 0)
        changes_discard(path);
    return r;
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
static int set_up(struct changes_setup *s, const char *path, const struct route *r,
                  uint64_t incarnation)
{
    struct intents_host host;
    int err = intents_host(&host);
    *s = (struct changes_setup){
        .path = path, .id = id_of(r), .boot = host.boot, .incarnation = incarnation};
    return err < 0 ? err : r->size_bytes ? 0 : -EINVAL;
}

/* ---- a volume's life ---- */

static void discard(const char *volume, const char *path)
{
    int r = access(path, F_OK) < 0 && errno == ENOENT ? 0 : changes_discard(path);
    if (r < 0)
        err_warn("volume '%s': cannot remove '%s': %s", volume, path, err_text(r));
}

static void say_void(const struct volume *v, const char *why)
{
    err_warn("volume '%s': what has changed since the copy on '%s' was left is not known: %s",
             v->name, v->route.target, why);
}

/* Goes on with the map that is there.  0, or -errno and *WHY. */
static int go_on(struct volume *v, const char *path, const char *last, const char **why)
{
    struct changes_setup s;
    int r = set_up(&s, path, &v->route, v->incarnation);
    s.unclean = v->unclean;
    s.former = read_last(last);
    if (r == 0)
        r = changes_open(&s, &v->changes, why);
    int w = write_last(last, v->incarnation);
    if (w < 0 && w != -ENOENT)
        err_warn("volume '%s': cannot write '%s': %s", v->name, last, err_text(w));
    return r;
}

void track_open(struct volume *v)
{
    char map[PATH_MAX], next[PATH_MAX], last[PATH_MAX];
    const char *why = NULL;
    const char *state = v->d->set.dirs.state;
    v->incarnation = new_incarnation();
    if (path_of(state, v->name, MAP, map) < 0 || path_of(state, v->name, NEXT, next) < 0 ||
        path_of(state, v->name, LAST, last) < 0)
        return;
    discard(v->name, next); /* of a move that a killed director had begun */
    if (!track_is_kept(&v->route, v->route.target)) {
        discard(v->name, map);
        discard(v->name, last);
        return;
    }
    int r = go_on(v, map, last, &why);
    if (r == 0)
        return;
    say_void(v, r == -ESTALE ? why : r == -ENOENT ? "there is no change map" : err_text(r));
    discard(v->name, map);
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
    reverse_forget(v, "the copy is not kept any more");
    changes_drop(v->changes);
    v->changes = NULL;
}

/* ---- a switch ---- */

struct changes *track_prepare(const char *state, const struct route *now, const char *target,
                              uint64_t incarnation, char *why, size_t size)
{
    char path[PATH_MAX], last[PATH_MAX], folder[PATH_MAX];
    struct changes_setup s;
    struct changes *c = NULL;
    struct route next = *now;
    next.epoch++;
    snprintf(next.target, sizeof(next.target), "%s", now->gateway);
    snprintf(next.gateway, sizeof(next.gateway), "%s", target);
    int r = path_of(state, now->volume, NEXT, path);
    if (r == 0)
        r = path_of(state, now->volume, LAST, last);
    if (r == 0) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
        r = fsfile_mkdirs(folder);
    }
    if (r == 0)
        r = write_last(last, incarnation);
    if (r == 0)
        r = set_up(&s, path, &next, incarnation);
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
    reverse_forget(v, "the copy is the owner now");
    changes_drop(v->changes); /* of the copy that is the owner now, or of nobody's */
    v->changes = NULL;
    int r = !next || !changes_are_of(next, &id) ? -ESTALE
                                                : path_of(v->d->set.dirs.state, v->name, MAP, path);
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
