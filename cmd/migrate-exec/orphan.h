/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Open moves of which the route store knows, and no journal: it was lost, or emptied. */
#ifndef EXEC_ORPHAN_H
#define EXEC_ORPHAN_H

#include <stdbool.h>

#include "cmd/migrate-exec/move.h"

/* What to do then: nobody but an operator can know. */
#define ORPHAN_WAY "find the gateway whose copy is whole, then route-set --force"

/* Can no journal be of what ROUTE says is open?  One that cannot be read may be. */
bool orphan_is(const struct exec *x, const struct route *route);

#endif
