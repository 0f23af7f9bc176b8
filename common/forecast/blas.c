/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* What is used of the library. */
struct functions {
    __typeof__(&cblas_sgemm) sgemm;
    __typeof__(&openblas_set_num_threads) set_threads;
    __typeof__(&openblas_get_parallel) kind;
};

/*
 * Set once, by the first blas_begin(): it stands for the dynamic linker's table of functions, which
 * nobody hands from call to call either.
 */
static struct functions blas;

/* Finds the functions of the library, of which one that was preloaded goes first. */
static bool find(struct functions *f)
{
    f->sgemm = (__typeof__(f->sgemm))dlsym(RTLD_DEFAULT, "cblas_sgemm");
    f->set_threads = (__typeof__(f->set_threads))dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
    f->kind = (__typeof__(f->kind))dlsym(RTLD_DEFAULT, "openblas_get_parallel");
    return f->sgemm && f->set_threads && f->kind;
}

/*
 * Loads the library here and not with the program: as it is loaded it starts a thread for each
 * processor, which then burn a tenth of a second of processor time in waiting for work, unless this
 * variable says that there is to be none.
 */
static int load(void)
{
    struct functions f;
    if (blas.sgemm)
        return 0;
    if (setenv("OPENBLAS_NUM_THREADS", "1", 1) < 0)
        return -ENOMEM;
    if (!dlopen(BLAS_LIBRARY, RTLD_NOW | RTLD_GLOBAL) || !find(&f))
        return -ELIBACC;
    blas = f;
    return 0;
}

int blas_begin(void)
{
    int r = load();
    if (r < 0)
        return r;
    blas.set_threads(1);
    /* OpenMP's flavour keeps settings per thread: only the one over POSIX threads is known. */
    return blas.kind() == OPENBLAS_THREAD;
}

static CBLAS_TRANSPOSE turned(struct blas_matrix m)
{
    return m.turned ? CblasTrans : CblasNoTrans;
}

void blas_multiply(size_t m, size_t n, size_t k, struct blas_matrix a, struct blas_matrix b,
                   float keep, float *c)
{
    blas.sgemm(CblasRowMajor, turned(a), turned(b), (blasint)m, (blasint)n, (blasint)k, 1, a.at,
               (blasint)a.row, b.at, (blasint)b.row, keep, c, (blasint)n);
}
