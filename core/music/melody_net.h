/* melody_net.h -- the probability that a note is melody.
 *
 * Small networks with two hidden layers, one a round: the first sees the features of
 * a note in the music, each later one also what the round before thought of all notes
 * (melody_notes.h). Their weights are fitted by tests/tools/fit_melody on the odd songs
 * of POP909 (melody_weights_*.c), as whole numbers of eight bits with a scale a row.
 *
 * Owner: nothing is kept. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_MELODY_NET_H
#define CT_MUSIC_MELODY_NET_H

#include "core/music/melody_notes.h"

enum { CT_MELODY_ROUNDS = 3, CT_MELODY_WIDE = 32, CT_MELODY_NARROW = 16 };

/* One input: its mean and spread over the songs it was fitted on (values are held within 4 spreads). */
typedef struct ct_melody_input {
    float mean, spread;
} ct_melody_input;

/* One network. Row k of a layer holds the weights of its input k; each is a whole number times the row's scale. */
typedef struct ct_melody_net {
    int                    inputs;
    const ct_melody_input *input;
    const int8_t (*first)[CT_MELODY_WIDE];
    const int8_t (*second)[CT_MELODY_NARROW];
    const float *first_scale, *second_scale, *first_bias, *second_bias, *last;
    /* last: CT_MELODY_NARROW weights and a bias for each of the two things that are judged */
} ct_melody_net;

extern const ct_melody_net ct_melody_round_0, ct_melody_round_1, ct_melody_round_2;

/* What a network holds, as floats in this order: first layer, its bias, second, its bias, last. */
#define CT_MELODY_NET_FLOATS(inputs)                                                                                   \
    (((size_t)(inputs) + 1) * CT_MELODY_WIDE + ((size_t)CT_MELODY_WIDE + 1) * CT_MELODY_NARROW +                       \
     2 * ((size_t)CT_MELODY_NARROW + 1))

enum { CT_MELODY_BLOCK = 4 }; /* notes are judged four at a time */

/* What goes through a network for a block of notes. */
typedef struct ct_melody_block {
    float in[CT_MELODY_BLOCK][CT_MELODY_ALL];
    float wide[CT_MELODY_BLOCK][CT_MELODY_WIDE], narrow[CT_MELODY_BLOCK][CT_MELODY_NARROW];
    float p[CT_MELODY_BLOCK][2]; /* that a note is melody; that it is of another line */
} ct_melody_block;

/* Values of a row as a network takes them. */
void ct_melody_standard(const ct_melody_input *input, int inputs, const float *row, float *out);
/* From `in` to the two hidden layers and the probability. */
void ct_melody_forward(const float *weights, int inputs, ct_melody_block *block);

/* Of each of `count` notes, doubles among them. Very long files are heard in parts, so that memory is bounded. */
CT_NODISCARD ct_status ct_melody_probabilities(const ct_grid_note *notes, size_t count, float *out);

#endif
