/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The old copy, read over NBD: digested, and packed into a file in the state folder. */
#ifndef EXEC_ARCHIVE_H
#define EXEC_ARCHIVE_H

#include "cmd/migrate-exec/move.h"

/* 32 hex digits of an XXH3-128 and a NUL. */
enum { DIGEST_SIZE = 33 };

/*
 * Reads the whole export on M's source.  DIGEST gets that of its bytes.  With PACK they are kept in
 * STATE/archive/ID.lz4, one LZ4 frame, which has its name only when it is durable and was unpacked
 * and compared.  0, or -errno with the reason in WHY and no file left: -EINTR, a signal waits.
 */
int archive_read(const struct move *m, bool pack, char digest[DIGEST_SIZE], char *why, size_t size);

#endif
