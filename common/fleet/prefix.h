/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Client addresses and the prefixes that they match. */
#ifndef GS_FLEET_PREFIX_H
#define GS_FLEET_PREFIX_H

#include <stdbool.h>

/* IPv4 is held as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2). */
struct fleet_prefix {
    unsigned char address[16];
    int bits; /* 0…128; -1: not an address */
};

/* "ADDRESS" or "ADDRESS/BITS", IPv4 or IPv6: 0, or -EINVAL. */
int prefix_parse(const char *text, struct fleet_prefix *p);

/* The address of "ADDRESS", "ADDRESS:PORT" or "[V6]:PORT" as a prefix of all bits: 0 or -EINVAL. */
int prefix_of_client(const char *client, struct fleet_prefix *p);

/* Does P hold ADDRESS?  Never, if P is not an address. */
bool prefix_holds(const struct fleet_prefix *p, const struct fleet_prefix *address);

#endif
