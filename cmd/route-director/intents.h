/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where changes of a volume are in flight (S2), in a way that outlives kill -9: what a director had
 * sent when it was killed may still be carried out, over whatever is written there later, so the
 * next director must know where that is.
 *
 * A counter an extent stands in a file that is mapped, shared: a killed process loses nothing of
 * what it stored there, and a store costs no system call.  A machine that goes down does lose it;
 * then the whole volume is taken for in flight.
 *
 * An extent is marked while its counter is above zero, or it is haunted.  All calls for a volume
 * come from one thread, the one that sends, of the process that holds the volume's lock
 * (route_serve_lock()).
 */
#ifndef DIRECTOR_INTENTS_H
#define DIRECTOR_INTENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/hash.h"

/*
 * Bytes of an extent.  Volumes that would have more than INTENTS_EXTENTS_MAX (over 256 GiB) have
 * larger ones, doubled until they fit: the file stays below 1 MiB and a page.
 */
enum { INTENTS_EXTENT = 1 << 20, INTENTS_EXTENTS_MAX = 1 << 18 };

struct intents; /* opaque */

/* Where this director runs, to judge what a former one left. */
struct intents_host {
    struct hash128 boot;    /* of the kernel's boot id */
    struct hash128 machine; /* of /etc/machine-id; all zero: it has none */
    uint64_t up_us;         /* since boot, sleep included */
};

/* Asks the system.  0 or -errno. */
int intents_host(struct intents_host *h);

struct intents_setup {
    const char *path; /* of the file; copied */
    uint64_t size;    /* of the volume, bytes */
    /* The last director did not let go of the volume in order: it had a file, or should have. */
    bool unclean;
    /*
     * A change left by an earlier boot of this machine can't come any more when the machine has
     * been up for longer.  UINT64_MAX: it always may.
     */
    uint64_t quarantine_us;
    struct intents_host host;
    /*
     * Is told of each run of adjacent extents where changes may still come: in order, not empty,
     * within the volume.  Must not use the intents.  NULL: nobody asks.
     */
    void (*left)(void *arg, uint64_t offset, uint64_t length);
    void *arg;
};

/*
 * Maps the file, making it if it is not there, and reports what a former director left, which stays
 * haunted.  The whole volume is left if the file can't be believed (damaged, of another size,
 * machine or boot) or is missing after an unclean end.  *OUT is owned.
 *
 * 0; -EINVAL: not a regular file; another -errno (no space …): nothing was reported.  Who serves
 * the volume all the same must remove the file, or the next director believes what it says.
 */
int intents_open(const struct intents_setup *s, struct intents **out);

/*
 * A change is about to be sent.  What lies behind the volume's end is left out, here and below;
 * length 0 is nothing.
 */
void intents_begin(struct intents *t, uint64_t offset, uint64_t length);

/* It was answered or never sent.  Range as it was begun; aborts if it was not. */
void intents_end(struct intents *t, uint64_t offset, uint64_t length);

/*
 * A change that was begun lost its connection and may come at any time, whatever becomes of its
 * request: marked until intents_lay().  The request still needs its intents_end().
 */
void intents_haunt(struct intents *t, uint64_t offset, uint64_t length);

/* No change that was haunted or left can come any more, anywhere in the volume. */
void intents_lay(struct intents *t);

/*
 * Unmaps and frees; NULL is fine.  The file goes if nothing is marked, else it is for the next
 * director.  To be done before the volume's lock is let go.
 */
void intents_close(struct intents *t);

#endif
