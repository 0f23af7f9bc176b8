/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A line of the console to words, and words to a line that a shell understands. */
#ifndef GS_CONSOLE_WORDS_H
#define GS_CONSOLE_WORDS_H

#include <stddef.h>

#include "common/base/buf.h"

/* Zero-initialise; words_release() frees.  The strings are owned; behind the last is a NULL. */
struct words {
    char **v;
    size_t n, cap;
};

/* Ends the program (71) for want of memory; words_need() if R is negative. */
_Noreturn void words_no_memory(void);
static inline void words_need(int r)
{
    if (r < 0)
        words_no_memory();
}

/* Appends a copy of WORD, LEN bytes of it; ends the program without memory. */
void words_add(struct words *w, const char *word);
void words_add_n(struct words *w, const char *word, size_t len);
void words_clear(struct words *w);
void words_release(struct words *w);

/*
 * Splits the next command off *LINE, which goes on behind it, and replaces the words of OUT.  A
 * command ends at a semicolon, a newline or the end of it all.  Blanks part words; within '…'
 * everything stands for itself, within "…" all but \ before " and \, outside of both \ takes
 * the meaning of the next character away.  # where a word could begin begins a comment, up to a
 * newline.
 * A command that begins with ! is two words, "!" and the rest of its line as it is.
 *
 * 1: a command; 0: there is none any more; -EINVAL: a quote is not closed, or nothing stands behind
 * the last \.
 */
int words_next(const char **line, struct words *out);

/* Appends WORD to OUT, quoted where sh(1) would take it for something else; control characters as
 * bash's $'\xNN', so that the line can be shown on a terminal. */
void words_quote(struct buf *out, const char *word);

/*
 * Copies the value of the word KEY=VALUE of LINE, whose words are parted by blanks, to OUT; "" if
 * there is none, or it does not fit into SIZE bytes.
 */
void words_value(const char *line, const char *key, char *out, size_t size);

#endif
