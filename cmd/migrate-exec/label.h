/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The label of a cold copy: which one it is, said by us to the hook that keeps it and, before, to
 * the journal; so that one that comes back can be told from another (S12 of gateshift-safety(7)).
 */
#ifndef EXEC_LABEL_H
#define EXEC_LABEL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/parse.h"

/* "VOLUME,EPOCH,NONCE,SIZE,DIGEST", one word of [A-Za-z0-9._:@+,-], with its NUL. */
enum { LABEL_SIZE = NAME_LEN_MAX + 1 + 20 + 1 + 16 + 1 + 20 + 1 + 32 + 1 };

/*
 * Makes a label that there never was before: of the copy of SIZE_BYTES that VOLUME's owner left
 * when EPOCH began.  DIGEST: its root (seal.h), or "-" if that is not known.  0 or -errno.
 */
int label_make(char out[LABEL_SIZE], const char *volume, uint64_t epoch, uint64_t size_bytes,
               const char *digest);

/* The detail of the journal's event in front of a commit: "commit WHAT, label LABEL". */
enum { LABEL_DETAIL_SIZE = 256 };
void label_note(char out[LABEL_DETAIL_SIZE], const char *what, const char *label, bool unknown);
/*
 * The label in such a DETAIL: 1, or 0 if there is none.  *UNKNOWN, unless NULL: the copy may lack
 * writes, as its flush had failed.
 */
int label_of_note(const char *detail, char out[LABEL_SIZE], bool *unknown);

/*
 * The label of the last copy of VOLUME that a commit left on GATEWAY, by the journals in the folder
 * STATE: 1; 0, none is known, it was not left cold, or it may lack writes; or -errno.
 */
int label_find(const char *state, const char *volume, const char *gateway, char out[LABEL_SIZE]);

#endif
