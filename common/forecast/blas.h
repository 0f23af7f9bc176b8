/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Matrix products in single precision, by whatever CBLAS is installed as OpenBLAS. */
#ifndef GS_FORECAST_BLAS_H
#define GS_FORECAST_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* A row-major matrix: rows of ROW floats from one to the next.  Borrowed. */
struct blas_matrix {
    const float *at;
    size_t row;
    bool turned; /* stands for its transpose */
};

/* The library, by the name under which it is loaded. */
#define BLAS_LIBRARY "libopenblas.so.0"

/*
 * Loads the library, at the first call, and keeps it from starting threads of its own: it would
 * compute other bits with another number of them.  To be called before blas_multiply(), any number
 * of times, while no other thread uses this module.  1: several threads may call blas_multiply() at
 * once; 0: only one, as a serial OpenBLAS gets several silently wrong; -ELIBACC: the library is not
 * there, or is none of this kind; -ENOMEM.
 */
int blas_begin(void);

/* C (M × N, rows of N floats) = A (M × K) · B (K × N) + KEEP · C. */
void blas_multiply(size_t m, size_t n, size_t k, struct blas_matrix a, struct blas_matrix b,
                   float keep, float *c);

#endif
