/* attention.c -- reference: causal attention over [memory; tokens] with rotary pairs and the H-RPE table G (ops.def
 * says what it is). One query at a time against a row of logits in the workspace; keys are turned once. Kept between
 * steps (stored): turned queries and keys, probabilities after dropout; backward also gradients of the logits. */
#include "kernels/reference/reference.h"

/* One (batch row, head): where its arrays are. Key j < memory is a memory row, j >= memory is token j - memory. */
typedef struct view {
    const ct_attention *p;
    int64_t             b, h, half, keys;
    real               *k;     /* turned keys [keys][head] */
    real               *q;     /* a turned query [head] */
    real               *share; /* a query's logits, then probabilities [keys] */
} view;

static view view_of(const ct_attention *p, real *work, int64_t b, int64_t h) {
    view v = {.p = p, .b = b, .h = h, .half = p->head / 2, .keys = p->memory + p->tokens};
    v.k = work;
    v.q = v.k + v.keys * p->head;
    v.share = v.q + p->head;
    return v;
}

static const real *query_row(const view *v, int64_t i) {
    const ct_attention *p = v->p;
    return (const real *)p->qkv + (v->b * p->tokens + i) * 3 * p->heads * p->head + v->h * p->head;
}

/* part 0: key, 1: value */
static const real *key_row(const view *v, int64_t j, int part) {
    const ct_attention *p = v->p;
    int64_t             width = p->heads * p->head;
    if (j < p->memory)
        return (const real *)p->kv_memory + (v->b * p->memory + j) * 2 * width + part * width + v->h * p->head;
    return (const real *)p->qkv + (v->b * p->tokens + j - p->memory) * 3 * width + (part + 1) * width + v->h * p->head;
}

/* (x, y) -> (x cos - y sin, x sin + y cos); direction -1 turns back */
static void turn(const real *in, const real *cosine, const real *sine, int64_t half, real direction, real *out) {
    for (int64_t i = 0; i < half; i++) {
        real x = in[i], y = in[half + i], c = cosine[i], s = direction * sine[i];
        out[i] = stored(x * c - y * s);
        out[half + i] = stored(x * s + y * c);
    }
}
static void turn_query(const view *v, int64_t i, const real *in, real direction, real *out) {
    const ct_attention *p = v->p;
    int64_t             at = (v->b * p->tokens + i) * v->half;
    turn(in, (const real *)p->cosine + at, (const real *)p->sine + at, v->half, direction, out);
}
static void turn_key(const view *v, int64_t j, const real *in, real direction, real *out) {
    const ct_attention *p = v->p;
    int64_t             at = (v->b * p->memory + j) * v->half;
    if (j >= p->memory)
        turn_query(v, j - p->memory, in, direction, out);
    else
        turn(in, (const real *)p->cosine_memory + at, (const real *)p->sine_memory + at, v->half, direction, out);
}

static bool allowed(const view *v, int64_t i, int64_t j) {
    const ct_attention *p = v->p;
    int32_t             song = p->song[v->b * p->tokens + i];
    if (song < 0) return false;
    if (j < p->memory) return song == p->song_memory[v->b * p->memory + j];
    return j - p->memory <= i && song == p->song[v->b * p->tokens + j - p->memory];
}

/* where G has the logit of query i and key j */
static int64_t g_index(const view *v, int64_t i, int64_t j) {
    const ct_attention *p = v->p;
    int64_t             a = p->segment_query[v->b * p->tokens + i];
    int64_t             k =
        j < p->memory ? p->segment_memory[v->b * p->memory + j] : p->segment_key[v->b * p->tokens + j - p->memory];
    return ((v->b * p->heads + v->h) * p->queries + a) * p->keys + k;
}

static real dropout(const view *v, int64_t i, int64_t j) {
    const ct_attention *p = v->p;
    int64_t             row = (v->b * p->heads + v->h) * p->tokens + i;
    if (p->step) row += p->step->first_row * p->heads;
    return dropout_factor(p->step, p->stream, row, j, p->dropout);
}

