/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ask.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/error.h"
#include "common/route/control.h"

/* A director answers from memory; one that takes so long is stuck. */
enum { REPLY_MS = 10000 };

int ask_director(const char *path, const char *verb, const char *volume)
{
    struct control *c;
    int status = 0;
    int r = control_open(path, &c);
    if (r < 0) {
        err_warn("cannot reach the director on '%s': %s", path, err_text(r));
        return EX_UNAVAILABLE;
    }
    r = control_call(c, REPLY_MS, "%s%s%s", verb, volume ? " " : "", volume ? volume : "");
    if (r == 0) {
        fputs(control_data(c), stdout);
    } else {
        const char *text = control_reply(c);
        err_warn("director on '%s': %s", path, *text ? text : err_text(r));
        status = r == -ENOENT ? EX_NO : EX_UNAVAILABLE;
    }
    control_close(c);
    return status;
}
