/* harmony.c -- reference: the H-RPE table G on pairs of harmonic segments, and its gradients. */
#include "kernels/reference/harmony.h"

#include "kernels/reference/reference.h"

CT_REFERENCE(harmony) {
    const ct_harmony *p = &params->harmony;
    const real       *e = p->e, *d = p->d, *w = p->w, *phi = p->phi;
    real             *g = p->g;
    int64_t           pairs = 12 * p->qualities * p->qualities;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++)
            for (int64_t a = 0; a < p->queries; a++)
                for (int64_t k = 0; k < p->keys; k++) {
                    real value = 0;
                    if (a < p->query_count[b] && k < p->key_count[b]) {
                        const int32_t *sa = p->query + (b * p->queries + a) * 3, *sk = p->key + (b * p->keys + k) * 3;
                        int64_t        pair = pair_index(sa, sk, p->qualities), function = function_index(sa, sk);
                        if (e) value += e[h * pairs + pair];
                        if (d) value += d[h * 25 * 25 + function];
                        if (w)
                            for (int64_t t = 0; t < p->theory; t++)
                                value += w[h * p->theory + t] * phi[t * pairs + pair];
                    }
                    g[((b * p->heads + h) * p->queries + a) * p->keys + k] = value;
                }
    return CT_OK;
}

CT_REFERENCE(harmony_backward) {
    const ct_harmony_backward *p = &params->harmony_backward;
    const real                *phi = p->phi, *dg = p->dg;
    real                      *de = p->de, *dd = p->dd, *dw = p->dw;
    int64_t                    pairs = 12 * p->qualities * p->qualities;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++)
            for (int64_t a = 0; a < p->query_count[b]; a++)
                for (int64_t k = 0; k < p->key_count[b]; k++) {
                    const int32_t *sa = p->query + (b * p->queries + a) * 3, *sk = p->key + (b * p->keys + k) * 3;
                    int64_t        pair = pair_index(sa, sk, p->qualities), function = function_index(sa, sk);
                    real           value = dg[((b * p->heads + h) * p->queries + a) * p->keys + k];
                    if (de) de[h * pairs + pair] += value;
                    if (dd) dd[h * 25 * 25 + function] += value;
                    if (dw)
                        for (int64_t t = 0; t < p->theory; t++) dw[h * p->theory + t] += value * phi[t * pairs + pair];
                }
    return CT_OK;
}
