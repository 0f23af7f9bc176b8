/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The address of a gateway that is named: asked for in a thread of its own, since a resolver may
 * take long, and no volume waits for another's.
 */
#ifndef DIRECTOR_LOOKUP_H
#define DIRECTOR_LOOKUP_H

#include "common/base/loop.h"
#include "common/nbd/uri.h"

struct lookup;

/*
 * Resolves ADDR; DONE is called from LOOP with ARG, 0 or -errno, and the numeric address.  NULL:
 * the system refuses (errno).  It is gone after DONE.
 */
struct lookup *lookup_start(struct loop *loop, const struct nbd_addr *addr,
                            void (*done)(void *arg, int err, const struct nbd_addr *addr),
                            void *arg);

/* DONE is not called any more. */
void lookup_forget(struct lookup *l);

#endif
