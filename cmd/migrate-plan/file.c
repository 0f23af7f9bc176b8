/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/error.h"

/* Is R, which refused a line of PATH, at its end, and the line one without its newline? */
static bool is_torn(struct rec_reader *r, const char *path)
{
    char last = 0;
    struct stat st;
    int fd = rec_reader_next(r) == 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    const bool known = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
                       pread(fd, &last, 1, st.st_size - 1) == 1;
    if (fd >= 0)
        close(fd);
    return known && last != '\n';
}

static void read_all(const struct rec_schema *schema, const char *path, bool appended,
                     file_take *take, void *arg)
{
    char *paths[] = {(char *)path};
    struct rec_reader *r = rec_reader_new(schema);
    if (!r)
        err_die(EX_OSERR, "cannot read '%s': %s", path, err_text(-ENOMEM));
    rec_reader_files(r, paths, 1);
    int got;
    while ((got = rec_reader_next(r)) > 0)
        take(arg, r);
    if (got < 0) {
        const int status = rec_reader_status(r);
        char *why = strdup(rec_reader_error(r));
        if (!why)
            err_die(EX_OSERR, "cannot read '%s': %s", path, err_text(-ENOMEM));
        if (got != -EBADMSG || !appended || !is_torn(r, path))
            err_die(status, "%s", why);
        err_warn("%s: left out, as it has no newline yet", why);
        free(why);
    }
    rec_reader_free(r);
}

void file_read(const struct rec_schema *schema, const char *path, file_take *take, void *arg)
{
    read_all(schema, path, false, take, arg);
}

void file_read_appended(const struct rec_schema *schema, const char *path, file_take *take,
                        void *arg)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 0)
        read_all(schema, path, true, take, arg);
}

double file_real_or_nan(const struct rec_reader *r, size_t col)
{
    return rec_present(r, col) ? rec_real(r, col) : (double)NAN;
}
