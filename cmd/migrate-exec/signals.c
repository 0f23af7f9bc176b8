/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/signals.h"

#include <signal.h>
#include <stddef.h>

static void change(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(how, &set, NULL);
}

void signals_block(void)
{
    change(SIG_BLOCK);
}

void signals_unblock(void)
{
    change(SIG_UNBLOCK);
}

const char *signals_pending(void)
{
    sigset_t set;
    if (sigpending(&set) < 0)
        return NULL;
    if (sigismember(&set, SIGINT) == 1)
        return "SIGINT";
    return sigismember(&set, SIGTERM) == 1 ? "SIGTERM" : NULL;
}
