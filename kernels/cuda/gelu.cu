/* gelu.cu -- cuda: GELU, tanh form, and its gradient with that of the bias before it (reference/gelu.c).
 *
 *   y = x s, s = 1 / (1 + e^-2u) = (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x^3)
 *   dx = dy (s + x s (1 - s) 2 u'), 1 - s = e^-2u s; dbias[i] += sum over rows of dx
 * on [rows][width].
 *
 * Forward: a thread for four elements; 8 bytes (bf16: 4), 15 flops an element. Backward: a block takes 128 columns of a
 * slice of the rows, a lane four columns of every WARPS-th row, and keeps their sums; warps are added up in shared
 * memory, slices (at most CT_GELU_BLOCKS, in the workspace) by add_columns. 12 bytes (bf16: 6), 25 flops an element. dx
 * may be dy. Sums: rows of a warp, warps, slices, always in this order, which depends on the shape alone.
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/reduce.h"

enum { THREADS = 256, WARPS = 8 };

/* 2 u = x (LINEAR + CUBIC x^2) */
#define LINEAR 1.5957691216057308f /* 2 sqrt(2 / pi) */
#define CUBIC 0.0713548162726f     /* LINEAR * 0.044715 */

static __device__ float gelu_of(float x) {
    return x / (1 + expf(-x * (LINEAR + CUBIC * x * x)));
}
static __device__ float gelu_slope(float x) {
    const float square = x * x, t = expf(fminf(-x * (LINEAR + CUBIC * square), 80.0f)), s = 1 / (1 + t);
    return s + x * s * (t * s) * (LINEAR + 3 * CUBIC * square);
}

template <class T>
static __global__ void __launch_bounds__(THREADS) gelu_kernel(int64_t count, bool fours, const T *x, T *y) {
    const int64_t first = 4 * ((int64_t)blockIdx.x * THREADS + threadIdx.x);
    const int     left = (int)min(count - first, (int64_t)4);
    const bool    whole = fours && left == 4;
    if (left <= 0) return;
    const float4 from = load_four(x + first, 0, left, whole);
    store_four(y + first, 0, left, whole,
               make_float4(gelu_of(from.x), gelu_of(from.y), gelu_of(from.z), gelu_of(from.w)));
}

CT_CUDA_REAL(gelu) {
    const int64_t count = p->rows * p->width;
    const T      *x = (const T *)p->x;
    T            *y = (T *)p->y;
    if (count == 0) return CT_OK;
    return LAUNCH(gelu_kernel<T>, blocks_for(count, 4 * THREADS), THREADS, 0, stream, count, by_fours(0, x, y), x, y);
}

/* slice of the rows: blockIdx.y; partial [slices][width] */
template <class T>
static __global__ void __launch_bounds__(WARPS *WARP)
    gelu_backward_kernel(int64_t rows, int width, bool fours, int64_t slice, const T *x, const T *dy, T *dx,
                         float *partial) {
    SHARED_ARRAY(float4, of_warp, [WARPS][WARP]);
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int      column = (int)(4 * (blockIdx.x * WARP + lane));
    const int64_t  end = min((blockIdx.y + 1) * slice, rows);
    float4         sum = make_float4(0, 0, 0, 0);
    if (column < width) {
#pragma unroll 2
        for (int64_t n = blockIdx.y * slice + warp; n < end; n += WARPS) {
            const float4 at = load_four(x + n * width, column, width, fours);
            const float4 slope = make_float4(gelu_slope(at.x), gelu_slope(at.y), gelu_slope(at.z), gelu_slope(at.w));
            const float4 d = load_four(dy + n * width, column, width, fours) * slope;
            store_four(dx + n * width, column, width, fours, d);
            sum = sum + d;
        }
    }
    if (!partial) return;
    of_warp[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || column >= width) return;
    for (int i = 1; i < WARPS; i++) sum = sum + of_warp[i][lane];
    store_four(partial + (int64_t)blockIdx.y * width, column, width, fours, sum);
}

CT_CUDA_REAL(gelu_backward) {
    if (p->rows == 0 || p->width == 0) return CT_OK;
    const T       *x = (const T *)p->x, *dy = (const T *)p->dy;
    T             *dx = (T *)p->dx;
    float         *dbias = (float *)p->dbias, *partial = dbias ? (float *)p->partial : NULL;
    const unsigned most = min(blocks_for(p->rows, WARPS), (unsigned)CT_GELU_BLOCKS);
    const int64_t  slice = blocks_for(p->rows, most);
    const unsigned slices = blocks_for(p->rows, slice);
    CT_TRY(LAUNCH(gelu_backward_kernel<T>, dim3(blocks_for(p->width, 4 * WARP), slices), WARPS * WARP, 0, stream,
                  p->rows, (int)p->width, by_fours(p->width, x, dy, dx, partial), slice, x, dy, dx, partial));
    return dbias ? add_columns(slices, p->width, p->width, partial, dbias, stream) : CT_OK;
}
