/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a target lacks of a move whose source is gone (S17): told while the director has the move
 * open, which alone knows.
 */
#ifndef EXEC_MISSING_H
#define EXEC_MISSING_H

#include "cmd/migrate-exec/move.h"

/*
 * Appends to TEXT, if the director has a move of VOLUME open that cannot go on by itself, how many
 * bytes its target lacks, and the first extents of them.
 */
void missing_describe(const struct exec *x, const char *volume, char *text, size_t size);

/* Prints extent records of all that the target of migration ID lacks. */
enum outcome missing_print(const struct exec *x, const char *id);

#endif
