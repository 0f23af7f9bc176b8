/* SPDX-License-Identifier: GPL-3.0-or-later */
/* May an export that a move's target has already be overwritten? */
#ifndef EXEC_OVERWRITE_H
#define EXEC_OVERWRITE_H

#include "cmd/migrate-exec/move.h"

/*
 * GO if the journals say that a move of M's volume made, filled or left the export on M's target;
 * else FAILED with the reason: it may hold anybody's data.  Changes nothing.
 */
enum outcome overwrite_ask(struct move *m);

#endif
