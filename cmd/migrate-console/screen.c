/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/screen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/migrate-console/text.h"
#include "cmd/migrate-console/words.h"
#include "common/base/fsfile.h"

/* The terminal is the process's, not a part's of it. */
static struct termios before;
static bool taken;

bool screen_is_possible(void)
{
    const char *term = getenv("TERM");
    return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && term && *term &&
           strcmp(term, "dumb") != 0;
}

static void put(const char *s)
{
    /* A terminal that takes nothing any more is not written to again. */
    if (fsfile_write_all(STDOUT_FILENO, s, strlen(s)) < 0)
        return;
}

int screen_enter(void)
{
    static bool registered;
    struct termios raw;
    if (taken)
        return 0;
    fflush(stdout);
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return -errno;
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (!registered && atexit(screen_leave) != 0)
        return -ENOMEM;
    registered = true;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return -errno;
    taken = true;
    put("\033[?1049h\033[?25l\033[?7l\033[H\033[2J");
    return 0;
}

void screen_leave(void)
{
    if (!taken)
        return;
    taken = false;
    put("\033[?7h\033[?25h\033[?1049l");
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

void screen_draw(const struct buf *text)
{
    struct buf out = {0};
    size_t lines = text_lines(), n = 0;
    const char *p = text->len ? text->data : "";
    words_need(buf_adds(&out, "\033[H"));
    while (*p && n < lines) {
        size_t len = strcspn(p, "\n");
        words_need(buf_printf(&out, "%s%.*s\033[K", n ? "\r\n" : "", (int)len, p));
        p += len + (p[len] == '\n');
        n++;
    }
    if (n < lines)
        words_need(buf_adds(&out, "\r\n\033[J"));
    put(out.data);
    buf_release(&out);
}
