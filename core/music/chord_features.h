/* chord_features.h -- what a beat shows of its chord, in numbers.
 *
 * Rows of twelve pitch classes (how long each sounds: all notes, all but the
 * highest, the lowest ones, the lower half, what starts, and the same of the
 * beats around, the bar, eight beats either way and the piece), and signs that
 * say whether the harmony changes here or is silent: the place in the bar, how
 * far sound and bass move, how much is there at all.
 *
 * Owner: results in the arena given. Fails: CT_ENOMEM only. Linear in the notes:
 * none is heard longer than eight beats.
 */
#ifndef CT_MUSIC_CHORD_FEATURES_H
#define CT_MUSIC_CHORD_FEATURES_H

#include "core/music/grid.h"

enum { CT_CHORD_ROWS = 19, CT_CHORD_SIGNS = 26 };

typedef struct ct_chord_view {
    float rows[CT_CHORD_ROWS][12];
    float signs[CT_CHORD_SIGNS];
    float bass[12]; /* 0..1: how long each pitch class is the lowest one */
} ct_chord_view;

/* One element a beat of the grid. */
CT_NODISCARD ct_status ct_chord_views(const ct_grid *grid, const ct_grid_note *notes, size_t count, ct_arena *arena,
                                      ct_chord_view **out);

#endif
