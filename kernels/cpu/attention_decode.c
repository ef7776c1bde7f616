/* attention_decode.c -- cpu: one new token of each sequence against its cache. Every sum over keys or over a head has
 * one order that depends on first, length and head only, so a sequence's numbers do not depend on its neighbours. */
#include "kernels/cpu/cpu.h"

enum { MOST_HEAD = 256 };

static float dot(const float *a, const float *b, int64_t count) {
    vec     sum = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) sum += vec_load(a + i) * vec_load(b + i);
    float total = vec_sum(sum);
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): turn() writes all of a head of even size */
    for (; i < count; i++) total += a[i] * b[i];
    return total;
}

static void turn(const float *in, const float *cosine, const float *sine, int64_t half, float *out) {
    for (int64_t i = 0; i < half; i++) {
        float x = in[i], y = in[half + i], c = cosine[i], s = sine[i];
        out[i] = x * c - y * s;
        out[half + i] = x * s + y * c;
    }
}

static void decode(const ct_attention_decode *p, int64_t b, int64_t h) {
    int64_t      all = p->heads * p->head, half = p->head / 2, last = p->length[b], first = p->first[b];
    const float *qkv = (const float *)p->qkv + b * 3 * all + h * p->head;
    const float *cosine = (const float *)p->cosine + b * half, *sine = (const float *)p->sine + b * half;
    const float *g = p->g ? (const float *)p->g + (b * p->heads + h) * p->keys : NULL;
    float       *keys = (float *)p->key_cache + b * p->capacity * all + h * p->head;
    float       *values = (float *)p->value_cache + b * p->capacity * all + h * p->head;
    float       *share = (float *)p->work + (b * p->heads + h) * p->capacity;
    float       *y = (float *)p->y + b * all + h * p->head, query[MOST_HEAD], out[MOST_HEAD] = {0};
    turn(qkv, cosine, sine, half, query);
    turn(qkv + all, cosine, sine, half, keys + last * all);
    memcpy(values + last * all, qkv + 2 * all, (size_t)p->head * sizeof *values);
    for (int64_t j = first; j <= last; j++) {
        share[j] = dot(query, keys + j * all, p->head) * (float)p->scale;
        if (g) share[j] += g[p->segment[b * p->capacity + j]];
    }
    float   largest = largest_of(share + first, last - first + 1);
    vec     sum = {0};
    int64_t j = first;
    for (; j + LANES <= last + 1; j += LANES) {
        vec x = vec_exp(vec_load(share + j) - largest);
        vec_store(share + j, x);
        sum += x;
    }
    float total = vec_sum(sum);
    for (; j <= last; j++) total += share[j] = one_exp(share[j] - largest);
    for (j = first; j <= last; j++) {
        const float *value = values + j * all;
#pragma omp simd
        for (int64_t d = 0; d < p->head; d++) out[d] += share[j] * value[d];
    }
    for (int64_t d = 0; d < p->head; d++) y[d] = out[d] / total;
}

/* of all caches */
CT_INLINE int64_t rows_seen(const ct_attention_decode *p) {
    int64_t rows = 0;
    for (int64_t b = 0; b < p->batch; b++)
        if (p->length[b] >= 0) rows += p->length[b] - p->first[b] + 1;
    return rows;
}

CT_CPU(attention_decode) {
    const ct_attention_decode *p = &params->attention_decode;
    CT_ASSERT(p->head % 2 == 0);
    if (p->head > MOST_HEAD) return ct_fail(CT_EFAIL, "head size %d, at most %d", (int)p->head, MOST_HEAD);
    for (int64_t b = 0; b < p->batch; b++)
        if (p->length[b] >= 0) CT_ASSERT(p->length[b] < p->capacity && p->first[b] >= 0 && p->first[b] <= p->length[b]);
#pragma omp parallel for collapse(2) schedule(dynamic) if (rows_seen(p) * p->heads * p->head > 4 * CT_SMALL)
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++)
            if (p->length[b] >= 0) decode(p, b, h);
    return CT_OK;
}
