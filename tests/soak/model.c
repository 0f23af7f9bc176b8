/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { UNIT_WORDS = UNIT_BYTES / 8 };
#define NEVER UINT64_MAX

enum state { FLYING, ACKED, DOUBTFUL };

struct entry {
    uint64_t value; /* the number of the write in the pattern; 0: zeros */
    uint64_t op;
    uint64_t asked, ended;
    uint64_t death; /* reads asked from then on may not return it */
    uint64_t hider; /* the flying write that was seen above it; 0: none */
    enum state state;
    bool fua;
};

struct unit {
    struct entry *e; /* none: zeros, as at the beginning */
    uint32_t n, cap;
};

struct model {
    uint64_t size, margin, units, now;
    uint64_t flushed; /* what had ended before this is durable */
    unsigned volume;
    bool keep;
    struct unit *unit;
    struct model_read reads; /* a ring, the oldest first */
};

/* ---- life ---- */

struct model *model_new(unsigned volume, uint64_t size, uint64_t margin, bool keep)
{
    struct model *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    *m = (struct model){.size = size,
                        .margin = margin,
                        .units = (size - margin) / UNIT_BYTES,
                        .volume = volume,
                        .keep = keep};
    m->reads.prev = m->reads.next = &m->reads;
    m->unit = calloc(m->units, sizeof(*m->unit));
    if (m->unit)
        return m;
    free(m);
    return NULL;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    for (uint64_t i = 0; i < m->units; i++)
        free(m->unit[i].e);
    free(m->unit);
    free(m);
}

uint64_t model_units(const struct model *m)
{
    return m->units;
}

uint64_t model_offset(const struct model *m, uint64_t unit)
{
    return m->margin + unit * UNIT_BYTES;
}

/* ---- patterns ---- */

/* Number and place in clear, the rest follows from them: any other byte is a corruption. */
static void fill(const struct model *m, uint64_t unit, uint64_t op, uint64_t *w)
{
    if (!op) {
        memset(w, 0, UNIT_BYTES);
        return;
    }
    w[0] = op;
    w[1] = (uint64_t)m->volume << 40 | unit;
    uint64_t k = (w[0] * 0x9e3779b97f4a7c15u ^ w[1]) * 0xbf58476d1ce4e5b9u | 1;
    for (size_t i = 2; i < UNIT_WORDS; i++)
        w[i] = (k ^ k >> 29) * (2 * i + 1);
}

void model_pattern(const struct model *m, uint64_t first, uint64_t n, uint64_t op, void *to)
{
    uint64_t w[UNIT_WORDS];
    for (uint64_t i = 0; i < n; i++) {
        fill(m, first + i, op, w);
        memcpy((char *)to + i * UNIT_BYTES, w, UNIT_BYTES);
    }
}

/* ---- entries ---- */

static struct entry *end_of(const struct unit *u)
{
    return u->n ? u->e + u->n : u->e;
}

static bool durable(const struct model *m, const struct entry *e)
{
    return e->state == ACKED && (e->fua || e->ended < m->flushed);
}

/* When the latest durable write was asked: what had ended by then is overridden for good. */
static uint64_t durable_cut(const struct model *m, const struct unit *u)
{
    uint64_t cut = 0;
    for (uint32_t i = 0; i < u->n; i++)
        if (durable(m, &u->e[i]) && u->e[i].asked > cut)
            cut = u->e[i].asked;
    return cut;
}

/* Forgets what no read under way or to come may return, nor a crash bring back. */
static void prune(const struct model *m, struct unit *u)
{
    uint64_t oldest = m->reads.next == &m->reads ? m->now : m->reads.next->asked;
    uint64_t cut = m->keep ? durable_cut(m, u) : NEVER;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < u->n; i++) {
        const struct entry *e = &u->e[i];
        if (e->death > oldest || e->hider || e->ended >= cut)
            u->e[kept++] = *e;
    }
    u->n = kept;
}

static void add(struct unit *u, struct entry e)
{
    if (u->n == u->cap) {
        u->cap = u->cap ? 2 * u->cap : 2;
        struct entry *more = realloc(u->e, u->cap * sizeof(*more));
        if (!more)
            abort();
        u->e = more;
    }
    u->e[u->n++] = e;
}

