/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/fleet/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "common/base/parse.h"

/* Room for any numeric address, port and brackets; longer text is not an address. */
#define TEXT_MAX 64

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* An address of all its bits; *WIDTH is 32 or 128, the most that may follow its slash. */
static int parse_address(const char *text, struct fleet_prefix *p, int *width)
{
    unsigned char v4[4];
    if (inet_pton(AF_INET, text, v4) == 1) {
        memcpy(p->address, mapped, sizeof(mapped));
        memcpy(p->address + sizeof(mapped), v4, sizeof(v4));
        *width = 32;
    } else if (inet_pton(AF_INET6, text, p->address) == 1) {
        *width = 128;
    } else {
        return -EINVAL;
    }
    p->bits = 128;
    return 0;
}

int prefix_parse(const char *text, struct fleet_prefix *p)
{
    char address[TEXT_MAX];
    size_t len = strcspn(text, "/");
    if (len >= sizeof(address))
        return -EINVAL;
    memcpy(address, text, len);
    address[len] = 0;
    struct fleet_prefix parsed;
    int width;
    uint64_t bits;
    if (parse_address(address, &parsed, &width) < 0)
        return -EINVAL;
    if (text[len]) {
        if (parse_u64(text + len + 1, &bits) < 0 || bits > (uint64_t)width)
            return -EINVAL;
        parsed.bits = 128 - width + (int)bits;
    }
    *p = parsed;
    return 0;
}

int prefix_of_client(const char *client, struct fleet_prefix *p)
{
    char text[TEXT_MAX];
    int width;
    bool bracket = *client == '[';
    size_t len = bracket ? strcspn(client + 1, "]") : strcspn(client, ":");
    /* "::1" has colons of its own and no port. */
    if (!bracket && client[len] && strchr(client + len + 1, ':'))
        len = strlen(client);
    if (len >= sizeof(text))
        return -EINVAL;
    memcpy(text, client + bracket, len);
    text[len] = 0;
    return parse_address(text, p, &width);
}

bool prefix_holds(const struct fleet_prefix *p, const struct fleet_prefix *address)
{
    if (p->bits < 0)
        return false;
    size_t bytes = (size_t)p->bits / 8;
    if (memcmp(p->address, address->address, bytes) != 0)
        return false;
    unsigned rest = (unsigned)p->bits % 8;
    if (rest == 0)
        return true;
    unsigned mask = 0xff00u >> rest & 0xff;
    return ((p->address[bytes] ^ address->address[bytes]) & mask) == 0;
}
