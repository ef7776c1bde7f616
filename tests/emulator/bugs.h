/* bugs.h -- kernels with a mistake planted in each: what the checker is there to find. NO_BUG is the kernel as it
 * should be.
 *
 * Nineteen mistakes that people make, each an instance of its own (a template's parameter), so that every front end
 * sees what its compiler makes of it. Of them the numbers alone show some, some in one order of threads only, and 4, 6
 * and 14 never.
 *
 * Owner: pointers are device memory of the caller. Fails: a launch that is refused or given up.
 */
#ifndef CT_EMULATOR_BUGS_H
#define CT_EMULATOR_BUGS_H

#ifdef __cplusplus
extern "C" {
#endif
#include "core/status.h"

typedef enum bug {
    NO_BUG,
    USED_BEFORE_BARRIER,     /* 1: no barrier between loading a tile and its use */
    REUSED_BEFORE_BARRIER,   /* 2: none between its use and loading the next */
    READ_PAST_END,           /* 3: no test against the number of tokens */
    NO_WARP_SYNC,            /* 4: lanes exchange by shared memory without __syncwarp */
    TAIL_NOT_WRITTEN,        /* 5: rows of the tile past the end stay as they were */
    NEGATIVE_INDEX,          /* 6: a table is read at a negative index, the result masked afterwards */
    MISALIGNED_COPY,         /* 7: cp.async to an odd element */
    WAIT_TOO_SHORT,          /* 8: one group fewer is waited for */
    DIVERGENT_MMA,           /* 9: mma under a condition that differs between lanes */
    COPY_OVER_READ,          /* 10: cp.async into a buffer that other warps still read */
    SUMS_REUSED_EARLY,       /* 11: a second reduction in the buffer that the first is still read from */
    DIVERGENT_BARRIER,       /* 12: a barrier for some threads only */
    PAST_DYNAMIC_SHARED,     /* 13: an index past the dynamic shared memory */
    ADD_WITHOUT_ATOMIC,      /* 14: blocks add to the same sums with += */
    MISALIGNED_FLOAT4,       /* 15: float4 at an odd float in device memory */
    ONE_PAST_END,            /* 16: one element past a buffer in device memory */
    EXIT_BEFORE_BARRIER,     /* 17: threads return before a barrier */
    PAST_SHARED_ARRAY,       /* 18: an index past an array in shared memory */
    MISALIGNED_SHARED_FLOAT4 /* 19: float4 from an array that is aligned to 4 bytes */
} bug;
enum { BUGS = 20, HEAD = 64 };

struct CUstream_st;

/* o = softmax(scale q k' + bias[distance]) v, causal; q, k, v, o: [heads][tokens][HEAD]; bias: [heads][reach + 1]. Bugs
 * 1 to 6 and 19 in fp32, 7 to 10 in bf16 on tensor cores. */
ct_status bugs_attention(bug b, float *o, const float *q, const float *k, const float *v, const float *bias, int tokens,
                         int heads, int reach, float scale, struct CUstream_st *stream);
ct_status bugs_attention_bf16(bug b, void *o, const void *q, const void *k, const void *v, const float *bias,
                              int tokens, int heads, int reach, float scale, struct CUstream_st *stream);
/* y = (x - mean) / sqrt(variance + 1e-5), a row a block of 128 threads. Bugs 11, 12, 13, 18. */
ct_status bugs_normalise(bug b, float *y, const float *x, int rows, int width, struct CUstream_st *stream);
/* sums[min(i - j, reach)] += x[i][j] for j <= i < tokens. Bug 14. */
ct_status bugs_sum_distances(bug b, float *sums, const float *x, int tokens, int reach, struct CUstream_st *stream);
/* y[i] = x[i + offset], in fours; offset 1 is bug 15. Bug 16. */
ct_status bugs_copy(bug b, float *y, const float *x, int count, int offset, struct CUstream_st *stream);
/* y[i] = sum of x[0..63], i < 48, x and y of 64 and 48 elements. Bug 17. */
ct_status bugs_sum_64(bug b, float *y, const float *x, struct CUstream_st *stream);

#ifdef __cplusplus
}
#endif
#endif
