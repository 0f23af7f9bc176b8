/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/passes.h"

void passes_add(struct passes *p, uint64_t left_us)
{
    p->left_us[2] = p->left_us[1];
    p->left_us[1] = p->left_us[0];
    p->left_us[0] = left_us;
    p->n++;
}

bool passes_done(const struct passes *p, uint64_t window_us)
{
    if (p->n == 0)
        return false;
    if (p->left_us[0] < window_us || (p->n > 1 && p->left_us[0] >= p->left_us[1]))
        return true;
    return p->n > 2 && p->left_us[0] > p->left_us[2] - p->left_us[2] / 8;
}
