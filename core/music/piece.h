/* piece.h -- a piece of music on the grid: what lies between everything else.
 *
 * Analysis makes a piece from a MIDI file; the lead sheet, the backbone tokens
 * and the melody tokens are three ways to write one (parts of) one down; the
 * renderer turns one into MIDI. Time is counted in steps from the start of the
 * first bar, 12 steps a beat; a beat is what theory.h's metre table says.
 *
 * Owner: whoever made the piece, in an arena; nothing here is freed by itself.
 * Fails: ct_piece_check alone, with bar and reason, for pieces from outside.
 */
#ifndef CT_MUSIC_PIECE_H
#define CT_MUSIC_PIECE_H

#include "core/arena.h"
#include "core/music/theory.h"

enum { CT_STEPS_PER_BEAT = 12, CT_SECTION_BARS_MAX = 32 };

/* Section labels: letters by first appearance, then the named ones. A pickup is a section of its own: bar 0, one bar
 * long, first in the piece; every other section starts at bar 1 or later. Intro comes first (after a pickup), outro
 * last. */
enum {
    CT_SECTION_A,
    CT_SECTION_LETTERS = 8,
    CT_SECTION_INTRO = 8,
    CT_SECTION_OUTRO,
    CT_SECTION_INTERLUDE,
    CT_SECTION_PICKUP,
    CT_SECTION_COUNT
};

typedef struct ct_note {
    int32_t start, end; /* steps, end > start */
    uint8_t pitch;      /* MIDI, 0..127 */
    uint8_t velocity;   /* 1..127 */
} ct_note;

typedef struct ct_bar {
    int32_t start; /* steps */
    uint8_t metre; /* number in theory.h's table */
    uint8_t key;   /* 0..23: tonic + 12 * minor */
    double  tempo; /* beats (of this metre) a minute */
} ct_bar;

typedef struct ct_change { /* the chord in force from `step` to the next change */
    int32_t  step;
    ct_chord chord;
} ct_change;

typedef struct ct_section {
    uint8_t label;
    int32_t first; /* index of its first bar */
    int32_t bars;  /* 1..32 */
} ct_section;

typedef struct ct_piece {
    const char *title; /* "" when unknown */
    ct_bar     *bars;
    int32_t     bar_count;
    ct_section *sections; /* cover all bars, in order, without gaps */
    int32_t     section_count;
    ct_change  *changes; /* rising steps, the first at 0; neighbours differ */
    int32_t     change_count;
    uint8_t    *rhythm; /* one of theory.h's 76 masks a beat */
    int32_t     beat_count;
    ct_note    *melody; /* rising starts, one voice: end <= next start */
    int32_t     melody_count;
} ct_piece;

/* Whether bar 0 is a pickup. */
static inline bool ct_piece_has_pickup(const ct_piece *p) {
    return p->section_count && p->sections[0].label == CT_SECTION_PICKUP;
}

/* Steps from the start to the end of the last bar. */
int32_t ct_piece_steps(const ct_piece *piece);

/* The bar that holds `step` (binary search); the last bar for steps past the end, the first for steps before 0. */
int32_t ct_piece_bar_at(const ct_piece *piece, int32_t step);

/* The chord in force at `step`: index into changes, -1 when there is none. */
int32_t ct_piece_change_at(const ct_piece *piece, int32_t step);

/* Is every promise above kept? CT_EFAIL with bar and reason. */
ct_status ct_piece_check(const ct_piece *piece);

#endif
