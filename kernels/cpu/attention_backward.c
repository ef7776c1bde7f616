/* attention_backward.c -- cpu: attention backward. Shares are made anew from the row log-sums, tile by tile. With P the
 * shares, P' after dropout, dP' = dy v':  dv += P'^T dy;  dlogit = P (dropout dP' - <dy, y>);  dq = dlogit k,
 * dk = dlogit^T q, turned back at the end; dg sums dlogit over the tile's segments. */
#include "kernels/cpu/attention.h"
#include "kernels/cpu/tile.h"

enum { MOST_HEAD = 256 };

/* shares from logits, and dlogits from dP' (in place: logits -> P', dshares -> dlogit) */
static void backward_rows(const slice *s, const query_tile *q, int64_t key, const float *lse, const float *row_sum,
                          float *logits, float *dshares) {
    bool drop = dropout_on(s->p->step, s->p->dropout);
    for (int64_t i = 0; i < TILE; i++) {
        float *share = logits + i * TILE, *dshare = dshares + i * TILE;
        if (drop) {
            float factor[TILE];
            attention_dropout(s, q->first + i, key, factor);
            for (int64_t j = 0; j < TILE; j += LANES) {
                vec keep = vec_load(factor + j), x = vec_exp_below(vec_load(share + j) - lse[i]);
                vec_store(dshare + j, x * (keep * vec_load(dshare + j) - row_sum[i]));
                vec_store(share + j, x * keep);
            }
        } else {
            for (int64_t j = 0; j < TILE; j += LANES) {
                vec x = vec_exp_below(vec_load(share + j) - lse[i]);
                vec_store(dshare + j, x * (vec_load(dshare + j) - row_sum[i]));
                vec_store(share + j, x);
            }
        }
    }
}

/* dg[segment of query][segment of key] += dlogit. Neighbours mostly share a segment: rows of one segment are added up
 * first; then columns, by a product with a matrix that says which column is in which run of equal segments. */
