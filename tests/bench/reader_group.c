/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reader_group FILE: "VOLUME HOUR COUNT" for the access records of FILE, read with rec_reader. */
#include <stdlib.h>

#include "common/base/error.h"
#include "common/record/schema.h"
#include "tests/bench/reader_count.h"

int main(int argc, char **argv)
{
    struct count c = {0};
    struct rec_reader *r = rec_reader_new(&rec_access);
    int got;
    if (!r)
        err_die(EX_OSERR, "out of memory");
    rec_reader_files(r, argv + 1, (size_t)(argc - 1));
    while ((got = rec_reader_next(r)) > 0) {
        size_t len;
        const char *volume = rec_bytes(r, ACCESS_VOLUME, &len);
        count_add(&c, volume, len, rec_uint(r, ACCESS_TIME) / 3600);
    }
    if (got < 0)
        err_die(rec_reader_status(r), "%s", rec_reader_error(r));
    count_print(&c);
    rec_reader_free(r);
    return 0;
}
