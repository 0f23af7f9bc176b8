/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A gateway's address: the NBD URI without export name, as gateways.csv has it. */
#ifndef GS_NBD_URI_H
#define GS_NBD_URI_H

#include <stdbool.h>

/* Where to connect.  Zero-initialised it is nothing. */
struct nbd_addr {
    char host[256]; /* empty for a unix socket */
    char port[32];  /* default "10809" */
    char path[108]; /* the unix socket; empty for TCP */
};

/*
 * Parses "nbd://host[:port][/]", "nbd://[v6]:port" or "nbd+unix:///?socket=PATH" (percent-decoded).
 * 0; -EINVAL: not of the form, or with an export name; -EPROTONOSUPPORT: another scheme (nbds).
 */
int nbd_addr_parse(const char *uri, struct nbd_addr *a);

/* Does A name a host, so that nbd_addr_resolve() is due before it can be connected to at once? */
bool nbd_addr_is_name(const struct nbd_addr *a);

/* Replaces the host's name by its first address; may block for long.  0 or -errno. */
int nbd_addr_resolve(struct nbd_addr *a);

/*
 * Starts a non-blocking, close-on-exec stream connection.  Returns the descriptor (connected, or
 * connecting: wait for writability and read SO_ERROR), or -errno.  Host names other than addresses
 * are resolved here and may block.
 */
int nbd_addr_connect(const struct nbd_addr *a);

/*
 * Binds and listens on "unix:PATH" or "HOST:PORT" (port 0: any); a unix socket nobody listens on
 * is replaced.  Returns a non-blocking descriptor or -errno (-EADDRINUSE: somebody does listen).
 */
int nbd_listen(const char *spec);

#endif
