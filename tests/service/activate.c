/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * activate NAME=KIND:PATH... -- COMMAND...: starts a command as systemd does that was activated by
 * sockets (sd_listen_fds(3)), with descriptors from 3 on.  KIND is unix (listening), idle (a bound
 * stream socket that does not listen), dgram or file.  A LISTEN_PID in the environment stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "activate: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int make(const char *kind, size_t len, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strncmp(kind, "file", len) == 0)
        return open(path, O_RDONLY);
    int type = strncmp(kind, "dgram", len) == 0 ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(AF_UNIX, type, 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return -1;
    return strncmp(kind, "unix", len) == 0 && listen(fd, 64) < 0 ? -1 : fd;
}

int main(int argc, char **argv)
{
    char names[1024] = "", number[16];
    int n = 0;
    for (; n + 1 < argc && strcmp(argv[n + 1], "--") != 0; n++) {
        char *name = argv[n + 1];
        char *kind = strchr(name, '=');
        char *path = kind ? strchr(kind, ':') : NULL;
        if (!path)
            die(name);
        int fd = make(kind + 1, (size_t)(path - kind - 1), path + 1);
        if (fd < 0 || (fd != 3 + n && (dup2(fd, 3 + n) < 0 || close(fd) < 0)))
            die(name);
        size_t used = strlen(names);
        snprintf(names + used, sizeof(names) - used, "%s%.*s", n ? ":" : "", (int)(kind - name),
                 name);
    }
    snprintf(number, sizeof(number), "%d", n);
    setenv("LISTEN_FDS", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    snprintf(number, sizeof(number), "%d", (int)getpid());
    setenv("LISTEN_PID", number, 0);
    argv += n + 2;
    execvp(argv[0], argv);
    die(argv[0]);
}
