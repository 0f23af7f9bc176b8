/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/director.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/error.h"
#include "common/route/control.h"
#include "common/route/store.h"

/*
 * How long an answer may take before the director counts as gone.  Verbs that make it wait for
 * a gateway (begin's handshakes, flush, retire, the commit's fsync) get the longer one.
 */
enum { REPLY_MS = 10 * 1000, SLOW_REPLY_MS = 120 * 1000 };

struct director {
    struct control *control;
    const char *volume;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char error[512];
};

static int find_socket(struct director *d, const char *path, const char *state, const char *run)
{
    int n;
    if (path) {
        n = snprintf(d->path, sizeof(d->path), "%s", path);
    } else {
        int held = route_serve_holder(state, d->volume, d->path, sizeof(d->path));
        if (held == 1 && d->path[0])
            return 0;
        n = snprintf(d->path, sizeof(d->path), "%s/director.sock", run);
    }
    return n < 0 || (size_t)n >= sizeof(d->path) ? -ENAMETOOLONG : 0;
}

int director_open(const char *path, const char *state, const char *run, const char *volume,
                  struct director **out)
{
    struct director *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->volume = volume;
    int r = find_socket(d, path, state, run);
    if (r == 0)
        r = control_open(d->path, &d->control);
    if (r < 0) {
        free(d);
        return r;
    }
    *out = d;
    return 0;
}

void director_close(struct director *d)
{
    if (!d)
        return;
    control_close(d->control);
    free(d);
}

const char *director_error(const struct director *d)
{
    return d->error;
}

const char *director_path(const struct director *d)
{
    return d->path;
}

/* A failed call: an empty text with -ETIMEDOUT is the client's own, not the director's answer. */
static int call_failed(struct director *d, int r)
{
    const char *text = control_reply(d->control);
    if (!*text && (r == -ECONNRESET || r == -EPIPE || r == -ETIMEDOUT)) {
        snprintf(d->error, sizeof(d->error), "director at '%s' %s", d->path,
                 r == -ETIMEDOUT ? "does not answer" : "went away");
        return -ECONNRESET;
    }
    snprintf(d->error, sizeof(d->error), "%s", *text ? text : err_text(r));
    /* That a gateway has closed a connection is an answer: the director is there. */
    return r == -ECONNRESET ? -ENOTCONN : r;
}

