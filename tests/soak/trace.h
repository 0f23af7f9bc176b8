/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The last events of a run, for the report of a failure. */
#ifndef SOAK_TRACE_H
#define SOAK_TRACE_H

#include <stdint.h>
#include <stdio.h>

enum { TRACE_EVENTS = 1 << 17 };

struct event {
    uint64_t at_us; /* since the start of the run */
    const char *what;
    const char *who;    /* NULL: nobody else */
    const char *volume; /* NULL: it concerns all */
    uint64_t first, n;  /* units; n 0: all of the volume */
    uint64_t op;
    unsigned conn; /* 0: none */
    int error;
};

struct trace {
    struct event *ring;
    uint64_t n;
};

/* 0 or -ENOMEM. */
int trace_init(struct trace *t);
void trace_release(struct trace *t);
/* Strings are borrowed until trace_release(). */
void trace_add(struct trace *t, struct event e);
/* Prints the last MAX events that touched UNIT of VOLUME (UINT64_MAX: any unit), oldest first. */
void trace_print(const struct trace *t, const char *volume, uint64_t unit, unsigned max, FILE *to);

#endif
