/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The planner's picture of the world at one moment: gateways with their health, volumes with their
 * route, demand and past moves.  The caller fills it, in any order of rows but gateways before
 * volumes before the rest, and settles it; after that it is only read.
 */
#ifndef GS_PLAN_FLEET_H
#define GS_PLAN_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/intern.h"
#include "common/plan/calendar.h"
#include "common/plan/history.h"
#include "common/plan/hours.h"
#include "common/record/schema.h"

/* No gateway: none, or one that the configuration does not list. */
#define PLAN_NONE SIZE_MAX

/* One health record; text is stored by plan_fleet_health(). */
struct plan_health {
    double time;       /* Unix seconds */
    double ghs;        /* 0 … 1; NaN: the gateway is silent */
    double by_load;    /* how much higher it would be but for its load; 0: not at all, not given */
    double p_fail;     /* 0 … 1; NaN: not given */
    double confidence; /* 0 … 1 */
    double horizon_s;  /* that p_fail is for; 0: not given */
    const char *reason;
};

struct plan_gateway {
    const char *name;
    const char *storage; /* that it shares with others of the same; "" or NULL: with none */
    enum rec_gateway_state state;
    uint64_t capacity_bytes; /* 0: no limit */
    double iops_limit;       /* requests a second; 0: no limit */
    bool scored;             /* health is filled */
    struct plan_health health;
    double failed;   /* time of the latest move from it that failed; -INFINITY: none */
    double switched; /* … and of the latest that did not */
};

/* What affinity records say of a volume as a whole. */
struct plan_demand {
    bool known;
    double time;       /* of its latest records; Unix seconds */
    double confidence; /* the lowest of theirs */
    double requests;   /* predicted over the horizon */
    double horizon_s;
    double das_most; /* the highest DAS of their gateways; filled by plan_fleet_affinity() */
};

struct plan_volume {
    const char *name;
    const char *owner_name;
    size_t owner; /* index in gateways, or PLAN_NONE: not listed */
    size_t other; /* target of a move under way, or where a kept copy is; or PLAN_NONE */
    enum rec_route_state state;
    uint64_t epoch;
    uint64_t size_bytes; /* 0: not known */
    double routed;       /* time of the route record */
    enum rec_policy policy;
    enum rec_standby standby; /* as asked for by the limits, always or never */
    uint64_t *allowed;        /* a bit a gateway; NULL: all */
    size_t apart;   /* shares no gateway with others of this number; PLAN_NONE: with any */
    size_t group;   /* moves together with others of this number; PLAN_NONE: alone */
    bool stands_by; /* its move is deferred on purpose, says the history */
    size_t copies;  /* the first in plan_fleet.copies; PLAN_NONE: none is known */
    size_t shuns;   /* the first in plan_fleet.shuns; PLAN_NONE: none is known */
    size_t lefts;   /* the first in plan_fleet.lefts; PLAN_NONE: none is known */
    struct plan_demand demand;
    bool forecast;         /* hours were given */
    uint64_t peak_milli;   /* of its busiest hour; filled by plan_fleet_settle() */
    struct plan_past past; /* filled by plan_fleet_settle(), as are these: */
    const char *open;      /* a migration that began after the route was set and has not ended */
    size_t open_to;        /* its target; PLAN_NONE: not listed */
    bool handed;           /* its deferred move is being handed over */
    bool copying;          /* what is open, or under way, makes a copy that is to stand by */
    double balked; /* when one could not be made, or was lost, last at this epoch; 0: never */
};

/* A gateway's copy of a volume that is not all different. */
struct plan_copy {
    size_t gateway;
    uint64_t changed; /* bytes that may differ from the owner's */
    size_t next;      /* of the same volume, or PLAN_NONE */
};

/* Zero-initialise; plan_fleet_release() frees. */
struct plan_fleet {
    struct intern gateway_names; /* id = index in gateways */
    struct plan_gateway *gateways;
    size_t gateways_cap;
    struct intern volume_names; /* id = index in volumes */
    struct plan_volume *volumes;
    size_t volumes_cap;
    struct plan_copy *copies;
    size_t n_copies;
    size_t copies_cap;
    struct plan_shun *shuns; /* see shun.h; filled by plan_fleet_settle() */
    size_t n_shuns;
    size_t shuns_cap;
    struct plan_left *lefts; /* see left.h; likewise */
    size_t n_lefts;
    size_t lefts_cap;
    struct intern aparts;  /* id = plan_volume.apart */
    struct intern groups;  /* id = plan_volume.group */
    size_t *gateway_order; /* by name; filled by plan_fleet_settle() */
    size_t *volume_order;
    double latest;      /* scores dated later count only where there are no others; 0: any time */
    bool with_affinity; /* affinity was given; else every DAS is 0.5 */
    bool with_history;  /* history was given; else the route's time stands for the last move */
    double *das;        /* [volume * gateways + gateway]; NaN: no record */
    float *share;
    struct intern text;
    struct plan_history history;
    struct plan_hours *hours; /* of each volume, from hours_start on; NULL: no forecast was given */
    double hours_start;       /* the full hour before the plan's time */
    size_t n_hours;           /* up to the last that is forecast for any volume */
    const struct plan_calendar *calendar; /* of moves that can wait; borrowed; NULL: any time */
};

