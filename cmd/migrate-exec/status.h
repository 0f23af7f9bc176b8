/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where migrations stand, by their journals. */
#ifndef EXEC_STATUS_H
#define EXEC_STATUS_H

#include "cmd/migrate-exec/move.h"

/* Prints event E.  SETTLED. */
enum outcome status_print(const struct exec *x, const struct event *e);

/* Prints the latest event of ID, or of all (NULL). */
enum outcome status_show(const struct exec *x, const char *id);

#endif
