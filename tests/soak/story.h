/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What migrate-exec left in the state folder: the journal of a migration, in short. */
#ifndef SOAK_STORY_H
#define SOAK_STORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/record/schema.h"

enum { STORY_NAME = 40 };

/* The fields of an event record that matter here. */
struct story_event {
    char id[STORY_NAME], volume[STORY_NAME], source[STORY_NAME], target[STORY_NAME];
    enum rec_phase phase;
    enum rec_event event;
};

/* A migration.  */
struct story {
    struct story_event last;
    uint64_t epoch; /* that it makes */
    bool switched;  /* the change of owner is in it, once */
    bool twice;     /* or again */
    bool known;     /* the source's copy is: its connections were flushed */
};

/* LINE, which is changed: an event record without its newline.  False: none. */
bool story_parse(char *line, struct story_event *e);

/* The last attempt to bring VOLUME to EPOCH, by the journals in folder STATE.  False: none, or its
 * journal holds no event. */
bool story_read(const char *state, const char *volume, uint64_t epoch, struct story *s);

/* Is there something to go on with?  Not if it has ended, nor if it waits for its commit. */
bool story_open(const struct story *s);
/* Has it ended without a switch? */
bool story_failed(const struct story *s);

/* Copies the last MAX bytes of PATH to TO, under a title. */
void story_tail(const char *path, const char *title, long max, FILE *to);

#endif
