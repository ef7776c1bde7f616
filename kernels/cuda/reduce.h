/* reduce.h -- sums, largest and running sums over the lanes of a warp, the threads of a block and the blocks of a grid,
 * each in one fixed order: the same bytes whenever it runs, on any number of multiprocessors.
 *
 * Blocks have one dimension and whole warps, at most 32. What ends in _of_block holds two barriers: all threads call
 * it. Owns nothing; nothing can fail.
 */
#ifndef CT_CUDA_REDUCE_H
#define CT_CUDA_REDUCE_H

#include "kernels/cuda/platform.h"

enum { WARP = 32 };
#define ALL_LANES 0xffffffffu

/* ---- every lane gets the result: halves onto halves */
template <class T> __device__ __forceinline__ T warp_sum(T x) {
    for (int by = WARP / 2; by > 0; by /= 2) x += __shfl_xor_sync(ALL_LANES, x, by);
    return x;
}
template <class T> __device__ __forceinline__ T warp_largest(T x) {
    for (int by = WARP / 2; by > 0; by /= 2) x = max(x, __shfl_xor_sync(ALL_LANES, x, by));
    return x;
}

/* 32 sums at once, in 31 shuffles instead of 160: lane l gets the sum of x[l], in the same order for each. */
__device__ __forceinline__ float warp_sums(float x[WARP]) {
    const unsigned lane = threadIdx.x % WARP;
#pragma unroll
    for (unsigned half = WARP / 2; half > 0; half /= 2) {
        bool upper = lane & half; /* keeps the upper half of its sums, gives the lower one away */
#pragma unroll
        for (unsigned i = 0; i < half; i++) {
            float given = __shfl_xor_sync(ALL_LANES, upper ? x[i] : x[i + half], (int)half);
            x[i] = (upper ? x[i + half] : x[i]) + given;
        }
    }
    return x[0];
}

/* ---- every thread gets the result */
template <class T> __device__ __forceinline__ T sum_of_block(T x) {
    SHARED_ARRAY(T, of_warp, [WARP]);
    const unsigned lane = threadIdx.x % WARP;
    x = warp_sum(x);
    __syncthreads(); /* the call before has been read */
    if (lane == 0) of_warp[threadIdx.x / WARP] = x;
    __syncthreads();
    return warp_sum(lane < blockDim.x / WARP ? of_warp[lane] : T(0));
}
template <class T> __device__ __forceinline__ T largest_of_block(T x) {
    SHARED_ARRAY(T, of_warp, [WARP]);
    const unsigned lane = threadIdx.x % WARP;
    x = warp_largest(x);
    __syncthreads();
    if (lane == 0) of_warp[threadIdx.x / WARP] = x;
    __syncthreads();
    return warp_largest(lane < blockDim.x / WARP ? of_warp[lane] : of_warp[0]);
}

/* The sum of x over the threads before this one; *total: over all. */
template <class T> __device__ __forceinline__ T sum_before_in_block(T x, T *total) {
    SHARED_ARRAY(T, of_warp, [WARP]);
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    T              sum = x;
    for (unsigned by = 1; by < WARP; by *= 2) {
        T before = __shfl_up_sync(ALL_LANES, sum, by);
        if (lane >= by) sum += before;
    }
    __syncthreads();
    if (lane == WARP - 1) of_warp[warp] = sum;
    __syncthreads();
    T before = T(0), all = T(0);
    for (unsigned i = 0; i < blockDim.x / WARP; i++) {
        if (i == warp) before = all;
        all += of_warp[i];
    }
    *total = all;
    return before + (sum - x);
}

/* ---- to[i] += from[0][i] + from[1][i] + ...: what blocks have left of a sum over rows, `count` blocks of `width`. A
 * block of COLUMNS x SLICES threads makes COLUMNS sums; from is read once, 128 bytes a warp. */
enum { COLUMNS = 32, SLICES = 8 };
template <class T>
__global__ void __launch_bounds__(COLUMNS *SLICES)
    add_columns_kernel(int64_t count, int64_t width, int64_t stride, const T *from, T *to) {
    SHARED_ARRAY(T, of_slice, [SLICES][COLUMNS]);
    const unsigned lane = threadIdx.x % COLUMNS, slice = threadIdx.x / COLUMNS;
    const int64_t  column = (int64_t)blockIdx.x * COLUMNS + lane;
    T              sum = T(0);
    if (column < width)
        for (int64_t i = slice; i < count; i += SLICES) sum += from[i * stride + column];
    of_slice[slice][lane] = sum;
    __syncthreads();
    if (slice > 0 || column >= width) return;
    for (int i = 1; i < SLICES; i++) sum += of_slice[i][lane];
    to[column] += sum;
}
template <class T>
ct_status add_columns(int64_t count, int64_t width, int64_t stride, const T *from, T *to, CUstream_st *stream) {
    return LAUNCH(add_columns_kernel<T>, (unsigned)((width + COLUMNS - 1) / COLUMNS), COLUMNS * SLICES, 0, stream,
                  count, width, stride, from, to);
}

#endif
