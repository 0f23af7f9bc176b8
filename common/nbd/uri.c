/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/nbd/uri.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/parse.h"

#define DEFAULT_PORT "10809"

/* ---- parsing ---- */

static bool has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Copies LEN bytes of S and a NUL to OUT of SIZE bytes. */
static int copy(char *out, size_t size, const char *s, size_t len)
{
    if (len == 0 || len >= size)
        return -EINVAL;
    memcpy(out, s, len);
    out[len] = 0;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes all of S into OUT. */
static int decode(char *out, size_t size, const char *s)
{
    size_t n = 0;
    for (; *s; n++) {
        int c = (unsigned char)*s++;
        if (c == '%') {
            int high = hex_digit(s[0]);
            int low = high < 0 ? -1 : hex_digit(s[1]);
            if (low < 0)
                return -EINVAL;
            c = high * 16 + low;
            s += 2;
        } else if (c == '&' || c == '#') {
            return -EINVAL; /* a second parameter or a fragment */
        }
        if (c == 0 || n + 1 >= size)
            return -EINVAL;
        out[n] = (char)c;
    }
    out[n] = 0;
    return n ? 0 : -EINVAL;
}

static int copy_port(char out[32], const char *s, size_t len)
{
    char text[32];
    uint64_t port;
    if (copy(text, sizeof(text), s, len) < 0 || parse_u64(text, &port) < 0 || port > 65535)
        return -EINVAL;
    memcpy(out, text, len + 1);
    return 0;
}

/* "HOST", "HOST:PORT", "[V6]", "[V6]:PORT"; the port stays as it is where none is given. */
static int parse_host(const char *s, size_t len, char *host, size_t size, char port[32])
{
    const char *end = s + len;
    const char *stop;
    bool v6 = len && *s == '[';
    if (v6) {
        s++;
        stop = memchr(s, ']', (size_t)(end - s));
        if (!stop || strspn(s, "0123456789abcdefABCDEF:.") != (size_t)(stop - s))
            return -EINVAL;
    } else {
        stop = s + strcspn(s, ":/?#@%[] ");
        stop = stop < end ? stop : end;
    }
    if (copy(host, size, s, (size_t)(stop - s)) < 0)
        return -EINVAL;
    stop += v6;
    if (stop == end)
        return 0;
    if (*stop != ':')
        return -EINVAL;
    return copy_port(port, stop + 1, (size_t)(end - stop - 1));
}

static int parse_tcp(const char *s, struct nbd_addr *a)
{
    size_t len = strcspn(s, "/?#");
    if (s[len] && strcmp(s + len, "/") != 0)
        return -EINVAL;
    memcpy(a->port, DEFAULT_PORT, sizeof(DEFAULT_PORT));
    int r = parse_host(s, len, a->host, sizeof(a->host), a->port);
    return r < 0 || a->port[strspn(a->port, "0")] == 0 ? -EINVAL : 0;
}

static int parse_unix(const char *s, struct nbd_addr *a)
{
    static const char start[] = "/?socket=";
    if (!has_prefix(s, start))
        return -EINVAL;
    return decode(a->path, sizeof(a->path), s + strlen(start));
}

int nbd_addr_parse(const char *uri, struct nbd_addr *a)
{
    struct nbd_addr out = {0};
    int r = -EINVAL;
    if (has_prefix(uri, "nbd://"))
        r = parse_tcp(uri + strlen("nbd://"), &out);
    else if (has_prefix(uri, "nbd+unix://"))
        r = parse_unix(uri + strlen("nbd+unix://"), &out);
    else if (strstr(uri, "://"))
        r = -EPROTONOSUPPORT;
    if (r == 0)
        *a = out;
    return r;
}

/* ---- sockets ---- */

enum { SOCKET_FLAGS = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK };

static int unix_addr(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    return copy(out->sun_path, sizeof(out->sun_path), path, strlen(path));
}

static int gai_errno(int code)
{
    switch (code) {
    case EAI_SYSTEM:
        return -errno;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_AGAIN:
        return -EAGAIN;
    default:
        return -EHOSTUNREACH;
    }
}

/* Addresses to connect to, or with AI_PASSIVE to bind.  Freed with freeaddrinfo(). */
static int resolve(const char *host, const char *port, int flags, struct addrinfo **out)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    int code = getaddrinfo(host, port, &hints, out);
    return code ? gai_errno(code) : 0;
}

