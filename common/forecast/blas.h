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

/*
 * Keeps the library from starting threads of its own: it would compute other bits with another
 * number of them.  To be called before blas_multiply(), any number of times.  True if several
 * threads may call it at once, which a serial OpenBLAS gets silently wrong.
 */
bool blas_begin(void);

/* C (M × N, rows of N floats) = A (M × K) · B (K × N) + KEEP · C. */
void blas_multiply(size_t m, size_t n, size_t k, struct blas_matrix a, struct blas_matrix b,
                   float keep, float *c);

#endif
