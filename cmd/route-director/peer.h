/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The process at the other end of a unix socket (pidfd_open(2), SO_PEERCRED in unix(7)). */
#ifndef DIRECTOR_PEER_H
#define DIRECTOR_PEER_H

#include <stdbool.h>

/* One that listens; zero-initialise with pidfd -1. */
struct peer {
    int pid;   /* 0: none yet */
    int pidfd; /* -1: not known */
};

/*
 * Connection FD leads to the unix socket PATH: notes who listens there.  Nothing is known any more
 * once two connections led to two processes, nor where init listens for others, nor of a listener
 * that has ended and whose number another process has now.
 */
void peer_note(struct peer *p, int fd, const char *path);

/*
 * The connection is answered.  A server that has children by then may have left it to one of them,
 * and its own end says nothing of theirs: it is not known any more.
 */
void peer_check(struct peer *p);

/* The pidfd, now the caller's, or -1. */
int peer_take(struct peer *p);
void peer_release(struct peer *p);

/* Is the process of PIDFD gone? */
bool peer_is_gone(int pidfd);

#endif
