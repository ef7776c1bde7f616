/* sdpa.h -- scaled dot-product attention by cuDNN: the peer that our own attention is checked against and timed with.
 *
 * It is our op `attention` without what makes it ours: no rotation, no G, one song, no memory, no dropout; causal, in
 * bf16, with sums in float. Arrays are the op's own: qkv [batch][tokens][3][heads][head], y and dy
 * [batch][tokens][heads][head], lse [batch][heads][tokens] in float, dqkv as qkv.
 *
 * ct_cuda_sdpa_support tells what needs no plan; that a GPU is too old for the library is told by the plan.
 *
 * cuDNN takes attention as a graph of single steps (products, scale, comparison of indices, softmax), finds the pattern
 * and runs one fused kernel for it; the kernel is compiled when the plan is made, which takes half a second or more.
 *
 * Owner: a plan is its maker's until ct_cuda_sdpa_free; arrays and workspace are device memory of the caller, at
 * addresses of multiples of 16. Fails: CT_EFAIL in a sentence, first of all where ct_cuda_sdpa_support says no.
 */
#ifndef CT_CUDA_SDPA_H
#define CT_CUDA_SDPA_H

#include "kernels/ops.h"

struct CUstream_st; /* what CUDA's cudaStream_t points to */

typedef enum ct_sdpa_way { CT_SDPA_FORWARD, CT_SDPA_BACKWARD } ct_sdpa_way;
typedef struct ct_sdpa_shape {
    int64_t batch, heads, tokens, head;
    double  scale; /* of the logits */
} ct_sdpa_shape;
typedef struct ct_sdpa_arrays {
    const void *qkv, *dy;
    void       *y, *dqkv; /* y: written forward, read backward, and lse too */
    float      *lse;
    void       *workspace; /* ct_cuda_sdpa_workspace bytes */
} ct_sdpa_arrays;
typedef struct ct_cuda_sdpa ct_cuda_sdpa; /* a plan, of one way */

/* Can it be done here? CT_EFAIL: no, and the message says in a sentence why: no cuDNN, too old, the GPU, the head. */
CT_NODISCARD ct_status ct_cuda_sdpa_support(const ct_sdpa_shape *shape);
CT_NODISCARD ct_status ct_cuda_sdpa_plan(const ct_sdpa_shape *shape, ct_sdpa_way way, ct_cuda_sdpa **out);
size_t                 ct_cuda_sdpa_workspace(const ct_cuda_sdpa *plan);
/* On the stream; nothing is waited for. */
CT_NODISCARD ct_status ct_cuda_sdpa_run(const ct_cuda_sdpa *plan, const ct_sdpa_arrays *arrays,
                                        struct CUstream_st *stream);
void                   ct_cuda_sdpa_free(ct_cuda_sdpa *plan); /* NULL: nothing */

#endif
