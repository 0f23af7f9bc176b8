/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/signals.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

/*
 * What came is remembered by the handler that is installed: no variable is shared with it.  Those
 * that end the program differ so that they tell which signal was the first.
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

static void leave_after_hup(int sig)
{
    if (sig > 0) /* nor this */
        _exit(128 + sig);
}

static const struct asked {
    int sig;
    const char *name;
    void (*leave)(int);
} all[] = {{SIGINT, "SIGINT", leave_after_int},
           {SIGTERM, "SIGTERM", leave_after_term},
           {SIGHUP, "SIGHUP", leave_after_hup}};

enum { ALL = sizeof(all) / sizeof(all[0]) };

/* The end of a terminal means nobody who has it ignored, as by nohup(1). */
static bool is_for_us(int sig)
{
    struct sigaction now;
    return sig != SIGHUP || (sigaction(sig, NULL, &now) == 0 && now.sa_handler != SIG_IGN);
}

static void set(int sig, void (*handler)(int))
{
    struct sigaction next = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&next.sa_mask);
    if (is_for_us(sig))
        sigaction(sig, &next, NULL);
}

static void set_all(void (*handler)(int))
{
    for (size_t i = 0; i < ALL; i++)
        set(all[i].sig, handler);
}

static void heard(int sig)
{
    (void)sig;
}

/*
 * The end of a terminal may be told twice, by the system and by its shell.  It is not ignored: who
 * is forked now is to hear of it as of the others.
 */
static void first(int sig)
{
    set(SIGHUP, heard);
    for (size_t i = 0; i < ALL; i++)
        if (all[i].sig == sig) {
            set(SIGINT, all[i].leave);
            set(SIGTERM, all[i].leave);
        }
}

void signals_catch(void)
{
    if (!signals_pending())
        set_all(first);
}

void signals_release(void)
{
    set_all(SIG_DFL);
}

/* The one that came first, or NULL.  SIGTERM has the handler of the first, whichever that is. */
static const struct asked *pending(void)
{
    struct sigaction now;
    if (sigaction(SIGTERM, NULL, &now) < 0)
        return NULL;
    for (size_t i = 0; i < ALL; i++)
        if (now.sa_handler == all[i].leave)
            return &all[i];
    return NULL;
}

const char *signals_pending(void)
{
    const struct asked *a = pending();
    return a ? a->name : NULL;
}

int signals_number(void)
{
    const struct asked *a = pending();
    return a ? a->sig : 0;
}
