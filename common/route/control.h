/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Client of the director's control socket.  A request is a line "VERB ARG…"; the reply is zero or
 * more lines of data, then "ok[ TEXT]" or "err ERRNO-NAME TEXT".  Requests of one connection are
 * answered in order.  route-director(8) lists the verbs.
 */
#ifndef GS_ROUTE_CONTROL_H
#define GS_ROUTE_CONTROL_H

#include <stddef.h>

struct control;

/* Connects to the socket PATH.  *OUT is owned.  0 or -errno. */
int control_open(const char *path, struct control **out);
void control_close(struct control *c);

/*
 * Sends one request (printf-like, without newline) and waits for its reply, at most TIMEOUT_MS
 * (-1: no limit).  0: the reply was "ok"; control_reply() is its text.  -errno of an "err" reply,
 * its text in control_reply() too.  -ECONNRESET: the director went away, -ETIMEDOUT: no reply in
 * time; the outcome is then unknown and the connection unusable.
 */
int control_call(struct control *c, int timeout_ms, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Text behind "ok " or "err NAME " of the last reply; borrowed until the next call. */
const char *control_reply(const struct control *c);
/* The data lines of the last reply, each ended by a newline; borrowed until the next call. */
const char *control_data(const struct control *c);

#endif
