/* gelu.c -- reference: GELU, tanh form (Hendrycks & Gimpel 2016), and its gradient with that of the bias before it. */
#include "kernels/reference/reference.h"

#define ROOT_2_OVER_PI ((real)0.79788456080286535588)
#define CUBIC ((real)0.044715)

CT_REFERENCE(gelu) {
    const ct_gelu *p = &params->gelu;
    const real    *x = p->x;
    real          *y = p->y;
    for (int64_t i = 0; i < p->rows * p->width; i++)
        y[i] = x[i] / 2 * (1 + tanh(ROOT_2_OVER_PI * (x[i] + CUBIC * x[i] * x[i] * x[i])));
    return CT_OK;
}

CT_REFERENCE(gelu_backward) {
    const ct_gelu_backward *p = &params->gelu_backward;
    const real             *x = p->x, *dy = p->dy;
    real                   *dx = p->dx, *dbias = p->dbias;
    for (int64_t i = 0; i < p->rows * p->width; i++) {
        real t = tanh(ROOT_2_OVER_PI * (x[i] + CUBIC * x[i] * x[i] * x[i]));
        real dt = (1 - t * t) * ROOT_2_OVER_PI * (1 + 3 * CUBIC * x[i] * x[i]);
        dx[i] = dy[i] * ((1 + t) / 2 + x[i] / 2 * dt);
        if (dbias) dbias[i % p->width] += dx[i];
    }
    return CT_OK;
}
