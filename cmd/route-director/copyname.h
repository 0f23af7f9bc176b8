/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of a move's private exports (copiers.h), and of the socket that has them.  Pure.
 *
 * An export's name is WORKER-TOKEN-SIDE: the thread that the volume lives in, the secret of this
 * beginning of the move, and "source" or "target".
 */
#ifndef DIRECTOR_COPYNAME_H
#define DIRECTOR_COPYNAME_H

#include <stddef.h>

#include "request.h"

enum { COPY_TOKEN_LEN = 32, COPY_NAME_SIZE = 64 };

/* What a name says. */
struct copy_name {
    unsigned worker;
    char token[COPY_TOKEN_LEN + 1]; /* lower-case hexadecimal digits */
    enum leg_role side;             /* ROLE_OWNER: the source */
};

/* A new secret: 128 random bits.  0 or -errno. */
int copy_token(char token[COPY_TOKEN_LEN + 1]);

void copy_name_format(const struct copy_name *n, char text[COPY_NAME_SIZE]);
/* 0, or -EINVAL: not such a name.  Whether there is such a worker is not looked at. */
int copy_name_parse(const char *text, struct copy_name *n);

/*
 * Where the private exports are, for the control socket CONTROL: beside it, with ".copy" for its
 * ".sock", or behind a name that ends otherwise.  NULL: out of memory; owned by the caller.
 */
char *copy_socket(const char *control);

#endif
