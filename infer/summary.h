/* summary.h -- what a listener would say of a piece before going into its bars.
 *
 * Tempo, metres and keys with the bars they hold for, the form, how the chords move, where the melody
 * lies: made from a piece alone, printed as remarks or as JSON by `cantus inspect`. Bars are counted as in a lead
 * sheet: from 1, a pickup is bar 0.
 *
 * Owner: the arena given. Fails: CT_ENOMEM only.
 */
#ifndef CT_INFER_SUMMARY_H
#define CT_INFER_SUMMARY_H

#include "core/json.h"
#include "core/music/analyse.h"
#include "core/music/texture.h"

#include <stdio.h>

enum { CT_SUMMARY_DOUBTS = 6 };

typedef struct ct_bar_span { /* bars in a row that have something in common */
    int32_t first, bars;     /* first: as a person counts */
    int     value;           /* of a key or a metre: its number */
} ct_bar_span;

typedef struct ct_summary {
    double       tempo, slowest, fastest; /* beats a minute: of the middle beat, and of whole bars */
    double       swing;                   /* where in its beat the second of two eighths begins: 0.5, or later */
    ct_bar_span *metres, *keys;           /* each from its first bar to the next */
    int32_t      metre_count, key_count;
    const char  *form;                  /* "pickup intro 4 A 8 B 8 A 8 outro 2" */
    double       key_sure, chords_sure; /* 0..1: of the main key; of the chords, over the time that they last */
    int32_t      doubtful[CT_SUMMARY_DOUBTS], doubts; /* bars with the least sure chords, as a person counts, rising */
    int32_t      chords;                              /* different ones, by root and quality */
    double       changes_per_bar;
    int          lowest, highest, middle; /* pitches of the melody, -1: it has none; middle: half its notes lie below */
    int32_t      texture_bars[CT_TEXTURE_COUNT];            /* of the accompaniment, by texture */
    int          textures[CT_TEXTURE_COUNT], texture_count; /* those that occur, of most bars first */
    double       sung;                                      /* share of the bars in which a melody note starts */
} ct_summary;

/* info: how the piece was heard. */
CT_NODISCARD ct_status ct_summary_make(const ct_piece *piece, const ct_analysis *info, ct_arena *arena,
                                       ct_summary *out);

/* Lines that begin with "# ". */
void ct_summary_print(const ct_summary *summary, const ct_piece *piece, FILE *out);

/* Adds tempo, meters, keys, form, chords, textures and melody to an object. */
void ct_summary_json(const ct_summary *summary, const ct_piece *piece, ct_json *out);

#endif
