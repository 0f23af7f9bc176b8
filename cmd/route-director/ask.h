/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command as a client: prints what a running director says of itself. */
#ifndef DIRECTOR_ASK_H
#define DIRECTOR_ASK_H

/*
 * Sends VERB, with VOLUME unless NULL, to the director on control socket PATH and prints the data
 * lines of its reply.  The exit status: 0; 1, the volume is not being served; 69, there is no
 * director, or it gave no answer.
 */
int ask_director(const char *path, const char *verb, const char *volume);

#endif
