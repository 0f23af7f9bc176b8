/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * idle_clients SOCKET VOLUME N PID: connects N clients to the director with process PID, leaves
 * them idle, and prints the bytes of its memory that each of them costs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/parse.h"
#include "common/nbd/handshake.h"
#include "common/nbd/uri.h"

/* So many come first: what the first client of all costs is not an idle one's. */
enum { WARM = 50 };

static void connect_one(const char *path, const char *volume)
{
    struct nbd_addr a = {0};
    struct nbd_client c;
    unsigned char in[65536];
    size_t len = 0, used;
    snprintf(a.path, sizeof(a.path), "%s", path);
    int fd = nbd_addr_connect(&a);
    nbd_client_start(&c, volume);
    c.want_structured = true;
    for (int step = NBD_CLIENT_MORE; step != NBD_CLIENT_DONE;) {
        struct buf out = {0};
        ssize_t n = read(fd, in + len, sizeof(in) - len);
        if (n <= 0) {
            usleep(100);
            continue;
        }
        len += (size_t)n;
        step = nbd_client_input(&c, in, len, &used, &out);
        if (step < 0 || (out.len && fsfile_write_all(fd, out.data, out.len) < 0))
            err_die(EX_UNAVAILABLE, "cannot open '%s': %s", volume, c.error);
        memmove(in, in + used, len - used);
        len -= used;
        buf_release(&out);
    }
    /* The descriptor stays open until the end. */
}

static double rss_bytes(const char *pid)
{
    char path[64];
    struct buf text = {0};
    snprintf(path, sizeof(path), "/proc/%s/status", pid);
    if (fsfile_read(path, 1 << 16, &text) < 0)
        err_die(EX_UNAVAILABLE, "cannot read '%s'", path);
    const char *p = strstr(text.data, "VmRSS:");
    double kib = p ? strtod(p + 6, NULL) : 0;
    buf_release(&text);
    return kib * 1024;
}

int main(int argc, char **argv)
{
    uint64_t n;
    if (argc != 5 || parse_u64(argv[3], &n) < 0 || !n)
        err_die(EX_USAGE, "usage: idle_clients SOCKET VOLUME N PID");
    for (int i = 0; i < WARM; i++)
        connect_one(argv[1], argv[2]);
    double before = rss_bytes(argv[4]);
    for (uint64_t i = 0; i < n; i++)
        connect_one(argv[1], argv[2]);
    printf("%.0f\n", (rss_bytes(argv[4]) - before) / (double)n);
    return 0;
}
