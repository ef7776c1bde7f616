/* harmony_mlp.c -- cpu: the published form of H-RPE. The first layer is linear in three table rows, so each table
 * entry's share of the hidden layer is made once (entries: 12 root steps, qualities^2, 25^2); a pair then adds three of
 * them. Backward sums the hidden gradient by entry and goes through the tables once. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/segments.h"

typedef struct shape {
    int64_t heads, size, hidden, qualities, entries;
} shape;

/* row of `table` 0, 1, 2 for an entry; *table is where the entry lies */
static int64_t entry_row(const shape *s, int64_t entry, int *table) {
    int64_t qualities = s->qualities * s->qualities;
    *table = entry < 12 ? 0 : entry < 12 + qualities ? 1 : 2;
    return entry - (*table == 0 ? 0 : *table == 1 ? 12 : 12 + qualities);
}

/* to[entry][hidden] = w1's part times the entry's row, for head h; b1 joins the entries of the root table */
static void hidden_shares(const shape *s, int64_t h, const float *const part[3], const float *w1, const float *b1,
                          float *to) {
    for (int64_t entry = 0; entry < s->entries; entry++) {
        int          table;
        int64_t      at = entry_row(s, entry, &table);
        const float *row = part[table] + (at * s->heads + h) * s->size;
        for (int64_t j = 0; j < s->hidden; j++) {
            const float *weight = w1 + j * 3 * s->size + table * s->size;
            float        sum = table == 0 ? b1[j] : 0;
#pragma omp simd reduction(+ : sum)
            for (int64_t i = 0; i < s->size; i++) sum += weight[i] * row[i];
            to[entry * s->hidden + j] = sum;
        }
    }
}

/* the three entries of a pair, as offsets into [entries][hidden] */
static void pair_entries(const shape *s, const int32_t *query, const int32_t *key, int64_t at[3]) {
    int32_t index, function;
    int64_t qualities = s->qualities * s->qualities;
    segment_pairs(query, key, 1, s->qualities, &index, &function);
    at[0] = index / qualities * s->hidden;
    at[1] = (12 + index % qualities) * s->hidden;
    at[2] = (12 + qualities + function) * s->hidden;
}

CT_CPU(harmony_mlp) {
    const ct_harmony_mlp *p = &params->harmony_mlp;
    const float          *part[3] = {p->root, p->quality, p->function}, *w2 = p->w2, *b2 = p->b2;
    float                *g = p->g, *work = p->work;
    const shape           s = {p->heads, p->size, p->hidden, p->qualities, CT_HARMONY_MLP_ENTRIES(p)};
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t h = 0; h < p->heads; h++)
            hidden_shares(&s, h, part, p->w1, p->b1, work + h * s.entries * s.hidden);
#pragma omp for collapse(3) schedule(static)
        for (int64_t b = 0; b < p->batch; b++)
            for (int64_t h = 0; h < p->heads; h++)
                for (int64_t a = 0; a < p->queries; a++) {
                    const int32_t *query = p->query + (b * p->queries + a) * 3;
                    const float   *shares = work + h * s.entries * s.hidden;
                    float         *row = g + ((b * p->heads + h) * p->queries + a) * p->keys;
                    memset(row, 0, (size_t)p->keys * sizeof *row);
                    if (a >= p->query_count[b] || query[0] >= 12) continue;
                    for (int64_t k = 0; k < p->key_count[b]; k++) {
                        const int32_t *key = p->key + (b * p->keys + k) * 3;
                        int64_t        at[3];
                        float          sum = 0;
                        if (key[0] >= 12) continue;
                        pair_entries(&s, query, key, at);
                        const float *x = shares + at[0], *y = shares + at[1], *z = shares + at[2];
#pragma omp simd reduction(+ : sum)
                        for (int64_t j = 0; j < s.hidden; j++) {
                            float value = x[j] + y[j] + z[j];
                            sum += value > 0 ? w2[j] * value : 0;
                        }
                        row[k] = sum + b2[0];
                    }
                }
    }
    return CT_OK;
}

/* what one head sums: gradients of the hidden layer by entry, and its own dw1, dw2, db2 */
typedef struct head_sums {
    float *hidden, *dw1, *dw2, *db2;
} head_sums;

