/* melody.h -- which notes are the melody.
 *
 * A part is what one track plays on one channel. Every note is given a probability
 * (melody_net.h). The melody is a part with a telling name (melody_name.c) that does
 * not play chords, or else the part whose notes are the likeliest and that is a thin
 * texture in a singing register. Where there is but one part, or the caller wants
 * tracks ignored, a line is drawn through all notes (melody_line.c). What is too
 * unlikely is no melody: no note is chosen then.
 *
 * Owner: results in the arena given. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_MELODY_H
#define CT_MUSIC_MELODY_H

#include "core/music/grid.h"

typedef struct ct_melody_choice {
    int      track;      /* the file's track, -1: chosen from all notes together, or none */
    uint8_t *notes;      /* 1 for each grid note that belongs to the melody */
    bool     named;      /* the name decided */
    float    confidence; /* 0..1, of what was marked; too little of it, and no note is chosen */
} ct_melody_choice;

/* Choose. `merged`: take all parts as one. */
CT_NODISCARD ct_status ct_melody_choose(const ct_midi *midi, const ct_grid_note *notes, size_t count, int32_t beats,
                                        bool use_names, bool merged, ct_arena *arena, ct_melody_choice *out);

/* What a track's name says of it: 3 melody, 2 a voice, 1 a lead, 0 nothing, -1 surely something else ("Lead Bass"). */
int ct_melody_name_says(const char *name);

/* The line through notes with a probability each: at most one at each onset (notes within a sixteenth of a beat), leaps
 * between neighbours cost. picked[i] = 1 for its notes. */
CT_NODISCARD ct_status ct_melody_draw(const ct_grid_note *notes, size_t count, const float *probability,
                                      ct_arena *arena, uint8_t *picked);

/* One voice of the chosen notes in steps, as it can be sung: of those that start together the highest, but no leap of
 * an octave into a doubling; each cut where the next starts; no note under one that is held; no grace notes. */
CT_NODISCARD ct_status ct_melody_voice(const ct_grid_note *notes, size_t count, const uint8_t *chosen, int32_t steps,
                                       ct_arena *arena, ct_note **out, int32_t *out_count);

#endif
