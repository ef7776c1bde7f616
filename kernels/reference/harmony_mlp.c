/* harmony_mlp.c -- reference: the published form of H-RPE, a small MLP on three embeddings of the pair. */
#include "kernels/reference/harmony.h"

#include "kernels/reference/reference.h"

/* input i of the MLP's 3 size inputs for head h: which table, and where in it */
typedef struct input {
    int     table; /* 0 root, 1 quality, 2 function */
    int64_t index;
} input;
static input input_at(const int32_t *a, const int32_t *k, int64_t qualities, int64_t heads, int64_t h, int64_t size,
                      int64_t i) {
    int64_t row[3] = {root_step(a, k), a[1] * qualities + k[1], function_index(a, k)};
    int     table = (int)(i / size);
    return (input){table, (row[table] * heads + h) * size + i % size};
}

CT_REFERENCE(harmony_mlp) {
    const ct_harmony_mlp *p = &params->harmony_mlp;
    const real           *part[3] = {p->root, p->quality, p->function};
    const real           *w1 = p->w1, *b1 = p->b1, *w2 = p->w2, *b2 = p->b2;
    real                 *g = p->g;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++)
            for (int64_t a = 0; a < p->queries; a++)
                for (int64_t k = 0; k < p->keys; k++) {
                    const int32_t *sa = p->query + (b * p->queries + a) * 3, *sk = p->key + (b * p->keys + k) * 3;
                    real           value = 0;
                    if (a < p->query_count[b] && k < p->key_count[b] && has_chord(sa) && has_chord(sk)) {
                        value = b2[0];
                        for (int64_t j = 0; j < p->hidden; j++) {
                            real sum = b1[j];
                            for (int64_t i = 0; i < 3 * p->size; i++) {
                                input from = input_at(sa, sk, p->qualities, p->heads, h, p->size, i);
                                sum += w1[j * 3 * p->size + i] * part[from.table][from.index];
                            }
                            if (sum > 0) value += w2[j] * sum;
                        }
                    }
                    g[((b * p->heads + h) * p->queries + a) * p->keys + k] = value;
                }
    return CT_OK;
}

CT_REFERENCE(harmony_mlp_backward) {
    const ct_harmony_mlp_backward *p = &params->harmony_mlp_backward;
    const real                    *part[3] = {p->root, p->quality, p->function};
    real                          *dpart[3] = {p->droot, p->dquality, p->dfunction};
    const real                    *w1 = p->w1, *b1 = p->b1, *w2 = p->w2, *dg = p->dg;
    real                          *dw1 = p->dw1, *db1 = p->db1, *dw2 = p->dw2, *db2 = p->db2;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++)
            for (int64_t a = 0; a < p->query_count[b]; a++)
                for (int64_t k = 0; k < p->key_count[b]; k++) {
                    const int32_t *sa = p->query + (b * p->queries + a) * 3, *sk = p->key + (b * p->keys + k) * 3;
                    if (!has_chord(sa) || !has_chord(sk)) continue;
                    real value = dg[((b * p->heads + h) * p->queries + a) * p->keys + k];
                    db2[0] += value;
                    for (int64_t j = 0; j < p->hidden; j++) {
                        real sum = b1[j];
                        for (int64_t i = 0; i < 3 * p->size; i++) {
                            input from = input_at(sa, sk, p->qualities, p->heads, h, p->size, i);
                            sum += w1[j * 3 * p->size + i] * part[from.table][from.index];
                        }
                        if (!(sum > 0)) continue;
                        dw2[j] += value * sum;
                        real dsum = value * w2[j];
                        db1[j] += dsum;
                        for (int64_t i = 0; i < 3 * p->size; i++) {
                            input from = input_at(sa, sk, p->qualities, p->heads, h, p->size, i);
                            dw1[j * 3 * p->size + i] += dsum * part[from.table][from.index];
                            dpart[from.table][from.index] += dsum * w1[j * 3 * p->size + i];
                        }
                    }
                }
    return CT_OK;
}
