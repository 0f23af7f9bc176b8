/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does a gateway have an export?  One connection, closed at once. */
#ifndef GS_NBD_ASK_H
#define GS_NBD_ASK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Asks the gateway at URI (nbd_addr_parse()) for VOLUME, in at most TIMEOUT_MS but for the look-up
 * of a host's name.  0: it has it, *SIZE_BYTES large.  -ENOENT or -EPERM: its answer is no.
 * -ETIMEDOUT, -EPROTO or another -errno: it gave none.  WHY says it in words.
 */
int nbd_ask(const char *uri, const char *volume, int timeout_ms, uint64_t *size_bytes, char *why,
            size_t why_size);

#endif