/*
 * Each of these copies what it is given and returns 0, -ENOMEM, or as said.  Gateways and volumes
 * may be named once only (-EEXIST).
 */
int plan_fleet_gateway(struct plan_fleet *f, const struct plan_gateway *g);

/*
 * V with names for OWNER_NAME (any) and OTHER_NAME ("" for none); V's fields owner, other, allowed,
 * apart, group, copies, shuns, lefts, demand, past and open are not read.  ALLOWED:
 * blank-separated gateways, "" for all; names that are not listed are left out.
 */
int plan_fleet_volume(struct plan_fleet *f, const struct plan_volume *v, const char *other_name,
                      const char *allowed);

/* VOLUME shall not be on the same gateway as others with this LABEL.  -ENOENT: no such volume. */
int plan_fleet_apart(struct plan_fleet *f, const char *volume, const char *label);

/* VOLUME shall move together with others with this LABEL.  -ENOENT: no such volume. */
int plan_fleet_group(struct plan_fleet *f, const char *volume, const char *label);

/*
 * Has GATEWAY left by its volumes, as if the configuration said drain; one that is down stays so,
 * as nothing can be copied from it.  -ENOENT: not a listed gateway.
 */
int plan_fleet_drain(struct plan_fleet *f, const char *gateway);

/*
 * GATEWAY has a copy of VOLUME of which CHANGED bytes may differ.  -ENOENT: no such volume or
 * gateway (ignored).  -EEXIST: it was said to be another number.
 */
int plan_fleet_changed(struct plan_fleet *f, const char *volume, const char *gateway,
                       uint64_t changed);

/*
 * The latest record of a gateway counts, but for those later than f->latest.  -ENOENT: not a
 * listed gateway (ignored).  -EEXIST: another record of the same time says something else.
 */
int plan_fleet_health(struct plan_fleet *f, const char *gateway, const struct plan_health *h);

/*
 * One affinity record; the latest of a volume count, as above.  DEMAND.known and das_most are not
 * read.
 * -ENOENT: not a listed gateway or not a volume with a route (ignored).  -EEXIST as above.
 */
int plan_fleet_affinity(struct plan_fleet *f, const char *volume, const char *gateway, double das,
                        double share, const struct plan_demand *demand);

/*
 * Opens the forecast for hours from the one of NOW on, after the last volume.  Then each volume has
 * its hours, until plan_fleet_settle() from its affinity where it gets none here.
 */
int plan_fleet_hours(struct plan_fleet *f, double now);

/* One forecast record; those of a volume add up.  -ENOENT: not a volume with a route (ignored). */
int plan_fleet_forecast(struct plan_fleet *f, const char *volume, double start, double duration_s,
                        double requests);

/* To be called once, after the last of the above. */
int plan_fleet_settle(struct plan_fleet *f);

void plan_fleet_release(struct plan_fleet *f);

/* Index by name, or PLAN_NONE. */
size_t plan_fleet_find(const struct plan_fleet *f, const char *gateway);

/* May VOLUME be on GATEWAY, as the configuration says? */
bool plan_fleet_allowed(const struct plan_fleet *f, size_t volume, size_t gateway);

/* Do gateways A and B export the same bytes? */
bool plan_fleet_shared(const struct plan_fleet *f, size_t a, size_t b);

/* Is there a copy of VOLUME on GATEWAY?  Then *CHANGED is what may differ. */
bool plan_fleet_copy(const struct plan_fleet *f, size_t volume, size_t gateway, uint64_t *changed);

/*
 * Is a copy of VOLUME there on GATEWAY for it to go to?  Kept since its last, uncommitted move: the
 * way there is a revert, which sends and compares what was written since.  Or standing by, the
 * target of a move that was deferred for that, says the history if it was given, and is mirrored:
 * then it is known what differs.
 */
bool plan_fleet_kept(const struct plan_fleet *f, size_t volume, size_t gateway);

/* The gateway on which a copy of VOLUME is being made that is to stand by, or PLAN_NONE. */
size_t plan_fleet_copying(const struct plan_fleet *f, size_t volume);

/*
 * Has the latest move from GATEWAY failed, less than an hour before NOW?  It may have died, and
 * others that can still be left should not wait for it.
 */
bool plan_fleet_balks(const struct plan_fleet *f, size_t gateway, double now);

/* The predicted DAS, or NaN where a record is missing; 0.5 when no affinity was given at all. */
double plan_fleet_das(const struct plan_fleet *f, size_t volume, size_t gateway);

/* No gateway's plan_fleet_das() of VOLUME is higher; -INFINITY where all are NaN. */
double plan_fleet_das_most(const struct plan_fleet *f, size_t volume);

/* The share that GATEWAY served, 0 … 1; 0 if not known. */
double plan_fleet_share(const struct plan_fleet *f, size_t volume, size_t gateway);

#endif
