/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/refused.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

int refused(struct refused *r, int status, int err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->text, sizeof(r->text), fmt, args);
    va_end(args);
    r->status = status;
    return err;
}

int refused_memory(struct refused *r)
{
    return refused(r, EX_OSERR, -ENOMEM, "out of memory");
}
