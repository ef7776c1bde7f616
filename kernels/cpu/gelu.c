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
#pragma omp parallel for schedule(static) if (p->count > CT_SMALL)
    for (int64_t first = 0; first < p->count; first += BLOCK) {
        int64_t end = p->count - first < BLOCK ? p->count : first + BLOCK;
#pragma omp simd
        for (int64_t i = first; i < end; i++) {
            float t = one_exp(-x[i] * (LINEAR + CUBIC * x[i] * x[i]));
            y[i] = x[i] / (1 + t);
        }
    }
    return CT_OK;
}

/* dy (s + x s (1 - s) 2 u'), 1 - s = e^-2u s */
CT_CPU(gelu_backward) {
    const ct_gelu_backward *p = &params->gelu_backward;
    const float            *x = p->x, *dy = p->dy;
    float                  *dx = p->dx;
#pragma omp parallel for schedule(static) if (p->count > CT_SMALL)
    for (int64_t first = 0; first < p->count; first += BLOCK) {
        int64_t end = p->count - first < BLOCK ? p->count : first + BLOCK;
#pragma omp simd
        for (int64_t i = first; i < end; i++) {
            float square = x[i] * x[i];
            float t = one_exp(-x[i] * (LINEAR + CUBIC * square));
            float s = 1 / (1 + t);
            dx[i] = dy[i] * (s + x[i] * s * (t * s) * (LINEAR + 3 * CUBIC * square));
        }
    }
    return CT_OK;
}
