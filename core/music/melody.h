/* melody.h -- which notes are the melody.
 *
 * A part is what one track plays on one channel. The melody is a part with a
 * telling name, or else the part that looks most like one: a single line in a
 * singing register, present through most of the piece. Where there is but one
 * part, or the caller wants tracks ignored, single notes are scored by how they
 * lie among their neighbours (melody_notes.c) and a line is drawn through them.
 *
 * Owner: results in the arena given. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_MELODY_H
#define CT_MUSIC_MELODY_H

#include "core/music/grid.h"

typedef struct ct_melody_choice {
    int      track; /* the file's track, -1: chosen from all notes together */
    uint8_t *notes; /* 1 for each grid note that belongs to the melody */
    bool     named; /* the name decided */
} ct_melody_choice;

/* Choose. `merged`: take all parts as one. */
CT_NODISCARD ct_status ct_melody_choose(const ct_midi *midi, const ct_grid_note *notes, size_t count, int32_t beats,
                                        bool use_names, bool merged, ct_arena *arena, ct_melody_choice *out);

/* The line through scored notes: at most one at each onset (notes within a sixteenth of a beat), leaps between
 * neighbours cost. picked[i] = 1 for its notes. */
CT_NODISCARD ct_status ct_melody_draw(const ct_grid_note *notes, size_t count, ct_arena *arena, uint8_t *picked);

/* One voice of the chosen notes in steps: the highest of those that start together, each cut where the next starts. */
CT_NODISCARD ct_status ct_melody_voice(const ct_grid_note *notes, size_t count, const uint8_t *chosen, int32_t steps,
                                       ct_arena *arena, ct_note **out, int32_t *out_count);

#endif
