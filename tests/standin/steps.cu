/* steps.cu -- see steps.h. */
#include "kernels/cuda/platform.h"

#include "tests/standin/steps.h"

static __global__ void linear(float *to, const float *from, int n, float factor, float term) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) to[i] = factor * from[i] + term;
}
static __global__ void past_end(float *to, long at) {
    if (threadIdx.x == 0) to[at] = 1;
}
static __global__ void nothing(int) {
}

ct_status step_linear(float *to, const float *from, int n, float factor, float term, CUstream_st *stream) {
    return LAUNCH(linear, (unsigned)((n + 63) / 64), 64, 0, stream, to, from, n, factor, term);
}
ct_status step_past_end(float *to, int n, long past, CUstream_st *stream) {
    return LAUNCH(past_end, 1, 32, 0, stream, to, n + past);
}
ct_status step_shared(size_t bytes, CUstream_st *stream) {
    return LAUNCH(nothing, 1, 1, bytes, stream, 0);
}
