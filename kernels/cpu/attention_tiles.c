/* attention_tiles.c -- cpu: packing, masks, G and dropout of attention's tiles; see attention.h. */
#include "kernels/cpu/attention.h"

slice attention_slice(const ct_attention *p, float *work, int64_t b, int64_t h) {
    slice s = {.p = p, .b = b, .h = h, .keys = p->memory + p->tokens};
    s.padded = (s.keys + TILE - 1) / TILE * TILE;
    s.width = (p->head + LANES - 1) / LANES * LANES;
    int64_t stride = CT_ATTENTION_WORK(p) / (p->batch * p->heads);
    s.work = work + (b * p->heads + h) * stride;
    s.work = (float *)(((uintptr_t)s.work + 63) & ~(uintptr_t)63);
    s.song = (void *)s.work;
    s.segment = s.song + s.padded;
    s.work += 2 * s.padded;
    for (int64_t j = 0; j < s.padded; j++) {
        int64_t token = j - p->memory, at = token < 0 ? b * p->memory + j : b * p->tokens + token;
        bool    real = j < s.keys;
        s.song[j] = !real ? -1 : token < 0 ? p->song_memory[at] : p->song[at];
        s.segment[j] = !real || !p->g ? 0 : token < 0 ? p->segment_memory[at] : p->segment_key[at];
        if (s.song[j] < 0) s.segment[j] = 0; /* an empty row's segment means nothing */
    }
    return s;
}

void attention_turn(const float *in, const float *cosine, const float *sine, int64_t half, float direction, float scale,
                    float *out) {
#pragma omp simd
    for (int64_t i = 0; i < half; i++) {
        float x = in[i] * scale, y = in[half + i] * scale, c = cosine[i], s = direction * sine[i];
        out[i] = x * c - y * s;
        out[half + i] = x * s + y * c;
    }
}

void attention_pack(const slice *s, int part, float *rows) {
    const ct_attention *p = s->p;
    int64_t             all = p->heads * p->head, half = p->head / 2;
    for (int64_t j = 0; j < s->padded; j++) {
        float       *to = rows + j * s->width;
        int64_t      token = s->b * p->tokens + j - p->memory, row = s->b * p->memory + j;
        bool         in_memory = j < p->memory;
        const float *from = in_memory ? (const float *)p->kv_memory + row * 2 * all + part * all + s->h * p->head
                                      : (const float *)p->qkv + token * 3 * all + (part + 1) * all + s->h * p->head;
        memset(to, 0, (size_t)s->width * sizeof *to);
        if (j >= s->keys) continue;
        if (part == 1)
            memcpy(to, from, (size_t)p->head * sizeof *to);
        else if (in_memory)
            attention_turn(from, (const float *)p->cosine_memory + row * half,
                           (const float *)p->sine_memory + row * half, half, 1, 1, to);
        else
            attention_turn(from, (const float *)p->cosine + token * half, (const float *)p->sine + token * half, half,
                           1, 1, to);
    }
}

void attention_transpose(const slice *s, const float *rows, float *blocks) {
    for (int64_t key = 0; key < s->padded; key += TILE)
        for (int64_t d = 0; d < s->width; d++) {
            float       *to = blocks + key * s->width + d * TILE;
            const float *from = rows + key * s->width + d;
            for (int64_t j = 0; j < TILE; j++) to[j] = from[j * s->width];
        }
}

void attention_queries(const slice *s, int64_t first, query_tile *q, float *turned) {
    const ct_attention *p = s->p;
    int64_t             all = p->heads * p->head, half = p->head / 2;
    q->first = first;
    q->count = p->tokens - first < TILE ? p->tokens - first : TILE;
    memset(turned, 0, (size_t)(TILE * s->width) * sizeof *turned);
    for (int64_t i = 0; i < TILE; i++) {
        int64_t token = s->b * p->tokens + first + i;
        bool    real = i < q->count;
        q->song[i] = real ? p->song[token] : -1;
        q->segment[i] = real && p->g && q->song[i] >= 0 ? p->segment_query[token] : 0;
        if (real)
            attention_turn((const float *)p->qkv + token * 3 * all + s->h * p->head,
                           (const float *)p->cosine + token * half, (const float *)p->sine + token * half, half, 1,
                           (float)p->scale, turned + i * s->width);
    }
    q->only_song = q->song[0];
    for (int64_t i = 1; i < TILE; i++)
        if (q->song[i] != q->only_song) q->only_song = -1;
}

/* Hidden: no pair may be seen. Whole: all may. */
tile_kind attention_kind(const slice *s, const query_tile *q, int64_t key) {
    int64_t token = key - s->p->memory; /* of the tile's first key */
    if (token > q->first + q->count - 1) return TILE_HIDDEN;
    bool seen = token + TILE - 1 <= q->first, other = true;
    for (int64_t j = 0; j < TILE; j++) {
        seen &= s->song[key + j] == q->only_song;
        other &= s->song[key + j] != q->only_song;
    }
    if (q->only_song < 0) return TILE_PARTLY;
    return other ? TILE_HIDDEN : seen ? TILE_WHOLE : TILE_PARTLY;
}

void attention_bias(const slice *s, const query_tile *q, int64_t key, float *logits) {
    const ct_attention *p = s->p;
    const float        *g = (const float *)p->g + (s->b * p->heads + s->h) * p->queries * p->keys;
    const int32_t      *segment = s->segment + key;
    memset(logits + q->count * TILE, 0, (size_t)((TILE - q->count) * TILE) * sizeof *logits);
    for (int64_t i = 0; i < q->count;) { /* neighbours mostly share a segment */
        float       *row = logits + i * TILE;
        const float *from = g + q->segment[i] * p->keys;
        for (int64_t j = 0; j < TILE; j += LANES) vec_store(row + j, vec_gather(from, segment + j));
        int32_t own = q->segment[i];
        for (i++; i < q->count && q->segment[i] == own; i++) memcpy(logits + i * TILE, row, TILE * sizeof *row);
    }
}

void attention_mask(const slice *s, const query_tile *q, int64_t key, float *logits) {
    const int32_t *song = s->song + key;
    for (int64_t i = 0; i < TILE; i++) {
        float  *to = logits + i * TILE;
        int32_t last = (int32_t)(q->first + i + s->p->memory - key), own = q->song[i]; /* last key in reach */
        for (int32_t j = 0; j < TILE; j++) to[j] = ((j <= last) & (song[j] == own) & (own >= 0)) ? to[j] : -INFINITY;
    }
}

void attention_dropout(const slice *s, int64_t query, int64_t key, float *factor) {
    const ct_attention *p = s->p;
    int64_t             row = p->step->first_row * p->heads + (s->b * p->heads + s->h) * p->tokens + query;
    dropout_factors(p->step, p->stream, row, key, p->dropout, factor);
}
