/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/story.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/ahead.h"
#include "cmd/migrate-exec/behind.h"
#include "cmd/migrate-exec/lateproof.h"
#include "cmd/migrate-exec/letgo.h"
#include "cmd/migrate-exec/mirrored.h"
#include "cmd/migrate-exec/retain.h"
#include "cmd/migrate-exec/seal.h"
#include "cmd/migrate-exec/shared.h"
#include "common/base/error.h"

/* Is E a note for the journal alone (move_note)? */
static bool is_note(const struct event *e)
{
    struct terms t;
    if (e->phase == PHASE_REDIRECT)
        return strcmp(e->detail, MOVE_TAKES_EXPORT) == 0 || verify_of_note(e->detail, &t) ||
               ahead_says(e);
    struct lost lost;
    return late_proof_is_note(e) || lost_get(e, &lost) ||
           (e->phase == PHASE_RETIRE &&
            (e->event == EVENT_BEGIN || e->event == EVENT_SWITCHED || e->event == EVENT_REVERTED));
}

/* Does E, the end of the source's connections, say that its flush failed? */
bool story_copy_is_unknown(const struct event *e)
{
    return strstr(e->detail, "is unknown") != NULL;
}

/* The note in front of a commit. */
static void take_commit(const struct event *e, struct story *s)
{
    s->committing = true;
    s->disposal = letgo_disposal(e->detail);
    label_of_note(e->detail, s->label, NULL);
}

/*
 * A hold is the last event before a switch is asked for.  That is not so any more once a director
 * has let the move begin again, which it does not with a switch under way, or an attempt has given
 * in.  To have tried to begin says nothing: the switch may be in doubt meanwhile.
 */
static bool take_asked(const struct event *e, bool before)
{
    bool begun = e->phase == PHASE_REPLICATE || e->phase == PHASE_HANDOVER;
    bool over = e->event == EVENT_PASS || e->event == EVENT_MIRROR || e->event == EVENT_DEFERRED;
    return e->event == EVENT_HOLD || (before && !(begun && over));
}

static int take_event(const struct event *e, void *arg)
{
    struct story *s = arg;
    /* A proof of what has switched changes nothing of where the migration stands. */
    bool proof = late_proof_take(e, &s->proof);
    bool first = !s->any;
    if (!proof)
        s->last = *e;
    s->any = true;
    const size_t skip = strlen(MOVE_REVERTS);
    bool begins = e->event == EVENT_BEGIN && e->phase == PHASE_REDIRECT;
    if (begins && !first) /* the first has the plan's reason, whatever that is */
        verify_of_note(e->detail, &s->terms);
    if (begins && strncmp(e->detail, MOVE_REVERTS, skip) == 0)
        snprintf(s->reverts, sizeof(s->reverts), "%.*s",
                 (int)strcspn(e->detail + skip, MOVE_REASON), e->detail + skip);
    if (!is_note(e)) {
        s->public = *e;
        s->any_public = true;
    }
    s->asked = take_asked(e, s->asked);
    s->ahead = s->ahead || ahead_says(e);
    s->stood = s->stood || e->event == EVENT_DEFERRED;
    lost_get(e, &s->lost);
    s->shared = s->shared || shared_says(e);
    s->fenced = s->shared && shared_fence_of(e, s->fenced);
    if (s->shared && e->event == EVENT_COMMITTED)
        s->retired = true;
    if (e->event == EVENT_SWITCHED && e->phase == PHASE_RETIRE) {
        s->retired = true;
        retain_get(e, &s->retain_until);
        s->standby = retain_is_standby(e, s->standby);
        s->unknown = s->unknown || story_copy_is_unknown(e);
        s->mirrored = mirrored_get(e, s->mirrored);
    }
    if (e->event == EVENT_SWITCHED && e->phase != PHASE_RETIRE) {
        s->switched = true;
        s->promoted = strstr(e->detail, "; promoted as ") != NULL;
        seal_of(e->detail, s->digest);
    }
    if (e->event == EVENT_PASS && e->phase == PHASE_RETIRE && !proof)
        snprintf(s->archived, sizeof(s->archived), "%s", e->detail);
    if (e->event == EVENT_BEGIN && e->phase == PHASE_RETIRE)
        take_commit(e, s);
    if (behind_says(e, &s->unproved))
        s->behind = true;
    return 0;
}