static void sum_bias(const slice *s, const query_tile *q, int64_t key, const float *dlogits, float *dg) {
    const int32_t *segment = s->segment + key;
    float          rows[TILE * TILE], in_run[TILE * TILE], sums[TILE * TILE];
    int32_t        of_rows[TILE], of_run[TILE];
    int64_t        groups = 0, runs = 1;
    of_run[0] = segment[0];
    for (int64_t i = 0; i < q->count; groups++) {
        float *to = rows + groups * TILE;
        of_rows[groups] = q->segment[i];
        memcpy(to, dlogits + i * TILE, TILE * sizeof *to);
        for (i++; i < q->count && q->segment[i] == of_rows[groups]; i++)
            for (int64_t j = 0; j < TILE; j++) to[j] += dlogits[i * TILE + j];
    }
    for (int64_t j = 1; j < TILE; j++)
        if (segment[j] != segment[j - 1]) of_run[runs++] = segment[j];
    int64_t width = (runs + LANES - 1) / LANES * LANES, height = (groups + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    memset(rows + groups * TILE, 0, (size_t)((height - groups) * TILE) * sizeof *rows);
    memset(in_run, 0, (size_t)(TILE * width) * sizeof *in_run);
    for (int64_t j = 0, run = -1; j < TILE; j++) {
        if (j == 0 || segment[j] != segment[j - 1]) run++;
        in_run[j * width + run] = 1;
    }
    tile_product(height, width, TILE, rows, TILE, 1, in_run, width, sums, width, false);
    bool in_order = true; /* runs of segments n, n + 1, ...: rows of sums go to rows of dg */
    for (int64_t run = 0; run < runs; run++) in_order &= of_run[run] == of_run[0] + run;
    for (int64_t i = 0; i < groups; i++) {
        float       *to = dg + of_rows[i] * s->p->keys;
        const float *from = sums + i * width;
        if (in_order) {
            to += of_run[0];
#pragma omp simd
            for (int64_t run = 0; run < runs; run++) to[run] += from[run];
        } else {
            for (int64_t run = 0; run < runs; run++) to[of_run[run]] += from[run];
        }
    }
}

static void backward_slice(const ct_attention_backward *o, const ct_attention *p, int64_t b, int64_t h) {
    slice   s = attention_slice(p, o->work, b, h);
    int64_t size = s.padded * s.width, all = p->heads * p->head, half = p->head / 2;
    float  *keys = s.work, *key_blocks = keys + size, *value_blocks = key_blocks + size, *dkeys = value_blocks + size;
    float  *dvalues = dkeys + size, *dqkv = o->dqkv, *dkv_memory = o->dkv_memory;
    float  *dg = o->dg ? (float *)o->dg + (b * p->heads + h) * p->queries * p->keys : NULL;
    const float *lse = (const float *)o->lse + (b * p->heads + h) * p->tokens, *y = o->y, *dy = o->dy;
    const float *cosine = p->cosine, *sine = p->sine, *cosine_memory = p->cosine_memory, *sine_memory = p->sine_memory;
    attention_pack(&s, 1, keys); /* the values' rows lie there until they are transposed */
    attention_transpose(&s, keys, value_blocks);
    attention_pack(&s, 0, keys);
    attention_transpose(&s, keys, key_blocks);
    memset(dkeys, 0, (size_t)(2 * size) * sizeof *dkeys);
    if (dg) memset(dg, 0, (size_t)(p->queries * p->keys) * sizeof *dg);
    for (int64_t first = 0; first < p->tokens; first += TILE) {
        float      turned[TILE * MOST_HEAD], dout[TILE * MOST_HEAD], dquery[TILE * MOST_HEAD];
        float      logits[TILE * TILE], dlogits[TILE * TILE], log_sum[TILE], row_sum[TILE];
        query_tile q;
        attention_queries(&s, first, &q, turned);
        memset(dout, 0, (size_t)(TILE * s.width) * sizeof *dout);
        memset(dquery, 0, (size_t)(TILE * s.width) * sizeof *dquery);
        for (int64_t i = 0; i < TILE; i++) {
            int64_t at = (b * p->tokens + first + i) * all + h * p->head;
            float   sum = 0;
            log_sum[i] = row_sum[i] = 0;
            if (i >= q.count) continue;
            memcpy(dout + i * s.width, dy + at, (size_t)p->head * sizeof *dy);
#pragma omp simd reduction(+ : sum)
            for (int64_t d = 0; d < p->head; d++) sum += dy[at + d] * y[at + d];
            row_sum[i] = sum;
            if (lse[first + i] > -INFINITY) log_sum[i] = lse[first + i];
        }
        for (int64_t key = 0; key < s.padded; key += TILE) {
            tile_kind kind = attention_kind(&s, &q, key);
            int64_t   at = key * s.width;
            if (kind == TILE_HIDDEN) continue;
            if (p->g) attention_bias(&s, &q, key, logits);
            tile_product(TILE, TILE, s.width, turned, s.width, 1, key_blocks + at, TILE, logits, TILE, p->g);
            tile_product(TILE, TILE, s.width, dout, s.width, 1, value_blocks + at, TILE, dlogits, TILE, false);
            if (kind == TILE_PARTLY) attention_mask(&s, &q, key, logits);
            backward_rows(&s, &q, key, log_sum, row_sum, logits, dlogits);
            tile_product(TILE, s.width, TILE, logits, 1, TILE, dout, s.width, dvalues + at, s.width, true);
            tile_product(TILE, s.width, TILE, dlogits, 1, TILE, turned, s.width, dkeys + at, s.width, true);
            tile_product(TILE, s.width, TILE, dlogits, TILE, 1, keys + at, s.width, dquery, s.width, true);
            if (dg) sum_bias(&s, &q, key, dlogits, dg);
        }
        for (int64_t i = 0; i < q.count; i++) {
            int64_t token = b * p->tokens + first + i;
            attention_turn(dquery + i * s.width, cosine + token * half, sine + token * half, half, -1, (float)p->scale,
                           dqkv + token * 3 * all + h * p->head);
        }
    }
    for (int64_t j = 0; j < s.keys; j++) { /* `turned` held the scale, so dkeys has it already */
        int64_t token = b * p->tokens + j - p->memory, row = b * p->memory + j;
        bool    in_memory = j < p->memory;
        float  *to = in_memory ? dkv_memory + row * 2 * all + h * p->head : dqkv + token * 3 * all + all + h * p->head;
        attention_turn(dkeys + j * s.width, in_memory ? cosine_memory + row * half : cosine + token * half,
                       in_memory ? sine_memory + row * half : sine + token * half, half, -1, 1, to);
        memcpy(to + all, dvalues + j * s.width, (size_t)p->head * sizeof *to);
    }
}

CT_CPU(attention_backward) {
    const ct_attention_backward *o = &params->attention_backward;
    const ct_attention           p = {.batch = o->batch,
                                      .tokens = o->tokens,
                                      .memory = o->memory,
                                      .heads = o->heads,
                                      .head = o->head,
                                      .queries = o->queries,
                                      .keys = o->keys,
                                      .step = o->step,
                                      .dropout = o->dropout,
                                      .stream = o->stream,
                                      .scale = o->scale,
                                      .qkv = o->qkv,
                                      .kv_memory = o->kv_memory,
                                      .cosine = o->cosine,
                                      .sine = o->sine,
                                      .cosine_memory = o->cosine_memory,
                                      .sine_memory = o->sine_memory,
                                      .song = o->song,
                                      .song_memory = o->song_memory,
                                      .segment_query = o->segment_query,
                                      .segment_key = o->segment_key,
                                      .segment_memory = o->segment_memory,
                                      .g = o->g};
    CT_ASSERT(p.head % 2 == 0);
    if (p.head > MOST_HEAD) return ct_fail(CT_EFAIL, "head size %d, at most %d", (int)p.head, MOST_HEAD);
#pragma omp parallel for collapse(2)                                                                                   \
    schedule(dynamic) if (p.batch * p.heads * p.tokens * (p.memory + p.tokens) > CT_SMALL)
    for (int64_t b = 0; b < p.batch; b++)
        for (int64_t h = 0; h < p.heads; h++) backward_slice(o, &p, b, h);
    return CT_OK;
}
