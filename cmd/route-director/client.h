/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One client's connection: handshake, requests in, replies out, limits. */
#ifndef DIRECTOR_CLIENT_H
#define DIRECTOR_CLIENT_H

#include "director.h"
#include "volume.h"

struct client;

/*
 * Serves the accepted descriptor FD (non-blocking), taking it over; NAME is for logs and records.
 * COPIER: it may ask for private exports (copiers.h), and for nothing else.
 */
void client_new(struct director *d, int fd, const char *name, bool copier);

/* Closes the connection and leaves its volume; what is in flight goes on without it. */
void client_drop(struct client *c);

/* The volume's list of its clients, and the number that spreads clients over connections. */
void client_link(struct client *c, struct client **list);
void client_unlink(struct client *c);
void client_set_index(struct client *c, unsigned index);
unsigned client_index(const struct client *c);

/*
 * The next part of a READ's data, in order; takes it over.  The first (r->delivered is 0) gets the
 * reply's header, in the ROOM bytes before it if that is enough.
 */
void client_data(struct client *c, struct request *r, struct slice part, size_t room);

/* R is over: the reply with r->error, or the end of a READ's data.  Called once a request. */
void client_answer(struct client *c, struct request *r);

#endif
