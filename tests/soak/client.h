/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The clients: connections that ask at random, each from a generator of its own, so that what one
 * asks does not depend on how fast the others are.
 */
#ifndef SOAK_CLIENT_H
#define SOAK_CLIENT_H

#include <poll.h>

#include "soak.h"

struct conn;

/* Makes the connections of all volumes; they open by themselves. */
void clients_setup(struct world *w);
void clients_release(struct world *w);

/* What to wait for: fills at most MAX entries, returns how many. */
size_t clients_poll(struct world *w, struct pollfd *fds, size_t max);
/* Takes what came, in the order of clients_poll(), and asks anew. */
void clients_turn(struct world *w, const struct pollfd *fds, size_t n);

/* The director (V NULL) or V's gateway in direct mode is gone: what is on its connections is in
 * doubt. */
void clients_cut(struct world *w, struct volume *v);

/* Is everything answered, every connection open, and no write in doubt on its way any more? */
bool clients_calm(const struct world *w);

/* Starts to read all of every volume on every connection; clients_calm() when it is done. */
void clients_read_all(struct world *w);
/* The same for a flush of every volume. */
void clients_flush(struct world *w);

#endif
