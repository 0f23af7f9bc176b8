/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/cells.h"
#include "common/base/saturate.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORDS_FIRST = 16,
    WORDS_MIN = 1024, /* fewer are not worth being added to rows, … */
    WORDS_HOUR = 64,  /* … or, if with another hour their row may be complete, so many */
};

static uint64_t product(uint64_t a, uint64_t b)
{
    uint64_t p;
    return __builtin_mul_overflow(a, b, &p) ? UINT64_MAX : p;
}

void cells_init(struct cells *c)
{
    *c = (struct cells){.hour = HOURS_A_WEEK, .shift = CELLS_SHIFT_MIN};
}

void cells_release(struct cells *c)
{
    for (size_t h = 0; h < HOURS_A_WEEK; h++)
        free(c->row[h].packed);
    free(c->note);
    cells_init(c);
}

/* ---- words ---- */

static inline uint32_t segment_of(uint64_t word)
{
    return (uint32_t)(word >> CELLS_SEGMENT_AT) & ((1u << (CELLS_KIND_AT - CELLS_SEGMENT_AT)) - 1);
}

static inline unsigned hour_of(uint64_t word)
{
    return (unsigned)(word >> CELLS_HOUR_AT) & ((1u << (CELLS_SEGMENT_AT - CELLS_HOUR_AT)) - 1);
}

/* Of the note that begins with WORD. */
static inline uint32_t words_of(uint64_t word)
{
    return word >> CELLS_COUNT_AT == CELLS_LONG ? 3 : 1;
}

/* ---- rows ---- */

/* Makes HOUR's cells those of T: 0 or -ENOMEM. */
static int set_row(struct cells *c, unsigned hour, const struct row_table *t)
{
    size_t before = c->row[hour].n;
    int r = row_set(&c->row[hour], t);
    c->n = c->n - before + c->row[hour].n;
    return r;
}

int cells_coarsen(struct cells *c, unsigned shift)
{
    if (shift <= c->shift)
        return 0;
    unsigned by = shift - c->shift;
    int r = 0;
    c->shift = shift;
    for (uint32_t i = 0; i < c->n_words; i += words_of(c->note[i])) {
        uint32_t segment = segment_of(c->note[i]);
        c->note[i] ^= (uint64_t)(segment ^ row_coarser(segment, by)) << CELLS_SEGMENT_AT;
    }
    for (unsigned h = 0; r == 0 && h < HOURS_A_WEEK; h++) {
        if (!c->row[h].n)
            continue;
        c->n -= c->row[h].n;
        r = row_coarsen(&c->row[h], by);
        c->n += c->row[h].n;
    }
    return r;
}

/* Keeps within CELLS_MAX. */
static int bound(struct cells *c)
{
    int r = 0;
    while (r == 0 && c->n > CELLS_MAX)
        r = cells_coarsen(c, c->shift + 1);
    return r;
}

/* ---- notes ---- */

/* The note at AT into T; behind it. */
static inline const uint64_t *add_note(struct row_table *t, const uint64_t *at)
{
    uint64_t word = *at++, count = word >> CELLS_COUNT_AT, bytes = (uint32_t)word;
    if (count == CELLS_LONG) {
        count = *at++;
        bytes = *at++;
    }
    row_table_add(t, segment_of(word), word >> CELLS_KIND_AT & 1, count, bytes);
    return at;
}

/* Adds the notes at *AT, up to END, that are of the first one's hour to its cells. */
static int add_hour(struct cells *c, const uint64_t **at, const uint64_t *end)
{
    struct row_table t;
    unsigned hour = hour_of(**at);
    row_table_clear(&t);
    row_sum(&c->row[hour], 0, &t);
    while (*at < end && hour_of(**at) == hour)
        *at = add_note(&t, *at);
    return set_row(c, hour, &t);
}

/* Puts the notes in order of their hours: 0 or -ENOMEM. */
static int sort_notes(struct cells *c)
{
    uint32_t from[HOURS_A_WEEK + 1] = {0}, words;
    uint64_t *sorted = malloc(c->cap_words * sizeof(*sorted));
    if (!sorted)
        return -ENOMEM;
    for (uint32_t i = 0; i < c->n_words; i += words_of(c->note[i]))
        from[hour_of(c->note[i]) + 1] += words_of(c->note[i]);
    for (size_t h = 0; h < HOURS_A_WEEK; h++)
        from[h + 1] += from[h];
    for (uint32_t i = 0; i < c->n_words; i += words) {
        uint32_t *to = &from[hour_of(c->note[i])];
        words = words_of(c->note[i]);
        for (uint32_t k = 0; k < words; k++)
            sorted[(*to)++] = c->note[i + k];
    }
    free(c->note);
    c->note = sorted;
    return 0;
}

/* Adds all notes, and has none then. */
static int add_all_notes(struct cells *c)
{
    int r = c->mixed ? sort_notes(c) : 0;
    const uint64_t *at = c->note, *end = c->note + c->n_words;
    while (r == 0 && at < end)
        r = add_hour(c, &at, end);
    c->n_words = c->cost = 0;
    c->hour = HOURS_A_WEEK;
    c->mixed = false;
    memset(c->noted, 0, sizeof(c->noted));
    return r == 0 ? bound(c) : r;
}

int cells_settle(struct cells *c)
{
    int r = c->n_words ? add_all_notes(c) : 0;
    free(c->note);
    c->note = NULL;
    c->n_words = c->cap_words = 0;
    return r;
}

