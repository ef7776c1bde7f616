/* similar.h -- how much of its melody one song shares with another.
 *
 * A gram is 8 successive intervals, in semitones, between 9 successive melody notes: transposing changes nothing, nor
 * do rhythm and rests. Grams of fewer than three different intervals (repeated notes, trills, runs along a scale)
 * prove nothing and do not count. A song is the set of its grams, each once, as 32-bit hashes. Its sketch is the
 * set's MinHash: the CT_SKETCH_MOST least hashes, rising (Broder, On the resemblance and containment of documents,
 * 1997). A song of POP909 has 28 to 280 grams: what a sketch says of all but extraordinary songs is no estimate.
 *
 * The share of two songs is containment, not resemblance: grams in both over the grams of the one that has fewer, so
 * that a short version of a song is found in the long one. Fewer than CT_GRAMS_SHARED in both are chance: share 0.
 *
 * Owner: a sketch lies in the arena given, 4 bytes a gram. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_SIMILAR_H
#define CT_MUSIC_SIMILAR_H

#include "core/arena.h"
#include "core/music/piece.h"

enum { CT_GRAM = 8, CT_GRAMS_SHARED = 6, CT_SKETCH_MOST = 1024 };

typedef struct ct_sketch {
    uint32_t *at; /* rising */
    uint32_t  count;
    bool      whole; /* no gram is left out */
} ct_sketch;

CT_NODISCARD ct_status ct_sketch_make(const ct_note *melody, int32_t count, ct_arena *arena, ct_sketch *out);

/* The share of two songs that have `shared` grams of their sketches in common. Where a sketch is not whole, both are
 * compared below the hash at which it ends. */
double   ct_sketch_share(const ct_sketch *a, const ct_sketch *b, uint32_t shared);
/* How many grams two sketches have in common. */
uint32_t ct_sketch_shared(const ct_sketch *a, const ct_sketch *b);

#endif
