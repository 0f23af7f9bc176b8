/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The copying job: dirty extents go to the target. */
#ifndef EXEC_COPY_H
#define EXEC_COPY_H

#include "cmd/migrate-exec/flow.h"

/* Every block is sent; blocks of zeroes as WRITE_ZEROES.  For a target that was just created. */
extern const struct flow_job copy_all;

/* The target is read too, and only the 4 KiB pages that differ are sent. */
extern const struct flow_job copy_differences;

#endif
