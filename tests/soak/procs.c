/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "procs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"

/* ---- kinds of gateways ---- */

#define NBDKIT "nbdkit", "-f", "--unix", "%s"
/* The filter tells the block status of the file below the cache, which is wrong: hence noextents.
 * It has one cache for all exports: such a gateway has one volume. */
#define CACHE "--filter=cache", "file", "dir=%d"
#define QEMU  "qemu-nbd", "-t", "-f", "raw", "-k", "%s", "-x", "%n", "--discard=unmap"

static const struct gateway_kind kinds[] = {
    /* Loses what is not flushed when it is killed. */
    {"cache", false, false, true, {NBDKIT, "--filter=noextents", CACHE, "cache=writeback"}},
    {"file", false, false, false, {NBDKIT, "file", "dir=%d"}},
    {"slow",
     false,
     false,
     false,
     {NBDKIT, "--filter=delay", "file", "dir=%d", "delay-read=3ms", "delay-write=10ms",
      "delay-zero=5ms", "delay-trim=20ms"}},
    /* Takes one connection; many. */
    {"qemu", true, true, false, {QEMU, "%f"}},
    {"qemu-shared", true, true, false, {QEMU, "-e", "0", "%f"}},

    /* To test the test.  Every 20th read is of the volume as it was at the 40th. */
    {"stale",
     true,
     true,
     false,
     {NBDKIT, "eval", "get_size=stat -c %%s '%f'",
      "pread=read n <$tmpdir/n || n=0; echo $((n += 1)) >$tmpdir/n; from='%f'\n"
      "[ $n != 40 ] || cp '%f' $tmpdir/old\n"
      "[ $((n %% 20)) != 0 ] || [ ! -e $tmpdir/old ] || from=$tmpdir/old\n"
      "dd if=$from iflag=skip_bytes,count_bytes skip=$4 count=$3 bs=64k status=none",
      "pwrite=dd of='%f' oflag=seek_bytes seek=$4 bs=64k conv=notrunc status=none",
      "can_write=exit 0", "can_flush=exit 0", "flush=exit 0", "can_multi_conn=exit 0"}},
    /* Flushes nothing, whatever it says. */
    {"unsafe",
     false,
     false,
     true,
     {NBDKIT, "--filter=noextents", "--filter=fua", CACHE, "cache=unsafe", "fuamode=discard"}},
    {"failing",
     false,
     false,
     false,
     {NBDKIT, "--filter=error", "file", "dir=%d", "error=EIO", "error-rate=0.5%%"}},
};

const struct gateway_kind *gateway_kind(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, name, len) == 0)
            return &kinds[i];
    return NULL;
}

/* ---- processes ---- */

/* Whose gateway P is; NULL: nobody's. */
static const struct volume *volume_of(const struct world *w, const struct proc *p)
{
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned g = 0; g < w->volumes[i].n_gateways; g++)
            if (p == &w->volumes[i].gateways[g].proc)
                return &w->volumes[i];
    return NULL;
}

/* Notes what happens to P, by the name that it has for the director or for a gateway. */
static void note(struct world *w, const struct proc *p, const char *director, const char *gateway)
{
    const struct volume *v = volume_of(w, p);
    if (v)
        soak_note_of(w, v, gateway, p->name);
    else if (p == &w->director)
        soak_note(w, v, director);
}

static void child(const struct world *w, const struct proc *p, pid_t parent)
{
    char log[128];
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EX_OSERR);
    setpgid(0, 0); /* a Ctrl-C is for the parent, which ends the others in order */
    snprintf(log, sizeof(log), "%s/%s.log", w->dir, p->name);
    int in = open("/dev/null", O_RDONLY);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(EX_OSERR);
    if (execvp(p->argv[0], p->argv) < 0)
        dprintf(2, "%s: %s\n", p->argv[0], strerror(errno));
    _exit(EX_UNAVAILABLE);
}

void proc_start(struct world *w, struct proc *p)
{
    pid_t me = getpid();
    unlink(p->socket);
    p->pid = fork();
    if (p->pid < 0)
        soak_abort(w, EX_OSERR, "cannot fork: %s", err_text(errno));
    if (p->pid == 0)
        child(w, p, me);
    p->state = PROC_STARTING;
    p->start_us = w->now_us;
    note(w, p, "the director is started", "the gateway is started of");
}