int story_load(const struct exec *x, const char *id, struct story *s)
{
    *s = (struct story){.any = false};
    return journal_each(x->dirs.state, id, take_event, s);
}

enum outcome story_unreadable(const struct exec *x, const char *id, int r)
{
    char why[1200];
    journal_why(x->dirs.state, id, r, why, sizeof(why));
    err_warn("cannot read the journal of '%s': %s", id, why);
    return MANUAL;
}

/* Reads ID's journal: GO, or an outcome with its message printed. */
enum outcome story_read(const struct exec *x, const char *id, struct story *s)
{
    int r = story_load(x, id, s);
    if (r == -ENOENT || r == -EINVAL) {
        err_warn("no such migration '%s'", id);
        return FAILED;
    }
    if (r < 0)
        return story_unreadable(x, id, r);
    if (s->any)
        return GO;
    err_warn("no such migration '%s': its journal is empty", id);
    return FAILED;
}

/* Who drives ID, by its last event. */
enum outcome story_driven(const char *id, const struct story *s)
{
    err_warn("'%s' is driven by another process: %s", id, s->last.who);
    return DEFERRED;
}

/*
 * Locks the journal, then reads it: nobody writes to it any more.  The history gets the event that
 * a killed run had no time to put there.
 */
enum outcome story_take(struct move *m, struct story *s)
{
    const struct exec *x = m->exec;
    enum outcome o = story_read(x, m->id, s);
    if (o != GO)
        return o;
    int r = journal_open(x->dirs.state, m->id, false, &m->journal);
    if (r == -EAGAIN)
        return story_driven(m->id, s);
    if (r < 0) {
        err_warn("cannot open the journal of '%s': %s", m->id, err_text(r));
        return FAILED;
    }
    o = story_read(x, m->id, s);
    r = o == GO && s->any_public ? history_complete(x->dirs.state, &s->public) : 0;
    if (r < 0)
        err_warn("cannot append to '%s/history.csv': %s", x->dirs.state, err_text(r));
    return o;
}

/* Sets M to the migration ID as its last event E names it.  0 or -EINVAL. */
int story_set_move(struct move *m, const char *id, const struct event *e)
{
    uint64_t epoch;
    if (migration_epoch(id, &epoch) < 0 || epoch == 0)
        return -EINVAL;
    snprintf(m->volume, sizeof(m->volume), "%s", e->volume);
    snprintf(m->source, sizeof(m->source), "%s", e->source);
    snprintf(m->target, sizeof(m->target), "%s", e->target);
    m->epoch = epoch - 1;
    m->size_bytes = e->bytes_total;
    m->dirty = e->bytes_total - (e->bytes_done < e->bytes_total ? e->bytes_done : e->bytes_total);
    m->phase = e->phase;
    return 0;
}

void story_set_shared(struct move *m, const struct story *s)
{
    m->shared = m->was_shared = s->shared;
    m->fenced = s->fenced && !s->switched;
}

/* Reads the journal without its lock: another run may be at work. */
enum outcome story_look(struct move *m, struct story *s)
{
    return story_read(m->exec, m->id, s);
}

/* Opens migration ID by START, then does WORK on it. */
enum outcome story_with(const struct exec *x, const char *id,
                        enum outcome (*start)(struct move *m, struct story *s),
                        enum outcome (*work)(struct move *m, struct story *s))
{
    struct move m;
    struct story s;
    move_init(&m, x);
    snprintf(m.id, sizeof(m.id), "%s", id);
    enum outcome o = start(&m, &s);
    if (o == GO && story_set_move(&m, id, &s.last) < 0) {
        err_warn("no such migration '%s'", id);
        o = FAILED;
    }
    m.unsure = s.promoted || !s.switched;
    m.terms = m.noted = s.terms;
    m.ahead = s.ahead;
    m.was_deferred = s.ahead && s.stood; /* an interrupt leaves it as it was */
    story_set_shared(&m, &s);
    if (o == GO)
        o = work(&m, &s);
    move_release(&m);
    return o;
}

bool story_say_ended(const struct move *m, const struct story *s)
{
    bool ended = s->last.event == EVENT_COMMITTED || s->last.event == EVENT_REVERTED;
    if (ended)
        err_warn("'%s' is %s already", m->id, rec_event_words[s->last.event]);
    return ended;
}