/* v->share[j] = logit of query i and key j, -inf where it isn't allowed */
static void logits(view *v, int64_t i) {
    const ct_attention *p = v->p;
    turn_query(v, i, query_row(v, i), 1, v->q);
    for (int64_t j = 0; j < v->keys; j++) {
        real sum = 0;
        for (int64_t d = 0; d < p->head; d++) sum += v->q[d] * v->k[j * p->head + d];
        sum *= (real)p->scale;
        if (allowed(v, i, j))
            v->share[j] = sum + (p->g ? ((const real *)p->g)[g_index(v, i, j)] : 0);
        else
            v->share[j] = -(real)INFINITY;
    }
}

CT_REFERENCE(attention) {
    const ct_attention *p = &params->attention;
    real               *y = p->y, *lse = p->lse;
    CT_ASSERT(p->head % 2 == 0);
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++) {
            view v = view_of(p, p->work, b, h);
            for (int64_t j = 0; j < v.keys; j++) turn_key(&v, j, key_row(&v, j, 0), 1, v.k + j * p->head);
            for (int64_t i = 0; i < p->tokens; i++) {
                real *out = y + (b * p->tokens + i) * p->heads * p->head + h * p->head;
                real *log_sum = &lse[(b * p->heads + h) * p->tokens + i];
                real  largest = -(real)INFINITY, total = 0;
                for (int64_t d = 0; d < p->head; d++) out[d] = 0;
                logits(&v, i);
                for (int64_t j = 0; j < v.keys; j++) largest = fmax(largest, v.share[j]);
                *log_sum = -(real)INFINITY;
                if (isinf(largest)) continue; /* nothing to see */
                for (int64_t j = 0; j < v.keys; j++) total += exp(v.share[j] - largest);
                *log_sum = largest + log(total);
                for (int64_t j = 0; j < v.keys; j++) {
                    real share = stored(exp(v.share[j] - largest) / total * dropout(&v, i, j));
                    for (int64_t d = 0; d < p->head; d++) out[d] += share * key_row(&v, j, 1)[d];
                }
            }
        }
    return CT_OK;
}

/* With P = softmax, P' = P after dropout, dP' = dy v:   dv = P'^T dy;   dlogit = P (dropout dP' - <dy, y>);
 * dq = scale dlogit k, dk = scale dlogit^T q, each turned back;   dg sums dlogit. */
