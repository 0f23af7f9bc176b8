/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/routes.h"

#include <errno.h>

#include "common/base/error.h"

void routes_each(const char *state, int (*fn)(const struct route *r, void *arg), void *arg)
{
    struct route_store *s = NULL;
    int err = route_store_open(state, false, &s);
    if (err < 0)
        err_die(err == -ENOMEM ? EX_OSERR : EX_NOINPUT, "cannot open '%s/routes.log': %s", state,
                err_text(err));
    err = route_store_each(s, fn, arg);
    if (err == -EBADMSG)
        err_die(EX_DATAERR, "%s; see route-set(1), FILES", route_store_error(s));
    if (err < 0)
        err_die(EX_IOERR, "cannot read '%s': %s", route_store_path(s), err_text(err));
    route_store_close(s);
}
