/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may open which volume: the column "clients" of volumes.csv, read again whenever the file has
 * changed.  A file that is broken admits nobody: it may be the one that was to keep somebody out.
 */
#ifndef DIRECTOR_ADMISSION_H
#define DIRECTOR_ADMISSION_H

#include <stdbool.h>

struct admission;

/* CONFIG is the configuration folder, borrowed.  NULL: out of memory.  Free with _free. */
struct admission *admission_new(const char *config);
void admission_free(struct admission *a);

/*
 * May CLIENT open VOLUME?  NULL: yes.  Else what to tell the client, a constant; the log has a line
 * then, at most one a second for a volume.
 */
const char *admission_refuses(struct admission *a, const char *volume, const char *client);

/*
 * The same question for many volumes: the file is looked at once, then each volume's answer is what
 * it said.  Nothing is logged but that the file is broken.
 */
void admission_begin_list(struct admission *a);
bool admission_lists(const struct admission *a, const char *volume, const char *client);

#endif
