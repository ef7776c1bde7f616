/* swing.h -- beats divided into a long half and a short one.
 *
 * Music is swung when nearly all that begins between the halves of its beats
 * begins at one place, later than the half: at two thirds as a rule, at 0.55 to
 * 0.72 as people play. Wherever that is, grid.h writes it at two thirds, step 8
 * of 12, and what lies around it moves along. Where the first thirds are used as
 * well, beats are of triplets.
 *
 * Owner: nothing is kept. Fails: never.
 */
#ifndef CT_MUSIC_SWING_H
#define CT_MUSIC_SWING_H

#include "core/music/grid.h"

/* Where in a beat of two eighths the second one begins: 0.54 to 0.72; 0: the music is not swung. Drums are heard too.
 */
double ct_swing_find(const ct_grid *grid, const ct_midi *midi);

#endif
