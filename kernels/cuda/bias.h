/* bias.h -- cuda: what the library of products has no epilogue for: a bias as the result's first value, and its
 * gradient.
 *
 * Owner: device memory of the caller. Fails: CT_EFAIL with the kernel's name when a launch is refused.
 */
#ifndef CT_CUDA_BIAS_H
#define CT_CUDA_BIAS_H

#include "kernels/ops.h"

struct CUstream_st;

/* y[n] = bias; a product that is added to it then rounds once. Arrays of dtype's real. */
ct_status ct_cuda_bias_spread(ct_dtype dtype, int64_t rows, int64_t width, const void *bias, void *y,
                              struct CUstream_st *stream);
/* dbias += sum over rows of dy, in one order for one shape and number of slices. partial: [slices][width] floats */
ct_status ct_cuda_bias_gradient(ct_dtype dtype, int64_t rows, int64_t width, const void *dy, float *dbias,
                                int64_t slices, float *partial, struct CUstream_st *stream);

#endif
