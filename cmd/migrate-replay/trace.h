/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What clients asked for: access records as rates that hold from a time to a time.  The whole
 * trace is held, since it is replayed more than once: some 48 bytes for each record that cannot be
 * joined with another of its volume, site and time.
 */
#ifndef GS_MIGRATE_REPLAY_TRACE_H
#define GS_MIGRATE_REPLAY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/intern.h"
#include "common/fleet/fleet.h"

/* Requests of one volume from one site, spread evenly. */
struct trace_span {
    double from; /* Unix seconds, a whole number of steps */
    uint32_t volume;
    uint32_t site;
    uint64_t requests;
    uint64_t writes; /* of REQUESTS: those that change data */
};

/* Zero-initialise; trace_release() frees. */
struct trace {
    struct intern volumes; /* in order of first sight */
    struct intern sites;
    struct trace_span *spans; /* by time, volume and site */
    size_t n, cap;
    size_t *home;    /* [volume] the gateway of its first record, of the fleet; SIZE_MAX: none */
    uint64_t *sizes; /* [volume] in bytes, 0: not known; NULL: none is */
    size_t home_cap;
    double start; /* of the first span; end: of the last */
    double end;
    double span_s; /* how long each holds */
};

struct trace_how {
    double step_s;   /* times are rounded down to a multiple of it */
    double spread_s; /* a record's requests are spread over so long from its time on */
    bool keep_going; /* malformed records are reported and skipped */
};

/*
 * Fills T from the N files PATHS (0: standard input).  Clients become sites by FLEET.  The exit
 * status: 0, or 65 after a record that was skipped.  Ends the program on other failures.
 */
int trace_read(struct trace *t, const struct fleet *fleet, char *const *paths, size_t n,
               const struct trace_how *how);

/*
 * Takes from the route records in PATH where volumes are at first, and their sizes; those of other
 * volumes are left out.  Ends the program on failure.
 */
void trace_place(struct trace *t, const struct fleet *fleet, const char *path);
void trace_release(struct trace *t);

#endif
