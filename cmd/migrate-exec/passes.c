/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/passes.h"

void passes_add(struct passes *p, uint64_t left_us)
{
    p->before_us = p->left_us;
    p->left_us = left_us;
    p->n++;
}

bool passes_done(const struct passes *p, uint64_t window_us)
{
    if (p->n == 0)
        return false;
    return p->left_us < window_us || (p->n > 1 && p->left_us > p->before_us / 2);
}
