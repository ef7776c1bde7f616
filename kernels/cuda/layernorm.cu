/* layernorm.cu -- cuda: residual add, dropout and LayerNorm in one pass, and its gradient (reference/layernorm.c).
 *
 *   sum = x + dropout(r), y = (sum - mean) rstd gain + bias
 *   dx = dsum + rstd (dz - mean(dz) - z mean(dz z)), z = (sum - mean) rstd, dz = dy gain; dr = dropout(dx)
 *   dgain = sum over rows of dy z, dbias = sum over rows of dy
 * on [rows][width].
 *
 * A warp per row; the row waits in shared memory between the passes over it, so that global memory is read and written
 * once: 16 bytes an element with a residual, 8 without (bf16: 12, 6); backward 20 with everything, 8 for the parameters
 * alone (bf16: 16, 6). A lane
 * takes four neighbouring columns at a time: one Philox call draws their dropout. Flops: 9 an element, backward 14.
 * Backward: at most CT_LAYERNORM_BLOCKS blocks, each of which takes every so-manieth group of rows, sums dgain and
 * dbias column by column and leaves them in the workspace; add_columns adds the blocks up. Sums have one fixed order:
 * lane by lane, then across lanes in a tree; rows, then blocks. It depends on the shape alone.
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/reduce.h"

enum { ROWS = 8, SHARED_MOST = 48 * 1024 };

/* what dropout multiplies four neighbours of a row with */
static __device__ float4 dropout_factors(const ct_step *step, float dropout, uint32_t stream, int64_t row, int column) {
    if (!(dropout > 0) || !step->train) return make_float4(1, 1, 1, 1);
    const float     keep = 1 / (1 - dropout);
    const ct_philox drawn = ct_dropout_draw(step, stream, step->first_row + row, column / 4);
    float           factor[4];
    for (int i = 0; i < 4; i++) factor[i] = ct_philox_float(drawn.word[i]) >= dropout ? keep : 0;
    return make_float4(factor[0], factor[1], factor[2], factor[3]);
}

/* rows of a block: as many warps as have room for `arrays` rows each, and `more` rows besides */
static unsigned rows_at_once(int64_t width, unsigned arrays, unsigned more, size_t *shared) {
    const size_t bytes = (size_t)((width + 3) / 4 * 4) * sizeof(float);
    unsigned     rows = ROWS;
    while (rows > 1 && (arrays * rows + more) * bytes > SHARED_MOST) rows /= 2;
    *shared = (arrays * rows + more) * bytes;
    return rows;
}

template <class T>
static __global__ void __launch_bounds__(ROWS *WARP)
    layernorm_kernel(int64_t rows, int width, bool fours, const ct_step *step, float dropout, uint32_t stream,
                     const float *x, const T *r, const T *gain, const T *bias, float *sum, T *y, float *mean,
                     float *rstd) {
    DYNAMIC_SHARED(memory);
    const int64_t row = (int64_t)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) return; /* the whole warp; no barrier of the block follows */
    const int first = 4 * (int)(threadIdx.x % WARP), padded = (width + 3) / 4 * 4;
    float    *kept = reinterpret_cast<float *>(memory) + (int)(threadIdx.x / WARP) * padded;
    float     total = 0, squares = 0;
    x += row * width;
    y += row * width;
    for (int i = first; i < width; i += 4 * WARP) {
        float4 value = load_four(x, i, width, fours);
        if (r) {
            float4 branch = load_four(r + row * width, i, width, fours);
            value = value + branch * dropout_factors(step, dropout, stream, row, i);
            store_four(sum + row * width, i, width, fours, value);
        }
        *reinterpret_cast<float4 *>(kept + i) = value;
        total += sum_of_four(value);
    }
    const float middle = warp_sum(total) / (float)width;
    for (int i = first; i < width; i += 4 * WARP) {
        const float4 d = *reinterpret_cast<const float4 *>(kept + i) - middle;
        squares += d.x * d.x + (i + 1 < width ? d.y * d.y : 0);
        squares += (i + 2 < width ? d.z * d.z : 0) + (i + 3 < width ? d.w * d.w : 0);
    }
    const float scale = 1 / sqrtf(warp_sum(squares) / (float)width + 1e-5f);
    for (int i = first; i < width; i += 4 * WARP) {
        float4 g = load_four(gain, i, width, fours), b = load_four(bias, i, width, fours);
        store_four(y, i, width, fours, (*reinterpret_cast<const float4 *>(kept + i) - middle) * scale * g + b);
    }
    if (first == 0) {
        mean[row] = middle;
        rstd[row] = scale;
    }
}

CT_CUDA_REAL(layernorm) {
    if (p->rows == 0) return CT_OK;
    const float *x = (const float *)p->x;
    const T     *r = (const T *)p->r, *gain = (const T *)p->gain, *bias = (const T *)p->bias;
    float       *sum = (float *)p->sum, *mean = (float *)p->mean, *rstd = (float *)p->rstd;
    T           *y = (T *)p->y;
    size_t       shared;
    unsigned     at_once = rows_at_once(p->width, 1, 0, &shared);
    return LAUNCH(layernorm_kernel<T>, blocks_for(p->rows, at_once), at_once * WARP, shared, stream, p->rows,
                  (int)p->width, by_fours(p->width, x, r, gain, bias, sum, y), p->step, p->dropout, p->stream, x, r,
                  gain, bias, sum, y, mean, rstd);
}

