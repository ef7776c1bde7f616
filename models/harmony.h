/* harmony.h -- what each row stands in: harmonic segments for H-RPE, positions for rotation.
 *
 * A harmonic segment is a maximal run of rows of one song with the same root,
 * quality and key columns. What depends on pairs of harmonies is computed on
 * pairs of segments; the attention kernel looks it up by segment number.
 * Positions are whole numbers in the unit of their source; a rotary pair turns
 * by omega * position (design, section 5).
 *
 * Nothing is owned. ct_segments_number fails with CT_EFAIL when a window holds more segments than the plan has room
 * for.
 */
#ifndef CT_MODELS_HARMONY_H
#define CT_MODELS_HARMONY_H

#include "models/model.h"

/* Sources of rotation, columns of the position array. CT_BY_TIME's pairs of one beat read the step in the bar. */
enum { CT_SOURCE_BEAT = CT_BY_COUNT, CT_SOURCE_COUNT };

/* Share out the head/2 pairs: source[i] and omega[i] (radians a unit of the source's position). Shares are rounded to
 * whole pairs; pairs left over do not turn (omega 0). Index: the whole range of the base, spaced over its own pairs;
 * time and place: periods of 4 8 16 32 2 64 1 bars and one beat in turn; root, previous root, pitch class: 2 pi f / 12
 * with f = 5 4 3 1 2 6 in turn. */
void ct_rotary_pairs(const ct_model_config *config, int32_t *source, double *omega);

/* The CT_SOURCE_COUNT positions of a row; `index` counts rows from wherever the caller likes. */
void ct_row_positions(const ct_model *model, const uint16_t *row, int64_t index, int32_t *out);

/* (root, quality, key) of a row, as the op harmony takes them. */
static inline void ct_row_chord(const ct_model *m, const uint16_t *row, int32_t out[3]) {
    out[0] = row[m->chord.root];
    out[1] = row[m->chord.quality];
    out[2] = row[m->chord.key];
}

/* A walk over rows that numbers their segments: begin, then one call a row; `chords` receives (root, quality, key) of
 * each segment. Returns the segment of the row, or -1 when there would be more than `most`. Song -1 (no row) keeps the
 * segment it is in. */
typedef struct ct_walk {
    const ct_model *model;
    int32_t        *chords; /* [most][3] */
    int64_t         most, count;
    int32_t         song;
} ct_walk;
static inline ct_walk ct_walk_begin(const ct_model *model, int32_t *chords, int64_t most) {
    return (ct_walk){model, chords, most, 0, -1};
}
int32_t ct_walk_row(ct_walk *walk, const uint16_t *row, int32_t song);

#endif
