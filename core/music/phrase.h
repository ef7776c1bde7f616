/* phrase.h -- what makes a bar line sound like the beginning of a phrase, in numbers.
 *
 * Bars are compared with each other by chords, melody and rhythm. Each bar has a
 * row of cues: what begins there has been heard before or will be again, the tune
 * breathes or rests on a long note before it, starts or stops, the accompaniment
 * changes, harmony arrives at the tonic. Weights (phrase_weights.c, fitted by
 * tests/tools/fit_phrase on the odd songs of POP909) turn a row into log odds.
 *
 * Owner: the arena given. Fails: CT_ENOMEM only. Quadratic in the bars, which are bounded by the caller.
 */
#ifndef CT_MUSIC_PHRASE_H
#define CT_MUSIC_PHRASE_H

#include "core/music/piece.h"

enum {
    CT_PHRASE_AGAIN,     /* the bars from here are heard elsewhere, those before are not heard there; over all places */
    CT_PHRASE_AGAIN_TOP, /* at the best place */
    CT_PHRASE_ENDED,     /* the other way round: something heard elsewhere ends here */
    CT_PHRASE_BREATH,    /* beats without melody around the bar line */
    CT_PHRASE_LONG,      /* beats that the last note before lasts */
    CT_PHRASE_EMPTY,     /* the share of the bar before, from its end, without an onset of the melody */
    CT_PHRASE_STARTS,    /* melody in the two bars after, less in the two before */
    CT_PHRASE_STOPS,     /* the other way round */
    CT_PHRASE_UPBEAT,    /* the tune starts within the beat before, after a rest */
    CT_PHRASE_DENSER,    /* onsets of the accompaniment, two bars against two: by how much they differ */
    CT_PHRASE_RHYTHM,    /* its patterns differ from those of the bar before */
    CT_PHRASE_REGISTER,  /* the melody's mean pitch, two bars against two: by how much they differ */
    CT_PHRASE_HELD,      /* the bar before has one chord throughout */
    CT_PHRASE_TONIC,     /* the bar begins on the tonic */
    CT_PHRASE_CLOSED,    /* the bar before is on the tonic */
    CT_PHRASE_OPEN,      /* the bar before ends on the dominant */
    CT_PHRASE_METRE,     /* the bar before has fewer beats than usual */
    CT_PHRASE_NEW,       /* the four bars from here against the four before: how little they are alike */
    CT_PHRASE_CUES
};

typedef float ct_phrase_row[CT_PHRASE_CUES];

typedef struct ct_phrases {
    int32_t        bars;
    uint8_t       *sings; /* a melody note starts in the bar */
    float         *alike; /* [a * bars + b]: sum of likeness down the diagonal, bars a.. and b.. to the end */
    ct_phrase_row *rows;
} ct_phrases;

enum { CT_PHRASE_LENGTHS = 17 }; /* phrases have 1..16 bars */

extern const float ct_phrase_weights[CT_PHRASE_CUES];
extern const float ct_phrase_bias;
extern const float ct_phrase_length[CT_PHRASE_LENGTHS]; /* log of how usual a phrase of so many bars is */

CT_NODISCARD ct_status ct_phrase_cues(const ct_piece *piece, ct_arena *arena, ct_phrases *out);

/* Mean likeness (0..1) of the `bars` bars from a and from b. */
float ct_phrase_likeness(const ct_phrases *phrases, int32_t a, int32_t b, int32_t bars);

/* How phrases are weighed against each other. */
typedef struct ct_phrase_model {
    const float *weights, *length;
    float        bias, length_share, again; /* again: what a bar of a phrase that comes back is worth */
} ct_phrase_model;

/* That of phrase_weights.c. */
ct_phrase_model ct_phrase_fitted(void);

/* Cut the bars from `first` on into phrases: the lengths of `*count` phrases. */
CT_NODISCARD ct_status ct_phrase_cut(const ct_phrases *phrases, int32_t first, const ct_phrase_model *model,
                                     ct_arena *arena, int32_t *lengths, int32_t *count);

#endif
