/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/lines.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/record/record.h"
#include "common/record/split.h"

/* Small enough to stay in the second-level cache between read() and the splitter. */
#define AREA_SIZE ((size_t)128 * 1024)
/* Before the area: a line that straddles two reads, with its CR. */
#define ROOM_SIZE ((size_t)REC_LINE_MAX + 64)

/* Behind the area: the NUL of a last line without newline, and what the splitter asks for. */
#define TAIL_SIZE ((size_t)REC_LINES_SLACK + 64)
_Static_assert(SPLIT_SLACK < TAIL_SIZE, "a NUL and SPLIT_SLACK bytes must fit behind the area");

int lines_init(struct lines *l, lines_before_read *before_read, void *ctx)
{
    char *memory = aligned_alloc(64, ROOM_SIZE + AREA_SIZE + TAIL_SIZE);
    if (!memory)
        return -ENOMEM;
    *l = (struct lines){.memory = memory, .area = memory + ROOM_SIZE};
    l->before_read = before_read;
    l->ctx = ctx;
    return 0;
}

void lines_release(struct lines *l)
{
    free(l->memory);
    *l = (struct lines){0};
}

void lines_begin(struct lines *l, struct input *in)
{
    l->in = in;
    l->start = l->seen = l->end = l->area;
    l->at_end = l->skipping = l->cut = false;
    l->read = 0;
}

uint64_t lines_offset(const struct lines *l)
{
    return l->read - (uint64_t)(l->end - l->start);
}

int lines_seek(struct lines *l, uint64_t pos)
{
    /* What was read already need not be read, nor a pipe or packed file turned back. */
    if (pos >= lines_offset(l) && pos <= l->read) {
        l->start += pos - lines_offset(l);
        l->seen = l->start;
        return 0;
    }
    int r = input_seek(l->in, pos);
    if (r < 0)
        return r;
    lines_begin(l, l->in);
    l->read = pos;
    return 0;
}

bool lines_is_cut(const struct lines *l)
{
    return l->cut;
}

/*
 * Makes room in the area, always at its aligned start if it was full or used up (a read() to an
 * unaligned address is several times slower): an unfinished line moves before it.
 */
static void make_room(struct lines *l)
{
    size_t len = (size_t)(l->end - l->start);
    if (len && l->end < l->area + AREA_SIZE)
        return;
    memmove(l->area - len, l->start, len);
    l->start = l->area - len;
    l->seen = l->end = l->area;
}

static int fill(struct lines *l)
{
    make_room(l);
    if (l->before_read)
        l->before_read(l->ctx);
    ssize_t n = input_read(l->in, l->end, (size_t)(l->area + AREA_SIZE - l->end));
    if (n < 0)
        return (int)n;
    l->at_end = n == 0;
    l->end += n;
    l->read += (uint64_t)n;
    return 0;
}

/* Hands out [start, stop) and goes on behind the newline at STOP, if there is one. */
static int hand_out(struct lines *l, char *stop, char **line, size_t *len)
{
    char *start = l->start;
    size_t n = (size_t)(stop - start);
    bool skipped = l->skipping;
    l->cut = stop == l->end;
    l->start = l->seen = stop + !l->cut;
    l->skipping = false;
    if (n && start[n - 1] == '\r')
        n--;
    if (skipped)
        return 0;
    if (n > REC_LINE_MAX)
        return -EMSGSIZE;
    start[n] = 0;
    *line = start;
    *len = n;
    return 1;
}

int lines_next(struct lines *l, char **line, size_t *len)
{
    assert(l->end); /* lines_begin() came first */
    for (;;) {
        char *stop = memchr(l->seen, '\n', (size_t)(l->end - l->seen));
        if (!stop && l->at_end) {
            if (l->start == l->end)
                return 0;
            stop = l->end;
        }
        if (stop) {
            int r = hand_out(l, stop, line, len);
            if (r != 0)
                return r;
            continue;
        }
        l->seen = l->end;
        if (l->skipping)
            l->start = l->end;
        if ((size_t)(l->end - l->start) > REC_LINE_MAX + 1) {
            l->skipping = true;
            l->start = l->end;
            return -EMSGSIZE;
        }
        int r = fill(l);
        if (r < 0)
            return r;
    }
}
