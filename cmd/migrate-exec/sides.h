/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two gateways of a move: connections of our own, and the checks that it is safe to use them.
 */
#ifndef EXEC_SIDES_H
#define EXEC_SIDES_H

#include "common/nbd/export.h"

/* A connect, handshake included, may take so long. */
enum {
    CONNECT_MS = 10 * 1000, /* or --io-timeout, if that is less */
    PART_MS = 1000,         /* what a gateway is given to see that a connection was closed */
    WIDEN_MS = 1000, /* of all further connections: a gateway that has no more accepts none */
};

/* What is asked of a side: that it takes writes; that it can flush (S23). */
enum { SIDE_WRITABLE = 1, SIDE_FLUSHES = 2 };

/*
 * Connects to VOLUME at URI of GATEWAY and checks that a move may use it: it holds at least
 * SIZE_BYTES, and it has what NEEDS (SIDE_…) says.  IO_TIMEOUT_MS is that of --io-timeout.  *OUT is
 * owned.  0, or -errno with the reason in WHY.  Where several connections need not see the same
 * data (S9) nobody else should be connected for as long as *OUT is.
 */
int side_connect(const char *gateway, const char *uri, const char *volume, uint64_t size_bytes,
                 unsigned needs, unsigned io_timeout_ms, struct nbd_export **out, char *why,
                 size_t why_size);
/*
 * The same through the director: GATEWAY's private export NAME of the socket PATH.  That it can
 * flush the director has checked, and does itself.
 */
int side_connect_private(const char *gateway, const char *path, const char *name,
                         uint64_t size_bytes, unsigned needs, unsigned io_timeout_ms,
                         struct nbd_export **out, char *why, size_t why_size);

/*
 * Up to N further connections like FIRST, into OUT (owned).  All or none: a gateway that takes no
 * more has to keep room for the director and its clients.  How many.
 */
unsigned side_widen(const struct nbd_export *first, const char *uri, const char *volume,
                    struct nbd_export **out, unsigned n);

#endif