bool nbd_addr_is_name(const struct nbd_addr *a)
{
    struct addrinfo *list;
    if (!a->host[0])
        return false;
    if (resolve(a->host, a->port, AI_NUMERICHOST, &list) < 0)
        return true;
    freeaddrinfo(list);
    return false;
}

int nbd_addr_resolve(struct nbd_addr *a)
{
    struct addrinfo *list;
    int r = resolve(a->host, a->port, 0, &list);
    if (r < 0)
        return r;
    int code = getnameinfo(list->ai_addr, list->ai_addrlen, a->host, sizeof(a->host), NULL, 0,
                           NI_NUMERICHOST);
    freeaddrinfo(list);
    return code ? gai_errno(code) : 0;
}

static int start_connect(int family, const struct sockaddr *addr, socklen_t len)
{
    int fd = socket(family, SOCKET_FLAGS, 0);
    if (fd < 0)
        return -errno;
    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(fd, addr, len) < 0 && errno != EINPROGRESS) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static int connect_tcp(const struct nbd_addr *a)
{
    struct addrinfo *list;
    int fd = resolve(a->host, a->port, 0, &list);
    if (fd < 0)
        return fd;
    fd = -EHOSTUNREACH;
    for (const struct addrinfo *i = list; i && fd < 0; i = i->ai_next)
        fd = start_connect(i->ai_family, i->ai_addr, i->ai_addrlen);
    freeaddrinfo(list);
    return fd;
}

int nbd_addr_connect(const struct nbd_addr *a)
{
    struct sockaddr_un addr;
    if (!a->path[0])
        return connect_tcp(a);
    if (unix_addr(a->path, &addr) < 0)
        return -EINVAL;
    return start_connect(AF_UNIX, (struct sockaddr *)&addr, sizeof(addr));
}

static int start_listen(int family, const struct sockaddr *addr, socklen_t len)
{
    int fd = socket(family, SOCKET_FLAGS, 0);
    if (fd < 0)
        return -errno;
    if (family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, addr, len) < 0 || listen(fd, SOMAXCONN) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

/* Removes a socket file that a killed process left: one that refuses connections. */
static bool remove_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = start_connect(AF_UNIX, (const struct sockaddr *)addr, sizeof(*addr));
    if (fd >= 0)
        close(fd);
    return fd == -ECONNREFUSED && unlink(addr->sun_path) == 0;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un addr;
    if (unix_addr(path, &addr) < 0)
        return *path ? -ENAMETOOLONG : -EINVAL;
    int fd = start_listen(AF_UNIX, (struct sockaddr *)&addr, sizeof(addr));
    if (fd == -EADDRINUSE && remove_stale(&addr))
        fd = start_listen(AF_UNIX, (struct sockaddr *)&addr, sizeof(addr));
    return fd;
}

static int listen_tcp(const char *spec)
{
    struct nbd_addr a = {0};
    struct addrinfo *list;
    if (parse_host(spec, strlen(spec), a.host, sizeof(a.host), a.port) < 0 || !a.port[0])
        return -EINVAL;
    int fd = resolve(a.host, a.port, AI_PASSIVE, &list);
    if (fd < 0)
        return fd;
    fd = start_listen(list->ai_family, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return fd;
}

int nbd_listen(const char *spec)
{
    static const char unix_prefix[] = "unix:";
    if (has_prefix(spec, unix_prefix))
        return listen_unix(spec + strlen(unix_prefix));
    return listen_tcp(spec);
}
