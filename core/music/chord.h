/* chord.h -- which chord sounds on each beat.
 *
 * Per beat: how long each pitch class sounds (all notes, all but the highest,
 * the lowest, and what starts there). A search over rows of segments of one to
 * eight beats finds the chords that explain it best, with a price for rare
 * qualities, for more tones and for each change (the scheme of the
 * midi-chord-recognition behind POP909's own labels, on merged notes).
 *
 * Owner: scratch and results in the arena given. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_CHORD_H
#define CT_MUSIC_CHORD_H

#include "core/music/grid.h"

/* What sounds in a beat, by pitch class; 0..1 (sqrt of the share for all and inner, so that short notes count). */
typedef struct ct_beat_chroma {
    float all[12], inner[12], bass[12], onset[12];
} ct_beat_chroma;

/* One element a beat of the grid. */
CT_NODISCARD ct_status ct_chord_chroma(const ct_grid *grid, const ct_grid_note *notes, size_t count, ct_arena *arena,
                                       ct_beat_chroma **out);

/* The chord of each beat. */
CT_NODISCARD ct_status ct_chord_beats(const ct_beat_chroma *chroma, int32_t beats, ct_arena *arena, ct_chord *out);

#endif
