/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/text.h"

#include <langinfo.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "cmd/migrate-console/words.h"
#include "common/base/parse.h"

enum { COLUMNS_MIN = 20, COLUMNS_MAX = 1000 };

bool text_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* Would C be shown as itself, and nothing else changed by it? */
static bool is_shown(wchar_t c)
{
    /* Marks and overrides of direction: they can make a name look like another one. */
    if ((c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
        (c >= 0x2060 && c <= 0x206f) || c == 0xfeff)
        return false;
    return iswprint((wint_t)c) && wcwidth(c) > 0;
}

void text_safe(struct buf *out, const char *s, size_t len)
{
    mbstate_t state = {0};
    for (size_t i = 0; i < len;) {
        wchar_t c = 0;
        size_t n = mbrtowc(&c, s + i, len - i, &state);
        if (n > 0 && n <= len - i && is_shown(c)) {
            words_need(buf_add(out, s + i, n));
            i += n;
            continue;
        }
        memset(&state, 0, sizeof(state));
        words_need(buf_printf(out, "\\x%02x", (unsigned)(unsigned char)s[i]));
        i++;
    }
}

/* Bytes of the character at S, and its columns. */
static size_t step(const char *s, size_t *columns)
{
    mbstate_t state = {0};
    wchar_t c = 0;
    size_t n = mbrtowc(&c, s, strlen(s), &state);
    if (n == 0 || n > MB_LEN_MAX) {
        *columns = 1;
        return 1;
    }
    int w = wcwidth(c);
    *columns = w > 0 ? (size_t)w : 0;
    return n;
}

size_t text_width(const char *s)
{
    size_t sum = 0, columns;
    while (*s) {
        s += step(s, &columns);
        sum += columns;
    }
    return sum;
}

static void blanks(struct buf *out, size_t n)
{
    words_need(buf_printf(out, "%*s", (int)n, ""));
}

void text_fit(struct buf *out, const char *s, size_t columns, bool right)
{
    size_t width = text_width(s), used = 0;
    if (width <= columns) {
        if (right)
            blanks(out, columns - width);
        words_need(buf_adds(out, s));
        if (!right)
            blanks(out, columns - width);
        return;
    }
    while (*s && columns) {
        size_t w, n = step(s, &w);
        if (used + w > columns - 1)
            break;
        words_need(buf_add(out, s, n));
        used += w;
        s += n;
    }
    if (columns)
        words_need(buf_adds(out, text_is_utf8() ? "…" : "~"));
    if (columns > used + 1)
        blanks(out, columns - used - 1);
}

/* Bytes of S in a line of COLUMNS: up to its last blank, unless it ends there. */
static size_t line_bytes(const char *s, size_t columns)
{
    size_t at = 0, used = 0, blank = 0;
    while (s[at]) {
        size_t w, n = step(s + at, &w);
        if (s[at] == ' ')
            blank = at;
        if (used + w > columns)
            return blank ? blank : at ? at : n;
        used += w;
        at += n;
    }
    return at;
}

void text_wrap(struct buf *out, const char *s, size_t columns, size_t indent)
{
    for (size_t left = 0;; left = indent) {
        size_t n = line_bytes(s, columns - left);
        blanks(out, left);
        words_need(buf_add(out, s, n));
        words_need(buf_adds(out, "\n"));
        s += n;
        s += strspn(s, " ");
        if (!*s)
            return;
    }
}

void text_bytes(struct buf *out, uint64_t bytes)
{
    static const char units[] = "BKMGTPE";
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 1023.5 && u + 2 < sizeof(units)) {
        v /= 1024;
        u++;
    }
    if (u == 0)
        words_need(buf_printf(out, "%.0f", v));
    else
        words_need(buf_printf(out, v < 9.95 ? "%.1f%c" : "%.0f%c", v, units[u]));
}

void text_seconds(struct buf *out, double s)
{
    if (!isfinite(s) || s < 0 || s > 1e9) {
        words_need(buf_adds(out, "-"));
        return;
    }
    unsigned long n = (unsigned long)s;
    if (s < 10)
        words_need(buf_printf(out, "%.1fs", s));
    else if (n < 60)
        words_need(buf_printf(out, "%lus", n));
    else if (n < 3600)
        words_need(buf_printf(out, "%lum%02lus", n / 60, n % 60));
    else if (n < 2 * 86400)
        words_need(buf_printf(out, "%luh%02lum", n / 3600, n / 60 % 60));
    else
        words_need(buf_printf(out, "%lud%02luh", n / 86400, n / 3600 % 24));
}

void text_us(struct buf *out, double us)
{
    if (us < 1000)
        words_need(buf_printf(out, "%.0fus", us));
    else if (us < 1e6)
        words_need(buf_printf(out, us < 1e4 ? "%.1fms" : "%.0fms", us / 1e3));
    else
        words_need(buf_printf(out, "%.1fs", us / 1e6));
}

void text_time(struct buf *out, double time)
{
    time_t t = (time_t)time;
    struct tm tm;
    char text[32];
    if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%m-%d %H:%M:%S", &tm))
        text[0] = 0;
    words_need(buf_adds(out, text));
}

size_t text_columns(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    uint64_t n = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        n = size.ws_col;
    else if (columns && parse_u64(columns, &n) < 0)
        n = 80;
    return n < COLUMNS_MIN ? COLUMNS_MIN : n > COLUMNS_MAX ? COLUMNS_MAX : (size_t)n;
}

size_t text_lines(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row)
        return size.ws_row < 2 ? 2 : size.ws_row;
    return 24;
}

bool text_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}
