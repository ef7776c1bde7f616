/* key.h -- the key of a stretch of music, from what its notes weigh.
 *
 * Correlation of the length-weighted pitch classes with the profiles of
 * Albrecht and Shanahan (2013), over 24 keys, in windows of nine bars. The row
 * of keys is a Viterbi path over bars in which changes cost a lot; the main key
 * is the one held longest, and another one stays where it is held for at least
 * eight bars: a song that moves from C to D is not in G. Which of two relative
 * keys it is the chords help to say: what comes first, and whether the minor
 * one has its dominant.
 *
 * Owner: nothing is allocated but scratch in the arena. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_KEY_H
#define CT_MUSIC_KEY_H

#include "core/music/grid.h"

/* The key (0..23) whose profile correlates best with 12 weights. */
int ct_key_of(const double weights[12]);

/* The main key of the notes and of the chord of each beat, and how likely it is right (0..1); out[bar] the key of each
 * bar. */
CT_NODISCARD ct_status ct_key_bars(const ct_grid *grid, const ct_grid_note *notes, size_t count, const ct_chord *chords,
                                   ct_arena *arena, int *main_key, float *confidence, uint8_t *out);

#endif
