/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * reader_libcsv FILE: as reader_group, with plain libcsv: its defaults, the whole buffer at a time,
 * no check of any value but the two that are used.
 */
#include <csv.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/error.h"
#include "tests/bench/reader_count.h"

#define BUFFER_SIZE ((size_t)256 * 1024)

struct state {
    struct count count;
    unsigned field;
    unsigned long row;
    uint64_t hour;
    char volume[64];
    size_t len;
};

static void on_field(void *data, size_t len, void *ctx)
{
    struct state *s = ctx;
    const char *text = data;
    if (s->field == 0) {
        uint64_t time = 0;
        for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
            time = time * 10 + (uint64_t)(text[i] - '0');
        s->hour = time / 3600;
    } else if (s->field == 1 && len < sizeof(s->volume)) {
        memcpy(s->volume, text, len);
        s->len = len;
    }
    s->field++;
}

static void on_row(int c, void *ctx)
{
    struct state *s = ctx;
    (void)c;
    if (s->row++ > 0)
        count_add(&s->count, s->volume, s->len, s->hour);
    s->field = 0;
}

int main(int argc, char **argv)
{
    struct state s = {0};
    struct csv_parser p;
    char *buffer = aligned_alloc(64, BUFFER_SIZE);
    int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0)
        err_die(EX_NOINPUT, "usage: reader_libcsv FILE");
    if (!buffer || csv_init(&p, 0) != 0)
        err_die(EX_OSERR, "out of memory");
    for (ssize_t n; (n = read(fd, buffer, BUFFER_SIZE)) > 0;)
        if (csv_parse(&p, buffer, (size_t)n, on_field, on_row, &s) != (size_t)n)
            err_die(EX_DATAERR, "%s", csv_strerror(csv_error(&p)));
    csv_fini(&p, on_field, on_row, &s);
    count_print(&s.count);
    csv_free(&p);
    close(fd);
    free(buffer);
    return 0;
}
