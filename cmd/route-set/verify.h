/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who really serves each volume: asks its director and every gateway, and compares (--verify). */
#ifndef ROUTE_SET_VERIFY_H
#define ROUTE_SET_VERIFY_H

#include <stdbool.h>

#include "common/base/opts.h"
#include "common/fleet/fleet.h"
#include "common/route/store.h"

/*
 * Prints a verification record for VOLUME ("": for all volumes of S).  Directors and gateways get
 * at most TIMEOUT_MS to answer, and a gateway that has not is not asked again.  True if everything
 * is as the store says.
 */
bool verify(const struct opts_dirs *dirs, const struct fleet *f, struct route_store *s,
            const char *volume, int timeout_ms);

#endif
