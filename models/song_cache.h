/* song_cache.h -- a count model that listens: Kneser-Ney mixed with what the song has said so far.
 *
 *   p(w) = (1 - L_m) p_KN(w) + L_m p_song(w)      m: length of the longest context, up to 8 tokens,
 *                                                 that this song has had before
 * p_song interpolates the song's own followers of contexts of 0 to m tokens (Witten
 * & Bell 1991: d distinct followers keep d / (c + d) for the shorter context); the
 * nine weights L_m come from expectation maximisation on a tenth of the training
 * songs that the counts for it have not read (Jelinek & Mercer 1980). Music repeats
 * itself: a model that is to be believed has to beat this copyist.
 *
 * Owner: the arena given keeps the tables for the longest song; the count model must outlive the cache.
 * Fails: CT_ENOMEM, and what ngram.h says.
 */
#ifndef CT_MODELS_SONG_CACHE_H
#define CT_MODELS_SONG_CACHE_H

#include "models/ngram.h"

enum { CT_CACHE_CONTEXT = 8 };

typedef struct ct_cache_entry {
    uint64_t key;
    uint32_t count, kinds; /* of a context: followers, distinct ones; of context and token: count */
} ct_cache_entry;

typedef struct ct_song_cache {
    const ct_ngram *model;
    int             vocabulary;
    double          weight[CT_CACHE_CONTEXT + 1];
    ct_cache_entry *at;
    size_t          size; /* a power of two */
} ct_song_cache;

/* Room for songs of up to `rows` tokens; all weights 0. */
CT_NODISCARD ct_status ct_song_cache_make(const ct_ngram *model, int vocabulary, int64_t rows, ct_arena *arena,
                                          ct_song_cache *out);
/* Find the weights on these songs, which `model` has not read. */
CT_NODISCARD ct_status ct_song_cache_fit(ct_song_cache *cache, const ct_dataset *dataset, int stage,
                                         const int64_t *songs, int64_t count);
/* Forget the song; take tokens[at] in, as the last token heard. */
void                   ct_song_cache_clear(ct_song_cache *cache);
void                   ct_song_cache_hear(ct_song_cache *cache, const uint16_t *tokens, int64_t at);
/* p(token | tokens[0 .. at - 1]) once all of them have been heard. */
double                 ct_song_cache_p(const ct_song_cache *cache, const uint16_t *tokens, int64_t at, int token);

#endif
