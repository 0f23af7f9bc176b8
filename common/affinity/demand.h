/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is remembered of the accesses to volumes, week by week (counted from the epoch): hourly
 * requests of each client site, requests served by each gateway, and where on the volume they fell.
 *
 * A week is whole numbers and depends on nothing but which of its accesses were added, not on their
 * order: parts can be counted apart and merged.  Decay, which halves the weight with every week, is
 * applied where a question is answered.
 *
 * Memory: 256 bytes a volume that is added to; a volume and week 1.4 KiB for each of at most
 * DEMAND_NAMES sites, 1.5 KiB for as many gateways, and cells.h's 2.3 MiB at most for each of the
 * last DEMAND_HEAT_WEEKS weeks.
 */
#ifndef GS_AFFINITY_DEMAND_H
#define GS_AFFINITY_DEMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/affinity/cells.h"
#include "common/affinity/tally.h"
#include "common/base/intern.h"
#include "common/forecast/series.h"

enum {
    DEMAND_NAMES = TALLY_NAMES,      /* sites, and gateways, of a volume and week told apart */
    DEMAND_SITES = DEMAND_NAMES + 1, /* … and "other" */
    DEMAND_HEAT_WEEKS = 4,           /* older ones would add a sixteenth */
};

#define DEMAND_OTHER TALLY_OTHER

struct demand_week {
    int64_t week;        /* hours since the epoch / HOURS_A_WEEK */
    struct tally sites;  /* by demand.sites: [HOURS_A_WEEK] requests */
    struct tally served; /* by demand.gateways: one number, of requests */
    struct cells cells;
};

struct demand_volume;

/* A site of a volume over all weeks. */
struct demand_site {
    const char *site; /* borrowed from demand.sites */
    uint32_t id;
    const struct demand_volume *of;
};

struct demand_volume {
    const char *volume;         /* borrowed from demand.volumes */
    struct demand_week **weeks; /* owned, each owned, ascending */
    size_t n_weeks, cap_weeks;
    struct demand_week *last; /* the one last added to */
    /* Made by demand_gather(). */
    struct demand_site *sites; /* owned, by name */
    size_t n_sites;
};

/* What demand_add() knows of the hour it last added to; −1: none. */
struct demand_now {
    int64_t hour, newest_hour;
    int64_t week;
    unsigned of_week;   /* hours */
    bool counts, heats; /* is remembered, is it for the heat map too */
};

struct demand {
    struct intern volumes, sites, gateways;
    struct demand_volume *volume; /* [id in volumes] */
    size_t cap;
    int64_t newest_hour; /* of any access; INT64_MIN before the first */
    double newest;       /* its time in Unix seconds; −1 before the first; kept by the caller */
    uint32_t keep_hours;
    struct demand_now now;
    struct demand_spot *spot; /* owned, [n_spots], by volume; see adding.h */
    size_t n_spots;
    bool overflowed; /* some volume has had more than DEMAND_NAMES sites in a week */
};

/* Clearing (trim, zero) is a write that moves no bytes; a flush belongs to no segment. */
enum demand_op { DEMAND_READ, DEMAND_WRITE, DEMAND_CLEAR, DEMAND_FLUSH };

#define DEMAND_NO_GATEWAY UINT32_MAX

/* COUNT accesses of one kind; names are the numbers that demand_…_id() gave. */
struct demand_record {
    int64_t hour; /* since the epoch, not negative */
    uint32_t volume, site;
    uint32_t gateway; /* DEMAND_NO_GATEWAY: not known */
    enum demand_op op;
    uint64_t offset, length; /* offset + length fits in 63 bits */
    uint64_t count;
};

/* D remembers the weeks that its last KEEP_HOURS (> 0) lie in. demand_release() frees. */
void demand_init(struct demand *d, uint32_t keep_hours);
void demand_release(struct demand *d);

/* The number of a name of LEN bytes, added if new; or -ENOMEM. */
long demand_volume_id(struct demand *d, const char *name, size_t len);
long demand_site_id(struct demand *d, const char *name, size_t len);
long demand_gateway_id(struct demand *d, const char *name, size_t len);

/* Adds R.  0, -ENOMEM, or -ERANGE: R's offset and length are out of range (nothing is added). */
int demand_add(struct demand *d, const struct demand_record *r);

/* To be called when all was added with demand_add_later().  0 or -ENOMEM. */
int demand_settle(struct demand *d);

/* Adds all of FROM, which may be emptied by that; both need not be settled.  0 or -ENOMEM. */
int demand_merge(struct demand *d, struct demand *from);

/* The week WEEK of volume number VOLUME, added if new.  NULL: out of memory.  Borrowed. */
struct demand_week *demand_week(struct demand *d, uint32_t volume, int64_t week);
/* COUNT requests from SITE in HOUR of the week; served by GATEWAY.  0 or -ENOMEM. */
int demand_week_hour(struct demand *d, struct demand_week *w, uint32_t site, unsigned hour,
                     uint64_t count);
int demand_week_served(struct demand *d, struct demand_week *w, uint32_t gateway, uint64_t count);

/* The week of HOUR (hours since the epoch); −1: it lies before. */
static inline int64_t demand_week_of(int64_t hour)
{
    return hour < 0 ? -1 : hour / HOURS_A_WEEK;
}
/* The first hour that D remembers, and its week; INT64_MIN before the first access. */
int64_t demand_first_hour(const struct demand *d);
int64_t demand_first_week(const struct demand *d);
/* The first week whose cells D remembers. */
int64_t demand_first_heat_week(const struct demand *d);

/* Forgets what has become too old; of one volume. */
void demand_trim(struct demand *d);
void demand_trim_volume(struct demand *d, uint32_t volume);

/* ---- answers ---- */

/*
 * Makes every volume's list of sites: those of all weeks, at most DEMAND_NAMES and "other", which
 * stands for the rest.  To be called when all was added.  0 or -ENOMEM.
 */
int demand_gather(struct demand *d);

/*
 * Demand of site S as a series that ends before the hour END, in OUT (owned by the caller, free());
 * out->n is 0 and out->y NULL if S was not seen before END.  Y goes back to the site's first hour
 * with a request that is remembered.  0 or -ENOMEM.
 */
int demand_series(const struct demand *d, const struct demand_site *s, int64_t end, double **y,
                  struct series *out);

/* The weight of WEEK: 1 for D's newest, half of it for the one before, … */
double demand_weight(const struct demand *d, int64_t week);

/* The share (0 … 1) of V's remembered requests that GATEWAY served; 0 if none are remembered. */
double demand_share(const struct demand *d, const struct demand_volume *v, const char *gateway);

#endif
