/* layernorm.c -- reference: residual add, dropout and LayerNorm in one op (Ba et al. 2016), and its gradient. */
#include "kernels/reference/reference.h"

CT_REFERENCE(layernorm) {
    const ct_layernorm *p = &params->layernorm;
    const real         *x = p->x, *r = p->r, *gain = p->gain, *bias = p->bias;
    real               *sum = p->sum, *y = p->y, *mean = p->mean, *rstd = p->rstd;
    int64_t             width = p->width;
    for (int64_t n = 0; n < p->rows; n++) {
        const real *row = x + n * width;
        if (r) {
            for (int64_t i = 0; i < width; i++) {
                real keep = dropout_factor(p->step, p->stream, p->step ? p->step->first_row + n : n, i, p->dropout);
                sum[n * width + i] = x[n * width + i] + keep * r[n * width + i];
            }
            row = sum + n * width;
        }
        real total = 0, squares = 0;
        for (int64_t i = 0; i < width; i++) total += row[i];
        mean[n] = total / (real)width;
        for (int64_t i = 0; i < width; i++) squares += (row[i] - mean[n]) * (row[i] - mean[n]);
        rstd[n] = 1 / sqrt(squares / (real)width + (real)1e-5);
        for (int64_t i = 0; i < width; i++) y[n * width + i] = (row[i] - mean[n]) * rstd[n] * gain[i] + bias[i];
    }
    return CT_OK;
}

/* With z = (sum - mean) rstd and dz = dy gain: dsum += rstd (dz - mean(dz) - z mean(dz z)). */
CT_REFERENCE(layernorm_backward) {
    const ct_layernorm_backward *p = &params->layernorm_backward;
    const real                  *sum = p->sum, *mean = p->mean, *rstd = p->rstd, *gain = p->gain, *dy = p->dy;
    const real                  *dsum = p->dsum;
    real                        *dx = p->dx, *dr = p->dr, *dgain = p->dgain, *dbias = p->dbias;
    int64_t                      width = p->width;
    for (int64_t n = 0; n < p->rows; n++) {
        real mean_dz = 0, mean_dzz = 0;
        for (int64_t i = 0; i < width; i++) {
            real z = (sum[n * width + i] - mean[n]) * rstd[n], dz = dy[n * width + i] * gain[i];
            mean_dz += dz / (real)width;
            mean_dzz += dz * z / (real)width;
            dgain[i] += dy[n * width + i] * z;
            dbias[i] += dy[n * width + i];
        }
        for (int64_t i = 0; i < width; i++) {
            real z = (sum[n * width + i] - mean[n]) * rstd[n], dz = dy[n * width + i] * gain[i];
            real value = rstd[n] * (dz - mean_dz - z * mean_dzz);
            if (dsum) value += dsum[n * width + i];
            if (dx) dx[n * width + i] = value;
            if (dr)
                dr[n * width + i] =
                    value * dropout_factor(p->step, p->stream, p->step ? p->step->first_row + n : n, i, p->dropout);
        }
    }
    return CT_OK;
}
