/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes of a file or of standard input, with LZ4 frames unpacked on the way. */
#ifndef GS_RECORD_INPUT_H
#define GS_RECORD_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct input;

/*
 * Opens PATH ("-": standard input, which is not closed later).  0, with *OUT owned by the caller,
 * or -errno: -EISDIR for a folder, -ENOENT, -EACCES, …, -ENOMEM.
 */
int input_open(const char *path, struct input **out);
void input_close(struct input *in);

/*
 * Reads up to SIZE bytes into DST: their number, 0 at the end, or -errno: -EBADMSG when an LZ4
 * frame is damaged or ends early.  Blocks only until there is something to return.
 */
ssize_t input_read(struct input *in, void *dst, size_t size);

/*
 * Goes on at byte POS (of the unpacked bytes).  Of a file that is not packed, any; of others, not
 * before what was read.  0, -errno as input_read(), -ESPIPE (before what was read, or POS is too
 * large), or -ENODATA: there are fewer bytes.
 */
int input_seek(struct input *in, uint64_t pos);

#endif