/* Shared memory: z and dy of the warps' rows, and the block's sums of dgain and dbias. */
template <class T>
static __global__ void __launch_bounds__(ROWS *WARP)
    layernorm_backward_kernel(int64_t rows, int width, bool fours, const ct_step *step, float dropout, uint32_t stream,
                              const float *sum, const float *mean, const float *rstd, const T *gain, const T *dy,
                              const float *dsum, float *dx, T *dr, float *partial) {
    DYNAMIC_SHARED(memory);
    const int first = 4 * (int)(threadIdx.x % WARP), padded = (width + 3) / 4 * 4;
    const int at_once = (int)blockDim.x / WARP, warp = (int)threadIdx.x / WARP;
    float    *all_z = reinterpret_cast<float *>(memory), *all_dy = all_z + at_once * padded;
    float    *of_gain = all_dy + at_once * padded, *of_bias = of_gain + padded;
    float    *own_z = all_z + warp * padded, *own_dy = all_dy + warp * padded;
    for (int i = 4 * (int)threadIdx.x; i < width; i += 4 * (int)blockDim.x) {
        *reinterpret_cast<float4 *>(of_gain + i) = make_float4(0, 0, 0, 0);
        *reinterpret_cast<float4 *>(of_bias + i) = make_float4(0, 0, 0, 0);
    }
    for (int64_t group = (int64_t)blockIdx.x * at_once; group < rows; group += (int64_t)gridDim.x * at_once) {
        const int64_t row = group + warp, at = row * width;
        if (row < rows) {
            const float middle = mean[row], scale = rstd[row];
            float       of_dz = 0, of_dzz = 0;
            for (int i = first; i < width; i += 4 * WARP) {
                float4 z = (load_four(sum + at, i, width, fours) - middle) * scale;
                float4 d = load_four(dy + at, i, width, fours), dz = d * load_four(gain, i, width, fours);
                *reinterpret_cast<float4 *>(own_z + i) = z;
                *reinterpret_cast<float4 *>(own_dy + i) = d;
                of_dz += sum_of_four(dz); /* past the end dy is 0 */
                of_dzz += sum_of_four(dz * z);
            }
            of_dz = warp_sum(of_dz) / (float)width;
            of_dzz = warp_sum(of_dzz) / (float)width;
            for (int i = first; (dx || dr) && i < width; i += 4 * WARP) {
                float4 z = *reinterpret_cast<const float4 *>(own_z + i);
                float4 dz = *reinterpret_cast<const float4 *>(own_dy + i) * load_four(gain, i, width, fours);
                float4 value = (dz - of_dz + z * -of_dzz) * scale;
                if (dsum) value = value + load_four(dsum + at, i, width, fours);
                if (dx) store_four(dx + at, i, width, fours, value);
                if (dr) store_four(dr + at, i, width, fours, value * dropout_factors(step, dropout, stream, row, i));
            }
        }
        __syncthreads();
        const int here = (int)min(rows - group, (int64_t)at_once);
        for (int i = 4 * (int)threadIdx.x; i < width; i += 4 * (int)blockDim.x) {
            float4 g = *reinterpret_cast<const float4 *>(of_gain + i);
            float4 b = *reinterpret_cast<const float4 *>(of_bias + i);
            for (int n = 0; n < here; n++) {
                float4 d = *reinterpret_cast<const float4 *>(all_dy + n * padded + i);
                g = g + d * *reinterpret_cast<const float4 *>(all_z + n * padded + i);
                b = b + d;
            }
            *reinterpret_cast<float4 *>(of_gain + i) = g;
            *reinterpret_cast<float4 *>(of_bias + i) = b;
        }
        __syncthreads();
    }
    partial += (int64_t)blockIdx.x * 2 * width;
    for (int i = 4 * (int)threadIdx.x; i < width; i += 4 * (int)blockDim.x) {
        store_four(partial, i, width, fours, *reinterpret_cast<const float4 *>(of_gain + i));
        store_four(partial + width, i, width, fours, *reinterpret_cast<const float4 *>(of_bias + i));
    }
}

CT_CUDA_REAL(layernorm_backward) {
    if (p->rows == 0) return CT_OK;
    const float *sum = (const float *)p->sum, *mean = (const float *)p->mean, *rstd = (const float *)p->rstd;
    const float *dsum = (const float *)p->dsum;
    const T     *gain = (const T *)p->gain, *dy = (const T *)p->dy;
    float       *dx = (float *)p->dx, *partial = (float *)p->partial;
    T           *dr = (T *)p->dr;
    size_t       shared;
    unsigned     at_once = rows_at_once(p->width, 2, 2, &shared);
    unsigned     blocks = min(blocks_for(p->rows, at_once), (unsigned)CT_LAYERNORM_BLOCKS);
    CT_TRY(LAUNCH(layernorm_backward_kernel<T>, blocks, at_once * WARP, shared, stream, p->rows, (int)p->width,
                  by_fours(p->width, sum, gain, dy, dsum, dx, dr, partial), p->step, p->dropout, p->stream, sum, mean,
                  rstd, gain, dy, dsum, dx, dr, partial));
    CT_TRY(add_columns(blocks, p->width, 2 * p->width, partial, (float *)p->dgain, stream));
    return add_columns(blocks, p->width, 2 * p->width, partial + p->width, (float *)p->dbias, stream);
}
