/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Provisioning hooks: a command that creates, fences, makes cold and removes exports on a gateway.
 * share/hooks/dir describes the contract from the hook's side.
 */
#ifndef EXEC_HOOK_H
#define EXEC_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a hook's exit status says. */
enum hook_result {
    HOOK_DONE = 0,
    HOOK_CANNOT = 3, /* this kind of gateway cannot do that */
    HOOK_ABSENT = 4, /* there is no such export */
    HOOK_USAGE = 64, /* it was called wrongly */
};

struct hook {
    const char *line; /* gateways.csv's column; "" if the gateway has none (borrowed) */
    const char *gateway;
    const char *volume;
    uint64_t size_bytes;
    const char *label;  /* for "cold" and "remove"; NULL: none (borrowed) */
    const char *other;  /* for "shared": the other gateway (borrowed) */
    unsigned timeout_s; /* then it is killed; 0: HOOK_TIMEOUT_S */
};

enum { HOOK_TIMEOUT_S = 300 }; /* one that archives over ssh may take minutes */

/* Has the gateway one? */
bool hook_there(const struct hook *h);

/*
 * Runs the hook's command, split at blanks and never given to a shell, with "ACTION VOLUME SIZE
 * GATEWAY" appended, and behind it the label for "cold" and "remove", the other gateway for
 * "shared", and waits for its end.  A command without a slash is looked up in $GATESHIFT_HOOKS, or
 * else in share/gateshift/hooks beside the program's own prefix.  OUT (SIZE bytes) gets the first
 * line of what it printed: of standard output if it was done, else of standard error.
 *
 * Its exit status (enum hook_result, or another positive one: failed), or -errno: it could not be
 * run, or was killed (-EINTR) or overran its time and was killed (-ETIMEDOUT).
 */
int hook_run(const struct hook *h, const char *action, char *out, size_t size);

/*
 * Are the volume's exports on the hook's gateway and on OTHER the same bytes?  1: it has said so in
 * a word, "shared"; 0: no, or the hook has no such action; -EPROTO: it was done and did not say; or
 * another result of hook_run(), negated if positive.  WHY gets the reason.
 */
int hook_shared(const struct hook *h, const char *other, char *why, size_t size);

/* Asks for the export's size: HOOK_DONE with *BYTES, HOOK_ABSENT, or as hook_run(). */
int hook_size(const struct hook *h, uint64_t *bytes, char *why, size_t size);

#endif