static void sum_pairs(const ct_harmony_mlp_backward *p, const shape *s, int64_t h, const float *shares,
                      const head_sums *to) {
    const float *w2 = p->w2, *dg = p->dg;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t a = 0; a < p->query_count[b]; a++) {
            const int32_t *query = p->query + (b * p->queries + a) * 3;
            if (query[0] >= 12) continue;
            for (int64_t k = 0; k < p->key_count[b]; k++) {
                const int32_t *key = p->key + (b * p->keys + k) * 3;
                int64_t        at[3];
                float          value = dg[((b * p->heads + h) * p->queries + a) * p->keys + k];
                if (key[0] >= 12) continue;
                pair_entries(s, query, key, at);
                const float *x = shares + at[0], *y = shares + at[1], *z = shares + at[2];
                float       *dx = to->hidden + at[0], *dy = to->hidden + at[1], *dz = to->hidden + at[2];
                to->db2[0] += value;
#pragma omp simd
                for (int64_t j = 0; j < s->hidden; j++) {
                    float sum = x[j] + y[j] + z[j];
                    float on = sum > 0 ? value : 0;
                    to->dw2[j] += on * sum;
                    dx[j] += on * w2[j];
                    dy[j] += on * w2[j];
                    dz[j] += on * w2[j];
                }
            }
        }
}

/* from the gradient by entry: the tables' rows of head h, and the head's share of dw1 */
static void sum_entries(const shape *s, int64_t h, const float *const part[3], float *const dpart[3], const float *w1,
                        const head_sums *from) {
    for (int64_t entry = 0; entry < s->entries; entry++) {
        int          table;
        int64_t      at = (entry_row(s, entry, &table) * s->heads + h) * s->size;
        const float *row = part[table] + at;
        float       *drow = dpart[table] + at;
        for (int64_t j = 0; j < s->hidden; j++) {
            float dhidden = from->hidden[entry * s->hidden + j];
            if (dhidden == 0) continue;
            const float *weight = w1 + j * 3 * s->size + table * s->size;
            float       *dweight = from->dw1 + j * 3 * s->size + table * s->size;
            for (int64_t i = 0; i < s->size; i++) {
                dweight[i] += dhidden * row[i];
                drow[i] += dhidden * weight[i];
            }
        }
    }
}

CT_CPU(harmony_mlp_backward) {
    const ct_harmony_mlp_backward *p = &params->harmony_mlp_backward;
    const float                   *part[3] = {p->root, p->quality, p->function};
    float                         *dpart[3] = {p->droot, p->dquality, p->dfunction};
    float                         *dw1 = p->dw1, *db1 = p->db1, *dw2 = p->dw2, *db2 = p->db2, *work = p->work;
    const shape                    s = {p->heads, p->size, p->hidden, p->qualities, CT_HARMONY_MLP_ENTRIES(p)};
    int64_t                        all = s.entries * s.hidden, weights = s.hidden * 3 * s.size;
    int64_t                        stride = 2 * all + weights + 2 * s.hidden + 1; /* of one head in the workspace */
#pragma omp parallel for schedule(static)
    for (int64_t h = 0; h < p->heads; h++) {
        float          *shares = work + h * stride, *hidden = shares + all;
        const head_sums sums = {hidden, hidden + all, hidden + all + weights, hidden + all + weights + s.hidden};
        memset(hidden, 0, (size_t)(stride - all) * sizeof *hidden);
        hidden_shares(&s, h, part, p->w1, p->b1, shares);
        sum_pairs(p, &s, h, shares, &sums);
        sum_entries(&s, h, part, dpart, p->w1, &sums);
    }
    for (int64_t h = 0; h < p->heads; h++) { /* heads in order */
        const float *hidden = work + h * stride + all, *of_w1 = hidden + all, *of_w2 = of_w1 + weights;
        for (int64_t i = 0; i < weights; i++) dw1[i] += of_w1[i];
        for (int64_t i = 0; i < s.hidden; i++) dw2[i] += of_w2[i];
        for (int64_t root = 0; root < 12; root++)
            for (int64_t i = 0; i < s.hidden; i++) db1[i] += hidden[root * s.hidden + i];
        db2[0] += of_w2[s.hidden];
    }
    return CT_OK;
}
