/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can be drawn where standard output goes. */
#ifndef GS_BASE_TERM_H
#define GS_BASE_TERM_H

#include <stdbool.h>
#include <stddef.h>

/* A terminal, and nobody asked for NO_COLOR. */
bool term_colour(void);

/* The locale's characters are UTF-8. */
bool term_utf8(void);

/* Characters a line: the terminal's, else COLUMNS, else USUAL; at least LEAST. */
size_t term_width(size_t usual, size_t least);

#endif
