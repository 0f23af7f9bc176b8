/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * STATE/affinity: a file of demand and one of heat for each week, named by its digest; "index",
 * which says which of them belong together and what they hold; "models.bin" and "nets.bin" (written
 * by --train); "lock".
 *
 * A change writes the weeks it touches under new names, then replaces the index, then removes what
 * that no longer names.  So a crash leaves the old state or the new one, and perhaps files that
 * nobody names, which the next run removes.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/affinity-profile/profile.h"
#include "common/affinity/nets_file.h"
#include "common/base/buf.h"
#include "common/base/bulk.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"

/* More than this is not a state file of ours. */
#define STORE_MAX ((size_t)16 << 30)

static void need(int r)
{
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_SOFTWARE, "%s", err_text(r));
}

static struct buf path_of(const char *state, const char *name)
{
    struct buf b = {0};
    need(buf_printf(&b, "%s/affinity%s%s", state, *name ? "/" : "", name));
    return b;
}

/* ---- reading ---- */

static void die_unusable(const char *path, int r)
{
    if (r == -EPROTO || r == -EFBIG)
        err_die(EX_DATAERR, "cannot use '%s': not a state file of this version", path);
    if (r == -EBADMSG || r == -ENOENT)
        err_die(EX_DATAERR, "cannot use '%s': %s; restore it, or move '%.*s' away to start anew",
                path, r == -ENOENT ? "it is missing" : "damaged", (int)(strrchr(path, '/') - path),
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
        die_unusable(path->data, r);
    return r == 0;
}

/* Adds the file of W to D, if there is one and it was not read yet. */
static void load_week(const char *state, struct index_week *w, enum weekfile_kind kind,
                      struct demand *d)
{
    char name[INDEX_NAME];
    struct buf path, data;
    if (!w->has[kind] || w->loaded[kind])
        return;
    index_name(w, kind, name);
    if (!load(state, name, &path, &data))
        die_unusable(path.data, -ENOENT);
    struct hash128 digest = hash128(data.data, data.len);
    int r = -EBADMSG;
    if (memcmp(digest.bytes, w->digest[kind].bytes, sizeof(digest.bytes)) == 0)
        r = weekfile_unpack(&data, kind, w->week, d);
    if (r < 0)
        die_unusable(path.data, r);
    w->loaded[kind] = true;
    buf_release(&path);
    buf_release(&data);
}

static bool exists(const char *state, const char *pattern)
{
    struct buf path = path_of(state, pattern);
    glob_t found;
    bool any = glob(path.data, 0, NULL, &found) == 0;
    if (any)
        globfree(&found);
    buf_release(&path);
    return any;
}

/* Weeks without an index are what remains of a state: not a new one. */
static void check_no_index(const char *state)
{
    struct buf dir = path_of(state, "");
    if (exists(state, "demand.bin"))
        err_die(EX_DATAERR,
                "cannot use '%s/demand.bin': a state of an earlier version; move it away and count "
                "the logs again",
                dir.data);
    if (exists(state, "demand-*") || exists(state, "heat-*"))
        err_die(EX_DATAERR,
                "cannot use '%s': its index is missing; restore it, or move '%s' away to start "
                "anew",
                dir.data, dir.data);
    buf_release(&dir);
}

/* Reads the index and all weeks of demand into X and D, both empty.  False: there is no state. */
static bool load_state(const char *state, struct index *x, struct demand *d)
{
    struct buf path, data;
    bool found = load(state, "index", &path, &data);
    if (found) {
        int r = index_unpack(&data, x);
        if (r < 0)
            die_unusable(path.data, r);
    } else {
        check_no_index(state);
    }
    buf_release(&path);
    buf_release(&data);
    d->newest_hour = x->newest_hour;
    d->newest = x->newest;
    for (size_t i = 0; i < x->n; i++)
        load_week(state, &x->week[i], WEEKFILE_DEMAND, d);
    return found;
}

static void load_heat(const char *state, struct index *x, struct demand *d)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->week[i].week >= demand_first_heat_week(d))
            load_week(state, &x->week[i], WEEKFILE_HEAT, d);
}

void store_load_heat(const char *state, struct profile *p)
{
    load_heat(state, &p->index, &p->demand);
}

/* ---- writing ---- */

static void check_saved(const char *path, int r)
{
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_IOERR, "cannot write '%s': %s", path, err_text(r));
}

static void save(const char *state, const char *name, const struct buf *data)
{
    struct buf path = path_of(state, name);
    check_saved(path.data, fsfile_replace(path.data, data->data, data->len));
    buf_release(&path);
}

/* A week's file on its way, and the digest of what went. */
struct week_out {
    struct bulk file;
    struct hash_stream *digest;
};

static int take(void *ctx, const void *data, size_t len)
{
    struct week_out *out = ctx;
    hash_stream_add(out->digest, data, len);
    return bulk_add(&out->file, data, len);
}

