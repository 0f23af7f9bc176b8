/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HTTP answers, many at once, without ever waiting.  The only user of <curl/curl.h>. */
#ifndef GS_GATEWAY_PROBE_FETCH_H
#define GS_GATEWAY_PROBE_FETCH_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer answer is a failure. */
enum { FETCH_MAX = 8 << 20 };

struct fetcher;

/*
 * Told of an end, with ARG: of the fetch with NUMBER, either its TEXT, NUL-terminated and borrowed,
 * or, if that is NULL, what went wrong.  0, or an error that fetcher_step() hands on.
 */
typedef int fetch_done(void *arg, size_t number, const char *text, const char *error);

/* Each fetch may take TIMEOUT_US.  NULL: out of memory, or no descriptor. */
struct fetcher *fetcher_new(uint64_t timeout_us, fetch_done *done, void *arg);
void fetcher_free(struct fetcher *f);

/* Adds URL (copied; http or https): its number, counted from 0, or -ENOMEM. */
long fetcher_add(struct fetcher *f, const char *url);

/* Starts number N, unless it is under way. */
void fetcher_begin(struct fetcher *f, size_t n);

/* Whether any is under way; then what to poll for, and until when (clock_mono_us). */
bool fetcher_busy(const struct fetcher *f);
struct pollfd fetcher_pollfd(const struct fetcher *f);
uint64_t fetcher_wake_us(const struct fetcher *f);

/* Goes on after poll(); tells of those that ended.  0, or what the callback said. */
int fetcher_step(struct fetcher *f);

#endif