static bool listens(const struct proc *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, p->socket, sizeof(a.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

void proc_kill(struct world *w, struct proc *p, uint64_t start_us)
{
    if (p->pid) {
        kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    p->pid = 0;
    p->stopped = false;
    p->state = PROC_DOWN;
    p->start_us = start_us;
    note(w, p, "the director is killed", "the gateway is killed of");
}

void proc_stop(struct world *w, struct proc *p, uint64_t cont_us)
{
    if (!p->pid || p->stopped)
        return;
    kill(p->pid, SIGSTOP);
    p->stopped = true;
    p->cont_us = cont_us;
    note(w, p, "the director is stopped", "the gateway is stopped of");
}

int proc_end(struct proc *p, double seconds)
{
    int status = -1;
    uint64_t until = clock_mono_us() + (uint64_t)(seconds * 1e6);
    if (!p->pid)
        return -1;
    kill(p->pid, SIGTERM);
    pid_t r;
    while ((r = waitpid(p->pid, &status, WNOHANG)) == 0 && clock_mono_us() < until)
        usleep(5000);
    if (r != p->pid)
        return -1;
    p->pid = 0;
    p->state = PROC_DOWN;
    return status;
}

static void check_alive(struct world *w, struct proc *p)
{
    int status;
    if (!p->pid || waitpid(p->pid, &status, WNOHANG) != p->pid)
        return;
    p->pid = 0;
    /* nbdkit 1.32 may fail an assertion when a client goes away in the middle of an answer. */
    if (p != &w->director && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
        p->aborted = true;
        p->state = PROC_DOWN;
        p->start_us = UINT64_MAX;
        return;
    }
    if (WIFSIGNALED(status))
        soak_fail(w, NULL, NULL, NULL, "%s ended by itself, by signal %d", p->name,
                  WTERMSIG(status));
    soak_fail(w, NULL, NULL, NULL, "%s ended by itself, with status %d", p->name,
              WEXITSTATUS(status));
}

static void tick(struct world *w, struct proc *p)
{
    check_alive(w, p);
    if (p->state == PROC_DOWN && p->argv[0] && w->now_us >= p->start_us)
        proc_start(w, p);
    if (p->state == PROC_STARTING && listens(p)) {
        p->state = PROC_UP;
        p->started_us = w->now_us = clock_mono_us();
    }
    if (p->state == PROC_STARTING && w->now_us > p->start_us + 20000000)
        soak_fail(w, NULL, NULL, NULL, "%s does not listen within 20 s", p->name);
    if (p->stopped && w->now_us >= p->cont_us) {
        kill(p->pid, SIGCONT);
        p->stopped = false;
        note(w, p, "the director goes on", "the gateway goes on of");
    }
}

/* Did its hook ask for a new start? */
static void start_anew(struct world *w, const struct volume *v, struct gateway *g)
{
    char path[200];
    snprintf(path, sizeof(path), "%s.cold", g->path);
    if (!g->kind->caches || v->n_gateways == 1 || unlink(path) < 0 || !g->proc.pid)
        return;
    proc_kill(w, &g->proc, w->now_us);
}

void procs_tick(struct world *w)
{
    tick(w, &w->director);
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned g = 0; g < w->volumes[i].n_gateways; g++) {
            start_anew(w, &w->volumes[i], &w->volumes[i].gateways[g]);
            tick(w, &w->volumes[i].gateways[g].proc);
        }
}

bool procs_all_up(const struct world *w)
{
    const struct proc *d = &w->director;
    bool up = !d->argv[0] || (d->state == PROC_UP && !d->stopped);
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned g = 0; g < w->volumes[i].n_gateways; g++) {
            const struct proc *p = &w->volumes[i].gateways[g].proc;
            up = up && p->state == PROC_UP && !p->stopped && !p->again;
        }
    return up;
}

void proc_release(struct proc *p)
{
    if (p->pid) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    for (size_t i = 0; p->argv[i]; i++)
        free(p->argv[i]);
    *p = (struct proc){0};
}

void procs_release(struct world *w)
{
    proc_release(&w->director);
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned g = 0; g < w->volumes[i].n_gateways; g++)
            proc_release(&w->volumes[i].gateways[g].proc);
}

/* ---- setting up ---- */

/* ARG with its placeholders filled in; the caller's. */
static char *expand(struct world *w, const struct volume *v, const struct gateway *g,
                    const char *arg)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        soak_abort(w, EX_OSERR, "%s", err_text(ENOMEM));
    for (const char *p = arg; *p; p++) {
        if (*p != '%') {
            fputc(*p, f);
            continue;
        }
        p++;
        if (*p == 's')
            fputs(g->proc.socket, f);
        else if (*p == 'f')
            fprintf(f, "%s/%s", g->path, v->name);
        else if (*p == 'd' || *p == 'n')
            fputs(*p == 'd' ? g->path : v->name, f);
        else
            fputc('%', f);
    }
    fclose(f);
    return text;
}

static void make_export(struct world *w, const struct volume *v, const struct gateway *g)
{
    char file[200];
    snprintf(file, sizeof(file), "%s/%s", g->path, v->name);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, (off_t)v->size) < 0)
        soak_abort(w, EX_CANTCREAT, "cannot create '%s': %s", file, err_text(errno));
    close(fd);
}

/* The first gateway, the owner, is called gw-I, further ones gw-Ib and so on. */
static void setup_gateway(struct world *w, struct volume *v, unsigned i, unsigned number)
{
    struct gateway *g = &v->gateways[number];
    struct proc *p = &g->proc;
    snprintf(p->name, sizeof(p->name), number ? "gw-%u%c" : "gw-%u", i, (char)('a' + number));
    snprintf(p->socket, sizeof(p->socket), "%s/%s.sock", w->dir, p->name);
    snprintf(g->path, sizeof(g->path), "%s/%s", w->dir, p->name);
    if (mkdir(g->path, 0755) < 0)
        soak_abort(w, EX_CANTCREAT, "cannot create '%s': %s", g->path, err_text(errno));
    if (number == 0 || g->kind->fixed)
        make_export(w, v, g);
    for (size_t n = 0; g->kind->argv[n]; n++)
        p->argv[n] = expand(w, v, g, g->kind->argv[n]);
}

