/* loss.c -- reference: cross entropy of each row and its gradient; the norm of the gradient; AdamW. */
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

CT_REFERENCE(grad_norm) {
    const ct_grad_norm *p = &params->grad_norm;
    const real         *grad = p->grad;
    double              total = 0;
    for (int64_t first = 0; first < p->count; first += CT_NORM_BLOCK) {
        double block = 0;
        for (int64_t i = first; i < p->count && i < first + CT_NORM_BLOCK; i++)
            block += (double)grad[i] * (double)grad[i];
        total += block;
    }
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
        for (int64_t i = p->first[t]; i < p->first[t + 1]; i++) {
            real g = grad[i] * (real)clip;
            moment[i] = beta1 * moment[i] + (real)(1 - p->beta1) * g;
            variance[i] = beta2 * variance[i] + (real)(1 - p->beta2) * g * g;
            param[i] -= rate * (moment[i] / correct1 / (sqrt(variance[i] / correct2) + epsilon) + decay * param[i]);
            if (weight) weight[i] = param[i];
        }
    }
    return CT_OK;
}
