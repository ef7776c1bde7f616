/* embed.c -- cpu: rows_embed, rows_embed_backward, rotary_rows, memory_update. */
#include "kernels/cpu/cpu.h"

CT_CPU(rows_embed) {
    const ct_rows_embed *p = &params->rows_embed;
    const float         *table = p->table;
    float               *y = p->y;
    int64_t              width = p->width;
#pragma omp parallel for schedule(static) if (p->rows * p->columns * width > CT_SMALL)
    for (int64_t n = 0; n < p->rows; n++) {
        float *row = y + n * width;
        memset(row, 0, (size_t)width * sizeof *row);
        for (int64_t c = 0; c < p->columns; c++) {
            if (p->offset[c] < 0) continue;
            const float *from = table + (p->offset[c] + p->values[n * p->columns + c]) * width;
#pragma omp simd
            for (int64_t i = 0; i < width; i++) row[i] += from[i];
        }
    }
    return CT_OK;
}

/* Each thread owns a band of the width: every element of dtable is summed by one thread, rows in rising order. */
CT_CPU(rows_embed_backward) {
    enum { BAND = 32 };
    const ct_rows_embed_backward *p = &params->rows_embed_backward;
    const float                  *dy = p->dy;
    float                        *dtable = p->dtable;
    int64_t                       width = p->width;
#pragma omp parallel for schedule(static) if (p->rows * p->columns * width > CT_SMALL)
    for (int64_t band = 0; band < width; band += BAND) {
        int64_t count = width - band < BAND ? width - band : BAND;
        for (int64_t n = 0; n < p->rows; n++) {
            const float *from = dy + n * width + band;
            for (int64_t c = 0; c < p->columns; c++) {
                if (p->offset[c] < 0) continue;
                float *to = dtable + (p->offset[c] + p->values[n * p->columns + c]) * width + band;
#pragma omp simd
                for (int64_t i = 0; i < count; i++) to[i] += from[i];
            }
        }
    }
    return CT_OK;
}

CT_CPU(rotary_rows) {
    const ct_rotary_rows *p = &params->rotary_rows;
    float                *cosine = p->cosine, *sine = p->sine;
#pragma omp parallel for schedule(static) if (p->rows * p->pairs * 16 > CT_SMALL)
    for (int64_t n = 0; n < p->rows; n++)
        for (int64_t i = 0; i < p->pairs; i++) {
            double angle = p->omega[i] * (double)p->position[n * p->sources + p->source[i]];
            double s, c;
            sincos(angle, &s, &c);
            cosine[n * p->pairs + i] = (float)c;
            sine[n * p->pairs + i] = (float)s;
        }
    return CT_OK;
}

CT_CPU(memory_update) {
    const ct_memory_update *p = &params->memory_update;
    const float            *x = p->x;
    float                  *ring = p->ring;
    int64_t                 kept = p->tokens < p->memory ? p->tokens : p->memory, first = p->tokens - kept;
#pragma omp parallel for collapse(2) schedule(static) if (p->batch * kept * p->width > CT_SMALL)
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t t = 0; t < kept; t++) {
            const float *from = x + (b * p->tokens + first + t) * p->width;
            float       *to = ring + (b * p->memory + (p->step->ring + first + t) % p->memory) * p->width;
#pragma omp simd
            for (int64_t i = 0; i < p->width; i++) to[i] = fabsf(from[i]) < INFINITY ? from[i] : 0;
        }
    return CT_OK;
}
