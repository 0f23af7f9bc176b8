/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the fields of many lines begin, and which of their bytes are of a name or a number, found
 * in one pass over the text: the way of simdjson (Langdale and Lemire 2019), bit masks for each
 * block of 64 bytes and from them a list of places.
 */
#ifndef GS_RECORD_MARKS_H
#define GS_RECORD_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Of so many bytes at a time: text and lists stay in the first-level cache. */
enum { MARKS_TEXT = 8192, MARKS_BLOCKS = MARKS_TEXT / 64 };

/* A bit a byte. */
struct marks_block {
    uint64_t commas, newlines;
    uint64_t odd; /* a quote, or below a blank but no newline: NUL, CR, what is harmless but rare */
    uint64_t not_name;  /* not one of a name's (parse_name()), … */
    uint64_t not_first; /* … or not at its beginning */
    uint64_t not_digit; /* not 0 … 9 */
};

/* Zero-initialise. */
struct marks {
    size_t n, next; /* whole lines found, and the one that marks_next() hands out next */
    /* The first line begins at 0; then a place behind each comma and each newline. */
    uint32_t at[MARKS_TEXT + 64];
    /* line[i]: where line i begins in AT, doubled; odd: the line holds odd bytes. */
    uint32_t line[MARKS_TEXT + 64];
    /* A bit a byte: not a name's, at its place in the field; not 0 … 9.  Commas have none. */
    uint64_t not_name[MARKS_BLOCKS + 1], not_digit[MARKS_BLOCKS + 1];
};

/* Finds the lines that end within the LEN (1 … MARKS_TEXT) bytes at TEXT; 64 behind may be read. */
void marks_find(struct marks *m, const char *text, size_t len);
/* The same as every processor can do it, for tests. */
void marks_find_portable(struct marks *m, const char *text, size_t len);

/* A line: field i begins at at[i], and ends one byte before at[i + 1]. */
struct marks_line {
    const uint32_t *at;
    size_t n; /* fields; 0: the line holds odd bytes, and AT says nothing */
};

/* The next line: false if there are no more. */
static inline bool marks_next(struct marks *m, struct marks_line *out)
{
    if (m->next == m->n)
        return false;
    uint32_t from = m->line[m->next], to = m->line[++m->next] / 2;
    out->at = m->at + from / 2;
    out->n = from & 1 ? 0 : to - from / 2;
    return true;
}

enum { MARKS_BITS = 56 };

/* The bits of MAP (not_name, not_digit) of the LEN (at most MARKS_BITS) bytes from FROM on. */
static inline uint64_t marks_bits(const uint64_t *map, size_t from, size_t len)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t bits;
    memcpy(&bits, (const char *)map + from / 8, sizeof(bits));
    bits >>= from % 8;
#else
    size_t shift = from % 64;
    uint64_t bits = map[from / 64] >> shift | map[from / 64 + 1] << 1 << (63 - shift);
#endif
    return bits & ((UINT64_C(1) << len) - 1);
}

#endif