/* Room for any note: 0 or -ENOMEM. */
static int make_room(struct cells *c)
{
    if (c->n_words >= WORDS_MIN && c->n_words >= c->cost)
        return add_all_notes(c);
    uint32_t cap = c->cap_words ? 2 * c->cap_words : WORDS_FIRST;
    uint64_t *note = realloc(c->note, cap * sizeof(*note));
    if (!note)
        return -ENOMEM;
    c->note = note;
    c->cap_words = cap;
    return 0;
}

/* Lets a note of WORDS words in HOUR be next: 0 or -ENOMEM. */
static int go_to(struct cells *c, unsigned hour, uint32_t words)
{
    int r = 0;
    if (c->hour != hour && c->n_words >= WORDS_HOUR && c->n_words >= c->cost)
        r = add_all_notes(c);
    if (r == 0 && c->n_words + words > c->cap_words)
        r = make_room(c);
    if (r < 0 || c->hour == hour)
        return r;
    uint64_t bit = UINT64_C(1) << hour % 64, *noted = &c->noted[hour / 64];
    if (!(*noted & bit))
        c->cost += c->row[hour].n;
    *noted |= bit;
    c->mixed |= c->hour != HOURS_A_WEEK && hour < c->hour;
    c->hour = hour;
    return 0;
}

/* SEGMENT is one of C's when this is called. */
static int note(struct cells *c, unsigned hour, uint32_t segment, enum cells_kind kind,
                uint64_t count, uint64_t bytes)
{
    unsigned shift = c->shift;
    bool is_short = cells_is_short(count, bytes);
    if (go_to(c, hour, is_short ? 1 : 3) < 0)
        return -ENOMEM;
    segment = row_coarser(segment, c->shift - shift);
    if (is_short) {
        c->note[c->n_words++] = cells_note(hour, segment, kind, count, bytes);
        return 0;
    }
    c->note[c->n_words++] = cells_note(hour, segment, kind, CELLS_LONG, 0);
    c->note[c->n_words++] = count;
    c->note[c->n_words++] = bytes;
    return 0;
}

int cells_open(struct cells *c, unsigned hour, uint64_t **next, uint64_t **end)
{
    int r = go_to(c, hour, 1);
    *next = r < 0 ? NULL : c->note + c->n_words;
    *end = r < 0 ? NULL : c->note + c->cap_words;
    return r;
}

void cells_close(struct cells *c, const uint64_t *next)
{
    c->n_words = (uint32_t)(next - c->note);
}

/* ---- adding ---- */

int cells_put(struct cells *c, unsigned hour, uint32_t segment, const uint64_t of[CELLS_KINDS])
{
    unsigned shift = c->shift;
    int r = note(c, hour, segment, CELLS_READS, of[CELLS_READS], of[CELLS_BYTES]);
    segment = row_coarser(segment, c->shift - shift);
    if (r == 0 && of[CELLS_WRITES])
        r = note(c, hour, segment, CELLS_WRITES, of[CELLS_WRITES], 0);
    return r;
}

int cells_add_flushes(struct cells *c, unsigned hour, uint64_t count)
{
    return note(c, hour, CELLS_FLUSH, CELLS_WRITES, count, 0);
}

/* Segments so large that the byte LAST lies within them. */
static int reach(struct cells *c, uint64_t last)
{
    unsigned shift = c->shift;
    while (last >> shift >= CELLS_SEGMENTS)
        shift++;
    return cells_coarsen(c, shift);
}

/* Of more than one segment; they may become larger meanwhile. */
static int add_each(struct cells *c, unsigned hour, enum cells_kind kind, uint64_t offset,
                    uint64_t length, uint64_t count)
{
    uint64_t at = offset, left = length;
    int r = 0;
    for (bool first = true; r == 0 && left; first = false) {
        uint64_t in = (((at >> c->shift) + 1) << c->shift) - at;
        in = in < left ? in : left;
        r = note(c, hour, (uint32_t)(at >> c->shift), kind, first ? count : 0, product(count, in));
        at += in;
        left -= in;
    }
    return r;
}

int cells_add(struct cells *c, unsigned hour, enum cells_kind kind, uint64_t offset,
              uint64_t length, uint64_t count)
{
    uint64_t last = offset + (length ? length - 1 : 0);
    if (last >> c->shift >= CELLS_SEGMENTS && reach(c, last) < 0)
        return -ENOMEM;
    uint64_t segment = offset >> c->shift;
    if (last >> c->shift != segment)
        return add_each(c, hour, kind, offset, length, count);
    return note(c, hour, (uint32_t)segment, kind, count, product(count, length));
}

/* ---- together ---- */

int cells_merge(struct cells *c, struct cells *from)
{
    struct row_table t;
    int r = cells_settle(c);
    if (r == 0)
        r = cells_settle(from);
    if (r == 0 && c->n == 0 && c->shift <= from->shift) {
        struct cells empty = *c;
        *c = *from;
        *from = empty;
        return 0;
    }
    if (r == 0)
        r = cells_coarsen(c, from->shift);
    for (unsigned h = 0; r == 0 && h < HOURS_A_WEEK; h++) {
        if (!from->row[h].n)
            continue;
        row_table_clear(&t);
        row_sum(&c->row[h], 0, &t);
        row_sum(&from->row[h], c->shift - from->shift, &t);
        r = set_row(c, h, &t);
    }
    return r == 0 ? bound(c) : r;
}

size_t cells_hour(const struct cells *c, unsigned hour, struct cell out[CELLS_ROW])
{
    assert(!c->n_words); /* cells_settle() came before */
    return row_cells(&c->row[hour], out);
}
