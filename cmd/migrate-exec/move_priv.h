/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of a migration's life share: move.c, move_end.c. */
#ifndef EXEC_MOVE_PRIV_H
#define EXEC_MOVE_PRIV_H

#include "cmd/migrate-exec/move.h"

/* Lets go of both gateways. */
void move_disconnect(struct move *m);

/* 0, with m->director set, or -errno. */
int move_open_director(struct move *m);

#endif
