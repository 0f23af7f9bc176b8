/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control client against a director that says any bytes and hangs up.  Held to: the result is
 * one of the documented ones, and what was accepted is data lines and one last line of the input.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/nbd/uri.h"
#include "common/route/control.h"
#include "folder.h"
#include "fuzz.h"

enum { INPUT_MAX = 32768 }; /* fits into a socket's buffer: one thread plays both sides */

static const char *socket_path(void)
{
    static char path[64];
    snprintf(path, sizeof(path), "%s/control", folder());
    return path;
}

static int listener(void)
{
    char spec[80];
    snprintf(spec, sizeof(spec), "unix:%s", socket_path());
    int fd = nbd_listen(spec);
    require(fd >= 0);
    return fd;
}

static void check(const struct control *c, int r, const char *data, size_t size)
{
    size_t len = strlen(control_data(c));
    require(len <= size && memcmp(control_data(c), data, len) == 0);
    require(len == 0 || control_data(c)[len - 1] == '\n');
    if (r == 0)
        require(size >= len + 3 && memcmp(data + len, "ok", 2) == 0);
    else
        require(r < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct control *c;
    if (size > INPUT_MAX || memchr(data, 0, size))
        return 0;
    if (fd < 0)
        fd = listener();
    require(control_open(socket_path(), &c) == 0);
    int peer = accept(fd, NULL, NULL);
    require(peer >= 0);
    require(send(peer, data, size, MSG_NOSIGNAL) == (ssize_t)size);
    require(shutdown(peer, SHUT_WR) == 0);
    check(c, control_call(c, 1000, "status"), (const char *)data, size);
    control_close(c);
    close(peer);
    return 0;
}
