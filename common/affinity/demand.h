/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is remembered of the accesses: hourly demand per volume and client site, decayed heat per
 * segment of a volume and hour of the day, and the share each gateway served.
 *
 * All of it is sums, so the order in which records come does not matter.  Decay halves at the turn
 * of a week (counted from the epoch), that is, by exact powers of two: it loses no bits either.
 *
 * Memory a volume: at most DEMAND_SITES · keep hours · 8 bytes (with 13 weeks: 0.5 MiB; two sites:
 * 34 KiB), and DEMAND_SEGMENTS · 600 bytes (0.6 MiB) once every segment was touched.
 */
#ifndef GS_AFFINITY_DEMAND_H
#define GS_AFFINITY_DEMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/intern.h"
#include "common/forecast/series.h"

enum {
    DEMAND_SITES = 32,      /* a volume; the rest of its sites go to the site "other" */
    DEMAND_GATEWAYS = 64,   /* a volume; what further ones served is not remembered */
    DEMAND_SEGMENTS = 1024, /* a volume */
    DEMAND_SHIFT_MIN = 16, /* segments of 64 KiB at first, doubled as the volume turns out larger */
    DEMAND_SHIFT_MAX = 54,
};

/* Hourly requests of one site; hours outside are 0 or forgotten. */
struct demand_site {
    char *site;      /* owned */
    int64_t start;   /* hours since the epoch of count[0] */
    uint64_t *count; /* owned; saturates */
    size_t n, cap;
};

enum demand_kind { DEMAND_READS, DEMAND_WRITES, DEMAND_BYTES, DEMAND_KINDS };

struct demand_segment {
    uint32_t index;
    double heat[HOURS_A_DAY][DEMAND_KINDS];
};

struct demand_served {
    char *gateway; /* owned */
    double requests;
};

struct demand_volume {
    const char *volume; /* borrowed from demand.volumes */
    struct demand_site *sites;
    size_t n_sites, cap_sites;
    struct demand_served *served;
    size_t n_served, cap_served;
    unsigned shift;                   /* a segment is 2^shift bytes */
    struct demand_segment **segments; /* owned, ascending by index */
    size_t n_segments, cap_segments;
    double flushes[HOURS_A_DAY]; /* requests that belong to no segment */
    int64_t week;                /* that heat, flushes and served count as now */
};

struct demand {
    struct intern volumes;
    struct demand_volume *volume; /* [id in volumes] */
    size_t cap;
    int64_t newest_hour; /* of any record; INT64_MIN before the first */
    uint32_t keep_hours;
};

/* Clearing (trim, zero) is a write that moves no bytes; a flush belongs to no segment. */
enum demand_op { DEMAND_READ, DEMAND_WRITE, DEMAND_CLEAR, DEMAND_FLUSH };

/* COUNT requests of one kind; strings are borrowed for the call. */
struct demand_record {
    double time; /* Unix seconds, not negative */
    const char *volume, *site;
    const char *gateway; /* "" if not known */
    enum demand_op op;
    uint64_t offset, length; /* offset + length fits in 63 bits */
    uint64_t count;
};

/* D remembers the last KEEP_HOURS (> 0). demand_release() frees. */
void demand_init(struct demand *d, uint32_t keep_hours);
void demand_release(struct demand *d);

/* Adds R.  0, -ENOMEM, or -ERANGE: R's offset and length are out of range. */
int demand_add(struct demand *d, const struct demand_record *r);

/* The volume NAME, added if new.  NULL: out of memory.  Borrowed until the next one is added. */
struct demand_volume *demand_volume(struct demand *d, const char *name);
/* The site NAME of V, added if new, or "other" when V has too many.  NULL: out of memory. */
struct demand_site *demand_site(struct demand_volume *v, const char *name);
/* The served share of GATEWAY, added if new.  NULL: out of memory, or too many (*FULL is set). */
struct demand_served *demand_served(struct demand_volume *v, const char *gateway, bool *full);
/* The segment INDEX of V, added if new.  NULL: out of memory. */
struct demand_segment *demand_segment(struct demand_volume *v, uint32_t index);

/*
 * Demand of site S as a series that ends before the hour END, in OUT (owned by the caller, free());
 * out->n is 0 and out->y NULL if S was not seen before END.  Y goes back to the site's first hour
 * that is remembered.  0 or -ENOMEM.
 */
int demand_series(const struct demand *d, const struct demand_site *s, int64_t end, double **y,
                  struct series *out);

/* The first hour that D remembers; INT64_MIN before the first record. */
int64_t demand_first_hour(const struct demand *d);

/* The share (0 … 1) of V's remembered requests that GATEWAY served; 0 if none are remembered. */
double demand_share(const struct demand_volume *v, const char *gateway);

#endif
