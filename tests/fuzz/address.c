/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A gateway's URI and a client's address of any bytes.  Held to: what is refused leaves nothing
 * behind; a URI that is taken leads to one place, with a port that there is; an address is within
 * itself, and within a prefix of as many bits as it has; and text stays within its field.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fleet/prefix.h"
#include "common/nbd/uri.h"
#include "fuzz.h"

static void check_uri(const char *text)
{
    static const struct nbd_addr nothing;
    struct nbd_addr a = {0};
    const int r = nbd_addr_parse(text, &a);
    require(r == 0 || r == -EINVAL || r == -EPROTONOSUPPORT);
    if (r < 0) {
        require(memcmp(&a, &nothing, sizeof(a)) == 0);
        return;
    }
    require(memchr(a.host, 0, sizeof(a.host)) && memchr(a.path, 0, sizeof(a.path)));
    require(memchr(a.port, 0, sizeof(a.port)) && !*a.host == !*a.port && !*a.host == !!*a.path);
    if (*a.port)
        require(strtoul(a.port, NULL, 10) >= 1 && strtoul(a.port, NULL, 10) <= 65535);
    nbd_addr_is_name(&a);
}

static void check_prefix(const char *text)
{
    struct fleet_prefix prefix, client;
    const int r = prefix_parse(text, &prefix);
    require(r == 0 || r == -EINVAL);
    if (r == 0) {
        require(prefix.bits >= 0 && prefix.bits <= 128);
        require(prefix_holds(&prefix, &prefix));
    }
    const int q = prefix_of_client(text, &client);
    require(q == 0 || q == -EINVAL);
    require(q < 0 || (client.bits == 128 && prefix_holds(&client, &client)));
    require(q < 0 || r < 0 || prefix_holds(&prefix, &client));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(size + 1, 1);
    require(text != NULL);
    if (size)
        memcpy(text, data, size);
    check_uri(text);
    check_prefix(text);
    free(text);
    return 0;
}
