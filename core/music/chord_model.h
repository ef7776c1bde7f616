/* chord_model.h -- how likely each chord is on each beat.
 *
 * A conditional random field over 181 states (twelve roots by fifteen qualities,
 * and none). What a beat shows (chord_features.h) is turned to each root in turn
 * and scored by one small network, so that a song and its transposition get the
 * same chords. A second one reads the signs: how ready the harmony is to change,
 * and how silent it is. Going from chord to chord costs by both qualities and
 * the interval between the roots. All weights are fitted by
 * tests/tools/fit_chords (chord_weights.c).
 *
 * Owner: results in the arena given. Fails: CT_ENOMEM only. Pure functions.
 */
#ifndef CT_MUSIC_CHORD_MODEL_H
#define CT_MUSIC_CHORD_MODEL_H

#include "core/music/chord_features.h"

enum {
    CT_CHORD_QUALITIES = CT_POWER, /* those before it; bare fifths are left to the player */
    CT_CHORD_NONE = 12 * CT_CHORD_QUALITIES,
    CT_CHORD_STATES,
    CT_CHORD_INPUTS = 12 * CT_CHORD_ROWS,
    CT_CHORD_HIDDEN = 24,
    CT_CHORD_SIGNS_HIDDEN = 10
};

/* Floats throughout: ct_chord_table holds them in this order. */
typedef struct ct_chord_weights {
    float hidden[CT_CHORD_INPUTS][CT_CHORD_HIDDEN]; /* by row, then by interval above the root */
    float hidden_bias[CT_CHORD_HIDDEN];
    float direct[CT_CHORD_INPUTS][CT_CHORD_QUALITIES];
    float quality[CT_CHORD_HIDDEN][CT_CHORD_QUALITIES];
    float quality_bias[CT_CHORD_QUALITIES];
    float move[CT_CHORD_QUALITIES][12][CT_CHORD_QUALITIES]; /* from, interval between the roots, to */
    float to_none[CT_CHORD_QUALITIES], from_none;
    float sign_hidden[CT_CHORD_SIGNS][CT_CHORD_SIGNS_HIDDEN], sign_hidden_bias[CT_CHORD_SIGNS_HIDDEN];
    float sign_direct[CT_CHORD_SIGNS][2], sign_out[CT_CHORD_SIGNS_HIDDEN][2], sign_bias[2]; /* change, none */
} ct_chord_weights;

enum { CT_CHORD_WEIGHTS = sizeof(ct_chord_weights) / sizeof(float), CT_CHORD_UNIT = 256 };

/* The fitted weights in units of 1 / CT_CHORD_UNIT. */
extern const int16_t ct_chord_table[CT_CHORD_WEIGHTS];

/* What the networks make of a beat, with what their hidden layers say. */
typedef struct ct_chord_scores {
    float state[CT_CHORD_STATES];
    float change; /* log odds of a new chord */
    float hidden[12][CT_CHORD_HIDDEN], sign_hidden[CT_CHORD_SIGNS_HIDDEN];
} ct_chord_scores;

void  ct_chord_score(const ct_chord_weights *weights, const ct_chord_view *view, ct_chord_scores *out);
/* Log price of going from state a to another state b. */
float ct_chord_move(const ct_chord_weights *weights, int a, int b);

/* The fitted weights. */
CT_NODISCARD ct_status ct_chord_fitted(ct_arena *arena, const ct_chord_weights **out);

/* Probability of each state on each beat, given the whole piece: beats * CT_CHORD_STATES. */
CT_NODISCARD ct_status ct_chord_posterior(const ct_chord_weights *weights, const ct_chord_view *views, int32_t beats,
                                          ct_arena *arena, float **out);

#endif
