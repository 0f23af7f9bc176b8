/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control socket: a line protocol, one request at a time a connection (route-director(8)). */
#ifndef DIRECTOR_CONTROL_H
#define DIRECTOR_CONTROL_H

#include "director.h"

struct control;

/* Serves the accepted descriptor FD (non-blocking), taking it over. */
void control_new(struct director *d, int fd);

/* The answer; FMT may be "".  C may be NULL (gone): then nothing happens. */
void control_ok(struct control *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void control_err(struct control *c, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
