/* linear_rows.cu -- cuda: the linear layer of generation, few rows at a time (reference/linear.c).
 *
 *   y = x w' + bias, x [rows][in], w [out][in], y [rows][out]
 *
 * A warp makes ROWS x OUTS outputs: its lanes share the sum over `in`, four neighbours each, keep ROWS x OUTS sums and
 * add them up across lanes at the end, one sum to a lane. Weights are read once for ROWS rows, x OUTS times less than
 * they would be by one output each; both 16 bytes a lane (bf16: 8). Bytes: 4 in out (bf16: 2) for every ROWS rows, the
 * first time from memory. Flops: 2 rows in out. Each output is summed in the same order whatever stands beside it:
 * batch-invariant, and the same bytes always.
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/reduce.h"

enum { ROWS = 8, OUTS = 4, WARPS = 4 };
static_assert(ROWS * OUTS == WARP, "one sum to a lane");

template <class T>
static __global__ void __launch_bounds__(WARPS *WARP)
    linear_rows_kernel(int64_t rows, int in, int out, bool fours, const T *x, const T *w, const T *bias, T *y) {
    const int     lane = (int)threadIdx.x % WARP, first = (int)((blockIdx.x * WARPS + threadIdx.x / WARP) * OUTS);
    const int64_t row = (int64_t)blockIdx.y * ROWS;
    if (first >= out) return; /* the whole warp; no barrier of the block follows */
    const int rows_here = (int)min((int64_t)ROWS, rows - row), outs_here = min((int)OUTS, out - first);
    float     sum[WARP];
#pragma unroll
    for (int i = 0; i < WARP; i++) sum[i] = 0;
    for (int i = 4 * lane; i < in; i += 4 * WARP) {
        float4 of_w[OUTS];
#pragma unroll
        for (int o = 0; o < OUTS; o++)
            of_w[o] = o < outs_here ? load_four(w + (int64_t)(first + o) * in, i, in, fours) : make_float4(0, 0, 0, 0);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (r >= rows_here) continue;
            const float4 of_x = load_four(x + (row + r) * in, i, in, fours);
#pragma unroll
            for (int o = 0; o < OUTS; o++) sum[r * OUTS + o] = add_products(of_x, of_w[o], sum[r * OUTS + o]);
        }
    }
    const float total = warp_sums(sum);
    const int   r = lane / OUTS, o = lane % OUTS;
    if (r < rows_here && o < outs_here)
        store(y + (row + r) * out + first + o, total + (bias ? load(bias + first + o) : 0));
}

CT_CUDA_REAL(linear_rows) {
    const T *x = (const T *)p->x, *w = (const T *)p->w;
    if (p->rows == 0 || p->out == 0) return CT_OK;
    return LAUNCH(linear_rows_kernel<T>, dim3(blocks_for(p->out, WARPS * OUTS), blocks_for(p->rows, ROWS)),
                  WARPS * WARP, 0, stream, p->rows, (int)p->in, (int)p->out, by_fours(p->in, x, w), x, w,
                  (const T *)p->bias, (T *)p->y);
}