/* Writes a week to FD, and its digest to OUT: 0 or -errno. */
static int write_week(int fd, int64_t week, enum weekfile_kind kind, const struct demand *d,
                      struct hash128 *digest)
{
    struct week_out out = {.digest = hash_stream_new()};
    int r = bulk_begin(&out.file, fd);
    if (r == 0 && !out.digest)
        r = -ENOMEM;
    if (r == 0)
        r = weekfile_put(d, kind, week, take, &out);
    int ended = bulk_end(&out.file);
    if (r == 0)
        r = ended;
    if (r == 0)
        *digest = hash_stream_end(out.digest);
    hash_stream_free(out.digest);
    return r;
}

/* Its name says what is in it: it gets it when it is written, unless there is one like it. */
static void save_week(const char *state, struct index_week *w, enum weekfile_kind kind,
                      const struct demand *d)
{
    char name[INDEX_NAME];
    struct index_week new = *w;
    struct buf tmp = {0};
    struct buf any = path_of(state, kind == WEEKFILE_DEMAND ? "demand-new" : "heat-new");
    int fd = fsfile_begin(any.data, &tmp);
    check_saved(any.data, fd);
    int r = write_week(fd, w->week, kind, d, &new.digest[kind]);
    if (r < 0)
        check_saved(any.data, fsfile_end(any.data, &tmp, fd, r));
    bool same = w->has[kind] && memcmp(new.digest[kind].bytes, w->digest[kind].bytes, 16) == 0;
    index_name(&new, kind, name);
    struct buf path = path_of(state, name);
    r = fsfile_end(path.data, &tmp, fd, same ? -EEXIST : 0);
    check_saved(path.data, same ? 0 : r);
    w->digest[kind] = new.digest[kind];
    w->has[kind] = w->loaded[kind] = true;
    buf_release(&any);
    buf_release(&path);
}

static void save_index(const char *state, struct profile *p)
{
    struct buf data = {0};
    p->index.newest_hour = p->demand.newest_hour;
    p->index.newest = p->demand.newest;
    need(index_pack(&p->index, &data));
    save(state, "index", &data);
    buf_release(&data);
}

static bool is_named(const struct index *x, const char *path)
{
    const char *file = strrchr(path, '/') + 1;
    char name[INDEX_NAME];
    for (size_t i = 0; i < x->n; i++)
        for (int k = 0; k < WEEKFILE_KINDS; k++) {
            index_name(&x->week[i], (enum weekfile_kind)k, name);
            if (x->week[i].has[k] && strcmp(file, name) == 0)
                return true;
        }
    return false;
}

