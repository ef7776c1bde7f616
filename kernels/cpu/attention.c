/* attention.c -- cpu: attention forward, tile by tile with a running softmax (Milakov & Gimelshein 2018; Dao et al.
 * 2022): tokens x keys is never in memory. */
#include "kernels/cpu/attention.h"
#include "kernels/cpu/tile.h"

enum { MOST_HEAD = 256 };

typedef struct running { /* of each query of a tile; totals in LANES parts */
    float largest[TILE];
    vec   total[TILE];
} running;

/* logits -> e^(logit - largest so far), totals and the output so far brought to the new largest; then dropout */
static void softmax_rows(const slice *s, const query_tile *q, int64_t key, float *logits, running *r, float *out) {
    float largest[TILE];
    for (int64_t i = 0; i < TILE; i++) {
        vec most = vec_load(logits + i * TILE);
        for (int64_t j = LANES; j < TILE; j += LANES) most = vec_max(vec_load(logits + i * TILE + j), most);
        largest[i] = vec_largest(most);
    }
    for (int64_t i = 0; i < TILE; i++) {
        if (largest[i] > r->largest[i]) {
            float shrink = one_exp(r->largest[i] - largest[i]);
            r->largest[i] = largest[i];
            r->total[i] *= shrink;
            for (int64_t d = 0; d < s->width; d += LANES)
                vec_store(out + i * s->width + d, vec_load(out + i * s->width + d) * shrink);
        }
        /* while a query has seen nothing its largest is -inf: any finite number makes its shares 0 */
        float from = r->largest[i] == -INFINITY ? 0 : r->largest[i];
        for (int64_t j = 0; j < TILE; j += LANES) {
            vec share = vec_exp_below(vec_load(logits + i * TILE + j) - from);
            r->total[i] += share;
            vec_store(logits + i * TILE + j, share);
        }
    }
    if (!dropout_on(s->p->step, s->p->dropout)) return;
    for (int64_t i = 0; i < TILE; i++) {
        float factor[TILE];
        attention_dropout(s, q->first + i, key, factor);
        for (int64_t j = 0; j < TILE; j++) logits[i * TILE + j] *= factor[j];
    }
}

static void forward_slice(const ct_attention *p, int64_t b, int64_t h) {
    slice  s = attention_slice(p, p->work, b, h);
    float *key_blocks = s.work, *values = key_blocks + s.padded * s.width;
    float *y = p->y, *lse = (float *)p->lse + (b * p->heads + h) * p->tokens;
    attention_pack(&s, 0, values); /* the keys' rows lie there until they are transposed */
    attention_transpose(&s, values, key_blocks);
    attention_pack(&s, 1, values);
    for (int64_t first = 0; first < p->tokens; first += TILE) {
        float      turned[TILE * MOST_HEAD], out[TILE * MOST_HEAD], logits[TILE * TILE];
        query_tile q;
        running    r;
        attention_queries(&s, first, &q, turned);
        memset(out, 0, (size_t)(TILE * s.width) * sizeof *out);
        for (int64_t i = 0; i < TILE; i++) r.largest[i] = -INFINITY, r.total[i] = (vec){0};
        for (int64_t key = 0; key < s.padded; key += TILE) {
            tile_kind kind = attention_kind(&s, &q, key);
            if (kind == TILE_HIDDEN) continue;
            if (p->g) attention_bias(&s, &q, key, logits);
            tile_product(TILE, TILE, s.width, turned, s.width, 1, key_blocks + key * s.width, TILE, logits, TILE, p->g);
            if (kind == TILE_PARTLY) attention_mask(&s, &q, key, logits);
            softmax_rows(&s, &q, key, logits, &r, out);
            tile_product(TILE, s.width, TILE, logits, TILE, 1, values + key * s.width, s.width, out, s.width, true);
        }
        for (int64_t i = 0; i < q.count; i++) {
            float *to = y + ((b * p->tokens + first + i) * p->heads + h) * p->head, total = vec_sum(r.total[i]);
            for (int64_t d = 0; d < p->head; d++) to[d] = total > 0 ? out[i * s.width + d] / total : 0;
            lse[first + i] = total > 0 ? r.largest[i] + logf(total) : -INFINITY;
        }
    }
}

CT_CPU(attention) {
    const ct_attention *p = &params->attention;
    CT_ASSERT(p->head % 2 == 0);
    if (p->head > MOST_HEAD) return ct_fail(CT_EFAIL, "head size %d, at most %d", (int)p->head, MOST_HEAD);
#pragma omp parallel for collapse(2)                                                                                   \
    schedule(dynamic) if (p->batch * p->heads * p->tokens * (p->memory + p->tokens) > CT_SMALL)
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++) forward_slice(p, b, h);
    return CT_OK;
}
