/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Access records into counts: the input is cut into parts, which threads count apart; sums do not
 * depend on who counted what.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/affinity-profile/count.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/record/input.h"

/* Parts of a file: a few a thread, so that all end at about the same time, … */
enum { PARTS_A_THREAD = 4 };
/* … but none so small that its header and its tables cost more than they save. */
#define PART_MIN ((uint64_t)4 << 20)
/* The end of a file, which is looked at for how new its records are. */
#define PEEK ((uint64_t)64 << 10)

struct parts {
    struct count_part *part; /* owned */
    size_t n, cap;
    _Atomic size_t next;
};

struct thread {
    pthread_t id;
    struct counter counter;
    struct parts *parts;
};

/* ---- what to read ---- */

/* The first bytes of a file, unpacked. */
struct head {
    char bytes[SOURCES_HEAD];
    size_t n;
    bool regular; /* a file that can be read from any place, unless packed */
    bool opened;
    bool packed;
    uint64_t size;
};

/* The size of a plain file is that of its bytes; of a packed one it says nothing. */
static bool is_packed(const char *path)
{
    unsigned char magic[4] = {0};
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(magic, 1, sizeof(magic), f);
    fclose(f);
    return n == sizeof(magic) && memcmp(magic, "\x04\x22\x4d\x18", sizeof(magic)) == 0;
}

static void look_at(const char *path, struct head *h)
{
    struct stat st;
    struct input *in;
    h->n = 0;
    h->packed = h->regular = h->opened = false;
    h->size = 0;
    if (strcmp(path, "-") == 0 || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    h->regular = true;
    h->size = (uint64_t)st.st_size;
    h->packed = is_packed(path);
    if (input_open(path, &in) < 0)
        return; /* the reader will say so */
    h->opened = true;
    for (ssize_t n = 1; n > 0 && h->n < sizeof(h->bytes);) {
        n = input_read(in, h->bytes + h->n, sizeof(h->bytes) - h->n);
        h->n += n > 0 ? (size_t)n : 0;
    }
    input_close(in);
}

static void add_part(struct parts *p, const struct count_part *part)
{
    err_need(vec_room(&p->part, p->n, &p->cap, sizeof(*p->part)) == 0);
    p->part[p->n++] = *part;
}

/* Cuts the bytes FROM … of a file into parts. */
static void add_ranges(struct parts *p, char *const *path, const struct head *h, uint64_t from,
                       size_t most)
{
    uint64_t bytes = h->size > from ? h->size - from : 0;
    uint64_t n = h->packed ? 1 : bytes / PART_MIN;
    n = n > most ? most : n ? n : 1;
    for (uint64_t i = 0; i < n; i++) {
        struct count_part part = {.path = path, .in_range = true};
        part.from = from + bytes / n * i;
        part.to = i + 1 < n ? from + bytes / n * (i + 1) : UINT64_MAX;
        add_part(p, &part);
    }
}

/* ---- counting ---- */

static void *run_thread(void *arg)
{
    struct thread *t = arg;
    size_t i;
    while ((i = atomic_fetch_add(&t->parts->next, 1)) < t->parts->n)
        counter_run(&t->counter, &t->parts->part[i]);
    return NULL;
}

/* The first failure, in the order of the input, ends the program. */
static void check_parts(const struct parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->part[i].status)
            err_die(p->part[i].status, "%s", p->part[i].message);
}

/* Counts PARTS with N threads, of which this one is the first. */
static void run_parts(struct thread *t, size_t n, struct parts *parts)
{
    size_t started = 1;
    atomic_store(&parts->next, 0);
    for (size_t i = 0; i < n; i++)
        t[i].parts = parts;
    for (; started < n && started < parts->n; started++)
        if (pthread_create(&t[started].id, NULL, run_thread, &t[started]) != 0)
            break; /* the others do its part */
    run_thread(&t[0]);
    for (size_t i = 1; i < started; i++)
        pthread_join(t[i].id, NULL);
    check_parts(parts);
}

/* ---- sources ---- */

static double newest_of(const struct parts *parts)
{
    double newest = -1;
    for (size_t i = 0; i < parts->n; i++)
        newest = fmax(newest, parts->part[i].newest);
    return newest;
}

/* A log that has just been made, or rotated, has not even its header yet. */
static bool has_no_line(const struct head *h)
{
    return h->opened && h->n < sizeof(h->bytes) && !memchr(h->bytes, '\n', h->n);
}

/* Goes on with a file where the source left it. */
static void count_source_file(struct thread *t, const struct ingest *how, struct source *s,
                              char *const *path, const struct head *h, struct counted *out)
{
    struct source_file *known = source_find(s, h->bytes, h->n);
    uint64_t from = known ? known->offset : 0;
    struct parts parts = {0};
    /* Where reading may end early, there is only one place to go on from. */
    add_ranges(&parts, path, h, from, how->until >= 0 ? 1 : how->threads * PARTS_A_THREAD);
    run_parts(t, how->threads, &parts);
    uint64_t end = parts.part[parts.n - 1].end;
    if (end > from) {
        err_need(source_note(s, h->bytes, h->n, end, newest_of(&parts)) == 0);
        out->noted = true;
    }
    free(parts.part);
}