static void sweep_pattern(const char *state, const struct index *x, const char *text)
{
    struct buf pattern = path_of(state, text);
    glob_t found;
    if (glob(pattern.data, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            if (!is_named(x, found.gl_pathv[i]))
                unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    buf_release(&pattern);
}

/* With the lock held and the index known, what it does not name is what a killed run left. */
static void sweep(const char *state, const struct index *x)
{
    static const char *const patterns[] = {"demand-*", "heat-*", "index.??????", "*.bin.??????"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        sweep_pattern(state, x, patterns[i]);
}

/* Weeks that are too old leave the index. */
static void forget(struct index *x, const struct demand *d)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++) {
        struct index_week *w = &x->week[i];
        if (w->week < demand_first_week(d))
            continue;
        if (w->week < demand_first_heat_week(d))
            w->has[WEEKFILE_HEAT] = false;
        x->week[n++] = *w;
    }
    x->n = n;
}

/* The weeks that something is added to: entries of an index that has nothing else. */
static struct index touched(const struct demand *new)
{
    struct index t;
    index_init(&t, 0);
    for (size_t i = 0; i < new->volumes.n; i++)
        for (size_t k = 0; k < new->volume[i].n_weeks; k++) {
            const struct demand_week *from = new->volume[i].weeks[k];
            struct index_week *w = index_at(&t, from->week);
            need(w ? 0 : -ENOMEM);
            w->has[WEEKFILE_DEMAND] = true;
            w->has[WEEKFILE_HEAT] |= from->cells.n > 0;
        }
    return t;
}

void store_add(const char *state, struct profile *p, struct demand *new)
{
    struct index *x = &p->index, t = touched(new);
    need(demand_merge(&p->demand, new));
    forget(x, &p->demand);
    for (size_t i = 0; i < t.n; i++) {
        if (t.week[i].week < demand_first_week(&p->demand))
            continue;
        struct index_week *w = index_at(x, t.week[i].week);
        need(w ? 0 : -ENOMEM);
        save_week(state, w, WEEKFILE_DEMAND, &p->demand);
        if (w->week < demand_first_heat_week(&p->demand) || !t.week[i].has[WEEKFILE_HEAT])
            continue;
        load_week(state, w, WEEKFILE_HEAT, &p->demand);
        save_week(state, w, WEEKFILE_HEAT, &p->demand);
    }
    index_release(&t);
    save_index(state, p);
    sweep(state, x);
}

void store_save_nets(const char *state, const struct profile *p)
{
    struct buf data = {0};
    if (!p->nets.config.nets)
        return;
    need(nets_pack(&p->nets, &data));
    save(state, "nets.bin", &data);
    buf_release(&data);
}

void store_save_models(const char *state, const struct profile *p)
{
    struct buf data = {0};
    /* The nets first: models do without nets that are not theirs. */
    store_save_nets(state, p);
    need(models_pack(&p->models, &data));
    save(state, "models.bin", &data);
    buf_release(&data);
}

/* ---- opening ---- */

static void lock_folder(const char *state, bool make)
{
    struct buf dir = path_of(state, ""), lock = path_of(state, "lock");
    int r = make ? fsfile_mkdirs(dir.data) : 0;
    if (r < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", dir.data, err_text(r));
    /* Closed, and with that let go, when the program ends. */
    int fd = open(lock.data, (make ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0644);
    if (fd < 0 && make)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", lock.data, err_text(errno));
    if (fd < 0)
        err_die(EX_NOINPUT, "cannot open '%s': %s", lock.data, err_text(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        err_die(errno == EWOULDBLOCK ? EX_TEMPFAIL : EX_OSERR,
                "cannot lock '%s': another affinity-profile uses it", lock.data);
    buf_release(&dir);
    buf_release(&lock);
}

void store_lock(const char *state)
{
    lock_folder(state, true);
}

static int unpack_models(const struct buf *file, struct profile *p)
{
    return models_unpack(file, &p->models);
}

static int unpack_nets(const struct buf *file, struct profile *p)
{
    return nets_unpack(file, &p->nets);
}

/*
 * What training left, and makes anew from the counts: what another version left is done without, as
 * if it were not there, or an upgrade would end all forecasts.
 */
static void load_trained(const char *state, const char *name, struct profile *p,
                         int (*unpack)(const struct buf *file, struct profile *p))
{
    struct buf path, data;
    const int r = load(state, name, &path, &data) ? unpack(&data, p) : 0;
    if (r == -EPROTO)
        err_warn("'%s' is not of this version: done without it, until --train makes it anew",
                 path.data);
    else if (r == -EBADMSG)
        err_die(EX_DATAERR, "cannot use '%s': damaged; restore or remove it, --train makes it anew",
                path.data);
    else if (r < 0)
        die_unusable(path.data, r);
    buf_release(&path);
    buf_release(&data);
}

void store_load(const char *state, struct profile *p)
{
    bool found = load_state(state, &p->index, &p->demand);
    load_trained(state, "models.bin", p, unpack_models);
    load_trained(state, "nets.bin", p, unpack_nets);
    /* From now on weeks without an index are a damage, not what a killed first run left. */
    if (!found)
        save_index(state, p);
    sweep(state, &p->index);
}

/* ---- merging ---- */

static void merge_folder(const char *path, struct index *x, struct demand *all)
{
    struct index from;
    struct demand d;
    const char *which = "";
    lock_folder(path, false);
    index_init(&from, x->seen.lateness_s);
    demand_init(&d, all->keep_hours);
    if (!load_state(path, &from, &d))
        err_die(EX_NOINPUT, "cannot merge '%s': it is no state folder", path);
    load_heat(path, &from, &d);
    int r = sources_merge(&x->sources, &from.sources, &which);
    if (r == -EEXIST)
        err_die(EX_DATAERR, "cannot merge '%s': its source '%s' was counted by another one too",
                path, which);
    need(r);
    need(seen_merge(&x->seen, &from.seen));
    need(demand_merge(all, &d));
    demand_release(&d);
    index_release(&from);
}

/* The same folder twice would be counted twice. */
static void check_distinct(char *const *paths, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) {
            struct stat a, b;
            if (stat(paths[i], &a) == 0 && stat(paths[k], &b) == 0 && a.st_dev == b.st_dev &&
                a.st_ino == b.st_ino)
                err_die(EX_USAGE, "'%s' and '%s' are the same folder", paths[k], paths[i]);
        }
}

void store_merge(const char *state, struct profile *p, char *const *paths, size_t n)
{
    struct demand all;
    check_distinct(paths, n);
    if (p->index.n || p->index.newest >= 0 || p->index.sources.n)
        err_die(EX_CANTCREAT, "cannot merge into '%s': it holds counts already", state);
    demand_init(&all, p->demand.keep_hours);
    for (size_t i = 0; i < n; i++)
        merge_folder(paths[i], &p->index, &all);
    store_add(state, p, &all);
    demand_release(&all);
}
