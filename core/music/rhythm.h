/* rhythm.h -- the rhythm of the accompaniment, one of 76 masks a beat.
 *
 * The mask of a beat holds the steps at which something other than the melody
 * starts; it is then moved to the nearest mask the vocabulary has (theory.h).
 *
 * Owner: the caller. Fails: never.
 */
#ifndef CT_MUSIC_RHYTHM_H
#define CT_MUSIC_RHYTHM_H

#include "core/music/grid.h"

/* The masks of `beats` beats, from the notes that are not melody. `masks` is scratch of that many elements. */
void ct_rhythm_beats(const ct_grid_note *notes, size_t count, const uint8_t *melody, int32_t beats, uint16_t *masks,
                     uint8_t *out);

#endif
