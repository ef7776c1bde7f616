/* guide.h -- what a piece has been asked to be: masks on top of the grammar.
 *
 * The grammar says which tokens may follow; a guide leaves of them only those that
 * agree with what was asked for: a key, a metre, a tempo that hold throughout, or
 * a whole lead sheet (its chords, and where given its sections, keys, metres and
 * tempos), or the first bars of an existing piece. What is left open stays the
 * model's choice.
 *
 * Owner: the caller; pieces must outlive the guide. Nothing fails: a mask is never emptied.
 */
#ifndef CT_INFER_GUIDE_H
#define CT_INFER_GUIDE_H

#include "core/music/tokens.h"

typedef struct ct_guide {
    int             key, metre, tempo; /* numbers (tempo: its bin) that hold throughout; -1: open */
    const ct_piece *sheet;             /* chords to keep, quantised; NULL: none */
    bool            sheet_key, sheet_metre, sheet_tempo, sheet_sections; /* what else the sheet says */
    const ct_rows  *primer_backbone, *primer_melody; /* rows whose first bars are kept; NULL: none */
    int32_t         primer_bars;
} ct_guide;

/* Narrow `allowed` (CT_B_COUNT bytes, as ct_backbone_allowed left it). `next` is how many tokens have been written. */
void ct_guide_backbone(const ct_guide *guide, const ct_backbone_state *state, int64_t next, uint8_t *allowed);
/* The same for the melody (CT_M_COUNT bytes). */
void ct_guide_melody(const ct_guide *guide, const ct_melody_state *state, int64_t next, uint8_t *allowed);

#endif
