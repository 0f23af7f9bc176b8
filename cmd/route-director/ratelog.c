/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ratelog.h"

#include <stdio.h>

enum { GAP_US = 1000000 };

bool ratelog_due(struct ratelog *r, uint64_t now_us)
{
    if (r->last_us && now_us - r->last_us < GAP_US) {
        r->missed++;
        return false;
    }
    r->note[0] = 0;
    if (r->missed)
        snprintf(r->note, sizeof(r->note), " (%lu more since the last line)", r->missed);
    r->last_us = now_us;
    r->missed = 0;
    return true;
}
