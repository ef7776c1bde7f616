/* song_cache.c -- see song_cache.h. */
#include "models/song_cache.h"

#include <math.h>
#include <string.h>

static uint64_t mix(uint64_t x) { /* the finaliser of SplitMix64 */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

/* Keys of contexts of 0, 1, ... tokens before tokens[at], growing to the left: each the hash of the one before. */
static uint64_t longer(uint64_t key, uint16_t token) {
    return mix(key + 0x9e3779b97f4a7c15ULL * (token + 1ULL));
}
static const uint64_t EMPTY = 1;

static uint64_t followed_by(uint64_t context, int token) {
    return mix(context ^ 0xd1b54a32d192ed03ULL * ((uint64_t)token + 1)) | 1;
}

static ct_cache_entry *look(const ct_song_cache *c, uint64_t key) {
    size_t i = key & (c->size - 1);
    while (c->at[i].key && c->at[i].key != key) i = (i + 1) & (c->size - 1);
    return &c->at[i];
}

ct_status ct_song_cache_make(const ct_ngram *model, int vocabulary, int64_t rows, ct_arena *arena, ct_song_cache *out) {
    *out = (ct_song_cache){.model = model, .vocabulary = vocabulary, .size = 64};
    while (out->size < (size_t)rows * 4 * (CT_CACHE_CONTEXT + 1)) out->size *= 2;
    out->at = CT_NEW(arena, ct_cache_entry, out->size);
    return out->at ? CT_OK : CT_ENOMEM;
}

void ct_song_cache_clear(ct_song_cache *c) {
    memset(c->at, 0, c->size * sizeof *c->at);
}

void ct_song_cache_hear(ct_song_cache *c, const uint16_t *tokens, int64_t at) {
    uint64_t key = EMPTY;
    for (int m = 0; m <= CT_CACHE_CONTEXT && m <= at; m++) {
        if (m) key = longer(key, tokens[at - m]);
        ct_cache_entry *pair = look(c, followed_by(key, tokens[at]));
        bool            first = !pair->key;
        pair->key = followed_by(key, tokens[at]);
        pair->count++;
        ct_cache_entry *context = look(c, key);
        context->key = key;
        context->count++;
        context->kinds += first;
    }
}

/* p_song of a token; *longest: m, or -1 when nothing has been heard. */
static double song_p(const ct_song_cache *c, const uint16_t *tokens, int64_t at, int token, int *longest) {
    uint64_t key = EMPTY;
    double   p = 1.0 / c->vocabulary;
    *longest = -1;
    for (int m = 0; m <= CT_CACHE_CONTEXT && m <= at; m++) {
        if (m) key = longer(key, tokens[at - m]);
        const ct_cache_entry *context = look(c, key);
        if (!context->key) break;
        p = (look(c, followed_by(key, token))->count + context->kinds * p) / ((double)context->count + context->kinds);
        *longest = m;
    }
    return p;
}

double ct_song_cache_p(const ct_song_cache *c, const uint16_t *tokens, int64_t at, int token) {
    int    m;
    double song = song_p(c, tokens, at, token, &m), p = ct_ngram_p(c->model, tokens, at, token);
    return m < 0 ? p : (1 - c->weight[m]) * p + c->weight[m] * song;
}

typedef struct ct_heard { /* what both models gave to a token that came */
    double counts, song;
    int    longest;
} ct_heard;

static void maximise(ct_song_cache *c, const ct_heard *heard, int64_t count) {
    for (int m = 0; m <= CT_CACHE_CONTEXT; m++) c->weight[m] = 0.5;
    for (int round = 0; round < 30; round++) {
        double sum[CT_CACHE_CONTEXT + 1] = {0}, all[CT_CACHE_CONTEXT + 1] = {0};
        for (int64_t i = 0; i < count; i++) {
            int    m = heard[i].longest;
            double song = m < 0 ? 0 : c->weight[m] * heard[i].song;
            if (m < 0) continue;
            sum[m] += song / (song + (1 - c->weight[m]) * heard[i].counts);
            all[m]++;
        }
        for (int m = 0; m <= CT_CACHE_CONTEXT; m++)
            c->weight[m] = all[m] > 0 ? sum[m] / all[m] : m ? c->weight[m - 1] : 0;
    }
}

ct_status ct_song_cache_fit(ct_song_cache *c, const ct_dataset *d, int stage, const int64_t *songs, int64_t count) {
    int64_t rows = 0, most = 1, used = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t n = d->songs[songs[i]].rows[stage];
        rows += n;
        if (n > most) most = n;
    }
    ct_arena  arena = {0};
    ct_heard *heard = CT_NEW(&arena, ct_heard, (size_t)rows);
    uint16_t *tokens = CT_NEW(&arena, uint16_t, (size_t)most);
    if (!heard || !tokens) {
        ct_arena_free(&arena);
        return CT_ENOMEM;
    }
    for (int64_t i = 0; i < count; i++) {
        ct_song_cache_clear(c);
        ct_song_tokens(d, stage, songs[i], 0, tokens);
        for (int64_t t = 0; t < d->songs[songs[i]].rows[stage]; t++) {
            if (t) {
                ct_heard *h = &heard[used++];
                h->song = song_p(c, tokens, t, tokens[t], &h->longest);
                h->counts = ct_ngram_p(c->model, tokens, t, tokens[t]);
            }
            ct_song_cache_hear(c, tokens, t);
        }
    }
    maximise(c, heard, used);
    ct_arena_free(&arena);
    return CT_OK;
}
