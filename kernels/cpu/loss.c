/* loss.c -- cpu: cross entropy of each row and its gradient in one pass; the norm of the gradient; AdamW; bf16. */
#include "kernels/bf16.h"
#include "kernels/cpu/cpu.h"

/* returns the loss; dlogits may be NULL or the row itself */
static float entropy_row(const float *row, int64_t vocabulary, int32_t target, float loss_scale, float *dlogits) {
    float largest = largest_of(row, vocabulary), of_target = row[target] - largest, total = 0;
    if (!dlogits) {
#pragma omp simd reduction(+ : total)
        for (int64_t v = 0; v < vocabulary; v++) total += one_exp(row[v] - largest);
        return logf(total) - of_target;
    }
#pragma omp simd reduction(+ : total)
    for (int64_t v = 0; v < vocabulary; v++) {
        dlogits[v] = one_exp(row[v] - largest);
        total += dlogits[v];
    }
    float loss = logf(total) - of_target, scale = isfinite(loss) ? loss_scale : NAN, factor = scale / total;
#pragma omp simd
    for (int64_t v = 0; v < vocabulary; v++) dlogits[v] *= factor;
    dlogits[target] -= scale;
    return loss;
}

CT_CPU(cross_entropy) {
    const ct_cross_entropy *p = &params->cross_entropy;
    const float            *logits = p->logits;
    float                  *loss = p->loss, *dlogits = p->dlogits;
    float                   loss_scale = dlogits ? (float)p->step->loss_scale : 0;
#pragma omp parallel for schedule(static) if (p->rows * p->vocabulary > CT_SMALL)
    for (int64_t n = 0; n < p->rows; n++) {
        const float *row = logits + n * p->vocabulary;
        float       *to = dlogits ? dlogits + n * p->vocabulary : NULL;
        if (p->target[n] >= 0) {
            loss[n] = entropy_row(row, p->vocabulary, p->target[n], loss_scale, to);
        } else {
            loss[n] = 0;
            if (to) memset(to, 0, (size_t)p->vocabulary * sizeof *to);
        }
    }
    return CT_OK;
}

CT_CPU(narrow) {
    const ct_narrow *p = &params->narrow;
    const float     *x = p->x;
#pragma omp parallel for simd schedule(static) if (p->count > CT_SMALL)
    for (int64_t i = 0; i < p->count; i++) p->y[i] = ct_bf16_round(x[i]);
    return CT_OK;
}

CT_CPU(widen) {
    const ct_widen *p = &params->widen;
    float          *y = p->y;
#pragma omp parallel for simd schedule(static) if (p->count > CT_SMALL)
    for (int64_t i = 0; i < p->count; i++) y[i] = ct_bf16_float(p->x[i]);
    return CT_OK;
}

CT_CPU(grad_squares) {
    enum { SUMS = 8 }; /* doubles added side by side */
    const ct_grad_squares *p = &params->grad_squares;
    const float           *grad = p->grad;
    int64_t                blocks = (p->count + CT_NORM_BLOCK - 1) / CT_NORM_BLOCK;
#pragma omp parallel for schedule(static) if (p->count > CT_SMALL)
    for (int64_t block = 0; block < blocks; block++) {
        int64_t i = block * CT_NORM_BLOCK, end = i + CT_NORM_BLOCK < p->count ? i + CT_NORM_BLOCK : p->count;
        double  sum[SUMS] = {0}, total = 0;
        for (; i + SUMS <= end; i += SUMS)
            for (int s = 0; s < SUMS; s++) sum[s] += (double)grad[i + s] * (double)grad[i + s];
        for (; i < end; i++) total += (double)grad[i] * (double)grad[i];
        for (int s = 0; s < SUMS; s++) total += sum[s];
        p->square[block] = total;
    }
    return CT_OK;
}

CT_CPU(grad_norm) {
    const ct_grad_norm *p = &params->grad_norm;
    double              total = 0;
    for (int64_t block = 0; block < p->blocks; block++) total += p->square[block];
    p->result[0] = sqrt(total);
    p->result[1] = isfinite(total);
    p->updates[0] += p->result[1];
    return CT_OK;
}

CT_CPU(adamw) {
    enum { BLOCK = 8192 };
    const ct_adamw *p = &params->adamw;
    const float    *grad = p->grad;
    float          *param = p->param, *moment = p->moment, *variance = p->variance, *weight = p->weight;
    if (p->norm[1] == 0) return CT_OK;
    float clip = p->step->clip > 0 && p->norm[0] > p->step->clip ? (float)(p->step->clip / p->norm[0]) : 1;
    float correct1 = (float)(1 - pow(p->beta1, p->updates[0]));
    float correct2 = (float)(1 - pow(p->beta2, p->updates[0]));
    float beta1 = (float)p->beta1, rest1 = (float)(1 - p->beta1), beta2 = (float)p->beta2,
          rest2 = (float)(1 - p->beta2);
    float epsilon = (float)p->epsilon, rate = (float)p->step->learning_rate;
#pragma omp parallel if (p->count > CT_SMALL)
    for (int64_t t = 0; t < p->tensors; t++) {
        float         decay = p->decay[t] ? (float)p->weight_decay : 0;
        const int64_t begin = p->first[t] > p->from ? p->first[t] - p->from : 0,
                      last = p->first[t + 1] - p->from < p->count ? p->first[t + 1] - p->from : p->count;
#pragma omp for schedule(static) nowait
        for (int64_t from = begin; from < last; from += BLOCK) {
            int64_t end = last - from < BLOCK ? last : from + BLOCK;
#pragma omp simd
            for (int64_t i = from; i < end; i++) {
                float g = grad[i] * clip;
                moment[i] = beta1 * moment[i] + rest1 * g;
                variance[i] = beta2 * variance[i] + rest2 * g * g;
                param[i] -=
                    rate * (moment[i] / correct1 / (sqrtf(variance[i] / correct2) + epsilon) + decay * param[i]);
            }
            if (weight) memcpy(weight + from, param + from, (size_t)(end - from) * sizeof *weight);
        }
    }
    return CT_OK;
}
