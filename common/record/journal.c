/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/journal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fsfile.h"

enum { FILE_MAX = 64 * 1024 * 1024 };

int journal_path(const char *state, const char *id, struct buf *path)
{
    if (parse_name(id) < 0)
        return -EINVAL;
    return buf_printf(path, "%s/migrations/%s.csv", state, id);
}

/* A descriptor that holds the whole lines of PATH, so that the record reader never sees a torn
 * one; or -errno. */
static int whole_lines_of(const char *path)
{
    struct buf text = {0};
    int fd = -1;
    int r = fsfile_read(path, FILE_MAX, &text);
    if (r == 0) {
        const char *newline = text.len ? memrchr(text.data, '\n', text.len) : NULL;
        size_t len = newline ? (size_t)(newline - text.data) + 1 : 0;
        fd = memfd_create("journal", MFD_CLOEXEC);
        r = fd < 0 ? -errno : fsfile_write_all(fd, text.data, len);
    }
    buf_release(&text);
    if (r == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return r;
}

/* How the reader names the descriptor FD. */
struct fd_name {
    char text[64];
};

/* A reader of the whole lines of the journal PATH, by the descriptor *FD; or NULL, *FD -errno. */
static struct rec_reader *open_lines(const char *path, int *fd, struct fd_name *name, char **names)
{
    struct rec_reader *reader = NULL;
    *fd = whole_lines_of(path);
    if (*fd >= 0 && !(reader = rec_reader_new(&rec_event))) {
        close(*fd);
        *fd = -ENOMEM;
    }
    if (!reader)
        return NULL;
    snprintf(name->text, sizeof(name->text), "/proc/self/fd/%d", *fd);
    *names = name->text;
    rec_reader_files(reader, names, 1);
    return reader;
}

int journal_each(const char *state, const char *id, int (*fn)(const struct event *e, void *arg),
                 void *arg)
{
    struct buf path = {0};
    struct fd_name name;
    char *names;
    int fd = journal_path(state, id, &path);
    struct rec_reader *reader = fd < 0 ? NULL : open_lines(path.data, &fd, &name, &names);
    struct stat st;
    struct event e;
    int r = 0;
    buf_release(&path);
    if (!reader)
        return fd;
    if (fstat(fd, &st) == 0 && st.st_size > 0)
        while ((r = rec_reader_next(reader)) == 1) {
            event_get(reader, &e);
            int stop = fn(&e, arg);
            if (stop) {
                r = stop;
                break;
            }
        }
    rec_reader_free(reader);
    close(fd);
    return r;
}

void journal_why(const char *state, const char *id, int r, char *out, size_t size)
{
    struct buf path = {0};
    struct fd_name name;
    char *names;
    int fd = journal_path(state, id, &path);
    const bool damaged = fd == 0 && r == -EBADMSG;
    struct rec_reader *reader = damaged ? open_lines(path.data, &fd, &name, &names) : NULL;
    snprintf(out, size, "'%s': %s", path.data ? path.data : id,
             r == -EBADMSG ? "a damaged record" : err_text(r));
    if (reader) {
        while (rec_reader_next(reader) == 1)
            ;
        if (rec_reader_status(reader))
            snprintf(out, size, "%s%s", path.data, rec_reader_error(reader) + strlen(name.text));
        rec_reader_free(reader);
        close(fd);
    }
    buf_release(&path);
}

struct last {
    struct event *event;
    bool found;
};

static int keep_last(const struct event *e, void *arg)
{
    struct last *last = arg;
    *last->event = *e;
    last->found = true;
    return 0;
}

int journal_last(const char *state, const char *id, struct event *out)
{
    struct event e = {.time = 0};
    struct last last = {.event = &e};
    int r = journal_each(state, id, keep_last, &last);
    if (r < 0)
        return r;
    if (last.found)
        *out = e;
    return last.found;
}

static int is_journal(const struct dirent *d)
{
    size_t len = strlen(d->d_name);
    return len > 4 && d->d_name[0] != '.' && strcmp(d->d_name + len - 4, ".csv") == 0;
}

/* Without their ".csv", or a second attempt, v-2.2, would come before v-2. */
static int by_id(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

int journal_ids(const char *state, char ***ids, size_t *n)
{
    struct buf dir = {0};
    struct dirent **list = NULL;
    int r = buf_printf(&dir, "%s/migrations", state);
    int found = r < 0 ? r : scandir(dir.data, &list, is_journal, NULL);
    buf_release(&dir);
    if (found < 0 && r == 0)
        r = errno == ENOENT ? 0 : -errno;
    char **out = calloc(found > 0 ? (size_t)found : 1, sizeof(*out));
    if (!out)
        r = -ENOMEM;
    size_t count = 0;
    for (int i = 0; i < found; i++) {
        list[i]->d_name[strlen(list[i]->d_name) - 4] = 0;
        if (r == 0 && !(out[count++] = strdup(list[i]->d_name)))
            r = -ENOMEM;
        free(list[i]);
    }
    free(list);
    if (r < 0) {
        journal_ids_free(out, count);
        return r;
    }
    qsort(out, count, sizeof(*out), by_id);
    *ids = out;
    *n = count;
    return 0;
}

void journal_ids_free(char **ids, size_t n)
{
    if (!ids)
        return;
    for (size_t i = 0; i < n; i++)
        free(ids[i]);
    free(ids);
}