static int ask(struct director *d, int timeout_ms, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int ask(struct director *d, int timeout_ms, const char *fmt, ...)
{
    char request[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(request, sizeof(request), fmt, ap);
    va_end(ap);
    int r = control_call(d->control, timeout_ms, "%s", request);
    return r < 0 ? call_failed(d, r) : 0;
}

static int misunderstood(struct director *d)
{
    snprintf(d->error, sizeof(d->error), "unexpected reply '%.200s' of the director",
             control_reply(d->control));
    return -EPROTO;
}

/* Parses exactly N blank-separated numbers from TEXT.  0 or -EINVAL. */
static int numbers(const char *text, uint64_t *out, size_t n)
{
    char copy[256];
    if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
        return -EINVAL;
    char *rest = copy;
    for (size_t i = 0; i < n; i++) {
        char *word = strsep(&rest, " ");
        if (!word || parse_u64(word, &out[i]) < 0)
            return -EINVAL;
    }
    return rest ? -EINVAL : 0;
}

/* The reply's N numbers. */
static int reply_numbers(struct director *d, uint64_t *out, size_t n)
{
    return numbers(control_reply(d->control), out, n) < 0 ? misunderstood(d) : 0;
}

/* Takes "KEY…" off the front of *TEXT, up to the next blank.  0 or -EINVAL: it does not fit. */
static int take_word(char **text, const char *key, char *out, size_t size)
{
    size_t len = strlen(key);
    if (!*text || strncmp(*text, key, len) != 0)
        return 0;
    const char *word = strsep(text, " ") + len;
    int n = snprintf(out, size, "%s", word);
    return n <= 0 || (size_t)n >= size ? -EINVAL : 0;
}

/* The words behind "new" or "attached"; TEXT is NULL where there are none. */
static int take_private(char *text, struct director_begun *b)
{
    if (take_word(&text, "source=", b->source, sizeof(b->source)) < 0 ||
        take_word(&text, "target=", b->target, sizeof(b->target)) < 0)
        return -EINVAL;
    if (!b->source[0] && !b->target[0])
        return text ? -EINVAL : 0;
    /* The socket's path ends the line, as it may hold blanks. */
    if (!text || strncmp(text, "at ", 3) != 0)
        return -EINVAL;
    int n = snprintf(b->socket, sizeof(b->socket), "%s", text + 3);
    return n <= 0 || (size_t)n >= sizeof(b->socket) ? -EINVAL : 0;
}

int begun_parse(const char *text, struct director_begun *out)
{
    struct director_begun b = {.attached = false};
    char copy[512];
    if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
        return -EINVAL;
    char *rest = copy;
    const char *block = strsep(&rest, " ");
    const char *size = strsep(&rest, " ");
    const char *how = strsep(&rest, " ");
    if (!how || parse_u64(block, &b.block) < 0 || parse_u64(size, &b.size) < 0 || b.block == 0)
        return -EINVAL;
    b.attached = strcmp(how, "attached") == 0;
    if ((!b.attached && strcmp(how, "new") != 0) || take_private(rest, &b) < 0)
        return -EINVAL;
    *out = b;
    return 0;
}

int director_begin(struct director *d, const struct director_order *o, struct director_begun *out)
{
    static const char *const kinds[] = {"", " back", " shared"};
    int r = ask(d, SLOW_REPLY_MS, "begin %s %llu %s%s%s verify=%s", d->volume,
                (unsigned long long)o->epoch, o->target, kinds[o->kind],
                o->no_flush ? " no-flush" : "", rec_verify_words[o->verify]);
    if (r < 0)
        return r;
    return begun_parse(control_reply(d->control), out) < 0 ? misunderstood(d) : 0;
}

/* One extent of a claim's answer, of at most MAX bytes. */
static int parse_grant(char *text, uint64_t max, struct claim *c)
{
    uint64_t n[3];
    char *word = strstr(text, " unchanged");
    if (word && word[strlen(" unchanged")])
        return -EINVAL;
    if (word)
        *word = 0;
    if (numbers(text, n, 3) < 0 || n[2] == 0 || (n[2] > max && !word))
        return -EINVAL;
    *c = (struct claim){.id = n[0], .offset = n[1], .length = n[2], .unchanged = word != NULL};
    return 0;
}

/* The answer to a request for COUNT claims of at most MAX bytes. */
static int claimed(struct director *d, uint64_t max, struct claim *claims, size_t count,
                   struct backlog *backlog)
{
    const char *text = control_reply(d->control);
    char copy[CLAIM_BATCH * 64];
    uint64_t n[4];
    if (strncmp(text, "none ", 5) == 0) {
        if (numbers(text + 5, n, 4) < 0)
            return misunderstood(d);
        *backlog = (struct backlog){n[0], n[1], n[2], n[3]};
        return 0;
    }
    if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
        return misunderstood(d);
    char *rest = copy;
    size_t got = 0;
    for (char *grant; (grant = strsep(&rest, ";")); got++)
        if (got == count || parse_grant(grant, max, &claims[got]) < 0)
            return misunderstood(d);
    return (int)got;
}

int director_claim(struct director *d, enum claim_kind kind, uint64_t max, struct claim *claims,
                   size_t count, struct backlog *backlog)
{
    int r = ask(d, REPLY_MS, "claim %s %s %llu %zu", d->volume,
                kind == CLAIM_COPY ? "copy" : "prove", (unsigned long long)max, count);
    return r < 0 ? r : claimed(d, max, claims, count, backlog);
}

int director_claim_in(struct director *d, uint64_t from, uint64_t to, uint64_t max,
                      struct claim *claim, struct backlog *backlog)
{
    int r = ask(d, REPLY_MS, "claimin %s %llu %llu %llu", d->volume, (unsigned long long)from,
                (unsigned long long)to, (unsigned long long)max);
    return r < 0 ? r : claimed(d, max, claim, 1, backlog);
}

/* "VERB VOLUME CLAIM,CLAIM…[ WORD]"; *LEFT: the reply's number. */
static int end_claims(struct director *d, const char *verb, const uint64_t *claims, size_t n,
                      const char *word, uint64_t *left)
{
    char list[CLAIM_BATCH * 21];
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%llu", i ? "," : "",
                                (unsigned long long)claims[i]);
    int r = ask(d, REPLY_MS, "%s %s %s%s", verb, d->volume, list, word);
    return r < 0 ? r : reply_numbers(d, left, 1);
}

int director_synced(struct director *d, const uint64_t *claims, size_t n, uint64_t *dirty)
{
    return end_claims(d, "synced", claims, n, "", dirty);
}

int director_equal(struct director *d, const uint64_t *claims, size_t n, uint64_t *dirty)
{
    return end_claims(d, "synced", claims, n, " equal", dirty);
}

int director_unchanged(struct director *d, uint64_t claim, uint64_t *dirty)
{
    return end_claims(d, "synced", &claim, 1, " unchanged", dirty);
}

int director_proved(struct director *d, const uint64_t *claims, size_t n, uint64_t *unproved)
{
    return end_claims(d, "proved", claims, n, "", unproved);
}

int director_release(struct director *d, uint64_t claim)
{
    return ask(d, REPLY_MS, "release %s %llu", d->volume, (unsigned long long)claim);
}

int director_differs(struct director *d, uint64_t claim)
{
    return ask(d, REPLY_MS, "differs %s %llu", d->volume, (unsigned long long)claim);
}

int director_changed(struct director *d, uint64_t epoch, uint64_t offset, uint64_t length,
                     uint64_t *run, enum since_switch *what)
{
    static const char *const words[] = {"changed", "unchanged", "unknown"};
    int r = ask(d, SLOW_REPLY_MS, "changed %s %llu %llu %llu", d->volume, (unsigned long long)epoch,
                (unsigned long long)offset, (unsigned long long)length);
    if (r < 0)
        return r;
    const char *text = control_reply(d->control);
    const char *word = strchr(text, ' ');
    char number[32];
    uint64_t n;
    snprintf(number, sizeof(number), "%.*s", (int)(word ? word - text : 0), text);
    if (!word || numbers(number, &n, 1) < 0 || n == 0 || n > length)
        return misunderstood(d);
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(word + 1, words[i]) == 0) {
            *run = n;
            *what = (enum since_switch)i;
            return 0;
        }
    return misunderstood(d);
}

