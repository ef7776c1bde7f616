/* layernorm.c -- cpu: residual add, dropout and LayerNorm, one pass over each row while it is in the cache. */
#include "kernels/cpu/cpu.h"

/* to[i] = (to stays, or base) + factor * r, factors made in pieces that fit on the stack */
enum { PIECE = CT_DROPOUT };

static void add_dropped(const ct_layernorm *p, int64_t n, const float *x, const float *r, float *sum) {
    for (int64_t first = 0; first < p->width; first += PIECE) {
        float   factor[PIECE];
        int64_t count = p->width - first < PIECE ? p->width - first : PIECE;
        dropout_factors(p->step, p->stream, p->step->first_row + n, first, p->dropout, factor);
#pragma omp simd
        for (int64_t i = 0; i < count; i++) sum[first + i] = x[first + i] + factor[i] * r[first + i];
    }
}

CT_CPU(layernorm) {
    const ct_layernorm *p = &params->layernorm;
    const float        *x = p->x, *r = p->r, *gain = p->gain, *bias = p->bias;
    float              *sum = p->sum, *y = p->y, *mean = p->mean, *rstd = p->rstd;
    int64_t             width = p->width;
    CT_ASSERT(!r || sum || p->rows == 0);
#pragma omp parallel for schedule(static) if (p->rows * width > CT_SMALL)
    for (int64_t n = 0; n < p->rows; n++) {
        const float *row = x + n * width;
        float       *out = y + n * width, total = 0, squares = 0;
        if (r) {
            const float *from = r + n * width;
            float       *to = sum + n * width;
            if (dropout_on(p->step, p->dropout)) {
                add_dropped(p, n, row, from, to);
            } else {
#pragma omp simd
                for (int64_t i = 0; i < width; i++) to[i] = row[i] + from[i];
            }
            row = to;
        }
#pragma omp simd reduction(+ : total)
        for (int64_t i = 0; i < width; i++) total += row[i];
        float middle = total / (float)width;
#pragma omp simd reduction(+ : squares)
        for (int64_t i = 0; i < width; i++) squares += (row[i] - middle) * (row[i] - middle);
        float scale = 1 / sqrtf(squares / (float)width + 1e-5f);
#pragma omp simd
        for (int64_t i = 0; i < width; i++) out[i] = (row[i] - middle) * scale * gain[i] + bias[i];
        mean[n] = middle;
        rstd[n] = scale;
    }
    return CT_OK;
}

static void backward_row(const ct_layernorm_backward *p, int64_t n, float *dgain, float *dbias) {
    int64_t      width = p->width;
    const float *sum = (const float *)p->sum + n * width, *dy = (const float *)p->dy + n * width, *gain = p->gain;
    const float *dsum = p->dsum ? (const float *)p->dsum + n * width : NULL;
    float       *dx = p->dx ? (float *)p->dx + n * width : NULL, *dr = p->dr ? (float *)p->dr + n * width : NULL;
    float        mean = ((const float *)p->mean)[n], rstd = ((const float *)p->rstd)[n], of_dz = 0, of_dzz = 0;
#pragma omp simd reduction(+ : of_dz, of_dzz)
    for (int64_t i = 0; i < width; i++) {
        float z = (sum[i] - mean) * rstd, dz = dy[i] * gain[i];
        of_dz += dz;
        of_dzz += dz * z;
        dgain[i] += dy[i] * z;
        dbias[i] += dy[i];
    }
    of_dz /= (float)width;
    of_dzz /= (float)width;
    if (!dx && !dr) return;
    bool drop = dr && dropout_on(p->step, p->dropout);
    for (int64_t first = 0; first < width; first += PIECE) {
        float   factor[PIECE], value[PIECE];
        int64_t count = width - first < PIECE ? width - first : PIECE;
#pragma omp simd
        for (int64_t i = 0; i < count; i++) {
            float z = (sum[first + i] - mean) * rstd, dz = dy[first + i] * gain[first + i];
            value[i] = rstd * (dz - of_dz - z * of_dzz);
        }
        if (dsum)
            for (int64_t i = 0; i < count; i++) value[i] += dsum[first + i];
        if (dx) memcpy(dx + first, value, (size_t)count * sizeof *value);
        if (drop) {
            dropout_factors(p->step, p->stream, p->step->first_row + n, first, p->dropout, factor);
            for (int64_t i = 0; i < count; i++) value[i] *= factor[i];
        }
        if (dr) memcpy(dr + first, value, (size_t)count * sizeof *value);
    }
}

/* The gradients of gain and bias are summed in CT_LAYERNORM_PARTIALS fixed blocks of rows, then over the blocks. */
CT_CPU(layernorm_backward) {
    const ct_layernorm_backward *p = &params->layernorm_backward;
    float                       *partial = p->partial, *dgain = p->dgain, *dbias = p->dbias;
    int64_t                      width = p->width, rows = (p->rows + CT_LAYERNORM_PARTIALS - 1) / CT_LAYERNORM_PARTIALS;
#pragma omp parallel if (p->rows * width > CT_SMALL)
    {
#pragma omp for schedule(static)
        for (int64_t block = 0; block < CT_LAYERNORM_PARTIALS; block++) {
            float  *sums = partial + block * 2 * width;
            int64_t end = (block + 1) * rows < p->rows ? (block + 1) * rows : p->rows;
            memset(sums, 0, (size_t)(2 * width) * sizeof *sums);
            for (int64_t n = block * rows; n < end; n++) backward_row(p, n, sums, sums + width);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < width; i++) {
            float of_gain = 0, of_bias = 0;
            for (int64_t block = 0; block < CT_LAYERNORM_PARTIALS; block++) {
                of_gain += partial[block * 2 * width + i];
                of_bias += partial[block * 2 * width + width + i];
            }
            dgain[i] += of_gain;
            dbias[i] += of_bias;
        }
    }
    return CT_OK;
}
