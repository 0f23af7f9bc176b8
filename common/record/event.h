/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Event records, and the names of the migrations that they are about. */
#ifndef GS_EVENT_H
#define GS_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/parse.h"
#include "common/record/schema.h"

/* An event record.  Copied by value. */
struct event {
    double time;
    char migration[NAME_LEN_MAX + 1];
    char volume[NAME_LEN_MAX + 1];
    char source[NAME_LEN_MAX + 1];
    char target[NAME_LEN_MAX + 1];
    enum rec_phase phase;
    enum rec_event event;
    uint64_t bytes_done;
    uint64_t bytes_total;
    bool has_pause;
    uint64_t pause_us;
    char who[256];
    char detail[256];
};

/* Fills W's next record (a writer of rec_event). */
void event_put(struct rec_writer *w, const struct event *e);
/* The present record of R, a reader of rec_event; what is too long for its field is cut off. */
void event_get(const struct rec_reader *r, struct event *e);

/* ---- identity ---- */

/*
 * The name of attempt ATTEMPT (from 1) to bring VOLUME to EPOCH: "VOLUME-EPOCH", later ones
 * "VOLUME-EPOCH.2" and so on.  0 or -ENAMETOOLONG.
 */
int migration_id(const char *volume, uint64_t epoch, unsigned attempt, char id[NAME_LEN_MAX + 1]);
/* The epoch that migration ID makes: 0, or -EINVAL if ID is not of that form. */
int migration_epoch(const char *id, uint64_t *epoch);

/*
 * Has a migration ended with this event, so that there is nothing to resume?  Not with
 * manual-recovery: what an operator did since is looked at each time.
 */
bool event_is_final(enum rec_event e);

#endif
