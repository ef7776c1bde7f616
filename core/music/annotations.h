/* annotations.h -- what a dataset's own annotations say of a piece, in the file's ticks.
 *
 * ct_analyse takes what is given here instead of finding it; an empty row means
 * that the annotations say nothing, and the analysis finds it as ever. A reader
 * for each dataset fills one (pop909.h).
 *
 * Owner: the arena of who made it; results in the arena given.
 * Fails: CT_EFAIL where the music has more bars than the caller allows; CT_ENOMEM.
 */
#ifndef CT_MUSIC_ANNOTATIONS_H
#define CT_MUSIC_ANNOTATIONS_H

#include "core/music/grid.h"

typedef struct ct_annotated_chord {
    double   tick; /* in force from here */
    ct_chord chord;
} ct_annotated_chord;

typedef struct ct_annotated_key {
    double  tick;
    uint8_t key;
} ct_annotated_key;

typedef struct ct_annotated_section {
    double  tick;
    uint8_t label; /* piece.h */
} ct_annotated_section;

typedef struct ct_annotations {
    double                beat_ticks; /* from beat to beat; 0: nothing is said */
    int                   metre;      /* number in theory.h's table */
    double                bar;        /* a bar line */
    ct_annotated_chord   *chords;
    ct_annotated_key     *keys;
    ct_annotated_section *sections;
    size_t                chord_count, key_count, section_count;
} ct_annotations;

/* Bars of the annotated metre from the first note to the last; beat_ticks must be set. */
CT_NODISCARD ct_status ct_annotated_grid(const ct_annotations *a, const ct_midi *midi, int32_t bar_limit,
                                         ct_arena *arena, ct_grid *out);

/* The chord of each beat and the key of each bar: what is in force in its middle. Before the first chord there is none;
 * the first key holds from the start. *main_key: the one with the most bars. */
void ct_annotated_chords(const ct_annotations *a, const ct_grid *grid, ct_chord *out);
void ct_annotated_keys(const ct_annotations *a, const ct_grid *grid, int *main_key, uint8_t *out);

/* piece->sections, of which none is longer than 32 bars; bars before the first are intro, or a pickup. */
CT_NODISCARD ct_status ct_annotated_sections(const ct_annotations *a, const ct_grid *grid, bool pickup, ct_arena *arena,
                                             ct_piece *piece);

#endif
