/* warp.h -- what warp-wide instructions compute, from the operands of 32 lanes to their results: no threads, no checks,
 * nothing but the tables of the PTX manual. The threads meet in block.cpp; the last to come computes for all.
 *
 * Owner: operands and results lie on the stacks of the threads that wait. Fails: warp_compute says which lanes read a
 * lane that takes no part.
 */
#ifndef CT_EMULATOR_WARP_H
#define CT_EMULATOR_WARP_H

#include "kernels/cuda/machine.h"

enum { LANES = 32 };
enum warp_operation { WARP_SYNC, WARP_SHUFFLE, WARP_VOTE, WARP_LDMATRIX, WARP_MMA };

struct shuffle_operands {
    machine_shuffle_kind kind;
    uint64_t             value;
    uint32_t             lane, clamp;
    uint64_t             result;
    bool                 in_range;
};
struct vote_operands {
    machine_vote_kind kind;
    bool              predicate;
    uint32_t          result;
};
struct ldmatrix_operands {
    unsigned    matrices;
    bool        transposed;
    const void *row; /* lanes 8 m .. 8 m + 7: of matrix m */
    uint32_t   *result;
};
struct mma_operands {
    float          *d;
    const uint32_t *a, *b;
    const float    *c;
};

/* operands[lane], for the lanes of `present`, which take part. Returns the lanes that a shuffle gave no defined value.
 */
uint32_t warp_compute(warp_operation operation, uint32_t present, void *const operands[LANES]);

#endif
