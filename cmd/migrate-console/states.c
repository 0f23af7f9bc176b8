/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/states.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-console/ask.h"
#include "cmd/migrate-console/looks.h"
#include "cmd/migrate-console/names.h"
#include "cmd/migrate-console/text.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/fleet/fleet.h"

enum { CONFIG_MAX = 64 << 20 };

/* ---- one field of a text ---- */

/* A field as it stands in its line, quotes included. */
struct field {
    const char *at;
    size_t len;
};

/* Field number N of the LEN bytes at LINE; false if there are not so many. */
static bool find_field(const char *line, size_t len, size_t n, struct field *out)
{
    const char *start = line;
    bool quoted = false;
    for (const char *p = line; p <= line + len; p++) {
        bool end = p == line + len;
        if (!end && *p == '"')
            quoted = !quoted;
        if (!end && (quoted || *p != ','))
            continue;
        if (n-- == 0) {
            *out = (struct field){start, (size_t)(p - start)};
            return true;
        }
        start = p + 1;
    }
    return false;
}

/* Is it TEXT, in quotes or not?  TEXT has none itself. */
static bool field_is(struct field f, const char *text)
{
    if (f.len >= 2 && f.at[0] == '"' && f.at[f.len - 1] == '"')
        f = (struct field){f.at + 1, f.len - 2};
    return f.len == strlen(text) && memcmp(f.at, text, f.len) == 0;
}

static long column_of(const char *line, size_t len, const char *name)
{
    struct field f;
    for (size_t i = 0; find_field(line, len, i, &f); i++)
        if (field_is(f, name))
            return (long)i;
    return -1;
}

/* The end of the line at P, without CR and newline. */
static size_t line_length(const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    size_t len = (size_t)((newline ? newline : end) - p);
    return len && p[len - 1] == '\r' ? len - 1 : len;
}

int states_replace(const struct buf *text, const char *key, const char *name, const char *column,
                   const char *value, struct buf *out, size_t *line)
{
    if (!text->len)
        return -ENOENT;
    const char *p = text->data, *end = text->data + text->len;
    size_t len = line_length(p, end);
    long key_at = column_of(p, len, key), column_at = column_of(p, len, column);
    struct field f;
    if (key_at < 0 || column_at < 0)
        return -ENOENT;
    for (*line = 1; p < end; ++*line) {
        len = line_length(p, end);
        if (*line > 1 && find_field(p, len, (size_t)key_at, &f) && field_is(f, name) &&
            find_field(p, len, (size_t)column_at, &f)) {
            words_need(buf_add(out, text->data, (size_t)(f.at - text->data)));
            words_need(buf_adds(out, value));
            words_need(buf_add(out, f.at + f.len, (size_t)(end - f.at) - f.len));
            return !field_is(f, value);
        }
        p = memchr(p, '\n', (size_t)(end - p));
        if (!p)
            break;
        p++;
    }
    return -ENOENT;
}

/* ---- gateways.csv ---- */

/* The sed command that makes of the line what it is now. */
static void show_edit(const struct console *c, const char *path, const struct buf *new, size_t line)
{
    struct buf shown = {0}, script = {0};
    const char *p = new->data;
    for (size_t i = 1; i < line; i++)
        p = strchr(p, '\n') + 1;
    /* A \ of the text is to stay one, and blanks at its beginning, too. */
    words_need(buf_printf(&script, "%zuc\\", line));
    for (size_t len = strcspn(p, "\n"); len; len--, p++)
        words_need(buf_printf(&script, "%s%c", *p == '\\' ? "\\" : "", *p));
    words_need(buf_adds(&shown, "sed -i "));
    words_quote(&shown, script.data);
    words_need(buf_adds(&shown, " "));
    words_quote(&shown, path);
    run_show_text(c, shown.data);
    buf_release(&shown);
    buf_release(&script);
}

static int cannot(const char *what, const char *path, int r)
{
    err_warn("cannot %s '%s': %s", what, path, err_text(r));
    return r == -ENOENT ? EX_NOINPUT : EX_IOERR;
}

/* Writes NEW in place of OLD, if that is still there. */
static int replace(const struct console *c, const char *path, const struct buf *old,
                   const struct buf *new, size_t line)
{
    struct buf now = {0};
    int r = fsfile_read(path, CONFIG_MAX, &now);
    bool same =
        r == 0 && now.len && now.len == old->len && memcmp(now.data, old->data, now.len) == 0;
    buf_release(&now);
    if (r < 0)
        return cannot("read", path, r);
    if (!same) {
        err_warn("'%s' was changed meanwhile: nothing is done", path);
        return EX_TEMPFAIL;
    }
    show_edit(c, path, new, line);
    r = fsfile_put(path, new->data, new->len);
    return r < 0 ? cannot("replace", path, r) : 0;
}

