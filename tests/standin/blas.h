/* blas.h -- the double of cuBLASLt (cublaslt.cpp), as a test sees it.
 *
 * It knows the attributes that NVIDIA's header names, takes what the real library takes of them, and does plain, biased
 * and GELU products of bf16 and float in one of several ways, each an algorithm of its own: heuristics list those that
 * fit, in a drawn order. Which is taken matters to the rounding of the sums alone. What the manual forbids, or this
 * double does not know, fails with NVIDIA's code and is a report (emulator.h) of the kind "call".
 *
 * Owner: nothing is handed out. Fails: as the library does; a device that is missing (standin.h) gives no handle.
 */
#ifndef CT_STANDIN_BLAS_H
#define CT_STANDIN_BLAS_H

#include "standin.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What heuristics answer. */
typedef enum blas_answer {
    BLAS_LISTS,        /* algorithms */
    BLAS_NOT_FUSED,    /* NOT_SUPPORTED, to any epilogue but the plain one */
    BLAS_FUSED_EMPTY,  /* the same, as success and an empty list */
    BLAS_FUSED_STATES, /* the same, as a list of results whose state is no success */
    BLAS_FUSED_INVALID,
    BLAS_NOTHING, /* NOT_SUPPORTED, to all */
    BLAS_ANSWERS
} blas_answer;
/* From now on; the seed draws the order of lists. Counters are 0 again. */
void blas_begin(unsigned seed, blas_answer answer);

typedef struct blas_counters {
    int handles; /* open, whenever they were opened */
    int heuristics, products;
    int algorithms[8]; /* products by the number of their algorithm */
} blas_counters;
blas_counters blas_count(void);

#ifdef __cplusplus
}
#endif
#endif
