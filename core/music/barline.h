/* barline.h -- which beats of a pulse begin bars.
 *
 * Four weights for each cue of pulse.h say how well a beat sits first, second,
 * third or fourth in its bar; a Viterbi search finds the row of bars that sits
 * best. Inside bars of four a bar of two or three has a price, and so has a change
 * between stretches of four and of three, so that only clear evidence makes one.
 * The weights are fitted by tests/tools/fit_metre on the odd songs of POP909
 * (barline_weights.c); bars of three use the same ones.
 *
 * Owner: the arena given. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_BARLINE_H
#define CT_MUSIC_BARLINE_H

#include "core/music/pulse.h"

extern const float ct_barline_weights[4][CT_PULSE_CUES];
extern const float ct_barline_price[2];

typedef struct ct_barlines {
    int      per_bar;  /* 3 or 4, of the last bar */
    uint8_t *position; /* of each beat in its bar, from 0 */
} ct_barlines;

/* How well one row of weights fits a beat. */
double ct_barline_fit(const float *weights, const float *row);

/* The best row of bars of `per_bar` beats (0: three or four, as the music says, and it may change). `price`: of a bar
 * of two and of three beats among bars of four. */
CT_NODISCARD ct_status ct_barline_find(const ct_pulse *pulse, int32_t beats, int per_bar,
                                       const float (*weights)[CT_PULSE_CUES], const float *price, ct_arena *arena,
                                       ct_barlines *out);

/* How much beats first, first + per_bar, ... stand out as beginnings of bars: their mean less that of all others. Any
 * per_bar up to 12. */
double ct_barline_stand_out(const ct_pulse *pulse, int32_t beats, int per_bar, int first);
/* That of the best first beat. */
double ct_barline_best(const ct_pulse *pulse, int32_t beats, int per_bar);

#endif