static struct entry *find(struct unit *u, uint64_t op)
{
    for (uint32_t i = 0; i < u->n; i++)
        if (u->e[i].op == op)
            return &u->e[i];
    abort(); /* it was asked and has not ended: nothing forgets it */
}

static void kill_entry(struct entry *e, uint64_t now)
{
    if (e->death == NEVER)
        e->death = now;
    e->hider = 0;
}

/* ---- writes ---- */

void model_asked(struct model *m, uint64_t first, uint64_t n, uint64_t op, bool zeros)
{
    uint64_t now = ++m->now;
    for (uint64_t i = first; i < first + n; i++) {
        struct unit *u = &m->unit[i];
        if (!u->n)
            add(u, (struct entry){.death = NEVER, .state = ACKED, .fua = true});
        prune(m, u);
        add(u, (struct entry){.value = zeros ? 0 : op,
                              .op = op,
                              .asked = now,
                              .ended = NEVER,
                              .death = NEVER,
                              .state = FLYING});
    }
}

void model_acked(struct model *m, uint64_t first, uint64_t n, uint64_t op, bool fua)
{
    uint64_t now = ++m->now;
    for (uint64_t i = first; i < first + n; i++) {
        struct unit *u = &m->unit[i];
        struct entry *w = find(u, op);
        w->state = ACKED;
        w->fua = fua;
        w->ended = now;
        for (struct entry *e = u->e; e != end_of(u); e++)
            if (e->ended < w->asked)
                kill_entry(e, now);
    }
}

void model_doubtful(struct model *m, uint64_t first, uint64_t n, uint64_t op, bool over)
{
    uint64_t now = ++m->now;
    for (uint64_t i = first; i < first + n; i++) {
        struct unit *u = &m->unit[i];
        struct entry *w = find(u, op);
        w->state = DOUBTFUL;
        w->ended = over ? now : NEVER;
        for (struct entry *e = u->e; e != end_of(u); e++)
            if (e->hider == op) {
                e->hider = 0;
                e->death = NEVER;
            }
    }
}

void model_over(struct model *m, uint64_t first, uint64_t n, uint64_t op)
{
    uint64_t now = ++m->now;
    for (uint64_t i = first; i < first + n; i++)
        find(&m->unit[i], op)->ended = now;
}

uint64_t model_flush_asked(struct model *m)
{
    return ++m->now;
}

void model_flushed(struct model *m, uint64_t asked)
{
    if (asked > m->flushed)
        m->flushed = asked;
}

void model_crash(struct model *m)
{
    uint64_t now = ++m->now;
    for (uint64_t i = 0; i < m->units; i++) {
        struct unit *u = &m->unit[i];
        prune(m, u);
        for (struct entry *e = u->e; e != end_of(u); e++) {
            if (e->state == ACKED && !durable(m, e)) {
                e->state = DOUBTFUL;
                e->ended = now;
            }
            e->death = NEVER;
            e->hider = 0;
        }
    }
}

/* ---- reads ---- */

void model_read_asked(struct model *m, struct model_read *r)
{
    r->asked = ++m->now;
    r->next = &m->reads;
    r->prev = m->reads.prev;
    r->prev->next = r;
    r->next->prev = r;
}

void model_read_over(struct model *m, struct model_read *r)
{
    (void)m;
    r->prev->next = r->next;
    r->next->prev = r->prev;
}

static bool allowed(const struct entry *e, const struct model_read *r)
{
    return e->death > r->asked;
}

static bool allows(const struct unit *u, const struct model_read *r, uint64_t value)
{
    for (uint32_t i = 0; i < u->n; i++)
        if (u->e[i].value == value && allowed(&u->e[i], r))
            return true;
    return !u->n && !value;
}

/* R returned VALUE: those acked before that cannot be above it any more are dead. */
static void observe(struct unit *u, const struct model_read *r, uint64_t value, uint64_t now)
{
    const struct entry *seen = NULL;
    bool settled = true, single = true;
    for (struct entry *e = u->e; e != end_of(u); e++) {
        if (e->value != value || !allowed(e, r))
            continue;
        /* Zeros may be those of several writes, also of one that was overridden meanwhile. */
        settled = settled && e->state == ACKED && e->ended < r->asked && e->death == NEVER;
        single = single && !seen;
        seen = e;
    }
    if (!seen)
        return;
    bool flying = single && seen->state == FLYING;
    for (struct entry *e = u->e; e != end_of(u); e++) {
        if (e->state != ACKED || e->value == value || e->death != NEVER)
            continue;
        if (settled && e->ended < r->asked) {
            kill_entry(e, now);
        } else if (flying && e->ended < seen->asked) {
            e->death = now;
            e->hider = seen->op;
        }
    }
}

