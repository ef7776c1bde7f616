/* blas_product.h -- what the double of cuBLASLt computes once a call has been understood: one product, by one of its
 * algorithms.
 *
 * Matrices are by columns, as the library has them: element (i, j) at i + j ld. Owner: nothing. Fails: nothing can.
 */
#ifndef CT_STANDIN_BLAS_PRODUCT_H
#define CT_STANDIN_BLAS_PRODUCT_H

#include <cublasLt.h>

struct blas_matrix {
    bool    half; /* bf16; else float */
    int64_t rows, columns, ld;
    size_t  element() const {
         return half ? 2 : 4;
    }
    size_t bytes() const { /* from the first element to the last */
        return (size_t)((columns - 1) * ld + rows) * element();
    }
};

/* An algorithm: in which order sums are made, and what it asks for. */
struct blas_method {
    uint32_t tile, stages;
    int      splits; /* parts of a sum that are added at the end, by one of `reductions` */
    uint32_t reductions;
    bool     backwards; /* from the last product to the first */
    bool     gelu;      /* has the epilogues of GELU */
    unsigned alignment; /* bytes, of arrays and of their columns */
    unsigned of_b;      /* the same of b, which need not be as strict */
    size_t   room;      /* workspace besides, bytes */
};

struct blas_product {
    blas_matrix        a, b, d;
    bool               transpose_a, transpose_b, tf32;
    cublasLtEpilogue_t epilogue;
    int64_t            aux_ld;
    const void        *bias;
    void              *aux;
    int64_t            depth() const {
                   return transpose_a ? a.rows : a.columns;
    }
};

size_t blas_workspace(const blas_product &p, const blas_method &method, int splits, uint32_t reduction);
/* While the device's memory is open: d = alpha op(a) op(b) + beta d, and the epilogue. */
void blas_run(const blas_product &p, const blas_method &method, int splits, uint32_t reduction, float alpha, float beta,
              const void *a, const void *b, void *d, void *workspace);

#endif
