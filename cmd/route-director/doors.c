/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "doors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "common/base/error.h"
#include "common/nbd/uri.h"
#include "controlfront.h"
#include "limits.h"

/* Between two looks at who wants in, while there is no descriptor for anybody. */
enum { REST_US = 100000 };

/* A listening socket. */
struct door {
    struct loop_fd io;
    struct loop_timer rest; /* while no descriptor is free */
    struct director *d;
    char *spec;
    enum door_kind kind;
    struct door *next;
};

struct doors {
    struct director *d;
    struct door *first;
};

/* "uid:N" behind a unix socket, else the address. */
static void name_client(int fd, char *name, size_t size)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    struct ucred cred = {0};
    socklen_t clen = sizeof(cred);
    char text[INET6_ADDRSTRLEN] = "unknown";
    getpeername(fd, (struct sockaddr *)&a, &len);
    if (a.ss_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)&a)->sin_addr, text, sizeof(text));
    } else if (a.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&a)->sin6_addr, text, sizeof(text));
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &clen) == 0) {
        snprintf(name, size, "uid:%u", (unsigned)cred.uid);
        return;
    }
    snprintf(name, size, "%s", text);
}

/* Only root and the director's own user may steer it. */
static bool may_control(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
           (cred.uid == 0 || cred.uid == geteuid());
}

static void rested(struct loop_timer *t)
{
    struct door *door = (struct door *)((char *)t - offsetof(struct door, rest));
    loop_events(door->d->loop, &door->io, EPOLLIN);
}

/* Nobody can be let in now; who waits would wake the loop again and again. */
static void rest(struct door *door)
{
    struct loop *loop = door->d->loop;
    if (loop_timer_set(loop, &door->rest, loop_now_us(loop) + REST_US, rested) == 0)
        loop_events(loop, &door->io, 0);
}

/* Whoever came in on FD becomes a client, a copier, or a control connection. */
static void let_in(struct door *door, int fd)
{
    char name[64];
    if (door->kind == DOOR_CLIENTS && !limits_take(door->d)) {
        close(fd);
    } else if (door->kind == DOOR_CLIENTS) {
        limits_socket(fd);
        name_client(fd, name, sizeof(name));
        client_new(door->d, fd, name, false);
    } else if (!may_control(fd)) {
        err_warn("%s connection of another user refused",
                 door->kind == DOOR_CONTROL ? "control" : "copier's");
        close(fd);
    } else if (door->kind == DOOR_CONTROL) {
        controlfront_new(door->d, fd);
    } else {
        client_new(door->d, fd, "copier", true);
    }
}

static void on_knock(struct loop_fd *io, uint32_t events)
{
    struct door *door = (struct door *)((char *)io - offsetof(struct door, io));
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            rest(door);
        return; /* or the client went away */
    }
    let_in(door, fd);
}

/* Watches the listening socket FD; SPEC as in doors_open(). */
static void watch_door(struct doors *doors, int fd, const char *spec, enum door_kind kind)
{
    struct door *door = calloc(1, sizeof(*door));
    if (!door || !(door->spec = strdup(spec)))
        err_die(EX_OSERR, "cannot start: %s", err_text(ENOMEM));
    door->d = doors->d;
    door->kind = kind;
    door->io.fd = -1;
    int r = loop_add(door->d->loop, &door->io, fd, EPOLLIN, on_knock);
    if (r < 0)
        err_die(EX_CANTCREAT, "cannot listen on '%s': %s", spec, err_text(r));
    door->next = doors->first;
    doors->first = door;
}

int doors_try(struct doors *doors, const char *spec, enum door_kind kind)
{
    /* Clients may be anybody who reaches the socket; steering and copying is the owner's. */
    mode_t mask = kind == DOOR_CLIENTS ? 0 : umask(0177);
    int fd = nbd_listen(spec);
    if (kind != DOOR_CLIENTS)
        umask(mask);
    if (fd < 0)
        return fd;
    watch_door(doors, fd, spec, kind);
    return 0;
}

void doors_open(struct doors *doors, const char *spec, enum door_kind kind)
{
    int r = doors_try(doors, spec, kind);
    if (r < 0)
        err_die(r == -EINVAL ? EX_USAGE : EX_CANTCREAT, "cannot listen on '%s': %s", spec,
                r == -EINVAL ? "it is neither unix:PATH nor HOST:PORT" : err_text(r));
}

void doors_adopt(struct doors *doors, int fd, enum door_kind kind)
{
    watch_door(doors, fd, "passed", kind);
}

static void close_door(struct door *door)
{
    int fd = door->io.fd;
    loop_timer_cancel(door->d->loop, &door->rest);
    loop_del(door->d->loop, &door->io);
    close(fd);
    if (strncmp(door->spec, "unix:", 5) == 0)
        unlink(door->spec + 5);
    free(door->spec);
    free(door);
}

struct doors *doors_new(struct director *d)
{
    struct doors *doors = calloc(1, sizeof(*doors));
    if (doors)
        doors->d = d;
    return doors;
}

void doors_free(struct doors *doors)
{
    struct door *door;
    if (!doors)
        return;
    while ((door = doors->first)) {
        doors->first = door->next;
        close_door(door);
    }
    free(doors);
}
