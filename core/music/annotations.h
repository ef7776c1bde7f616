/* annotations.h -- what a dataset's own annotations say of a piece, in the file's ticks.
 *
 * ct_analyse takes what is given here instead of finding it; an empty row means
 * that the annotations say nothing, and the analysis finds it as ever. A reader
 * for each dataset fills one (pop909.h).
 *
 * Owner: the arena of who made it. Nothing here can fail.
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
    double                beat, beat_ticks; /* a beat of the grid; from beat to beat. 0: nothing is said */
    int                   metre;            /* number in theory.h's table */
    double                bar;              /* a bar line */
    ct_annotated_chord   *chords;
    ct_annotated_key     *keys;
    ct_annotated_section *sections;
    size_t                chord_count, key_count, section_count;
} ct_annotations;

#endif
