/* gemm.h -- one product of matrices by a library (oneDNN), on the calling thread.
 *
 * Threads: callers cut a product into blocks and call this inside their own parallel region, where oneDNN stays on the
 *          thread that calls: so sums keep one order whatever the number of threads.
 * Memory:  ours: none. oneDNN's sgemm takes and returns packing buffers inside the call.
 */
#ifndef CT_KERNELS_GEMM_H
#define CT_KERNELS_GEMM_H

#include <stdbool.h>
#include <stdint.h>

/* c[m][n] = op(a)[m][k] op(b)[k][n] (+ c): row-major, ld = distance of rows as stored */
typedef struct ct_gemm {
    int64_t      m, n, k;
    bool         transpose_a, transpose_b, accumulate;
    const float *a, *b;
    float       *c;
    int64_t      lda, ldb, ldc;
} ct_gemm;

/* Returns false when no library does it (not built in, or CANTUS_GEMM=own): the caller uses its own loops. */
bool ct_gemm_library(const ct_gemm *product);

/* Keep the library to an instruction set ("base", "avx2", "avx512"); before its first product. */
void ct_gemm_limit(const char *isa);

/* "oneDNN 2.6.3", "own loops" */
const char *ct_gemm_name(void);

#endif
