/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines of an input, in place in one buffer. */
#ifndef GS_RECORD_LINES_H
#define GS_RECORD_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/record/input.h"

/* Called before a read that may block. */
typedef void lines_before_read(void *ctx);

/* lines_init(); then any number of lines_begin(); lines_release(). */
struct lines {
    char *memory; /* room for the longest line, then the area that is read into */
    char *area;
    char *start; /* not yet handed out: [start, end), of which [start, seen) has no newline */
    char *seen;
    char *end;
    struct input *in; /* borrowed */
    uint64_t read;    /* bytes of the input before END */
    bool at_end;
    bool cut;      /* the line handed out has no newline */
    bool skipping; /* within a line that was refused for its length */
    lines_before_read *before_read;
    void *ctx;
};

/* 0 or -ENOMEM.  BEFORE_READ may be NULL. */
int lines_init(struct lines *l, lines_before_read *before_read, void *ctx);
void lines_release(struct lines *l);

/* Starts on IN (stored until the next begin). */
void lines_begin(struct lines *l, struct input *in);

/* The bytes of the input before the next line. */
uint64_t lines_offset(const struct lines *l);
/* Goes on at byte POS, as input_seek(), whose results it has. */
int lines_seek(struct lines *l, uint64_t pos);
/* Is the line last handed out one that the input ended in, without a newline? */
bool lines_is_cut(const struct lines *l);

/*
 * The bytes that lines_next() can hand lines from without reading: *TEXT, valid until then; their
 * number.  REC_LINES_SLACK bytes behind may be read.
 */
static inline size_t lines_at_hand(const struct lines *l, char **text)
{
    *text = l->start;
    return l->skipping ? 0 : (size_t)(l->end - l->start);
}

/* Takes all lines up to BEHIND, which stands behind a newline at hand. */
static inline void lines_take(struct lines *l, char *behind)
{
    l->start = l->seen = behind;
    l->cut = false;
}

/*
 * The next line, without its newline or CRLF: 1, 0 at the end, -EMSGSIZE for a line longer than
 * REC_LINE_MAX (the next call goes on behind it), or what input_read() failed with.  The last
 * line needs no newline, but what stands before a failure is not taken for a line.  *LINE is
 * writable up to and including LINE[*LEN], which is NUL, until the next call; SPLIT_SLACK bytes
 * behind that may be read.
 */
int lines_next(struct lines *l, char **line, size_t *len);

#endif
