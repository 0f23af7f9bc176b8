/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/term.h"

#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/parse.h"

bool term_colour(void)
{
    const char *no_colour = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !(no_colour && *no_colour);
}

bool term_utf8(void)
{
    setlocale(LC_CTYPE, "");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

size_t term_width(size_t usual, size_t least)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    uint64_t n = usual;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        n = size.ws_col;
    else if (columns && (parse_u64(columns, &n) < 0 || n > 10000))
        n = usual;
    return n < least ? least : (size_t)n;
}
