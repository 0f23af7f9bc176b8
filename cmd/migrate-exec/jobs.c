/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/jobs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/migrate-exec/recover.h"
#include "cmd/migrate-exec/rows.h"
#include "cmd/migrate-exec/signals.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum { LOOK_MS = 200 }; /* for a signal, or a row whose time has come */

enum row_state { ROW_WAITS, ROW_RUNS, ROW_OVER };

struct row {
    struct plan_row plan;      /* of one to be resumed the names, and if it is to stand by */
    char id[NAME_LEN_MAX + 1]; /* to be resumed; "": a row of the plan */
    double read;               /* when: a row does not grow too old by waiting for others */
    enum row_state state;
    pid_t pid;
    int pidfd;
};

struct jobs {
    const struct exec *x;
    struct row *rows;
    size_t n;
    size_t cap;
    unsigned running;
    enum outcome worst;
    bool told;                   /* the children, of a signal */
    struct progress_cell *cells; /* one a row, shared with the children; NULL: nobody looks */
    struct progress line;
};

int jobs_exit_status(enum outcome worst)
{
    switch (worst) {
    case DEFERRED:
        return EX_TEMPFAIL;
    case UNAVAILABLE:
        return EX_UNAVAILABLE;
    case FAILED:
        return EX_NO;
    case MANUAL:
        return EX_SOFTWARE;
    default:
        return EX_OK;
    }
}

/* The outcome that a child's wait status means. */
static enum outcome outcome_of(int status)
{
    if (!WIFEXITED(status))
        return DEFERRED; /* killed: what it began can be resumed */
    switch (WEXITSTATUS(status)) {
    case EX_OK:
        return SWITCHED;
    case EX_UNAVAILABLE:
        return UNAVAILABLE;
    case EX_NO:
        return FAILED;
    case EX_SOFTWARE:
        return MANUAL;
    default:
        return DEFERRED;
    }
}

static void worsen(struct jobs *j, enum outcome o)
{
    j->worst = o > j->worst ? o : j->worst;
}

static const char *row_name(const struct row *r)
{
    return r->id[0] ? r->id : r->plan.volume;
}

/* ---- children ---- */

/*
 * The child: one row.  Its events go to the same standard output, each in one write; the store is
 * opened anew, for a lock that is inherited is shared.
 */
_Noreturn static void run_child(const struct jobs *j, const struct row *row)
{
    struct exec x = *j->x;
    x.cell = j->cells ? &j->cells[row - j->rows] : NULL;
    setpgid(0, 0); /* an interrupt of the terminal comes through the parent */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signals_release();
    route_store_close(x.store);
    x.store = NULL;
    int r = route_store_open(x.dirs.state, false, &x.store);
    if (r < 0 && r != -ENOENT)
        err_die(EX_TEMPFAIL, "cannot open the routes in '%s': %s", x.dirs.state, err_text(r));
    x.max_age_s += clock_now() - row->read;
    enum outcome o = row->id[0] ? recover_resume(&x, row->id) : rows_carry_out(&x, &row->plan);
    exit(jobs_exit_status(o));
}

static void start(struct jobs *j, struct row *row)
{
    rec_flush(j->x->out);
    pid_t pid = fork();
    if (pid == 0)
        run_child(j, row);
    row->pid = pid;
    row->pidfd = pid < 0 ? -1 : pidfd_open(pid, 0);
    if (row->pidfd < 0) {
        err_warn("cannot start '%s': %s", row_name(row), err_text(errno));
        row->state = ROW_OVER;
        worsen(j, DEFERRED);
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        return;
    }
    row->state = ROW_RUNS;
    j->running++;
}

/* What is over has done all that there was, or is left out. */
static void settle_cell(struct jobs *j, const struct row *row, int status)
{
    struct progress_cell *c = j->cells ? &j->cells[row - j->rows] : NULL;
    if (c && outcome_of(status) == SWITCHED)
        atomic_store(&c->done, atomic_load(&c->total));
    else if (c)
        atomic_store(&c->total, 0);
    progress_clear(&j->line);
}

