/* melody_notes.h -- what makes a note look like melody, in numbers.
 *
 * Two rounds of a logistic score: the first sees how a note lies among its
 * neighbours; the second sees that too and what the first thought of them, so
 * that it knows the register and loudness of the line. The weights are fitted by
 * tests/tools/fit_melody on the odd songs of POP909 (melody_weights.c).
 *
 * Owner: arrays lie in the arena given. Fails: CT_ENOMEM only. Linear in the
 * notes: each looks at no more than WINDOW_NOTES neighbours on either side.
 */
#ifndef CT_MUSIC_MELODY_NOTES_H
#define CT_MUSIC_MELODY_NOTES_H

#include "core/music/grid.h"

enum { CT_MELODY_OWN = 35, CT_MELODY_CONTEXT = 33, CT_MELODY_ALL = CT_MELODY_OWN + CT_MELODY_CONTEXT };

/* One feature: its mean and spread over the songs it was fitted on (values are held within 5 spreads), its weight. */
typedef struct ct_melody_weight {
    float mean, spread, weight;
} ct_melody_weight;

extern const ct_melody_weight ct_melody_first[CT_MELODY_OWN];
extern const ct_melody_weight ct_melody_second[CT_MELODY_ALL];
extern const float            ct_melody_first_bias, ct_melody_second_bias;

/* A row of CT_MELODY_ALL values a note; the first CT_MELODY_OWN are filled. Notes by start; no doubles. */
CT_NODISCARD ct_status ct_melody_features(const ct_grid_note *notes, size_t count, ct_arena *arena,
                                          float (**out)[CT_MELODY_ALL]);
/* Fill the rest of the rows from the probabilities of the first round. */
CT_NODISCARD ct_status ct_melody_context(const ct_grid_note *notes, size_t count, const float *probability,
                                         ct_arena *arena, float (*rows)[CT_MELODY_ALL]);
/* Probability that a note is melody: 1 / (1 + exp(-(bias + sum of weights)). */
float                  ct_melody_probability(const float *row, const ct_melody_weight *weights, int count, float bias);

/* Leave out notes that repeat a pitch within a sixteenth of a beat. kept[k] is the index of the k-th note left in
 * `notes`; returns how many. `out` and `kept` have room for all. */
size_t ct_melody_singles(const ct_grid_note *notes, size_t count, ct_grid_note *out, uint32_t *kept);

#endif