int director_mirror(struct director *d)
{
    return ask(d, REPLY_MS, "mirror %s", d->volume);
}

int director_hold(struct director *d, unsigned window_ms, uint64_t *left)
{
    int r = ask(d, (int)window_ms + REPLY_MS, "hold %s %u", d->volume, window_ms);
    uint64_t n[2];
    if (r < 0)
        return r;
    r = reply_numbers(d, n, 2);
    if (r == 0)
        *left = n[1];
    return r;
}

int director_detach(struct director *d, unsigned window_ms, uint64_t *drain_us)
{
    int r = ask(d, (int)window_ms + REPLY_MS, "detach %s %u", d->volume, window_ms);
    return r < 0 ? r : reply_numbers(d, drain_us, 1);
}

int director_unhold(struct director *d)
{
    return ask(d, REPLY_MS, "unhold %s", d->volume);
}

int director_flush(struct director *d)
{
    return ask(d, SLOW_REPLY_MS, "flush %s", d->volume);
}

int director_switch(struct director *d, uint64_t epoch, uint64_t *new_epoch, uint64_t *pause_us)
{
    int r = ask(d, SLOW_REPLY_MS, "switch %s %llu", d->volume, (unsigned long long)epoch);
    uint64_t n[2];
    if (r < 0)
        return r;
    r = reply_numbers(d, n, 2);
    if (r < 0)
        return r;
    *new_epoch = n[0];
    *pause_us = n[1];
    return 0;
}

int director_defer(struct director *d)
{
    return ask(d, SLOW_REPLY_MS, "defer %s", d->volume);
}

int director_retire(struct director *d)
{
    return ask(d, SLOW_REPLY_MS, "retire %s", d->volume);
}

int director_reverse(struct director *d, uint64_t *behind)
{
    int r = ask(d, SLOW_REPLY_MS, "reverse %s", d->volume);
    return r < 0 ? r : reply_numbers(d, behind, 1);
}

int director_reverse_off(struct director *d)
{
    return ask(d, SLOW_REPLY_MS, "reverse %s off", d->volume);
}

int director_abort(struct director *d)
{
    return ask(d, SLOW_REPLY_MS, "abort %s", d->volume);
}

int director_reload(struct director *d)
{
    return ask(d, REPLY_MS, "reload %s", d->volume);
}

