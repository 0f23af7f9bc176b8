/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manners of a service: sockets that the service manager opened (sd_listen_fds(3)), and telling
 * it how the service fares (sd_notify(3)).  Both are a few variables and datagrams, which those
 * pages promise to keep; so there is no need of libsystemd, and other managers that speak the same
 * do as well.
 */
#ifndef DIRECTOR_SERVICE_H
#define DIRECTOR_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "director.h"

/* A listening stream socket that was passed; open, non-blocking, close-on-exec. */
struct service_socket {
    int fd;
    bool control;   /* by its name; else it is for clients */
    char path[108]; /* of a control socket */
};

/* Where to say how it fares. */
struct service {
    struct director *d;
    int fd; /* connected to the manager; -1: nobody wants to know */
    uint64_t every_us;
    bool watched; /* the manager wants a sign of life that often */
    struct loop_timer tick;
};

/* Does the environment say that sockets are passed to this process? */
bool service_has_sockets(void);

/*
 * Takes the sockets that were passed into S and their variables out of the environment; returns
 * their number, at most MAX.  What is not as it must be ends the program (78).
 */
size_t service_take_sockets(struct service_socket *s, size_t max);

/* Takes the variables of the manager's socket and watchdog out of the environment. */
void service_init(struct service *s);

/* All doors are open: says so, and from now on that the loop of D turns. */
void service_ready(struct service *s, struct director *d);

/* The end has begun. */
void service_stopping(struct service *s);

#endif
