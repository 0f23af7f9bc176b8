/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way of a request through a volume: gate, range, legs, log, answer.  volume_submit() and the
 * legs' calls (volume.h) are its ends; here stands what owner.c needs of it.
 */
#ifndef DIRECTOR_IO_H
#define DIRECTOR_IO_H

#include "volume.h"

/*
 * Sends R to the owner's leg, wherever the owner is; what the gateway lacks is made of what it has
 * (S22).
 */
void io_transmit(struct volume *v, struct request *r);

/*
 * Answers R, a BLOCK_STATUS, with one extent: data, as far as anybody knows.  0, or the protocol's
 * error.
 */
uint32_t io_all_data(struct volume *v, struct request *r);

/*
 * A request of the director's own to where V's copy is, the target of a move or the copy that is
 * kept, for leg_send(): DONE is called with its answer, and ARG in r->arg.  It counts as in flight.
 * NULL: out of memory.
 */
struct request *io_copy_request(struct volume *v, const struct nbd_request *n,
                                void (*done)(struct request *r), void *arg);

/*
 * R, a READ of the director's own that is in flight, keeps neither its volume nor the director from
 * an end in order.
 */
void io_put_aside(struct request *r);

/* Is there no need to ask the gateway?  Then R->error is the answer. */
bool io_answers_here(struct volume *v, struct request *r);

/* Is a command that is not answered on every side changing, or about to change, bytes there? */
bool io_range_taken(const struct volume *v, uint64_t offset, uint64_t length);

/*
 * What is in flight to the owner may land whatever becomes of the volume: says so to who comes
 * after (intents.h).  False: nothing is.
 */
bool io_haunt_waiting(struct volume *v);

/* Sends all requests that wait for the owner. */
void io_send_again(struct volume *v);

/* Fails the clients' requests that wait for the owner; the director's own go on. */
void io_fail_waiting(struct volume *v, uint32_t error);

/* The same for those that were lost with the owner at BEFORE_US or earlier, or once too often. */
void io_fail_lost(struct volume *v, uint64_t before_us, uint32_t error);

/* Ends the director's own requests to the owner: their leg is lost. */
void io_cancel_own(struct volume *v);

/*
 * Ends those of the director's own that the gateway at L, the owner's leg that ends, was sent as a
 * target, or as the mirror's, and that outlived its becoming the owner.
 */
void io_cancel_former(struct volume *v, const struct leg *l);

#endif
