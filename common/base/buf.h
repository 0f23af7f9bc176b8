/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A growing byte buffer, always NUL-terminated once something was added. */
#ifndef GS_BASE_BUF_H
#define GS_BASE_BUF_H

#include <stddef.h>

/* Zero-initialise; buf_release() frees.  DATA is owned by the buffer. */
struct buf {
    char *data;
    size_t len;
    size_t cap;
};

/* All of these return 0 or -ENOMEM and leave the content alone on failure. */
int buf_reserve(struct buf *b, size_t more);
int buf_add(struct buf *b, const void *data, size_t len);
int buf_adds(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first N bytes. */
void buf_consume(struct buf *b, size_t n);
/* Empties, keeping the memory. */
void buf_clear(struct buf *b);
void buf_release(struct buf *b);

/*
 * Makes room for one more element of SIZE bytes in the array *ITEMS with N elements and room for
 * *CAP, doubling.  Returns 0 or -ENOMEM.  Use: if (vec_room(&v->items, v->n, &v->cap,
 * sizeof(*v->items)) < 0) …; v->items[v->n++] = x.
 */
int vec_room(void *items, size_t n, size_t *cap, size_t size);

#endif
