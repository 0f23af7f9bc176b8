/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A client's connection to one export of a gateway, with many requests in flight: libnbd, dressed
 * so that nothing waits without a deadline.  The only user of <libnbd.h>.
 */
#ifndef GS_NBD_EXPORT_H
#define GS_NBD_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nbd_export;

/* What the gateway advertised. */
struct nbd_export_info {
    uint64_t size_bytes;
    uint32_t block_min; /* requests must be multiples of it; 1 if not said */
    uint32_t block_max; /* the longest payload, bytes */
    bool read_only;
    bool flush;
    bool fua;
    bool zeroes; /* WRITE_ZEROES */
    bool multi_conn;
    bool status; /* BLOCK_STATUS of base:allocation */
};

/* Not connected yet.  NULL: out of memory. */
struct nbd_export *nbd_export_new(void);
/* Says goodbye if it can without waiting; requests still in flight are forgotten, their callbacks
 * never called.  Free of NULL is fine. */
void nbd_export_free(struct nbd_export *e);

/*
 * The same of an idle connection, but waits up to TIMEOUT_MS for the server to close its end, so
 * that one which takes only so many connections has room again.
 */
void nbd_export_part(struct nbd_export *e, int timeout_ms);

/*
 * Connects to export VOLUME of the gateway at URI (nbd_addr_parse()) and shakes hands, in at most
 * TIMEOUT_MS altogether.  0, -ETIMEDOUT, -EINVAL (the URI), or another -errno, with the text in
 * nbd_export_error(); then E is only good for nbd_export_free().
 */
int nbd_export_connect(struct nbd_export *e, const char *uri, const char *volume, int timeout_ms);

/* The same for an export of any NAME of the unix socket PATH. */
int nbd_export_connect_unix(struct nbd_export *e, const char *path, const char *name,
                            int timeout_ms);

/* Valid after nbd_export_connect(). */
const struct nbd_export_info *nbd_export_info(const struct nbd_export *e);
/* Text of the last failure; borrowed until the next call on E. */
const char *nbd_export_error(const struct nbd_export *e);

/*
 * Called from nbd_export_wait() when a request has ended.  RESULT is 0, the server's error as
 * -errno, or -ENOTCONN: the connection ended with the request unanswered, so a write may still
 * happen, or happen later (S2).  It may start new requests.
 */
typedef void nbd_export_done(void *arg, int result);

/*
 * Start a request; BUF is borrowed until FN was called.  0, or -errno: not started, FN will not be
 * called.  A zero may punch a hole.
 */
int nbd_export_read(struct nbd_export *e, void *buf, size_t len, uint64_t offset,
                    nbd_export_done *fn, void *arg);
int nbd_export_write(struct nbd_export *e, const void *buf, size_t len, uint64_t offset,
                     nbd_export_done *fn, void *arg);
int nbd_export_zero(struct nbd_export *e, uint64_t len, uint64_t offset, nbd_export_done *fn,
                    void *arg);

/*
 * Asks what reads as zero: ZEROES is called, before FN, for each range of which the gateway says so
 * (the ZERO bit: a hole may hold anything), in ascending order and within what was asked for.
 * Neither may call back into E from ZEROES.
 */
typedef void nbd_export_zeroes(void *arg, uint64_t offset, uint64_t length);
int nbd_export_status(struct nbd_export *e, uint64_t len, uint64_t offset,
                      nbd_export_zeroes *zeroes, nbd_export_done *fn, void *arg);

/* Requests started and not yet reported. */
unsigned nbd_export_in_flight(const struct nbd_export *e);
/* False once the connection has ended, also if that was not noticed by a request yet. */
bool nbd_export_alive(const struct nbd_export *e);

/*
 * Waits up to TIMEOUT_MS (-1: no limit) for requests of the N exports to end, and calls their
 * callbacks.  The number of callbacks called, 0 when the time is up or nothing is in flight,
 * -EINTR when a signal came first, or another -errno.
 */
int nbd_export_wait(struct nbd_export *const *exports, size_t n, int timeout_ms);

/*
 * Flushes what this connection (and, with multi_conn, any other) wrote, and waits for the answer.
 * Other requests' callbacks may be called meanwhile.  0, -ETIMEDOUT (the request stays in flight),
 * -ENOTCONN or the server's error.
 */
int nbd_export_flush(struct nbd_export *e, int timeout_ms);
/* The same on N > 0 connections at once: 0 if all are good, else the first failure, its text in the
 * first one's nbd_export_error(). */
int nbd_export_flush_all(struct nbd_export *const *exports, size_t n, int timeout_ms);

#endif
