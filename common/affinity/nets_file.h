/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Trained nets, and how far their training is, as the bytes of a file. */
#ifndef GS_AFFINITY_NETS_FILE_H
#define GS_AFFINITY_NETS_FILE_H

#include "common/base/buf.h"
#include "common/forecast/nets.h"

/*
 * Appends the file to OUT: the configuration, the leg under way, and of each net weights, their
 * average and the optimiser's moments, so that training goes on as if it had never stopped.
 * 0 or -ENOMEM.
 */
int nets_pack(const struct nets *n, struct buf *out);

/*
 * Reads FILE into N, which is nets_init()ed by it.  0, -EBADMSG (damaged, or with numbers that no
 * training makes), -EPROTO (not such a file, of another version, or of nets that see other
 * features) or -ENOMEM; but for 0, N is empty.
 */
int nets_unpack(const struct buf *file, struct nets *n);

#endif
