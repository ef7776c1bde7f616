/* bias.cu -- cuda: a bias in every row of a result, and its gradient (reference/linear.c).
 *
 * Spread: a thread for four elements of a row; 4 bytes (bf16: 2) an element. Gradient: a block takes 128 columns of a
 * slice of the rows, a lane four columns of every WARPS-th row; warps are added up in shared memory, slices by
 * add_columns. 4 bytes (bf16: 2) an element. Sums: rows of a warp, warps, slices, always in this order.
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/reduce.h"

extern "C" {
#include "kernels/cuda/bias.h"
}

enum { THREADS = 256, WARPS = 8 };

/* row by row: blockIdx.y and every gridDim.y-th after it */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    bias_spread_kernel(int64_t rows, int width, bool fours, const T *bias, T *y) {
    const int column = (int)(4 * (blockIdx.x * THREADS + threadIdx.x));
    if (column >= width) return;
    const float4 four = load_four(bias, column, width, fours);
    for (int64_t n = blockIdx.y; n < rows; n += gridDim.y) store_four(y + n * width, column, width, fours, four);
}

template <class T> static ct_status spread(int64_t rows, int64_t width, const T *bias, T *y, CUstream_st *stream) {
    const unsigned blocks = (unsigned)min(rows, (int64_t)1024);
    return LAUNCH(bias_spread_kernel<T>, dim3(blocks_for(width, 4 * THREADS), blocks), THREADS, 0, stream, rows,
                  (int)width, by_fours(width, bias, y), bias, y);
}
extern "C" ct_status ct_cuda_bias_spread(ct_dtype dtype, int64_t rows, int64_t width, const void *bias, void *y,
                                         CUstream_st *stream) {
    return dtype == CT_BF16 ? spread(rows, width, (const bf16 *)bias, (bf16 *)y, stream)
                            : spread(rows, width, (const float *)bias, (float *)y, stream);
}

/* slice of the rows: blockIdx.y; partial [slices][width] */
template <class T>
static __global__ void __launch_bounds__(WARPS *WARP)
    bias_gradient_kernel(int64_t rows, int width, bool fours, int64_t slice, const T *dy, float *partial) {
    SHARED_ARRAY(float4, of_warp, [WARPS][WARP]);
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int      column = (int)(4 * (blockIdx.x * WARP + lane));
    const int64_t  end = min((blockIdx.y + 1) * slice, rows);
    float4         sum = make_float4(0, 0, 0, 0);
    if (column < width) {
#pragma unroll 4
        for (int64_t n = blockIdx.y * slice + warp; n < end; n += WARPS)
            sum = sum + load_four(dy + n * width, column, width, fours);
    }
    of_warp[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || column >= width) return;
    for (int i = 1; i < WARPS; i++) sum = sum + of_warp[i][lane];
    store_four(partial + (int64_t)blockIdx.y * width, column, width, fours, sum);
}

template <class T>
static ct_status gradient(int64_t rows, int64_t width, const T *dy, float *dbias, int64_t slices, float *partial,
                          CUstream_st *stream) {
    const unsigned most = (unsigned)min((int64_t)blocks_for(rows, WARPS), slices);
    const int64_t  slice = blocks_for(rows, most);
    const unsigned used = blocks_for(rows, slice);
    CT_TRY(LAUNCH(bias_gradient_kernel<T>, dim3(blocks_for(width, 4 * WARP), used), WARPS * WARP, 0, stream, rows,
                  (int)width, by_fours(width, dy, partial), slice, dy, partial));
    return add_columns(used, width, width, partial, dbias, stream);
}
extern "C" ct_status ct_cuda_bias_gradient(ct_dtype dtype, int64_t rows, int64_t width, const void *dy, float *dbias,
                                           int64_t slices, float *partial, CUstream_st *stream) {
    return dtype == CT_BF16 ? gradient(rows, width, (const bf16 *)dy, dbias, slices, partial, stream)
                            : gradient(rows, width, (const float *)dy, dbias, slices, partial, stream);
}
