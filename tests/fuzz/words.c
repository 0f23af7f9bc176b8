/* links: cmd/migrate-console */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A line of the console of any bytes.  Held to: it ends, in commands or in a fault, and moves on
 * with each; and the words of a command, quoted, are the same words again, with nothing in between
 * that a terminal or a shell would take for something else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-console/words.h"
#include "fuzz.h"

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
            return true;
    return false;
}

/* Appends WORD, quoted; false: it has what only a shell can read back. */
static bool quote(struct buf *line, const char *word)
{
    const size_t from = line->len;
    words_quote(line, word);
    require(line->len > from && !has_control(line->data + from));
    require(buf_adds(line, " ") == 0);
    return !has_control(word);
}

static void check_quoted(const struct words *w)
{
    struct buf line = {0};
    struct words again = {0};
    bool whole = true;
    for (size_t i = 0; i < w->n; i++)
        whole = quote(&line, w->v[i]) && whole;
    const char *p = line.data;
    if (whole && strcmp(w->v[0], "!") != 0) {
        require(words_next(&p, &again) == 1 && *p == 0 && again.n == w->n);
        for (size_t i = 0; i < w->n; i++)
            require(strcmp(again.v[i], w->v[i]) == 0);
    }
    words_release(&again);
    buf_release(&line);
}

static void check_value(const char *line)
{
    char out[16];
    memset(out, 'x', sizeof(out));
    words_value(line, "key", out, sizeof(out));
    require(memchr(out, 0, sizeof(out)) != NULL && !strpbrk(out, " \n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct words w = {0};
    char *line = calloc(size + 1, 1);
    int r;
    require(line != NULL);
    if (size)
        memcpy(line, data, size);
    check_value(line);
    const char *p = line;
    for (const char *before = p; (r = words_next(&p, &w)) > 0; before = p) {
        require(p > before && p <= line + strlen(line) && w.n > 0 && !w.v[w.n]);
        check_quoted(&w);
    }
    require(r == -EINVAL || (r == 0 && *p == 0));
    words_release(&w);
    free(line);
    return 0;
}
