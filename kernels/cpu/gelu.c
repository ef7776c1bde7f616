/* gelu.c -- cpu: x/2 (1 + tanh u) = x s with s = 1 / (1 + e^-2u), which loses nothing where tanh nears -1. */
#include "kernels/cpu/cpu.h"

/* 2 u = x (LINEAR + CUBIC x^2) */
#define LINEAR 1.5957691216057308f /* 2 sqrt(2 / pi) */
#define CUBIC 0.0713548162726f     /* LINEAR * 0.044715 */
enum { BLOCK = 4096 };

CT_CPU(gelu) {
    const ct_gelu *p = &params->gelu;
    const float   *x = p->x;
    float         *y = p->y;
    int64_t        count = p->rows * p->width;
#pragma omp parallel for schedule(static) if (count > CT_SMALL)
    for (int64_t first = 0; first < count; first += BLOCK) {
        int64_t end = count - first < BLOCK ? count : first + BLOCK;
#pragma omp simd
        for (int64_t i = first; i < end; i++) {
            float t = one_exp(-x[i] * (LINEAR + CUBIC * x[i] * x[i]));
            y[i] = x[i] / (1 + t);
        }
    }
    return CT_OK;
}

/* dy (s + x s (1 - s) 2 u'), 1 - s = e^-2u s; dx may be dy */
static void backward_row(int64_t width, const float *x, const float *dy, float *dx) {
#pragma omp simd
    for (int64_t i = 0; i < width; i++) {
        float square = x[i] * x[i];
        float t = one_exp(-x[i] * (LINEAR + CUBIC * square));
        float s = 1 / (1 + t);
        dx[i] = dy[i] * (s + x[i] * s * (t * s) * (LINEAR + 3 * CUBIC * square));
    }
}

/* The gradient of the bias is summed in CT_GELU_BLOCKS fixed blocks of rows, then over the blocks. */
CT_CPU(gelu_backward) {
    const ct_gelu_backward *p = &params->gelu_backward;
    float                  *dbias = p->dbias, *partial = p->partial;
    int64_t                 width = p->width, rows = (p->rows + CT_GELU_BLOCKS - 1) / CT_GELU_BLOCKS;
#pragma omp parallel if (p->rows * width > CT_SMALL)
    {
#pragma omp for schedule(static)
        for (int64_t block = 0; block < CT_GELU_BLOCKS; block++) {
            float  *sums = partial + block * width;
            int64_t end = (block + 1) * rows < p->rows ? (block + 1) * rows : p->rows;
            if (dbias) memset(sums, 0, (size_t)width * sizeof *sums);
            for (int64_t n = block * rows; n < end; n++) {
                float *dx = (float *)p->dx + n * width;
                backward_row(width, (const float *)p->x + n * width, (const float *)p->dy + n * width, dx);
                if (!dbias) continue;
#pragma omp simd
                for (int64_t i = 0; i < width; i++) sums[i] += dx[i];
            }
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < (dbias ? width : 0); i++) {
            float sum = 0;
            for (int64_t block = 0; block < CT_GELU_BLOCKS; block++) sum += partial[block * width + i];
            dbias[i] += sum;
        }
    }
    return CT_OK;
}
