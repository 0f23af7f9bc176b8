/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The proving job: synced extents are read from both gateways and compared byte by byte.  Equal
 * ones are reported as proved; the director keeps the bit and clears it at any write (S8).
 */
#ifndef EXEC_PROOF_H
#define EXEC_PROOF_H

#include "cmd/migrate-exec/flow.h"

extern const struct flow_job proof;

#endif
