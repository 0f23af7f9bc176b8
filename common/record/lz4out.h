/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes an LZ4 frame, as lz4(1) and input.h read it. */
#ifndef GS_RECORD_LZ4OUT_H
#define GS_RECORD_LZ4OUT_H

#include <stddef.h>
#include <stdint.h>

struct lz4out;

/*
 * A frame to descriptor FD (stored, not closed later), with a checksum of its content.  *OUT is
 * owned.  0 or -ENOMEM; nothing is written yet.
 */
int lz4out_new(int fd, struct lz4out **out);
/*
 * As lz4out_new(), for content of SIZE bytes, which is said in the frame, in blocks that can be
 * unpacked each for itself.
 */
int lz4out_new_sized(int fd, uint64_t size, struct lz4out **out);
void lz4out_free(struct lz4out *z);

/* Packs LEN bytes.  0 or -errno; after an error the frame is of no use. */
int lz4out_write(struct lz4out *z, const void *data, size_t len);

/* Ends the frame, so that it is complete in FD.  0 or -errno.  Nothing may be written then. */
int lz4out_end(struct lz4out *z);

#endif
