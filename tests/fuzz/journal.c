/* links: cmd/migrate-exec */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The journal of a migration of any bytes.  Held to: it is damaged, or tells a story within bounds,
 * which is the same a second time; a torn last line changes nothing of it; and an event that is
 * appended to it is the last one then, with all that stood before it as it was.
 *
 * The lowest bit of the first byte says whether a header stands before the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/migrate-exec/behind.h"
#include "cmd/migrate-exec/retain.h"
#include "cmd/migrate-exec/story.h"
#include "common/base/buf.h"
#include "common/base/fsfile.h"
#include "common/plan/history.h"
#include "common/record/record.h"
#include "folder.h"
#include "fuzz.h"

#define ID "v-2"
#define HEADER                                                                                     \
    "time,migration,volume,source,target,phase,event,bytes_done,bytes_total,pause_us,who,detail\n"

/* Nor is the room on the disk of interest. */
int fallocate(int fd, int mode, off_t offset, off_t len)
{
    (void)fd;
    (void)mode;
    (void)offset;
    (void)len;
    return 0;
}

/* ---- the files ---- */

static char path[80];

static void write_journal(const void *data, size_t size)
{
    if (!*path) {
        snprintf(path, sizeof(path), "%s/migrations", folder());
        require(mkdir(path, 0700) == 0);
        snprintf(path, sizeof(path), "%s/migrations/%s.csv", folder(), ID);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(fd >= 0 && fsfile_write_all(fd, data, size) == 0);
    close(fd);
}

/* ---- what one event says ---- */

static bool ends(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

static void check_lost(const struct event *e)
{
    struct lost l = {0}, again = {0};
    struct event note = {.event = EVENT_STALLED};
    if (!lost_get(e, &l))
        return;
    require(lost_left_s(&l, 1e9) >= 0 && lost_left_s(&l, 1e9) <= 3600);
    if (l.until > REC_TIME_MAX)
        return;
    lost_put(note.detail, sizeof(note.detail), &l, 1);
    require(lost_get(&note, &again) && again.times == l.times && again.until == l.until);
}

static void check_label(const struct event *e)
{
    char label[LABEL_SIZE], again[LABEL_SIZE], note[LABEL_DETAIL_SIZE];
    bool unknown = false, same = false;
    if (label_of_note(e->detail, label, &unknown) != 1)
        return;
    require(ends(label, sizeof(label)) && *label);
    label_note(note, "commit", label, unknown);
    require(label_of_note(note, again, &same) == 1 && same == unknown);
    require(strcmp(label, again) == 0);
}

static int check_event(const struct event *e, void *arg)
{
    struct plan_history *h = arg;
    struct event described = *e;
    double until = -1;
    check_lost(e);
    check_label(e);
    require(!retain_get(e, &until) || until >= 0);
    retain_describe(&described, 1e9);
    require(ends(described.detail, sizeof(described.detail)));
    require(plan_history_event(h, e->time, e->migration, e->volume, e->source, e->target, e->event,
                               e->detail) == 0);
    plan_history_sent(h, e->migration, e->bytes_done);
    return 0;
}

/* ---- the whole journal ---- */

static void check_history(void)
{
    struct plan_history h = {0};
    const int r = journal_each(folder(), ID, check_event, &h);
    require(r == 0 || r == -EBADMSG);
    plan_history_settle(&h);
    require(isfinite(plan_history_rate(&h)) && plan_history_rate(&h) >= 0);
    plan_history_release(&h);
}

static bool same_event(const struct event *a, const struct event *b)
{
    return a->time == b->time && a->event == b->event && a->phase == b->phase &&
           strcmp(a->migration, b->migration) == 0 && strcmp(a->detail, b->detail) == 0;
}

static void check_story(const struct story *s)
{
    bool unproved;
    require(ends(s->label, sizeof(s->label)) && ends(s->digest, sizeof(s->digest)));
    require(ends(s->archived, sizeof(s->archived)) && ends(s->reverts, sizeof(s->reverts)));
    require(s->retain_until >= 0 && s->lost.until >= 0);
    require(s->any || !(s->switched || s->retired || s->committing || s->any_public));
    behind_says(&s->last, &unproved);
    behind_is(s);
}

static bool same_story(const struct story *a, const struct story *b)
{
    return a->any == b->any && a->switched == b->switched && a->retired == b->retired &&
           a->shared == b->shared && a->fenced == b->fenced && a->behind == b->behind &&
           a->unproved == b->unproved && a->committing == b->committing && a->asked == b->asked &&
           a->ahead == b->ahead && a->stood == b->stood && a->lost.times == b->lost.times &&
           a->disposal == b->disposal && a->unknown == b->unknown &&
           a->retain_until == b->retain_until && strcmp(a->label, b->label) == 0 &&
           strcmp(a->digest, b->digest) == 0 && same_event(&a->last, &b->last);
}

/* What is behind the last newline never happened. */
static void check_torn(const struct exec *x, const struct buf *text, const struct story *s, int r)
{
    struct story again;
    const char *newline = text->len ? memrchr(text->data, '\n', text->len) : NULL;
    write_journal(text->data, newline ? (size_t)(newline - text->data) + 1 : 0);
    require(story_load(x, ID, &again) == r && (r < 0 || same_story(s, &again)));
    write_journal(text->data, text->len);
}

static void append(const struct exec *x, const struct story *before)
{
    struct event e = {.time = 5,
                      .migration = ID,
                      .volume = "v",
                      .source = "gw-a",
                      .target = "gw-b",
                      .phase = PHASE_RETIRE,
                      .event = EVENT_COMMITTED,
                      .who = "fuzz",
                      .detail = "a, \"b\""};
    struct event last;
    struct story after;
    struct journal *j;
    require(journal_open(x->dirs.state, ID, false, &j) == 0);
    require(journal_append(j, &e) == 0);
    journal_close(j);
    require(journal_last(x->dirs.state, ID, &last) == 1 && same_event(&last, &e));
    require(story_load(x, ID, &after) == 0 && same_event(&after.last, &e));
    require(after.switched == before->switched && after.ahead == before->ahead);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exec x = {.dirs = {.state = folder()}};
    struct story s;
    struct buf text = {0};
    if (size == 0)
        return 0;
    if (data[0] & 1)
        require(buf_adds(&text, HEADER) == 0);
    require(buf_add(&text, data + 1, size - 1) == 0);
    write_journal(text.data, text.len);
    check_history();
    const int r = story_load(&x, ID, &s);
    require(r == 0 || r == -EBADMSG);
    if (r == 0)
        check_story(&s);
    check_torn(&x, &text, &s, r);
    if (r == 0 && data[0] & 1)
        append(&x, &s);
    buf_release(&text);
    return 0;
}
