/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Why a file was refused, for who is to end the program for it. */
#ifndef GS_BASE_REFUSED_H
#define GS_BASE_REFUSED_H

struct refused {
    char text[512]; /* the line to print */
    int status;     /* the exit status, of sysexits.h */
};

/* Fills R, and returns ERR, a negative errno. */
int refused(struct refused *r, int status, int err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* That memory has run out: -ENOMEM. */
int refused_memory(struct refused *r);

#endif
