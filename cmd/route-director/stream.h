/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A buffered, non-blocking connection.  Input gathers in a chunk and stays contiguous; output is a
 * queue of slices that are written where they lie, all of a round in one call.
 */
#ifndef DIRECTOR_STREAM_H
#define DIRECTOR_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk.h"
#include "common/base/loop.h"

struct stream;

struct stream_ops {
    /* There is new input: stream_data() … stream_eat().  May close the stream. */
    void (*input)(struct stream *s);
    /* The other side sends no more, but may still read.  NULL: that counts as lost. */
    void (*ended)(struct stream *s);
    /*
     * The connection is gone (0: closed, or -errno).  Called once; the owner calls stream_close().
     */
    void (*lost)(struct stream *s, int err);
    /* The output queue shrank; may be NULL. */
    void (*drained)(struct stream *s);
};

struct outq {
    struct slice *items; /* a ring */
    size_t head, n, cap;
    size_t bytes;
};

struct stream {
    struct loop *loop;
    struct chunk_pool *pool;
    const struct stream_ops *ops;
    struct loop_fd io;
    struct loop_task flush;
    struct chunk *in;
    size_t in_start, in_end; /* what is received and not eaten */
    size_t want;             /* the parser needs so many bytes in one piece */
    size_t expect;           /* … as many as for the last large piece, most likely; 0: few */
    struct outq out;
    struct chunk *small; /* where stream_send_copy() puts its bytes */
    size_t small_used;
    bool connecting; /* the first writability tells how connect() ended */
    bool paused;     /* no input is read */
    bool ended;      /* nothing more will be received */
    bool lost;       /* ops->lost was called */
    bool detached;   /* in no loop: io.fd alone is kept */
};

/* Takes over FD (non-blocking).  0 or -errno; then FD is still the caller's. */
int stream_open(struct stream *s, struct loop *loop, struct chunk_pool *pool, int fd,
                bool connecting, const struct stream_ops *ops);
/* Closes the descriptor and drops all buffers.  Fine if never opened or closed already. */
void stream_close(struct stream *s);
bool stream_is_open(const struct stream *s);
/*
 * Moves an open stream to another loop's thread, with unread input and unsent output: between the
 * two calls no loop knows it, and nothing but stream_close() may be called.  Its chunks must be its
 * own (no slices held elsewhere), and none of its operations under way.  If attaching fails
 * (-errno) it stays detached.
 */
void stream_detach(struct stream *s);
int stream_attach(struct stream *s, struct loop *loop, struct chunk_pool *pool);

/* Input not yet eaten: *DATA is borrowed until stream_eat() or the next round. */
size_t stream_data(const struct stream *s, unsigned char **data);
void stream_eat(struct stream *s, size_t n);
/* N more bytes at the front of the input as a slice of their own (a new reference), then eaten. */
struct slice stream_cut(struct stream *s, size_t n);
/* The parser goes on when N bytes are there in one piece (up to CHUNK_MAX). */
void stream_want(struct stream *s, size_t n);
/* Stops or resumes reading.  What was received before is for the owner to go on with. */
void stream_pause(struct stream *s, bool paused);

/* Queues output, sent at the end of the round.  Takes over the slice's reference, also
 * when it fails: 0 or -ENOMEM. */
int stream_send(struct stream *s, struct slice sl);
/* The same for bytes that are copied. */
int stream_send_copy(struct stream *s, const void *data, size_t len);
size_t stream_unsent(const struct stream *s);

/* Ring of slices, also used for replies that have to wait.  Both 0 or -ENOMEM. */
int outq_push(struct outq *q, struct slice sl);
bool outq_pop(struct outq *q, struct slice *sl);
void outq_release(struct outq *q, struct chunk_pool *pool);

#endif