/*
 * A pipe is sent again from some point before the end of what was counted: only complete hours are
 * counted, each once.
 */
static void count_source_pipe(struct thread *t, struct source *s, char *const *path,
                              struct counted *out)
{
    struct parts parts = {0};
    struct counter *c = &t[0].counter;
    const struct count_part part = {.path = path};
    c->by_hour = true;
    if (s->until >= 0)
        c->from_hour = s->until;
    add_part(&parts, &part);
    run_parts(t, 1, &parts);
    if (c->newest >= 0) {
        int64_t until = counter_close(c, c->p->index.seen.lateness_s);
        err_need(until != -ENOMEM);
        if (until > s->until) {
            s->until = until;
            out->noted = true;
        }
    }
    free(parts.part);
}

static char *stdin_only[] = {(char[]){"-"}};

static void count_sources(struct profile *p, struct thread *t, const struct ingest *how,
                          struct counted *out)
{
    struct source *s = sources_at(&p->index.sources, how->source);
    err_need(s);
    char *const *paths = how->n_paths ? how->paths : stdin_only;
    size_t n = how->n_paths ? how->n_paths : 1;
    for (size_t i = 0; i < n; i++) {
        struct head h;
        look_at(paths[i], &h);
        if (h.regular && has_no_line(&h))
            continue;
        if (h.regular)
            count_source_file(t, how, s, &paths[i], &h, out);
        else if (n > 1)
            err_die(EX_USAGE, "--source takes files, or one pipe; '%s' is no file", paths[i]);
        else
            count_source_pipe(t, s, &paths[i], out);
    }
}

/* ---- without a source ---- */

static void count_all(struct thread *t, const struct ingest *how)
{
    struct parts parts = {0};
    char *const *paths = how->n_paths ? how->paths : stdin_only;
    size_t n = how->n_paths ? how->n_paths : 1;
    double newest = -1;
    for (size_t i = 0; i < n; i++) {
        struct head h;
        look_at(paths[i], &h);
        if (h.regular && !h.packed && h.size >= PART_MIN)
            newest = fmax(newest, counter_peek(&t[0].counter, &paths[i], h.size - PEEK));
        if (h.regular && !h.packed && h.size >= 2 * PART_MIN && how->threads > 1)
            add_ranges(&parts, &paths[i], &h, 0, how->threads * PARTS_A_THREAD);
        else
            add_part(&parts, &(struct count_part){.path = &paths[i]});
    }
    for (size_t i = 0; i < how->threads; i++)
        seen_expect(&t[i].counter.seen, newest);
    run_parts(t, how->threads, &parts);
    free(parts.part);
}

/* ---- together ---- */

static struct thread *threads_new(struct profile *p, const struct ingest *how)
{
    struct thread *t = calloc(how->threads, sizeof(*t));
    err_need(t);
    for (size_t i = 0; i < how->threads; i++)
        err_need(counter_init(&t[i].counter, p, how) == 0);
    return t;
}

/* What all threads counted. */
static void join(struct profile *p, struct thread *t, const struct ingest *how, struct counted *out)
{
    struct seen_run *runs = calloc(how->threads, sizeof(*runs));
    uint64_t later = 0;
    err_need(runs);
    for (size_t i = 0; i < how->threads; i++) {
        struct counter *c = &t[i].counter;
        err_need(demand_merge(&out->demand, &c->all.demand) == 0);
        runs[i] = c->seen;
        out->records += c->records;
        later += c->later;
        if (c->status)
            out->status = c->status;
    }
    int settled =
        !how->source && out->records ? seen_settle(&p->index.seen, runs, how->threads) : 0;
    if (settled == -ESTALE)
        err_die(EX_TEMPFAIL, "the input was changed while it was read");
    err_need(settled == 0);
    if (later)
        err_warn("%" PRIu64 " records later than --now were not counted", later);
    if (out->demand.overflowed)
        err_warn("a volume has more than %d client sites in a week: the rest is counted as site "
                 "'%s'",
                 DEMAND_NAMES, DEMAND_OTHER);
    free(runs);
}

void ingest(struct profile *p, const struct ingest *how, struct counted *out)
{
    *out = (struct counted){0};
    demand_init(&out->demand, p->demand.keep_hours);
    struct thread *t = threads_new(p, how);
    if (how->source)
        count_sources(p, t, how, out);
    else
        count_all(t, how);
    join(p, t, how, out);
    for (size_t i = 0; i < how->threads; i++)
        counter_release(&t[i].counter);
    free(t);
}

void counted_release(struct counted *c)
{
    demand_release(&c->demand);
}