/* What is known of the gateway before: it is listed, and everything else is in order. */
static int check(const struct console *c, const char *gateway, enum rec_gateway_state *now)
{
    struct fleet f = {0};
    int status = 0;
    const struct fleet_gateway *g = NULL;
    if (fleet_load(&f, c->dirs.config, FLEET_GATEWAYS) < 0) {
        err_warn("%s", f.error);
        status = f.status;
    } else if (!(g = fleet_gateway(&f, gateway))) {
        err_warn("no such gateway '%s' in gateways.csv", gateway);
        status = EX_USAGE;
    }
    if (g)
        *now = g->state;
    fleet_release(&f);
    return status;
}

/* Writes the state, which is not the one that it has; asks first where there is a question. */
static int write_state(struct console *c, const char *gateway, const char *state,
                       const struct buf *question, bool yes)
{
    struct buf old = {0}, new = {0};
    size_t line = 0;
    int status = 0;
    char *name = console_path(c->dirs.config, "gateways.csv"), *path = realpath(name, NULL);
    int r = path ? fsfile_read(path, CONFIG_MAX, &old) : -errno;
    if (r < 0)
        status = cannot("read", name, r);
    else
        r = states_replace(&old, "gateway", gateway, "state", state, &new, &line);
    if (!status && r < 0) {
        err_warn("no such gateway '%s' in '%s'", gateway, path);
        status = EX_USAGE;
    } else if (!status && r == 0) {
        err_warn("%s is %s already", gateway, state);
    } else if (!status) {
        status = question->len ? ask(c, yes, question) : 0;
        if (!status)
            status = replace(c, path, &old, &new, line);
    }
    free(name);
    free(path);
    buf_release(&old);
    buf_release(&new);
    return status;
}

int states_cordon(struct console *c, struct words *w)
{
    enum rec_gateway_state now = GATEWAY_STATE_ACTIVE;
    const struct buf none = {0};
    const char *gateway = w->v[1];
    ask_take_yes(w);
    int status = look_is_name("gateway", gateway) ? check(c, gateway, &now) : EX_USAGE;
    if (status)
        return status;
    /* To be cordoned is less: it would end a drain, or make a source of what is down. */
    if (now == GATEWAY_STATE_DRAIN || now == GATEWAY_STATE_DOWN) {
        err_warn("%s is %s, so that no volume is planned onto it already", gateway,
                 rec_gateway_state_words[now]);
        return 0;
    }
    return write_state(c, gateway, "cordoned", &none, true);
}

int states_uncordon(struct console *c, struct words *w)
{
    enum rec_gateway_state now = GATEWAY_STATE_ACTIVE;
    struct buf question = {0};
    bool yes = ask_take_yes(w);
    const char *gateway = w->v[1];
    int status = look_is_name("gateway", gateway) ? check(c, gateway, &now) : EX_USAGE;
    if (status)
        return status;
    /* Whoever wrote that knew something. */
    if (now == GATEWAY_STATE_DOWN)
        words_need(buf_printf(&question,
                              "%s is down, says gateways.csv. Once it is active volumes are "
                              "planned onto it again, and copied from it. See first that it "
                              "answers: probe %s.\n",
                              gateway, gateway));
    status = write_state(c, gateway, "active", &question, yes);
    buf_release(&question);
    return status;
}

int states_drain(struct console *c, struct words *w)
{
    enum rec_gateway_state now = GATEWAY_STATE_ACTIVE;
    struct buf question = {0};
    bool yes = ask_take_yes(w);
    int status = w->n == 2 && look_is_name("gateway", w->v[1]) ? check(c, w->v[1], &now) : EX_USAGE;
    if (status)
        return status;
    if (now == GATEWAY_STATE_DOWN) {
        err_warn("%s is down: nothing can be copied from it, and what is on storage that others "
                 "share leaves it anyway",
                 w->v[1]);
        return EX_UNAVAILABLE;
    }
    struct load load = names_load(c, w->v[1]);
    words_need(
        buf_printf(&question, "%s is to be left: its volumes (%zu, of ", w->v[1], load.volumes));
    if (load.bytes)
        text_bytes(&question, load.bytes);
    else
        words_need(buf_adds(&question, "an unknown number of"));
    words_need(buf_adds(&question,
                        " bytes) are moved away by the next plans that are carried out, at any "
                        "hour, and none is planned onto it. Until uncordon.\n"));
    status = write_state(c, w->v[1], "drain", &question, yes);
    buf_release(&question);
    return status;
}
