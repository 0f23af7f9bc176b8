/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/file.h"

#include <errno.h>
#include <math.h>
#include <sysexits.h>

#include "common/base/error.h"

void file_read(const struct rec_schema *schema, const char *path, file_take *take, void *arg)
{
    char *paths[] = {(char *)path};
    struct rec_reader *r = rec_reader_new(schema);
    if (!r)
        err_die(EX_OSERR, "cannot read '%s': %s", path, err_text(-ENOMEM));
    rec_reader_files(r, paths, 1);
    int got;
    while ((got = rec_reader_next(r)) > 0)
        take(arg, r);
    if (got < 0)
        err_die(rec_reader_status(r), "%s", rec_reader_error(r));
    rec_reader_free(r);
}

double file_real_or_nan(const struct rec_reader *r, size_t col)
{
    return rec_present(r, col) ? rec_real(r, col) : (double)NAN;
}
