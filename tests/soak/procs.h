/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gateways and the director as child processes: they end with this one, however it ends. */
#ifndef SOAK_PROCS_H
#define SOAK_PROCS_H

#include "soak.h"

/* A kind of gateway that --gateways names. */
struct gateway_kind {
    const char *name;
    bool aligned;         /* takes whole sectors only */
    bool fixed;           /* its export is made before it is started, and by no hook */
    bool caches;          /* … must be started anew when its export becomes another file */
    const char *argv[20]; /* NULL-terminated; %s: socket, %d: folder, %f: file, %n: volume, %%: % */
};

/* NULL: there is none of that name (which ends at LEN). */
const struct gateway_kind *gateway_kind(const char *name, size_t len);

/* Writes the configuration and the routes, prepares all processes and starts them. */
void procs_setup(struct world *w);

/* Starts and continues what is due, and ends the run if a process ended by itself. */
void procs_tick(struct world *w);
/* All that there are run and listen. */
bool procs_all_up(const struct world *w);

/* kill -9; it is started again at START_US. */
void proc_kill(struct world *w, struct proc *p, uint64_t start_us);
void proc_stop(struct world *w, struct proc *p, uint64_t cont_us);
/* Starts P, whose argv is set, with its output appended to its log. */
void proc_start(struct world *w, struct proc *p);
/* SIGTERM, and waits; its wait status, or -1 when it has not ended within SECONDS. */
int proc_end(struct proc *p, double seconds);
/* Kills P, if it runs, and forgets what it was. */
void proc_release(struct proc *p);
/* Kills all that runs. */
void procs_release(struct world *w);

#endif
