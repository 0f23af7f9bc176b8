/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"

void words_no_memory(void)
{
    err_die(EX_OSERR, "%s", err_text(ENOMEM));
}

void words_add_n(struct words *w, const char *word, size_t len)
{
    words_need(vec_room(&w->v, w->n + 1, &w->cap, sizeof(*w->v)));
    char *copy = malloc(len + 1);
    words_need(copy ? 0 : -ENOMEM);
    memcpy(copy, word, len);
    copy[len] = 0;
    w->v[w->n++] = copy;
    w->v[w->n] = NULL;
}

void words_add(struct words *w, const char *word)
{
    words_add_n(w, word, strlen(word));
}

void words_clear(struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i]);
    w->n = 0;
}

void words_release(struct words *w)
{
    words_clear(w);
    free(w->v);
    *w = (struct words){0};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_end(char c)
{
    return c == ';' || c == '\n';
}

/* The characters of a word from AT on, until a blank or the end of the command. */
static int take_word(const char **at, struct buf *word)
{
    char quote = 0;
    const char *p = *at;
    for (; *p && (quote || (!is_blank(*p) && !is_end(*p))); p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? 0 : *p;
            continue;
        }
        bool escapes = *p == '\\' && (!quote || (quote == '"' && (p[1] == '"' || p[1] == '\\')));
        if (escapes && !*++p)
            return -EINVAL;
        words_need(buf_add(word, p, 1));
    }
    *at = p;
    return quote ? -EINVAL : 0;
}

static const char *skip_blanks(const char *p)
{
    while (is_blank(*p))
        p++;
    return p;
}

/* "!" and what follows. */
static void take_shell(const char **line, struct words *out)
{
    const char *rest = skip_blanks(*line + 1);
    size_t len = strcspn(rest, "\n");
    *line = rest + len;
    while (len && is_blank(rest[len - 1]))
        len--;
    words_add(out, "!");
    if (len)
        words_add_n(out, rest, len);
}

int words_next(const char **line, struct words *out)
{
    struct buf word = {0};
    int r = 0;
    words_clear(out);
    for (const char *p = *line; r == 0;) {
        p = skip_blanks(p);
        if (*p == '#')
            p += strcspn(p, "\n");
        *line = p;
        if (!*p)
            break;
        if (is_end(*p)) {
            *line = ++p;
            if (out->n)
                break;
            continue;
        }
        if (*p == '!' && !out->n) {
            take_shell(line, out);
            break;
        }
        buf_clear(&word);
        r = take_word(&p, &word);
        if (r == 0)
            words_add(out, word.len ? word.data : "");
    }
    buf_release(&word);
    return r < 0 ? r : out->n > 0;
}

/* Characters that no shell treats specially anywhere in a word. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "_./:=,@%+-";

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
            return true;
    return false;
}

void words_quote(struct buf *out, const char *word)
{
    bool control = has_control(word);
    if (*word && word[strspn(word, plain)] == 0) {
        words_need(buf_adds(out, word));
        return;
    }
    words_need(buf_adds(out, control ? "$'" : "'"));
    for (const char *p = word; *p; p++) {
        if (control && ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f))
            words_need(buf_printf(out, "\\x%02x", (unsigned)(unsigned char)*p));
        else if (control && (*p == '\'' || *p == '\\'))
            words_need(buf_printf(out, "\\%c", *p));
        else if (*p == '\'')
            words_need(buf_adds(out, "'\\''"));
        else
            words_need(buf_add(out, p, 1));
    }
    words_need(buf_adds(out, "'"));
}

void words_value(const char *line, const char *key, char *out, size_t size)
{
    size_t len = strlen(key);
    out[0] = 0;
    for (const char *p = line; *p; p += strcspn(p, " ")) {
        p += strspn(p, " ");
        if (strncmp(p, key, len) != 0 || p[len] != '=')
            continue;
        const char *value = p + len + 1;
        size_t n = strcspn(value, " \n");
        if (n < size) {
            memcpy(out, value, n);
            out[n] = 0;
        }
        return;
    }
}