/* A write may show in parts of a unit: when it is executed during the read, or was in part only.
 * FROM and LEN are of the unit. */
static bool torn(const struct model *m, const struct model_read *r, uint64_t unit, size_t from,
                 const unsigned char *data, size_t len)
{
    const struct unit *u = &m->unit[unit];
    bool overlapped = false, ok[UNIT_BYTES] = {false};
    uint64_t w[UNIT_WORDS];
    for (const struct entry *e = u->e; e != end_of(u); e++) {
        if (!allowed(e, r))
            continue;
        overlapped = overlapped || e->state == DOUBTFUL || e->ended > r->asked;
        fill(m, unit, e->value, w);
        for (size_t i = 0; i < len; i++)
            ok[i] = ok[i] || ((unsigned char *)w)[from + i] == data[i];
    }
    for (size_t i = 0; i < len; i++)
        if (!ok[i])
            return false;
    return overlapped;
}

static void found(const struct model *m, uint64_t unit, const unsigned char *data, size_t len,
                  bool whole, uint64_t value, struct finding *f)
{
    f->unit = unit;
    f->offset = model_offset(m, unit);
    if (whole && !value)
        snprintf(f->what, sizeof(f->what), "zeros");
    else if (whole)
        snprintf(f->what, sizeof(f->what), "the data of write %" PRIu64, value);
    else
        snprintf(f->what, sizeof(f->what), "%zu bytes of no write (%02x%02x%02x%02x %02x%02x…)",
                 len, data[0], data[len > 1], data[len > 2 ? 2 : 0], data[len > 3 ? 3 : 0],
                 data[len / 2], data[len - 1]);
}

/* The value of a whole unit: false if it is none. */
static bool decode(const struct model *m, uint64_t unit, const unsigned char *data, uint64_t *value)
{
    uint64_t w[UNIT_WORDS];
    memcpy(value, data, sizeof(*value));
    fill(m, unit, *value, w);
    return memcmp(w, data, UNIT_BYTES) == 0;
}

static bool check_whole(struct model *m, const struct model_read *r, uint64_t unit,
                        const unsigned char *data, uint64_t now, struct finding *f)
{
    uint64_t value;
    bool whole = decode(m, unit, data, &value);
    if (whole && allows(&m->unit[unit], r, value)) {
        observe(&m->unit[unit], r, value, now);
        return true;
    }
    if (!whole && torn(m, r, unit, 0, data, UNIT_BYTES))
        return true;
    found(m, unit, data, UNIT_BYTES, whole, value, f);
    return false;
}

static bool check_part(struct model *m, const struct model_read *r, uint64_t unit, size_t from,
                       const unsigned char *data, size_t len, struct finding *f)
{
    const struct unit *u = &m->unit[unit];
    uint64_t w[UNIT_WORDS];
    static const unsigned char zeros[UNIT_BYTES];
    if (!u->n && memcmp(data, zeros, len) == 0)
        return true;
    for (const struct entry *e = u->e; e != end_of(u); e++) {
        if (!allowed(e, r))
            continue;
        fill(m, unit, e->value, w);
        if (memcmp((char *)w + from, data, len) == 0)
            return true;
    }
    if (torn(m, r, unit, from, data, len))
        return true;
    bool known = memcmp(data, zeros, len) == 0;
    uint64_t value = 0;
    for (const struct entry *e = u->e; e != end_of(u) && !known; e++) {
        value = e->value;
        fill(m, unit, value, w);
        known = memcmp((char *)w + from, data, len) == 0;
    }
    found(m, unit, data, len, known, value, f);
    return false;
}

/* Before the first and behind the last unit nobody ever wrote. */
static bool check_margin(uint64_t offset, const unsigned char *data, size_t len, struct finding *f)
{
    for (size_t i = 0; i < len; i++)
        if (data[i]) {
            f->unit = UINT64_MAX;
            f->offset = offset + i;
            snprintf(f->what, sizeof(f->what), "byte %02x where nobody wrote", data[i]);
            return false;
        }
    return true;
}

