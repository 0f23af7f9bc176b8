/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One look at a gateway, without ever waiting: connect, shake hands, a few small reads, goodbye.
 * The caller polls, so that many probes run at once in one thread.  With export.c the only users
 * of <libnbd.h>.
 */
#ifndef GS_NBD_PROBE_H
#define GS_NBD_PROBE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/nbd/uri.h"

enum { NBD_PROBE_READS_MAX = 64, NBD_PROBE_READ_LEN = 4096 };

struct nbd_probe_report {
    bool connected;      /* the handshake was answered in time, up to GO */
    uint64_t connect_us; /* if connected: for that, without the time that listing exports took */
    unsigned reads;      /* reads sent */
    unsigned failed;     /* of these: refused with an error, or unanswered at the deadline */
    uint64_t read_us;    /* if reads > failed: median of the good ones */
    int error;           /* 0, or the first failure as -errno; then nbd_probe_error() */
};

struct nbd_probe;

/*
 * A probe of the gateway at ADDR (copied) with up to READS reads of 4 KiB at random aligned
 * offsets (SEED).  It looks at export VOLUME (copied); if that is NULL, at the first by name that
 * the gateway lists, else at its default export; a gateway that has no export at all is fine, there
 * is just nothing to read.  NULL: out of memory.
 */
struct nbd_probe *nbd_probe_new(const struct nbd_addr *addr, const char *volume, unsigned reads,
                                uint64_t seed);
/* Free of NULL is fine; a probe under way is dropped. */
void nbd_probe_free(struct nbd_probe *p);

/* Starts; the probe ends by itself at DEADLINE_US (clock_mono_us).  True if it is over at once. */
bool nbd_probe_begin(struct nbd_probe *p, uint64_t deadline_us);

/* What to poll for while a probe is under way. */
struct pollfd nbd_probe_pollfd(const struct nbd_probe *p);
uint64_t nbd_probe_deadline_us(const struct nbd_probe *p);

/*
 * Goes on after poll() said REVENTS (0: time passed).  True if the probe is over: its connection is
 * closed, and nbd_probe_begin() may start the next.
 */
bool nbd_probe_step(struct nbd_probe *p, short revents);

/* All of it, for who has nothing else to do: begins, and waits for the end, TIMEOUT_US at most. */
void nbd_probe_run(struct nbd_probe *p, uint64_t timeout_us);

/* Of the probe that is over; borrowed until the next begin. */
const struct nbd_probe_report *nbd_probe_report(const struct nbd_probe *p);
const char *nbd_probe_error(const struct nbd_probe *p);

#endif