/* The data lines of "missing".  Their number, or -EPROTO. */
static int take_extents(struct director *d, struct extent *out, size_t max)
{
    size_t n = 0;
    char line[64];
    for (const char *p = control_data(d->control); *p; p += strcspn(p, "\n") + 1) {
        uint64_t words[2];
        int len = (int)strcspn(p, "\n");
        if (n == max || (size_t)len >= sizeof(line) || p[len] != '\n')
            return misunderstood(d);
        snprintf(line, sizeof(line), "%.*s", len, p);
        if (numbers(line, words, 2) < 0)
            return misunderstood(d);
        out[n++] = (struct extent){words[0], words[1]};
    }
    return (int)n;
}

int director_missing(struct director *d, uint64_t *from, struct extent *out, size_t max,
                     char target[NAME_LEN_MAX + 1], uint64_t *bytes)
{
    int r = ask(d, REPLY_MS, "missing %s %llu %zu", d->volume, (unsigned long long)*from, max);
    if (r < 0)
        return r;
    const char *text = control_reply(d->control);
    size_t len = strcspn(text, " ");
    uint64_t n[2];
    if (len == 0 || len > NAME_LEN_MAX || !text[len] || numbers(text + len + 1, n, 2) < 0 ||
        n[0] < *from)
        return misunderstood(d);
    r = take_extents(d, out, max);
    if (r < 0)
        return r;
    memcpy(target, text, len);
    target[len] = 0;
    *from = n[0];
    *bytes = n[1];
    return r;
}

/* Takes in one "key=value" of the status line; unknown keys are for others. */
static int take_status(struct director_status *s, const char *key, const char *value)
{
    if (strcmp(key, "epoch") == 0)
        return parse_u64(value, &s->epoch);
    if (strcmp(key, "pause_us") == 0)
        return parse_u64(value, &s->pause_us);
    if (strcmp(key, "read_us_now") == 0 && strcmp(value, "-") != 0)
        return parse_u64(value, &s->read_us_now);
    if (strcmp(key, "write_us_now") == 0 && strcmp(value, "-") != 0)
        return parse_u64(value, &s->write_us_now);
    if (strcmp(key, "dirty") == 0)
        return parse_u64(value, &s->dirty);
    if (strcmp(key, "copying") == 0)
        return parse_u64(value, &s->copying);
    if (strcmp(key, "haunted") == 0)
        return parse_u64(value, &s->haunted);
    if (strcmp(key, "unproved") == 0)
        return parse_u64(value, &s->unproved);
    if (strcmp(key, "size") == 0)
        return parse_u64(value, &s->size_bytes);
    if (strcmp(key, "private") == 0) {
        bool both = strcmp(value, "both") == 0;
        s->private_source = both || strcmp(value, "source") == 0;
        s->private_target = both || strcmp(value, "target") == 0;
    } else if (strcmp(key, "gateway") == 0)
        s->here = strcmp(value, "here") == 0;
    else if (strcmp(key, "durable") == 0)
        s->no_flush = strcmp(value, "no-flush") == 0;
    else if (strcmp(key, "copies") == 0)
        s->unflushed = strcmp(value, "unflushed") == 0;
    else if (strcmp(key, "promotable") == 0)
        s->promotable = strcmp(value, "yes") == 0;
    else if (strcmp(key, "promoted") == 0)
        s->promoted = strcmp(value, "yes") == 0;
    else if (strcmp(key, "reverse") == 0)
        s->mirrored = strcmp(value, "on") == 0;
    else if (strcmp(key, "owner") == 0)
        snprintf(s->owner, sizeof(s->owner), "%s", value);
    else if (strcmp(key, "target") == 0)
        snprintf(s->target, sizeof(s->target), "%s", value);
    else if (strcmp(key, "phase") == 0)
        snprintf(s->phase, sizeof(s->phase), "%s", value);
    return 0;
}

int director_status(struct director *d, struct director_status *out)
{
    int r = ask(d, REPLY_MS, "status %s", d->volume);
    if (r < 0)
        return r;
    char *line = strdup(control_data(d->control));
    if (!line)
        return -ENOMEM;
    struct director_status s = {.phase = ""};
    char *rest = line;
    for (char *word; r == 0 && (word = strsep(&rest, " \n"));) {
        char *value = strchr(word, '=');
        if (!value)
            continue;
        *value++ = 0;
        r = take_status(&s, word, value);
    }
    if (r < 0 || !s.owner[0] || !s.phase[0])
        r = misunderstood(d);
    else
        *out = s;
    free(line);
    return r;
}
