/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

/*
 * What came is remembered by the handler that is installed: no variable is shared with it.  The
 * two that end the program differ so that they tell which signal was the first.
 */
static void leave_after_int(int sig)
{
    _exit(128 + sig);
}

static void leave_after_term(int sig)
{
    if (sig >= 0) /* not the same code as above, lest a compiler fold the two into one */
        _exit(128 + sig);
}

static void set(int sig, void (*handler)(int))
{
    struct sigaction next = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&next.sa_mask);
    sigaction(sig, &next, NULL);
}

static void first(int sig)
{
    void (*second)(int) = sig == SIGINT ? leave_after_int : leave_after_term;
    set(SIGINT, second);
    set(SIGTERM, second);
}

void signals_catch(void)
{
    if (signals_pending())
        return;
    set(SIGINT, first);
    set(SIGTERM, first);
}

void signals_release(void)
{
    set(SIGINT, SIG_DFL);
    set(SIGTERM, SIG_DFL);
}

const char *signals_pending(void)
{
    struct sigaction i;
    struct sigaction t;
    if (sigaction(SIGINT, NULL, &i) < 0 || sigaction(SIGTERM, NULL, &t) < 0)
        return NULL;
    if (i.sa_handler == leave_after_int || t.sa_handler == leave_after_int)
        return "SIGINT";
    if (i.sa_handler == leave_after_term || t.sa_handler == leave_after_term)
        return "SIGTERM";
    return NULL;
}
