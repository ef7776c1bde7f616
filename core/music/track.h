/* track.h -- beats followed through a performance that keeps to no grid.
 *
 * Onsets become a curve of strength in frames of 10 ms. A search over rows of
 * beats, each a period of 0.3 to 1 s after the last, finds the row that meets
 * most of it; the period may change from beat to beat, at a price. Whether the
 * beats are heard in the music is then asked of the notes between them: they
 * fall on halves, thirds and quarters of beats, or anywhere.
 *
 * Owner: the arena given. Fails: CT_ENOMEM only. Linear in the length, which is bounded.
 */
#ifndef CT_MUSIC_TRACK_H
#define CT_MUSIC_TRACK_H

#include "core/music/midi.h"

typedef struct ct_track {
    double *ticks; /* of the beats, rising; NULL when there is nothing to follow */
    size_t  count;
    double  sure; /* how much the notes between the beats gather: 0: by chance, 1: all on halves, thirds or quarters */
} ct_track;

CT_NODISCARD ct_status ct_track_beats(const ct_midi *midi, ct_arena *arena, ct_track *out);

/* The place of a tick in beats, and back. Before the first and after the last beat time runs on. */
double ct_track_beat(const ct_track *track, double tick);
double ct_track_tick(const ct_track *track, double beat);

#endif
