/* linear.h -- cuda: linear and its gradients by gemm.h, alone and together with the gelu beside them in a record list.
 *
 * ct_cuda_linear, ct_cuda_linear_backward (cuda.h) and the forms here make what plans they need. The _plan functions
 * make them beforehand, from the records that will run: with them nothing is allocated later, and a stream may be
 * captured.
 *
 * dbias is summed by a kernel of ours, in floats, in the products' workspace: between the products of a stream.
 * Owner: arrays are device memory of the caller; ct_cuda_gemm_open before. Fails: as gemm.h.
 */
#ifndef CT_CUDA_LINEAR_H
#define CT_CUDA_LINEAR_H

#include "kernels/cuda/cuda.h"

/* Are two records that follow one another a linear and the gelu of its result, or a linear_backward whose dx goes
 * through the gelu_backward behind it? */
bool ct_cuda_is_linear_gelu(ct_op op, const ct_params *params, ct_op next, const ct_params *next_params);
bool ct_cuda_is_linear_gelu_backward(ct_op op, const ct_params *params, ct_op next, const ct_params *next_params);

/* Both records at once: in one product where the library can, else as the two ops. What linear_backward would write to
 * dx is not kept: nothing else may read it. gelu's dbias is summed from its rounded dx. */
CT_NODISCARD ct_status ct_cuda_linear_gelu(const ct_params *linear, const ct_params *gelu, struct CUstream_st *stream);
CT_NODISCARD ct_status ct_cuda_linear_gelu_backward(const ct_params *linear, const ct_params *gelu,
                                                    struct CUstream_st *stream);

CT_NODISCARD ct_status ct_cuda_linear_plan(const ct_params *params);
CT_NODISCARD ct_status ct_cuda_linear_backward_plan(const ct_params *params);
CT_NODISCARD ct_status ct_cuda_linear_gelu_plan(const ct_params *linear, const ct_params *gelu);
CT_NODISCARD ct_status ct_cuda_linear_gelu_backward_plan(const ct_params *linear, const ct_params *gelu);

#endif