/* Cuts the byte at OFFSET's piece out of LENGTH bytes: of which unit, and from which byte of it. */
static uint64_t piece(const struct model *m, uint64_t offset, uint64_t length, uint64_t *unit,
                      size_t *from)
{
    uint64_t end = m->margin + m->units * UNIT_BYTES, n;
    *unit = UINT64_MAX;
    *from = 0;
    if (offset < m->margin) {
        n = m->margin - offset;
    } else if (offset >= end) {
        n = length;
    } else {
        *unit = (offset - m->margin) / UNIT_BYTES;
        *from = (size_t)((offset - m->margin) % UNIT_BYTES);
        n = UNIT_BYTES - *from;
    }
    return n < length ? n : length;
}

bool model_check(struct model *m, const struct model_read *r, uint64_t offset, const void *data,
                 size_t len, struct finding *f)
{
    uint64_t now = ++m->now, unit;
    const unsigned char *p = data;
    size_t n, from;
    for (; len; offset += n, p += n, len -= n) {
        bool ok;
        n = (size_t)piece(m, offset, len, &unit, &from);
        if (unit == UINT64_MAX)
            ok = check_margin(offset, p, n, f);
        else if (n == UNIT_BYTES)
            ok = check_whole(m, r, unit, p, now, f);
        else
            ok = check_part(m, r, unit, from, p, n, f);
        if (!ok)
            return false;
    }
    return true;
}

bool model_check_zero(struct model *m, const struct model_read *r, uint64_t offset, uint64_t length,
                      struct finding *f)
{
    uint64_t n, unit;
    size_t from;
    for (; length; offset += n, length -= n) {
        n = piece(m, offset, length, &unit, &from);
        if (unit == UINT64_MAX || allows(&m->unit[unit], r, 0))
            continue;
        f->unit = unit;
        f->offset = offset;
        snprintf(f->what, sizeof(f->what), "block status zero");
        return false;
    }
    return true;
}

/* ---- disks ---- */

/* DATA are LEN bytes of UNIT from its byte FROM. */
static bool disk_may_hold(const struct model *m, uint64_t unit, size_t from,
                          const unsigned char *data, size_t len)
{
    const struct unit *u = &m->unit[unit];
    uint64_t cut = durable_cut(m, u);
    bool ok[UNIT_BYTES] = {false};
    uint64_t w[UNIT_WORDS];
    for (const struct entry *e = u->e; e != end_of(u); e++) {
        if (e->ended < cut)
            continue;
        fill(m, unit, e->value, w);
        if (memcmp((char *)w + from, data, len) == 0)
            return true;
        /* In the middle of being written it may be a mixture. */
        for (size_t i = 0; i < len; i++)
            ok[i] = ok[i] || ((unsigned char *)w)[from + i] == data[i];
    }
    for (size_t i = 0; i < len; i++)
        if (!ok[i] && (u->n || data[i]))
            return false;
    return true;
}

bool model_check_disk(struct model *m, uint64_t offset, const void *data, size_t len,
                      struct finding *f)
{
    const unsigned char *p = data;
    uint64_t unit;
    size_t n, from;
    for (; len; offset += n, p += n, len -= n) {
        n = (size_t)piece(m, offset, len, &unit, &from);
        if (unit == UINT64_MAX ? check_margin(offset, p, n, f) : disk_may_hold(m, unit, from, p, n))
            continue;
        uint64_t value = 0;
        bool whole = unit != UINT64_MAX && n == UNIT_BYTES && decode(m, unit, p, &value);
        if (unit != UINT64_MAX)
            found(m, unit, p, n, whole, value, f);
        return false;
    }
    return true;
}

void model_explain(const struct model *m, const struct model_read *r, uint64_t unit, FILE *to)
{
    static const char *const names[] = {"flying", "acknowledged", "doubtful"};
    if (unit == UINT64_MAX || !m->unit[unit].n) {
        fprintf(to, "  allowed: zeros, nobody wrote here\n");
        return;
    }
    const struct unit *u = &m->unit[unit];
    for (const struct entry *e = u->e; e != end_of(u); e++)
        fprintf(to, "  %s: write %" PRIu64 "%s, %s%s\n", allowed(e, r) ? "allowed" : "over   ",
                e->op, e->value ? "" : " (zeros)", names[e->state],
                e->state == DOUBTFUL && e->ended == NEVER ? ", may come still"
                : durable(m, e)                           ? ", durable"
                                                          : "");
}