CT_REFERENCE(attention_backward) {
    const ct_attention_backward *o = &params->attention_backward;
    const ct_attention           forward = {
                  o->dtype,   o->batch,       o->tokens,        o->memory,      o->heads,          o->head,
                  o->queries, o->keys,        o->step,          o->dropout,     o->stream,         o->scale,
                  o->qkv,     o->kv_memory,   o->cosine,        o->sine,        o->cosine_memory,  o->sine_memory,
                  o->song,    o->song_memory, o->segment_query, o->segment_key, o->segment_memory, o->g,
                  NULL,       NULL,           o->work};
    const ct_attention *p = &forward;
    const real         *y = o->y, *lse = o->lse, *dy = o->dy;
    real               *dqkv = o->dqkv, *dkv_memory = o->dkv_memory, *dg = o->dg;
    int64_t             width = p->heads * p->head;
    CT_ASSERT(p->head % 2 == 0);
    if (dg) memset(dg, 0, (size_t)(p->batch * p->heads * p->queries * p->keys) * sizeof *dg);
    for (int64_t i = 1; dg && i < p->batch * p->tokens; i++)
        CT_ASSERT(i % p->tokens == 0 || p->segment_query[i] >= p->segment_query[i - 1]);
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++) {
            view  v = view_of(p, p->work, b, h);
            real *dq = v.share + v.keys, *dk = dq + p->head; /* of the turned query and keys: [head], [keys][head] */
            real *dv = dk + v.keys * p->head;                /* [keys][head] */
            memset(dk, 0, (size_t)(2 * v.keys * p->head) * sizeof *dk);
            for (int64_t j = 0; j < v.keys; j++) turn_key(&v, j, key_row(&v, j, 0), 1, v.k + j * p->head);
            for (int64_t i = 0; i < p->tokens; i++) {
                int64_t at = (b * p->tokens + i) * width + h * p->head;
                real    log_sum = lse[(b * p->heads + h) * p->tokens + i], row_sum = 0;
                for (int64_t d = 0; d < p->head; d++) row_sum += dy[at + d] * y[at + d];
                for (int64_t d = 0; d < p->head; d++) dq[d] = 0;
                logits(&v, i);
                for (int64_t j = 0; j < v.keys; j++) {
                    if (isinf(v.share[j])) continue;
                    real share = exp(v.share[j] - log_sum), keep = dropout(&v, i, j), dshare = 0;
                    for (int64_t d = 0; d < p->head; d++) dshare += dy[at + d] * key_row(&v, j, 1)[d];
                    real dlogit = share * (keep * dshare - row_sum), narrow = stored(dlogit);
                    if (dg) dg[g_index(&v, i, j)] += dlogit; /* which is wide */
                    for (int64_t d = 0; d < p->head; d++) {
                        dv[j * p->head + d] += stored(share * keep) * dy[at + d];
                        dq[d] += (real)p->scale * narrow * v.k[j * p->head + d];
                        dk[j * p->head + d] += (real)p->scale * narrow * v.q[d];
                    }
                }
                turn_query(&v, i, dq, -1, dqkv + (b * p->tokens + i) * 3 * width + h * p->head);
            }
            for (int64_t j = 0; j < v.keys; j++) {
                real *out = j < p->memory ? dkv_memory + (b * p->memory + j) * 2 * width + h * p->head
                                          : dqkv + (b * p->tokens + j - p->memory) * 3 * width + width + h * p->head;
                turn_key(&v, j, dk + j * p->head, -1, out);
                for (int64_t d = 0; d < p->head; d++) out[width + d] = dv[j * p->head + d];
            }
        }
    return CT_OK;
}

CT_REFERENCE(attention_decode) {
    const ct_attention_decode *p = &params->attention_decode;
    const real                *qkv = p->qkv, *cosine = p->cosine, *sine = p->sine, *g = p->g;
    real                      *y = p->y, *key_cache = p->key_cache, *value_cache = p->value_cache, *share = p->work;
    int64_t                    width = p->heads * p->head, half = p->head / 2;
    CT_ASSERT(p->head % 2 == 0);
    for (int64_t b = 0; b < p->batch; b++) {
        if (p->length[b] < 0) continue;
        CT_ASSERT(p->length[b] < p->capacity);
        for (int64_t h = 0; h < p->heads; h++) {
            const real *q = qkv + b * 3 * width + h * p->head, *c = cosine + b * half, *s = sine + b * half;
            const real *bias = g ? g + (b * p->heads + h) * p->keys : NULL;
            int64_t     last = p->length[b];
            real       *keys = key_cache + b * p->capacity * width + h * p->head;
            real       *values = value_cache + b * p->capacity * width + h * p->head;
            turn(q + width, c, s, half, 1, keys + last * width);
            for (int64_t d = 0; d < p->head; d++) values[last * width + d] = q[2 * width + d];
            real largest = -(real)INFINITY, total = 0;
            for (int64_t j = p->first[b]; j <= last; j++) {
                const real *k = keys + j * width;
                real        sum = 0;
                for (int64_t i = 0; i < half; i++)
                    sum += (q[i] * c[i] - q[half + i] * s[i]) * k[i] + (q[i] * s[i] + q[half + i] * c[i]) * k[half + i];
                share[j] = sum * (real)p->scale + (bias ? bias[p->segment[b * p->capacity + j]] : 0);
                largest = fmax(largest, share[j]);
            }
            for (int64_t j = p->first[b]; j <= last; j++) total += exp(share[j] - largest);
            for (int64_t d = 0; d < p->head; d++) {
                real sum = 0;
                for (int64_t j = p->first[b]; j <= last; j++)
                    sum += exp(share[j] - largest) / total * values[j * width + d];
                y[b * width + h * p->head + d] = sum;
            }
        }
    }
    return CT_OK;
}
