/* key.h -- the key of a stretch of music, from what its notes weigh.
 *
 * Correlation of the length-weighted pitch classes with the profiles of
 * Albrecht and Shanahan (2013), over 24 keys, in windows of nine bars. The row
 * of keys is a Viterbi path over bars in which changes cost a lot; the main key
 * is the one held longest, and another one stays where it is held for at least
 * eight bars: a song that moves from C to D is not in G. Which of two relative
 * keys it is the chords help to say: what comes first, and whether the minor
 * one has its dominant. What these weigh, and how sure one is of the pair, is
 * fitted on the odd songs of POP909 (key_weights.c, tests/tools/fit_key).
 *
 * Owner: nothing is allocated but scratch in the arena. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_KEY_H
#define CT_MUSIC_KEY_H

#include "core/music/grid.h"

/* The key (0..23) whose profile correlates best with 12 weights. */
int ct_key_of(const double weights[12]);

/* What speaks for the minor one of two relative keys. */
enum {
    CT_KEY_LEAN_ALWAYS,   /* 1 */
    CT_KEY_LEAN_FIT,      /* correlation with the profile of the major one, less that of the minor one */
    CT_KEY_LEAN_BEGINS,   /* -1 .. 1: the first chord is the minor tonic rather than the major one */
    CT_KEY_LEAN_DOMINANT, /* share of the chords' time that is the minor one's major dominant */
    CT_KEY_LEANINGS
};
extern const float ct_key_lean_weights[CT_KEY_LEANINGS]; /* their sum is the log odds */
extern const float ct_key_sharpness; /* a pair of relative keys is so likely as exp(sharpness * its correlation) */

void ct_key_leanings(int major, const ct_grid_note *notes, size_t count, const ct_chord *chords, int32_t beats,
                     double out[CT_KEY_LEANINGS]);

/* How well each of the 24 keys fits the windows of nine bars, on average. */
CT_NODISCARD ct_status ct_key_fits(const ct_grid *grid, const ct_grid_note *notes, size_t count, ct_arena *arena,
                                   double out[24]);

/* The main key of the notes and of the chord of each beat, and how likely it is right (0..1); out[bar] the key of each
 * bar. */
CT_NODISCARD ct_status ct_key_bars(const ct_grid *grid, const ct_grid_note *notes, size_t count, const ct_chord *chords,
                                   ct_arena *arena, int *main_key, float *confidence, uint8_t *out);

#endif
