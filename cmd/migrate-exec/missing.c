/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/missing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/error.h"
#include "common/record/schema.h"

enum {
    TOLD = 4,      /* extents in words */
    PAGE = 1024,   /* extents in a reply */
    TEXT_MAX = 250 /* a detail has room for so much */
};

static int open_director(const struct exec *x, const char *volume, struct director **d)
{
    return director_open(x->control, x->dirs.state, x->dirs.run, volume, d);
}

/* Is it in a phase in which only its source, or an operator, can help? */
static bool is_stuck(struct director *d)
{
    struct director_status s;
    return director_status(d, &s) == 0 &&
           (strcmp(s.phase, "stalled") == 0 || strcmp(s.phase, "manual-recovery") == 0);
}

/* Appends "; TARGET lacks N bytes: OFFSET+LENGTH …", whole extents only. */
static void describe(struct director *d, char *text, size_t size)
{
    struct extent e[TOLD];
    char target[NAME_LEN_MAX + 1];
    char word[64];
    uint64_t from = 0, bytes = 0, told = 0;
    int n = director_missing(d, &from, e, TOLD, target, &bytes);
    size_t len = strlen(text);
    if (n < 0 || len >= size)
        return;
    len += (size_t)snprintf(text + len, size - len, "; %s lacks %llu bytes%s", target,
                            (unsigned long long)bytes, n ? ":" : "");
    for (int i = 0; i < n; i++) {
        int w = snprintf(word, sizeof(word), " %llu+%llu", (unsigned long long)e[i].offset,
                         (unsigned long long)e[i].length);
        if (len + (size_t)w + sizeof(" ...") > size)
            break;
        memcpy(text + len, word, (size_t)w + 1);
        len += (size_t)w;
        told += e[i].length;
    }
    if (told < bytes && len + sizeof(" ...") <= size)
        memcpy(text + len, " ...", sizeof(" ..."));
}

void missing_describe(const struct exec *x, const char *volume, char *text, size_t size)
{
    struct director *d;
    if (size > TEXT_MAX)
        size = TEXT_MAX;
    if (open_director(x, volume, &d) < 0)
        return;
    if (is_stuck(d))
        describe(d, text, size);
    director_close(d);
}

static void print_extents(const char *volume, const struct extent *e, int n, struct rec_writer *w)
{
    for (int i = 0; i < n; i++) {
        rec_put_text(w, EXTENT_VOLUME, volume);
        rec_put_uint(w, EXTENT_OFFSET, e[i].offset);
        rec_put_uint(w, EXTENT_LENGTH, e[i].length);
        rec_write(w);
    }
}

/* 0, -ESTALE (a move to somebody else is open), or -errno of director_missing(). */
static int print_all(struct director *d, const struct event *last, struct rec_writer *w)
{
    struct extent e[PAGE];
    char target[NAME_LEN_MAX + 1];
    uint64_t bytes;
    for (uint64_t from = 0, before = 1; from != before;) {
        before = from;
        int n = director_missing(d, &from, e, PAGE, target, &bytes);
        if (n < 0)
            return n;
        if (strcmp(target, last->target) != 0)
            return -ESTALE;
        print_extents(last->volume, e, n, w);
    }
    return 0;
}

enum outcome missing_print(const struct exec *x, const char *id)
{
    struct event last = {.volume = ""};
    struct director *d = NULL;
    int r = journal_last(x->dirs.state, id, &last);
    if (r == -ENOENT || r == -EINVAL || r == 0) {
        err_warn("no such migration '%s'", id);
        return FAILED;
    }
    if (r > 0)
        r = open_director(x, last.volume, &d);
    if (r == 0)
        r = print_all(d, &last, x->out);
    if (r < 0)
        err_warn("nobody knows what %s lacks of '%s': %s", last.target, id,
                 d && *director_error(d) ? director_error(d) : err_text(r));
    director_close(d);
    return r < 0 ? UNAVAILABLE : SETTLED;
}
