/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration folder: gateways, volumes, sites and distances (gateshift-records(5)). */
#ifndef GS_FLEET_FLEET_H
#define GS_FLEET_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/intern.h"
#include "common/fleet/prefixset.h"
#include "common/record/schema.h"

struct fleet_gateway {
    const char *name; /* borrowed from fleet.gateway_names */
    char *uri;
    char *site;              /* "" if none */
    uint64_t capacity_bytes; /* 0: no limit known */
    double iops_limit;       /* 0: none */
    enum rec_gateway_state state;
    char *hook;    /* "" if none */
    char *metrics; /* URL of what node_exporter says there; "" if none */
    char *storage; /* what it exports from, if others do too; "" if none */
};

struct fleet_volume {
    const char *name;
    uint64_t size_bytes; /* 0: not given */
    enum rec_policy policy;
    char *gateways; /* the allowed ones, blank-separated; "": all */
    char *group;    /* "" if none */
    char *anti;
    enum rec_standby standby; /* does a copy of it stand by: as asked for, always or never? */
    char *clients; /* who may open it, blank-separated, as fleet_site.client; "": anyone */
};

struct fleet_site {
    char *site;
    char *tz;
};

struct fleet {
    struct intern gateway_names; /* id = index in gateways */
    struct fleet_gateway *gateways;
    struct intern volume_names;
    struct fleet_volume *volumes;
    struct intern
        client_names; /* of sites: address, CIDR prefix, "uid:N" or "*"; id = index there */
    struct fleet_site *sites;
    struct prefix_set prefixes; /* of the clients that are addresses; number = index in sites */
    struct intern site_names;   /* every site named in any file */
    double *rtt_us;             /* [site * gateways + gateway]; NaN where no row says */
    char error[512];            /* after a failure: the line to print */
    int status;                 /* after a failure: the exit status (65, 66, 71, 74 or 78) */
};

enum fleet_part {
    FLEET_GATEWAYS = 1,  /* gateways.csv: must be there */
    FLEET_VOLUMES = 2,   /* volumes.csv: absent means no volume is listed */
    FLEET_SITES = 4,     /* sites.csv: absent means every client is at site "default" */
    FLEET_DISTANCES = 8, /* distances.csv: absent means none known */
};

/*
 * Reads the PARTS of the folder DIR into F (zero-initialised); distances need, and so bring, the
 * gateways.  0 or -errno, then F->error and F->status say what to print; fleet_release() is due in
 * both cases.  Errors (78) are a gateway, volume, client or distance listed twice, a distance to an
 * unknown gateway, an allowed gateway that does not exist (if the gateways are read too), and a
 * client, of a site or of a volume, that is none of the forms above.
 */
int fleet_load(struct fleet *f, const char *dir, unsigned parts);
void fleet_release(struct fleet *f);

/* By name; NULL if not listed. */
const struct fleet_gateway *fleet_gateway(const struct fleet *f, const char *name);
const struct fleet_volume *fleet_volume(const struct fleet *f, const char *name);

/* May VOLUME be on GATEWAY?  An unlisted volume, or an empty list, may be anywhere. */
bool fleet_allowed(const struct fleet *f, const char *volume, const char *gateway);

/*
 * May CLIENT, named as for fleet_site_of(), open VOLUME?  An unlisted volume, or an empty list,
 * anybody may open.
 */
bool fleet_admits(const struct fleet *f, const char *volume, const char *client);

/*
 * The site of a client as access records name it: "ADDRESS", "ADDRESS:PORT", "[V6]:PORT" or
 * "uid:N".  The longest matching prefix wins, then "*"; "default" if nothing matches.  Borrowed.
 */
const char *fleet_site_of(const struct fleet *f, const char *client);

#endif
