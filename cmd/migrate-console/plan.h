/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs around a plan.  What is carried out are the very lines that were shown. */
#ifndef GS_CONSOLE_PLAN_H
#define GS_CONSOLE_PLAN_H

#include "cmd/migrate-console/console.h"

int plan_make(struct console *c, struct words *w);    /* plan [OPTION…] */
int plan_explain(struct console *c, struct words *w); /* explain N|VOLUME */
int plan_run(struct console *c, struct words *w);     /* run N…|all [OPTION…] */

#endif
