/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages, exit statuses and the check of stdout.  Only cmd/ and common/base print or exit. */
#ifndef GS_BASE_ERROR_H
#define GS_BASE_ERROR_H

#include <errno.h>
#include <stdbool.h>
#include <sysexits.h>

/* "Ran well and the answer is no", where the command's page says so. */
#define EX_NO 1

/* Prints "prog: MESSAGE" and a newline to stderr in one write.  FMT carries no newline. */
void err_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* err_warn(), then exit(STATUS). */
_Noreturn void err_die(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Where standard error is a terminal, shows "prog: MESSAGE" in the place of what the last call
 * showed; NULL takes it away.  Shows at most five a second.
 */
void err_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Text of an errno value, positive or negative, in the house's form: lower case at the start.
 * The result is valid until the next call in the same thread.
 */
const char *err_text(int err);

/* "EIO" for 5 or -5; "" for 0; "E?" for an unknown number.  Static storage. */
const char *err_name(int err);

/* A program that can't go on without memory ends, with EX_OSERR, unless it is THERE. */
static inline void err_need(bool there)
{
    if (!there)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
}

/* The errno number of "EIO"; 0 for "", -EINVAL for an unknown name. */
int err_number(const char *name);

/*
 * Registers the check of stdout at exit: a write error there (a full disk, a closed descriptor)
 * ends the program with EX_IOERR and one line.  Closed descriptors 0 and 2 are occupied, so that no
 * file gets their numbers.  Every command calls it first (opts_parse does).
 */
void err_check_stdout(void);
/* Why writing to stdout failed (±errno), for that line: the first reason is told. */
void err_stdout_failed(int err);

#endif
