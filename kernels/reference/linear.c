/* linear.c -- reference: y = x w' + bias, its gradients, and the same forward for generation. */
#include "kernels/reference/reference.h"

static void forward(const ct_linear *p) {
    const real *x = p->x, *w = p->w, *bias = p->bias;
    real       *y = p->y;
    for (int64_t n = 0; n < p->rows; n++)
        for (int64_t o = 0; o < p->out; o++) {
            real sum = bias ? bias[o] : 0;
            for (int64_t i = 0; i < p->in; i++) sum += x[n * p->in + i] * w[o * p->in + i];
            y[n * p->out + o] = sum;
        }
}

CT_REFERENCE(linear) {
    forward(&params->linear);
    return CT_OK;
}

CT_REFERENCE(linear_rows) {
    const ct_linear_rows *p = &params->linear_rows;
    forward(&(ct_linear){p->dtype, p->rows, p->in, p->out, p->x, p->w, p->bias, p->y});
    return CT_OK;
}

CT_REFERENCE(linear_backward) {
    const ct_linear_backward *p = &params->linear_backward;
    const real               *x = p->x, *w = p->w, *dy = p->dy;
    real                     *dx = p->dx, *dw = p->dw, *dbias = p->dbias;
    for (int64_t n = 0; dx && n < p->rows; n++)
        for (int64_t i = 0; i < p->in; i++) {
            real sum = 0;
            for (int64_t o = 0; o < p->out; o++) sum += dy[n * p->out + o] * w[o * p->in + i];
            dx[n * p->in + i] = sum;
        }
    for (int64_t o = 0; o < p->out; o++) {
        for (int64_t i = 0; i < p->in; i++) {
            real sum = 0;
            for (int64_t n = 0; n < p->rows; n++) sum += dy[n * p->out + o] * x[n * p->in + i];
            dw[o * p->in + i] += sum;
        }
        real sum = 0;
        for (int64_t n = 0; n < p->rows; n++) sum += dy[n * p->out + o];
        if (dbias) dbias[o] += sum;
    }
    return CT_OK;
}
