/* layernorm.cu -- cuda: residual add, dropout and LayerNorm in one pass (reference/layernorm.c).
 *
 * A warp per row; the row waits in shared memory between the passes over it (sum, squares, result), so that global
 * memory is read and written once: 16 bytes an element with a residual, 8 without. A lane takes four neighbouring
 * columns at a time, in 16-byte loads where width is a multiple of four: one Philox call draws their dropout. Sums have
 * one fixed order: lane by lane, then across lanes in a tree. No two rows meet: nothing depends on the number of
 * blocks.
 */
#include "kernels/cuda/platform.h"

enum { WARP = 32, ROWS = 4, SHARED_MOST = 48 * 1024 };

static __device__ float warp_sum(float x) {
    for (int by = WARP / 2; by > 0; by /= 2) x += __shfl_xor_sync(0xffffffffu, x, by);
    return x;
}

/* four numbers from column on; past the end: zeros */
static __device__ float4 load_four(const float *row, int64_t column, int64_t width) {
    if (width % 4 == 0) return *reinterpret_cast<const float4 *>(row + column);
    float4 x = make_float4(row[column], 0, 0, 0);
    if (column + 1 < width) x.y = row[column + 1];
    if (column + 2 < width) x.z = row[column + 2];
    if (column + 3 < width) x.w = row[column + 3];
    return x;
}
static __device__ void store_four(float *row, int64_t column, int64_t width, float4 x) {
    if (width % 4 == 0) {
        *reinterpret_cast<float4 *>(row + column) = x;
        return;
    }
    row[column] = x.x;
    if (column + 1 < width) row[column + 1] = x.y;
    if (column + 2 < width) row[column + 2] = x.z;
    if (column + 3 < width) row[column + 3] = x.w;
}

/* x + dropout(r), four columns */
static __device__ float4 add_residual(float4 x, float4 r, const ct_step *step, uint32_t stream, int64_t row,
                                      int64_t column, float dropout) {
    if (!(dropout > 0) || !step->train) return make_float4(x.x + r.x, x.y + r.y, x.z + r.z, x.w + r.w);
    float     keep = 1 / (1 - dropout), factor[4];
    ct_philox drawn = ct_dropout_draw(step, stream, step->first_row + row, column / 4);
    for (int i = 0; i < 4; i++) factor[i] = ct_philox_float(drawn.word[i]) >= dropout ? keep : 0;
    return make_float4(x.x + factor[0] * r.x, x.y + factor[1] * r.y, x.z + factor[2] * r.z, x.w + factor[3] * r.w);
}

static __global__ void __launch_bounds__(ROWS *WARP)
    layernorm_kernel(int64_t rows, int64_t width, const ct_step *step, float dropout, uint32_t stream, const float *x,
                     const float *r, const float *gain, const float *bias, float *sum, float *y, float *mean,
                     float *rstd) {
    DYNAMIC_SHARED(memory);
    int64_t row = (int64_t)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) return; /* the whole warp; no barrier of the block follows */
    int64_t first = 4 * (int64_t)(threadIdx.x % WARP), padded = (width + 3) / 4 * 4;
    float  *kept = reinterpret_cast<float *>(memory) + (threadIdx.x / WARP) * padded;
    x += row * width;
    y += row * width;
    float total = 0, squares = 0;
    for (int64_t i = first; i < width; i += 4 * WARP) {
        float4 value = load_four(x, i, width);
        if (r) {
            value = add_residual(value, load_four(r + row * width, i, width), step, stream, row, i, dropout);
            store_four(sum + row * width, i, width, value);
        }
        *reinterpret_cast<float4 *>(kept + i) = value;
        total += (value.x + value.y) + (value.z + value.w);
    }
    float middle = warp_sum(total) / (float)width;
    for (int64_t i = first; i < width; i += 4 * WARP)
        for (int64_t k = i; k < min(i + 4, width); k++) squares += (kept[k] - middle) * (kept[k] - middle);
    float scale = 1 / sqrtf(warp_sum(squares) / (float)width + 1e-5f);
    for (int64_t i = first; i < width; i += 4 * WARP) {
        float4 value = *reinterpret_cast<const float4 *>(kept + i), g = load_four(gain, i, width);
        float4 b = load_four(bias, i, width);
        value = make_float4((value.x - middle) * scale * g.x + b.x, (value.y - middle) * scale * g.y + b.y,
                            (value.z - middle) * scale * g.z + b.z, (value.w - middle) * scale * g.w + b.w);
        store_four(y, i, width, value);
    }
    if (first == 0) {
        mean[row] = middle;
        rstd[row] = scale;
    }
}

CT_CUDA(layernorm) {
    const ct_layernorm *p = &params->layernorm;
    if (p->rows == 0) return CT_OK;
    size_t   bytes = (size_t)((p->width + 3) / 4 * 4) * sizeof(float); /* of a row */
    unsigned at_once = ROWS;
    while (at_once > 1 && at_once * bytes > SHARED_MOST) at_once /= 2;
    return LAUNCH(layernorm_kernel, (unsigned)((p->rows + at_once - 1) / at_once), at_once * WARP, at_once * bytes,
                  stream, p->rows, p->width, p->step, p->dropout, p->stream, (const float *)p->x, (const float *)p->r,
                  (const float *)p->gain, (const float *)p->bias, (float *)p->sum, (float *)p->y, (float *)p->mean,
                  (float *)p->rstd);
}
