/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/route-set/print.h"

#include <errno.h>

#include "common/base/error.h"

static struct rec_writer *new_writer(const struct rec_schema *schema, FILE *out)
{
    struct rec_writer *w = rec_writer_new(schema, out);
    if (!w)
        print_check(-ENOMEM);
    return w;
}

struct rec_writer *print_new(const struct rec_schema *schema)
{
    return new_writer(schema, stdout);
}

struct rec_writer *print_new_routes(FILE *out)
{
    struct rec_writer *w = new_writer(&rec_route, out);
    rec_writer_with(w, ROUTE_VERIFY);
    return w;
}

void print_check(int err)
{
    if (err == -ENOMEM)
        err_die(EX_OSERR, "cannot print: %s", err_text(err));
}

int print_route(const struct route *r, void *arg)
{
    route_put(arg, r);
    print_check(rec_write(arg));
    return 0;
}

static int status_of(int err)
{
    switch (-err) {
    case EBADMSG:
        return EX_DATAERR;
    case ENOMEM:
        return EX_OSERR;
    case EAGAIN:
        return EX_TEMPFAIL;
    default:
        return EX_IOERR;
    }
}

_Noreturn void die_of_store(const struct route_store *s, int err)
{
    const char *what_to_do = err == -EBADMSG ? PRINT_WHAT_TO_DO : "";
    if (*route_store_error(s))
        err_die(status_of(err), "%s%s", route_store_error(s), what_to_do);
    err_die(status_of(err), "cannot use '%s': %s", route_store_path(s), err_text(err));
}
