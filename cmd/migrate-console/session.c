/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session's folder, and paths. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-console/console.h"
#include "common/base/error.h"

char *console_path(const char *folder, const char *name)
{
    char *path;
    words_need(asprintf(&path, "%s/%s", folder, name) < 0 ? -ENOMEM : 0);
    return path;
}

const char *console_session(struct console *c)
{
    const char *tmp = getenv("TMPDIR");
    if (c->session)
        return c->session;
    c->session = console_path(tmp && *tmp ? tmp : "/tmp", "migrate-console.XXXXXX");
    if (!mkdtemp(c->session)) {
        char *wanted = c->session;
        c->session = NULL;
        err_die(EX_CANTCREAT, "cannot create '%s': %s", wanted, err_text(errno));
    }
    return c->session;
}

char *console_file(struct console *c, const char *name)
{
    return console_path(console_session(c), name);
}

void console_end(struct console *c)
{
    DIR *d = c->session ? opendir(c->session) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    if (c->session && rmdir(c->session) < 0)
        err_warn("cannot remove '%s': %s", c->session, err_text(errno));
    free(c->session);
    c->session = NULL;
}
