/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/signals.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* The first four always, the others with a person. */
enum { ALWAYS = 4, ALL = 8 };
static const int caught[ALL] = {SIGCHLD, SIGINT,  SIGTERM, SIGHUP,
                                SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

/* What a handler can write to is the process's, like the signals themselves. */
static volatile sig_atomic_t came[NSIG];
static sigset_t outside;
static size_t n_caught;

static void note(int sig)
{
    came[sig] = 1;
}

void signals_catch(bool interactive)
{
    struct sigaction a = {.sa_handler = note}, old;
    sigset_t blocked;
    n_caught = interactive ? ALL : ALWAYS;
    sigemptyset(&a.sa_mask);
    sigemptyset(&blocked);
    for (size_t i = 0; i < n_caught; i++) {
        int sig = caught[i];
        /* What was ignored from the start, as by nohup, stays so; but children are waited for. */
        if (sig != SIGCHLD && sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
            continue;
        sigaction(sig, &a, NULL);
        sigaddset(&blocked, sig);
    }
    sigprocmask(SIG_BLOCK, &blocked, &outside);
}

const sigset_t *signals_mask(void)
{
    return &outside;
}

/* Lets in what is blocked and pending: a wait of no length. */
static void let_in(void)
{
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, &outside, &blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

bool signals_seen(int sig)
{
    let_in();
    return came[sig];
}

bool signals_take(int sig)
{
    bool was = signals_seen(sig);
    came[sig] = 0;
    return was;
}

int signals_ending(void)
{
    return signals_seen(SIGTERM) ? SIGTERM : came[SIGHUP] ? SIGHUP : came[SIGQUIT] ? SIGQUIT : 0;
}

bool signals_stop(void)
{
    struct sigaction as_usual = {.sa_handler = SIG_DFL}, ours;
    sigset_t only;
    if (!signals_take(SIGTSTP))
        return false;
    sigemptyset(&as_usual.sa_mask);
    sigemptyset(&only);
    sigaddset(&only, SIGTSTP);
    sigaction(SIGTSTP, &as_usual, &ours);
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    sigprocmask(SIG_BLOCK, &only, NULL);
    sigaction(SIGTSTP, &ours, NULL);
    return true;
}

void signals_restore(void)
{
    for (size_t i = 0; i < n_caught; i++) {
        struct sigaction old;
        if (sigaction(caught[i], NULL, &old) == 0 && old.sa_handler == note)
            signal(caught[i], SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &outside, NULL);
}

void signals_die(int sig)
{
    signal(sig, SIG_DFL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, sig);
    raise(sig);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    _exit(128 + sig);
}
