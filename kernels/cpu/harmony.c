/* harmony.c -- cpu: the H-RPE table G. e and the theory are added up once per head into one table of pairs; then each
 * element of G is two look-ups, and backward two histograms. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/segments.h"

CT_CPU(harmony) {
    const ct_harmony *p = &params->harmony;
    const float      *e = p->e, *d = p->d, *w = p->w, *phi = p->phi;
    float            *g = p->g, *pair = p->pair;
    int64_t           pairs = 12 * p->qualities * p->qualities, theory = w ? p->theory : 0;
#pragma omp parallel if (p->batch * p->heads * p->queries * p->keys > CT_SMALL)
    {
#pragma omp for schedule(static)
        for (int64_t h = 0; h < p->heads; h++) {
            float *to = pair + h * pairs;
            if (e)
                memcpy(to, e + h * pairs, (size_t)pairs * sizeof *to);
            else
                memset(to, 0, (size_t)pairs * sizeof *to);
            for (int64_t t = 0; t < theory; t++) {
                float        weight = w[h * p->theory + t];
                const float *from = phi + t * pairs;
#pragma omp simd
                for (int64_t i = 0; i < pairs; i++) to[i] += weight * from[i];
            }
        }
#pragma omp for collapse(2) schedule(static)
        for (int64_t b = 0; b < p->batch; b++)
            for (int64_t a = 0; a < p->queries; a++) {
                int64_t count = a < p->query_count[b] ? p->key_count[b] : 0;
                for (int64_t first = 0; first < p->keys; first += SEGMENT_CHUNK) {
                    int32_t index[SEGMENT_CHUNK], function[SEGMENT_CHUNK];
                    int64_t end = first + SEGMENT_CHUNK < p->keys ? first + SEGMENT_CHUNK : p->keys;
                    int64_t filled = count < first ? 0 : count < end ? count - first : end - first;
                    segment_pairs(p->query + (b * p->queries + a) * 3, p->key + (b * p->keys + first) * 3, filled,
                                  p->qualities, index, function);
                    for (int64_t h = 0; h < p->heads; h++) {
                        float       *to = g + ((b * p->heads + h) * p->queries + a) * p->keys + first;
                        const float *of_pair = pair + h * pairs;
                        if (d) {
                            const float *of_function = d + h * 25 * 25;
#pragma omp simd
                            for (int64_t k = 0; k < filled; k++) to[k] = of_pair[index[k]] + of_function[function[k]];
                        } else {
#pragma omp simd
                            for (int64_t k = 0; k < filled; k++) to[k] = of_pair[index[k]];
                        }
                        memset(to + filled, 0, (size_t)(end - first - filled) * sizeof *to);
                    }
                }
            }
    }
    return CT_OK;
}

/* histograms of one head's dg over the tables of pairs and functions: b, a, k */
static void sum_head(const ct_harmony_backward *p, int64_t h, float *of_pair, float *of_function) {
    const float *dg = p->dg;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t a = 0; a < p->query_count[b]; a++)
            for (int64_t first = 0; first < p->key_count[b]; first += SEGMENT_CHUNK) {
                int32_t      index[SEGMENT_CHUNK], function[SEGMENT_CHUNK];
                int64_t      left = p->key_count[b] - first, count = left < SEGMENT_CHUNK ? left : SEGMENT_CHUNK;
                const float *from = dg + ((b * p->heads + h) * p->queries + a) * p->keys + first;
                segment_pairs(p->query + (b * p->queries + a) * 3, p->key + (b * p->keys + first) * 3, count,
                              p->qualities, index, function);
                for (int64_t k = 0; k < count; k++) {
                    of_pair[index[k]] += from[k];
                    of_function[function[k]] += from[k];
                }
            }
}

static float product_sum(const float *x, const float *y, int64_t count) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) sum += x[i] * y[i];
    return sum;
}

CT_CPU(harmony_backward) {
    const ct_harmony_backward *p = &params->harmony_backward;
    const float               *phi = p->phi;
    float                     *de = p->de, *dd = p->dd, *dw = p->dw, *pair = p->pair;
    int64_t                    pairs = 12 * p->qualities * p->qualities;
#pragma omp parallel for schedule(static) if (p->batch * p->heads * p->queries * p->keys > CT_SMALL)
    for (int64_t h = 0; h < p->heads; h++) {
        float *of_pair = pair + h * pairs, of_function[25 * 25] = {0};
        memset(of_pair, 0, (size_t)pairs * sizeof *of_pair);
        sum_head(p, h, of_pair, of_function);
        for (int64_t i = 0; de && i < pairs; i++) de[h * pairs + i] += of_pair[i];
        for (int64_t i = 0; dd && i < 25 * 25; i++) dd[h * 25 * 25 + i] += of_function[i];
        for (int64_t t = 0; dw && t < p->theory; t++)
            dw[h * p->theory + t] += product_sum(of_pair, phi + t * pairs, pairs);
    }
    return CT_OK;
}
