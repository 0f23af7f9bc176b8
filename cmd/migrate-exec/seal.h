/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The root digest of what was switched to, for the journal. */
#ifndef EXEC_SEAL_H
#define EXEC_SEAL_H

#include <stdbool.h>

#include "cmd/migrate-exec/digests.h"
#include "common/nbd/export.h"

enum { SEAL_TEXT = 33 }; /* 32 hexadecimal digits */

/*
 * Reads the blocks that D has open from *SOURCE, which nobody writes to any more, and puts the root
 * into TEXT.  0; or -errno if the source does not give them; one that does not answer is freed, and
 * *SOURCE NULL.
 */
int seal(struct digests *d, struct nbd_export **source, char text[SEAL_TEXT]);

/* What stands before the root in the detail of the event "switched". */
#define SEAL_WORD "; digest="
/* The root in such a DETAIL, into TEXT; false, and nothing there, if it has none. */
bool seal_of(const char *detail, char text[SEAL_TEXT]);

#endif
