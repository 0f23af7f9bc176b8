/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-plan/routes.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/parse.h"
#include "common/record/record.h"
#include "common/route/store.h"
#include "common/base/outfile.h"

enum { OPTIONS_MAX = 65536 };

static char *path_of(const char *dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        err_die(EX_OSERR, "out of memory");
    return path;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* ---- recording ---- */

static int copy_bytes(int from, int to)
{
    char block[65536];
    ssize_t n;
    while ((n = read(from, block, sizeof(block))) != 0) {
        if (n < 0 && errno != EINTR)
            return -errno;
        int err = n > 0 ? fsfile_write_all(to, block, (size_t)n) : 0;
        if (err < 0)
            return err;
    }
    return 0;
}

/* SOURCE "-" is standard input, which can be read but once. */
static void copy_file(const char *source, const char *copy)
{
    const bool piped = !strcmp(source, "-");
    int from = piped ? STDIN_FILENO : open(source, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        err_die(EX_NOINPUT, "cannot open '%s': %s", source, err_text(errno));
    int to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (to < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", copy, err_text(errno));
    int err = copy_bytes(from, to);
    if (close(to) < 0 && !err)
        err = -errno;
    if (err < 0)
        err_die(EX_IOERR, "cannot copy '%s' to '%s': %s", source, copy, err_text(err));
    if (!piped)
        close(from);
}

/* Copies SOURCE, if there is any, to NAME in DIR and returns where that is, or NULL. */
static char *keep(const char *dir, const char *name, const char *source)
{
    if (!source)
        return NULL;
    char *copy = path_of(dir, name);
    copy_file(source, copy);
    return copy;
}

static void keep_config(const char *dir, const char *config, const char *name)
{
    char *source = path_of(config, name);
    if (exists(source))
        free(keep(dir, name, source));
    free(source);
}

static int look(const struct route *r, void *arg)
{
    (void)r;
    (void)arg;
    return 0;
}

/* A failure stays in the writer. */
static int write_route(const struct route *r, void *arg)
{
    route_put(arg, r);
    (void)rec_write(arg);
    return 0;
}

static void keep_store(const char *copy, const char *state)
{
    struct outfile o;
    routes_each(state, look, NULL); /* that it can be read, before anything is written */
    outfile_open(&o, copy);
    struct rec_writer *w = rec_writer_new(&rec_route, o.stream);
    int err = w ? rec_writer_header(w) : -ENOMEM;
    if (!err) {
        routes_each(state, write_route, w);
        err = rec_flush(w);
    }
    if (err < 0)
        outfile_fail(&o, err);
    outfile_close(&o);
    rec_writer_free(w);
}

static char *keep_routes(const char *dir, const struct inputs *in)
{
    if (in->routes)
        return keep(dir, "routes.csv", in->routes);
    char *copy = path_of(dir, "routes.csv");
    keep_store(copy, in->state);
    return copy;
}

static void write_options(const char *dir, double now, const struct knobs *k,
                          const struct drains *drains)
{
    char *path = path_of(dir, "options");
    struct buf b = {0};
    int err = buf_printf(&b, "now %.17g\n", now);
    if (!err)
        err = knobs_format(k, &b);
    if (!err)
        err = drains_format(drains, &b);
    if (!err)
        err = fsfile_replace(path, b.data, b.len);
    if (err < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", path, err_text(err));
    buf_release(&b);
    free(path);
}

/*
 * Nothing that is there is written over: the folder may be that of the configuration, of the state,
 * or the one in which the inputs are.
 */
static void refuse_used(const char *dir)
{
    static const char *const names[] = {
        "options",      "gateways.csv", "volumes.csv", "calendar.csv", "health.csv",
        "affinity.csv", "routes.csv",   "history.csv", "forecast.csv", "changed.csv"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = path_of(dir, names[i]);
        if (exists(path))
            err_die(EX_CANTCREAT, "cannot record in '%s': it holds %s%s", dir,
                    i ? names[i] : "a recording", i ? " already" : "");
        free(path);
    }
    int err = fsfile_mkdirs(dir);
    if (err < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", dir, err_text(err));
}

void tape_record(struct tape *t, const char *dir, const struct inputs *in, double now,
                 const struct knobs *k, const struct drains *drains)
{
    refuse_used(dir);
    keep_config(dir, in->config, "gateways.csv");
    keep_config(dir, in->config, "volumes.csv");
    keep_config(dir, in->config, "calendar.csv");
    t->now = now;
    t->inputs = (struct inputs){
        .config = path_of(dir, ""),
        .health = keep(dir, "health.csv", in->health),
        .affinity = keep(dir, "affinity.csv", in->affinity),
        .routes = keep_routes(dir, in),
        .history = keep(dir, "history.csv", in->history),
        .forecast = keep(dir, "forecast.csv", in->forecast),
        .changed = keep(dir, "changed.csv", in->changed),
    };
    write_options(dir, now, k, drains);
}

/* ---- replaying ---- */

static int restore_value(struct tape *t, struct knobs *k, struct drains *drains, const char *name,
                         const char *value)
{
    if (!strcmp(name, "now"))
        return parse_f64(value, &t->now);
    if (strcmp(name, "drain") != 0)
        return knobs_restore(k, name, value);
    if (!drains->given)
        drains_add(drains, value);
    return 0;
}

static void restore(struct tape *t, struct knobs *k, struct drains *drains, const char *path,
                    char *line)
{
    char *value = strchr(line, ' ');
    int err = -EINVAL;
    if (value) {
        *value++ = '\0';
        err = restore_value(t, k, drains, line, value);
    }
    if (err < 0)
        err_die(EX_DATAERR, "%s: no option and value: '%s'", path, line);
}

static void read_options(struct tape *t, struct knobs *k, struct drains *drains, const char *path)
{
    struct buf b = {0};
    char *rest = NULL;
    int err = fsfile_read(path, OPTIONS_MAX, &b);
    if (err < 0)
        err_die(EX_NOINPUT, "cannot open '%s': %s", path, err_text(err));
    for (char *p = strtok_r(b.data, "\n", &rest); p; p = strtok_r(NULL, "\n", &rest))
        restore(t, k, drains, path, p);
    buf_release(&b);
}

/* NAME in DIR, or NULL if the recording was made without. */
static char *optional(const char *dir, const char *name)
{
    char *path = path_of(dir, name);
    if (exists(path))
        return path;
    free(path);
    return NULL;
}

void tape_replay(struct tape *t, const char *dir, struct knobs *k, struct drains *drains)
{
    char *options = path_of(dir, "options");
    read_options(t, k, drains, options);
    free(options);
    t->inputs = (struct inputs){
        .config = path_of(dir, ""),
        .health = path_of(dir, "health.csv"),
        .affinity = optional(dir, "affinity.csv"),
        .routes = path_of(dir, "routes.csv"),
        .history = optional(dir, "history.csv"),
        .forecast = optional(dir, "forecast.csv"),
        .changed = optional(dir, "changed.csv"),
    };
}

void tape_release(struct tape *t)
{
    free((char *)t->inputs.config);
    free((char *)t->inputs.health);
    free((char *)t->inputs.affinity);
    free((char *)t->inputs.routes);
    free((char *)t->inputs.history);
    free((char *)t->inputs.forecast);
    free((char *)t->inputs.changed);
    *t = (struct tape){0};
}