static void reap(struct jobs *j, struct row *row)
{
    int status = 0;
    while (waitpid(row->pid, &status, 0) < 0)
        if (errno != EINTR) {
            status = EX_TEMPFAIL << 8;
            break;
        }
    settle_cell(j, row, status);
    if (WIFSIGNALED(status))
        err_warn("the move of '%s' was killed: go on with: migrate-exec --resume", row_name(row));
    close(row->pidfd);
    row->state = ROW_OVER;
    j->running--;
    worsen(j, outcome_of(status));
}

/* ---- which, and when ---- */

/* May ROW begin beside those that run? */
static bool has_room(const struct jobs *j, const struct row *row)
{
    unsigned source = 0;
    unsigned target = 0;
    for (size_t i = 0; i < j->n; i++) {
        const struct row *other = &j->rows[i];
        if (other->state != ROW_RUNS)
            continue;
        if (strcmp(other->plan.volume, row->plan.volume) == 0)
            return false;
        source += strcmp(other->plan.source, row->plan.source) == 0;
        target += strcmp(other->plan.target, row->plan.target) == 0;
    }
    return source < j->x->per_gateway && target < j->x->per_gateway;
}

/* A row that would only wait for its time takes no place. */
static bool is_due(const struct jobs *j, const struct row *row)
{
    return !j->x->wait || row->plan.not_before <= clock_now();
}

static bool is_standby(const struct row *row)
{
    return row->plan.kind == PLAN_KIND_STANDBY;
}

/* Does a move wait that could begin but for the others?  Standbys come behind those. */
static bool move_waits(const struct jobs *j)
{
    for (size_t i = 0; i < j->n; i++)
        if (j->rows[i].state == ROW_WAITS && !is_standby(&j->rows[i]) && is_due(j, &j->rows[i]))
            return true;
    return false;
}

/* Begins what may begin; is anything left? */
static bool begin_some(struct jobs *j)
{
    bool left = false;
    for (size_t i = 0; i < j->n; i++) {
        struct row *row = &j->rows[i];
        if (row->state == ROW_WAITS && j->running < j->x->jobs && is_due(j, row) &&
            has_room(j, row) && !(is_standby(row) && move_waits(j)))
            start(j, row);
        left = left || row->state == ROW_WAITS;
    }
    return left;
}

/* Waits for a child's end, a signal, or a moment. */
static void wait_some(struct jobs *j)
{
    struct pollfd *fds = calloc(j->running + 1, sizeof(*fds));
    struct row **which = calloc(j->running + 1, sizeof(*which));
    nfds_t n = 0;
    if (!fds || !which)
        err_die(EX_OSERR, "%s", err_text(ENOMEM)); /* the children die with us, resumable */
    for (size_t i = 0; i < j->n; i++)
        if (j->rows[i].state == ROW_RUNS) {
            fds[n] = (struct pollfd){.fd = j->rows[i].pidfd, .events = POLLIN};
            which[n++] = &j->rows[i];
        }
    int r = poll(fds, n, LOOK_MS);
    for (nfds_t i = 0; r > 0 && i < n; i++)
        if (fds[i].revents)
            reap(j, which[i]);
    free(fds);
    free(which);
}

/* Hands a signal that came on to the children, once. */
static void tell_children(struct jobs *j)
{
    const int sig = signals_number();
    if (!sig || j->told)
        return;
    j->told = true;
    for (size_t i = 0; i < j->n; i++)
        if (j->rows[i].state == ROW_RUNS)
            kill(j->rows[i].pid, sig);
}

/* One line for all rows that run or are over. */
static void show(struct jobs *j)
{
    uint64_t done = 0;
    uint64_t total = 0;
    size_t begun = 0;
    char what[64];
    for (size_t i = 0; j->cells && i < j->n; i++) {
        uint64_t all = atomic_load(&j->cells[i].total);
        uint64_t part = atomic_load(&j->cells[i].done);
        begun += j->rows[i].state != ROW_WAITS;
        total += all;
        done += part < all ? part : all;
    }
    snprintf(what, sizeof(what), "%zu of %zu moves,", begun, j->n);
    progress_show(&j->line, what, "all", done, total);
}

