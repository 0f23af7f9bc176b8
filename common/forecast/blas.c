/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/blas.h"

#include <cblas.h>

bool blas_begin(void)
{
    openblas_set_num_threads(1);
    /* OpenMP's flavour keeps settings per thread: only the one over POSIX threads is known. */
    return openblas_get_parallel() == OPENBLAS_THREAD;
}

static CBLAS_TRANSPOSE turned(struct blas_matrix m)
{
    return m.turned ? CblasTrans : CblasNoTrans;
}

void blas_multiply(size_t m, size_t n, size_t k, struct blas_matrix a, struct blas_matrix b,
                   float keep, float *c)
{
    cblas_sgemm(CblasRowMajor, turned(a), turned(b), (blasint)m, (blasint)n, (blasint)k, 1, a.at,
                (blasint)a.row, b.at, (blasint)b.row, keep, c, (blasint)n);
}
