/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The old copy of a switched migration: fenced and made cold, archived or removed by the hook. */
#ifndef EXEC_LETGO_H
#define EXEC_LETGO_H

#include "cmd/migrate-exec/archive.h"
#include "cmd/migrate-exec/label.h"
#include "cmd/migrate-exec/move.h"

struct letgo {
    enum disposal disposal;
    bool again;               /* an earlier commit has begun, and may have come to any point */
    bool unknown;             /* the copy may lack writes: its flush had failed */
    bool packed;              /* the copy is in the state folder's archive … */
    bool ours;                /* … where it is to be, as the hook cannot archive */
    const char *owner;        /* who serves the volume; NULL: M's target (borrowed) */
    char digest[DIGEST_SIZE]; /* of the copy; "" if it was not read */
    char label[LABEL_SIZE];
};

/*
 * The word for the journal: "commit", "commit, archive", "commit, remove"; and back.
 */
const char *letgo_word(enum disposal d);
enum disposal letgo_disposal(const char *detail);

/* Sets *L by the DETAIL of an earlier commit's event. */
void letgo_recall(struct letgo *l, const char *detail);

/*
 * Does the owner accept connections?  If not the copy may be all there is, or what takes its
 * place: a message says so, and nothing is to be done to the copy, nor to its mirror.
 */
bool letgo_may_begin(struct move *m);

/*
 * Lets the copy on M's source go.  Everything before is in the journal; the owner is asked first if
 * it serves, and again when the copy is out of service, which is undone if it does not.  GO, with
 * what became of the copy in WHAT; or an outcome with its event written and its message printed:
 * then it can be called again.
 */
enum outcome letgo(struct move *m, struct letgo *l, char *what, size_t size);

#endif