/* Without shared memory there is no line, no more. */
static void prepare_line(struct jobs *j)
{
    progress_init(&j->line);
    if (!j->line.on || !j->n)
        return;
    void *p = mmap(NULL, j->n * sizeof(*j->cells), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    j->cells = p == MAP_FAILED ? NULL : p;
}

static void run_all(struct jobs *j)
{
    bool left = true;
    signals_catch();
    prepare_line(j);
    while (left || j->running) {
        left = !signals_pending() && begin_some(j);
        if (left || j->running)
            wait_some(j);
        tell_children(j);
        show(j);
    }
    progress_clear(&j->line);
    if (j->cells)
        munmap(j->cells, j->n * sizeof(*j->cells));
}

/* ---- the plan ---- */

/* The standbys of a plan whose moves were carried out as they were read. */
static void run_late(struct jobs *j)
{
    for (size_t i = 0; i < j->n && !signals_pending(); i++) {
        struct exec x = *j->x;
        x.max_age_s += clock_now() - j->rows[i].read;
        worsen(j, rows_carry_out(&x, &j->rows[i].plan));
    }
}

static struct row *remember(struct jobs *j, const struct plan_row *plan)
{
    if (vec_room(&j->rows, j->n, &j->cap, sizeof(*j->rows)) < 0)
        err_die(EX_OSERR, "cannot remember what to do: %s", err_text(ENOMEM));
    j->rows[j->n] = (struct row){.plan = *plan, .read = clock_now(), .pidfd = -1};
    return &j->rows[j->n++];
}

int jobs_run_plan(const struct exec *x, const char *path)
{
    char *paths[] = {(char *)(uintptr_t)path}; /* the reader does not change it */
    struct jobs j = {.x = x, .worst = GO};
    struct rec_reader *r = rec_reader_new(&rec_plan);
    int more = 0;
    if (!r)
        err_die(EX_OSERR, "cannot read the plan: %s", err_text(ENOMEM));
    rec_reader_files(r, paths, path ? 1 : 0);
    rec_reader_tie(r, x->out);
    while (!signals_pending() && (more = rec_reader_next(r)) > 0) {
        struct plan_row row;
        rows_read(r, &row);
        if (x->jobs > 1 || row.kind == PLAN_KIND_STANDBY)
            remember(&j, &row);
        else
            worsen(&j, rows_carry_out(x, &row));
    }
    if (x->jobs > 1)
        run_all(&j);
    else
        run_late(&j);
    int status = jobs_exit_status(j.worst);
    if (more < 0) {
        err_warn("%s", rec_reader_error(r));
        status = j.worst == MANUAL ? status : rec_reader_status(r);
    } else if (signals_pending() && j.worst < DEFERRED) {
        status = EX_TEMPFAIL; /* rows were left */
    }
    rec_reader_free(r);
    free(j.rows);
    return status;
}

/* ---- what was begun before ---- */

static void remember_open(void *arg, const char *id, const struct event *last, bool standby)
{
    struct plan_row plan = {.kind = standby ? PLAN_KIND_STANDBY : PLAN_KIND_MANDATORY};
    memcpy(plan.volume, last->volume, sizeof(plan.volume));
    memcpy(plan.source, last->source, sizeof(plan.source));
    memcpy(plan.target, last->target, sizeof(plan.target));
    struct row *row = remember(arg, &plan);
    snprintf(row->id, sizeof(row->id), "%s", id);
}

int jobs_resume(const struct exec *x)
{
    struct jobs j = {.x = x, .worst = GO};
    recover_each_open(x, remember_open, &j);
    run_all(&j);
    free(j.rows);
    return signals_pending() && j.worst < DEFERRED ? EX_TEMPFAIL : jobs_exit_status(j.worst);
}
