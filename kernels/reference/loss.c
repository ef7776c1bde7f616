/* loss.c -- reference: cross entropy of each row and its gradient; the norm of the gradient; AdamW; bf16. */
#include "kernels/reference/reference.h"

CT_REFERENCE(cross_entropy) {
    const ct_cross_entropy *p = &params->cross_entropy;
    const real             *logits = p->logits;
    real                   *loss = p->loss, *dlogits = p->dlogits;
    for (int64_t n = 0; n < p->rows; n++) {
        const real *row = logits + n * p->vocabulary;
        int32_t     target = p->target[n];
        real        largest = row[0], total = 0;
        for (int64_t v = 1; v < p->vocabulary; v++) largest = fmax(largest, row[v]);
        for (int64_t v = 0; v < p->vocabulary; v++) total += exp(row[v] - largest);
        /* cppcheck-suppress invalidFunctionArg ; the largest alone gives 1 */
        real log_total = largest + log(total);
        loss[n] = target < 0 ? 0 : log_total - row[target];
        if (!dlogits) continue;
        real scale = isfinite(loss[n]) ? (real)p->step->loss_scale : (real)NAN;
        for (int64_t v = 0; v < p->vocabulary; v++) {
            real softmax = exp(row[v] - log_total), onehot = v == target;
            dlogits[n * p->vocabulary + v] = target < 0 ? 0 : (softmax - onehot) * scale;
        }
    }
    return CT_OK;
}

CT_REFERENCE(narrow) {
    const ct_narrow *p = &params->narrow;
    const real      *x = p->x;
    for (int64_t i = 0; i < p->count; i++) p->y[i] = ct_bf16_round((float)x[i]);
    return CT_OK;
}

CT_REFERENCE(widen) {
    const ct_widen *p = &params->widen;
    real           *y = p->y;
    for (int64_t i = 0; i < p->count; i++) y[i] = (real)ct_bf16_float(p->x[i]);
    return CT_OK;
}

CT_REFERENCE(grad_squares) {
    const ct_grad_squares *p = &params->grad_squares;
    const real            *grad = p->grad;
    for (int64_t i = 0; i < p->count; i++) {
        if (i % CT_NORM_BLOCK == 0) p->square[i / CT_NORM_BLOCK] = 0;
        p->square[i / CT_NORM_BLOCK] += (double)grad[i] * (double)grad[i];
    }
    return CT_OK;
}

CT_REFERENCE(grad_norm) {
    const ct_grad_norm *p = &params->grad_norm;
    double              total = 0;
    for (int64_t b = 0; b < p->blocks; b++) total += p->square[b];
    p->result[0] = sqrt(total);
    p->result[1] = isfinite(total);
    p->updates[0] += p->result[1];
    return CT_OK;
}

CT_REFERENCE(adamw) {
    const ct_adamw *p = &params->adamw;
    const real     *grad = p->grad;
    real           *param = p->param, *moment = p->moment, *variance = p->variance, *weight = p->weight;
    if (p->norm[1] == 0) return CT_OK;
    double clip = p->step->clip > 0 && p->norm[0] > p->step->clip ? p->step->clip / p->norm[0] : 1;
    real   correct1 = (real)(1 - pow(p->beta1, p->updates[0]));
    real   correct2 = (real)(1 - pow(p->beta2, p->updates[0]));
    real   beta1 = (real)p->beta1, beta2 = (real)p->beta2, epsilon = (real)p->epsilon;
    real   rate = (real)p->step->learning_rate;
    for (int64_t t = 0; t < p->tensors; t++) {
        real decay = p->decay[t] ? (real)p->weight_decay : 0;
        for (int64_t i = 0; i < p->count; i++) {
            if (p->from + i < p->first[t] || p->from + i >= p->first[t + 1]) continue;
            real g = grad[i] * (real)clip;
            moment[i] = beta1 * moment[i] + (real)(1 - p->beta1) * g;
            variance[i] = beta2 * variance[i] + (real)(1 - p->beta2) * g * g;
            param[i] -= rate * (moment[i] / correct1 / (sqrt(variance[i] / correct2) + epsilon) + decay * param[i]);
            if (weight) weight[i] = param[i];
        }
    }
    return CT_OK;
}
