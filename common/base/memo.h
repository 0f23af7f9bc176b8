/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Texts and the numbers that were found for them, as far as they were met lately: a table in which
 * a text has two places, side by side, and who comes last puts out who came first.
 */
#ifndef GS_BASE_MEMO_H
#define GS_BASE_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MEMO_TEXT = 56 }; /* longer texts are not remembered */

/* A cache line.  A text's two ends tell it apart up to 16 bytes; of a longer one, the rest too. */
struct memo_slot {
    uint64_t first, last;
    uint32_t len; /* 0: free */
    uint32_t number;
    char middle[MEMO_TEXT - 16];
};

/* memo_init(); memo_release() frees. */
struct memo {
    struct memo_slot *slots; /* owned */
    unsigned shift;          /* 64 − the slots' binary logarithm */
};

/* 2^BITS (1 … 24) slots.  0 or −1: out of memory (release is fine). */
static inline int memo_init(struct memo *m, unsigned bits)
{
    *m = (struct memo){calloc((size_t)1 << bits, sizeof(*m->slots)), 64 - bits};
    return m->slots ? 0 : -1;
}

static inline void memo_release(struct memo *m)
{
    free(m->slots);
    *m = (struct memo){0};
}

/* N (at most 8) bytes as a number. */
static inline uint64_t memo_bytes(const char *text, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, text, n);
    return v;
}

/* The ends of TEXT, of LEN (not 0) bytes: together with LEN all of it, up to 16 bytes. */
static inline struct memo_slot memo_ends(const char *text, size_t len)
{
    struct memo_slot s = {.len = (uint32_t)len};
    if (len >= 8) {
        s.first = memo_bytes(text, 8);
        s.last = memo_bytes(text + len - 8, 8);
    } else if (len >= 4) {
        s.first = memo_bytes(text, 4);
        s.last = memo_bytes(text + len - 4, 4);
    } else {
        s.first = memo_bytes(text, 1) << 8 | memo_bytes(text + len / 2, 1);
        s.last = memo_bytes(text + len - 1, 1);
    }
    return s;
}

/* The first of the two places of a text with these ENDS. */
static inline struct memo_slot *memo_place(const struct memo *m, const struct memo_slot *ends)
{
    uint64_t h = (ends->last ^ ends->len) * UINT64_C(0x9e3779b97f4a7c15) ^ ends->first;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return &m->slots[h >> m->shift & ~UINT64_C(1)];
}

/* Does S hold TEXT of LEN bytes, whose ends are ENDS? */
static inline bool memo_holds(const struct memo_slot *s, const struct memo_slot *ends,
                              const char *text, size_t len)
{
    if ((s->first ^ ends->first) | (s->last ^ ends->last) | (s->len ^ ends->len))
        return false;
    /* Eight by eight; the last of them may reach into the end. */
    for (size_t i = 8; i + 8 < len; i += 8)
        if (memo_bytes(text + i, 8) != memo_bytes(s->middle + i - 8, 8))
            return false;
    return true;
}

/* The number that was put for TEXT of LEN bytes, or −1: forgotten, or never put. */
static inline long memo_get(const struct memo *m, const char *text, size_t len)
{
    if (len - 1 >= MEMO_TEXT)
        return -1;
    const struct memo_slot ends = memo_ends(text, len);
    const struct memo_slot *s = memo_place(m, &ends);
    if (memo_holds(&s[0], &ends, text, len))
        return (long)s[0].number;
    return memo_holds(&s[1], &ends, text, len) ? (long)s[1].number : -1;
}

/* The same, for who asks millions of times about texts of 8 … 16 bytes. */
__attribute__((always_inline)) static inline long memo_get_short(const struct memo *m,
                                                                 const char *text, size_t len)
{
    if (len - 8 > 8)
        return memo_get(m, text, len);
    const struct memo_slot ends = {memo_bytes(text, 8), memo_bytes(text + len - 8, 8),
                                   .len = (uint32_t)len};
    const struct memo_slot *s = memo_place(m, &ends);
    if (!((s[0].first ^ ends.first) | (s[0].last ^ ends.last) | (s[0].len ^ ends.len)))
        return (long)s[0].number;
    if (!((s[1].first ^ ends.first) | (s[1].last ^ ends.last) | (s[1].len ^ ends.len)))
        return (long)s[1].number;
    return -1;
}

static inline void memo_put(struct memo *m, const char *text, size_t len, uint32_t number)
{
    if (len - 1 >= MEMO_TEXT)
        return;
    struct memo_slot s = memo_ends(text, len), *place = memo_place(m, &s);
    s.number = number;
    for (size_t i = 8; i + 8 < len; i += 8)
        memcpy(s.middle + i - 8, text + i, 8);
    place[1] = place[0];
    place[0] = s;
}

#endif
