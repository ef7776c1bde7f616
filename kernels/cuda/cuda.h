/* cuda.h -- the cuda backend: which ops have a kernel or a library's, and their host functions, for C.
 *
 * A host function checks nothing that ct_op_run has checked, puts its kernels on the stream and returns; every pointer
 * in the parameters, step included, is device memory.
 *
 * Fails: CT_EFAIL with the kernel's name when a launch is refused.
 */
#ifndef CT_CUDA_CUDA_H
#define CT_CUDA_CUDA_H

#include "kernels/ops.h"

/* Ops that have a kernel; the entries of others in the backend's table are empty. */
#define CT_CUDA_OPS(OP)                                                                                                \
    OP(rows_embed)                                                                                                     \
    OP(rows_embed_backward)                                                                                            \
    OP(rotary_rows)                                                                                                    \
    OP(harmony)                                                                                                        \
    OP(harmony_backward)                                                                                               \
    OP(harmony_mlp)                                                                                                    \
    OP(harmony_mlp_backward)                                                                                           \
    OP(layernorm)                                                                                                      \
    OP(layernorm_backward)                                                                                             \
    OP(linear_rows)                                                                                                    \
    OP(gelu)                                                                                                           \
    OP(gelu_backward)                                                                                                  \
    OP(attention)                                                                                                      \
    OP(attention_backward)                                                                                             \
    OP(attention_decode)                                                                                               \
    OP(memory_update)                                                                                                  \
    OP(cross_entropy)                                                                                                  \
    OP(narrow)                                                                                                         \
    OP(widen)                                                                                                          \
    OP(grad_squares)                                                                                                   \
    OP(grad_norm)                                                                                                      \
    OP(adamw)                                                                                                          \
    OP(sample)
/* Ops that are products of matrices, by cuBLASLt (linear.h). In the table where CT_HAVE_CUBLASLT says it is linked: the
 * kernels alone are built and tested without any toolkit. */
#define CT_CUDA_PRODUCTS(OP)                                                                                           \
    OP(linear)                                                                                                         \
    OP(linear_backward)

struct CUstream_st; /* what CUDA's cudaStream_t points to; NULL: the default stream */

#define CT_CUDA_DECLARE(name) ct_status ct_cuda_##name(const ct_params *params, struct CUstream_st *stream);
CT_CUDA_OPS(CT_CUDA_DECLARE)
CT_CUDA_PRODUCTS(CT_CUDA_DECLARE)

/* Its ops go to the stream that was named last, at first the default one; one thread calls it. */
const ct_backend   *ct_backend_cuda(void);
void                ct_cuda_use_stream(struct CUstream_st *stream);
/* That stream. */
struct CUstream_st *ct_cuda_stream(void);
/* Call this after each op; what it returns is the op's status. NULL: nothing. */
void                ct_cuda_after_each(ct_status (*call)(void));

#endif
