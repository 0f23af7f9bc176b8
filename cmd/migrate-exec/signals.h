/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SIGINT and SIGTERM while a migration is driven: blocked, and looked at where stopping is safe,
 * so that no handler and no global flag is needed.
 */
#ifndef EXEC_SIGNALS_H
#define EXEC_SIGNALS_H

void signals_block(void);
/* A signal that came meanwhile takes effect now. */
void signals_unblock(void);
/* "SIGINT" or "SIGTERM" if one waits, else NULL. */
const char *signals_pending(void);

#endif