/* Runs route-set for V. */
static void set_route(struct world *w, const struct volume *v)
{
    char size[32];
    snprintf(size, sizeof(size), "%llu", (unsigned long long)v->size);
    struct proc p = {.name = "route-set"};
    const char *const argv[] = {"route-set", v->name, v->gateways[0].proc.name,
                                "--size",    size,    NULL};
    for (size_t i = 0; argv[i]; i++)
        p.argv[i] = strdup(argv[i]);
    proc_start(w, &p);
    int status = -1;
    waitpid(p.pid, &status, 0);
    p.pid = 0;
    proc_release(&p);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        soak_abort(w, EX_UNAVAILABLE, "route-set failed for '%s'", v->name);
}

static void setup_director(struct world *w)
{
    struct proc *p = &w->director;
    char listen[128], retry[32], quarantine[32];
    snprintf(p->name, sizeof(p->name), "director");
    snprintf(p->socket, sizeof(p->socket), "%s/nbd.sock", w->dir);
    snprintf(listen, sizeof(listen), "unix:%s", p->socket);
    snprintf(retry, sizeof(retry), "%g", w->set.retry_for_s);
    snprintf(quarantine, sizeof(quarantine), "%gs", w->set.ghost_s);
    const char *const argv[] = {"route-director", "--listen", listen, "--retry-for", retry,
                                "--quarantine",   quarantine};
    size_t n = 0, room = sizeof(p->argv) / sizeof(*p->argv) - 1;
    for (; n < sizeof(argv) / sizeof(*argv); n++)
        p->argv[n] = strdup(argv[n]);
    for (char **a = w->set.director_args; *a && n < room; a++)
        p->argv[n++] = strdup(*a);
}

static void write_gateways(struct world *w)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/config/gateways.csv", w->dir);
    FILE *f = fopen(path, "w");
    if (!f)
        soak_abort(w, EX_CANTCREAT, "cannot create '%s': %s", path, err_text(errno));
    fputs("gateway,uri,site,capacity_bytes,iops_limit,state,hook\n", f);
    for (unsigned i = 0; i < w->n_volumes; i++) {
        const struct volume *v = &w->volumes[i];
        for (unsigned k = 0; k < v->n_gateways; k++) {
            const struct gateway *g = &v->gateways[k];
            fprintf(f, "%s,nbd+unix:///?socket=%s,,,,active,", g->proc.name, g->proc.socket);
            if (g->kind->caches)
                fprintf(f, "%s/hook %s", w->dir, g->path);
            else if (!g->kind->fixed)
                fprintf(f, "dir %s", g->path);
            fputc('\n', f);
        }
    }
    if (fclose(f) != 0)
        soak_abort(w, EX_IOERR, "cannot write '%s': %s", path, err_text(errno));
}

/*
 * The hook of a gateway that caches: as "dir", but when it takes an export out of service it asks
 * for a new start, or the gateway would go on serving from its cache what another file has.
 */
static void write_hook(struct world *w)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/hook", w->dir);
    FILE *f = fopen(path, "w");
    if (!f)
        soak_abort(w, EX_CANTCREAT, "cannot create '%s': %s", path, err_text(errno));
    fputs("#!/bin/sh\n[ \"$2\" != cold ] || : >\"$1.cold\"\n"
          "exec \"$GATESHIFT_HOOKS/dir\" \"$@\"\n",
          f);
    if (fchmod(fileno(f), 0755) < 0 || fclose(f) != 0)
        soak_abort(w, EX_IOERR, "cannot write '%s': %s", path, err_text(errno));
}

/* The folders that the commands know, and where gateways keep what they lose. */
static void make_folders(struct world *w)
{
    static const char *const folders[][2] = {{"config", "GATESHIFT_CONFIG"},
                                             {"state", "GATESHIFT_STATE"},
                                             {"run", "GATESHIFT_RUN"},
                                             {"tmp", "TMPDIR"}};
    char path[128];
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        snprintf(path, sizeof(path), "%s/%s", w->dir, folders[i][0]);
        if (mkdir(path, 0755) < 0 || setenv(folders[i][1], path, 1) < 0)
            soak_abort(w, EX_CANTCREAT, "cannot create '%s': %s", path, err_text(errno));
    }
}

void procs_setup(struct world *w)
{
    make_folders(w);
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned g = 0; g < w->volumes[i].n_gateways; g++)
            setup_gateway(w, &w->volumes[i], i, g);
    write_hook(w);
    write_gateways(w);
    for (unsigned i = 0; i < w->n_volumes && !w->set.direct; i++)
        set_route(w, &w->volumes[i]);
    if (!w->set.direct)
        setup_director(w);
    while (!procs_all_up(w)) {
        w->now_us = clock_mono_us();
        procs_tick(w);
        usleep(5000);
    }
}
