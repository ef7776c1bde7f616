/* tokens.h -- pieces as rows of both stages: grammar, encode, decode, transpose.
 *
 * Each stage has a small state machine. It says which token may follow
 * (mask), takes one (push), and writes the row that the token leaves behind.
 * Encoding is: choose the tokens of a piece, push them, keep the rows; sampling
 * pushes what the model chose. So the grammar and the columns have one source.
 *
 * Owner: states are plain values without pointers of their own, but for the
 *        melody state, which reads a piece that must outlive it.
 * Fails: ct_*_push with CT_EFAIL, naming token and what was expected.
 */
#ifndef CT_MUSIC_TOKENS_H
#define CT_MUSIC_TOKENS_H

#include "core/music/vocabulary.h"

/* ---- backbone */
typedef struct ct_backbone_state {
    int32_t  total;         /* bars of the piece, 0: left open (column `left` is unknown, EOS is free) */
    int32_t  bar, bar_step; /* current bar from 0 (-1 before the first BAR), steps done in it */
    int32_t  section_bars, section_left;
    int32_t  expect;  /* what may come: private to tokens.c */
    int32_t  pos;     /* step in the beat of a POS just written, 0: none */
    int32_t  letters; /* how many letters have been used */
    int32_t  occurrences[CT_SECTION_COUNT];
    int32_t  place;
    uint8_t  key, metre, tempo, section;
    ct_chord chord;  /* in force; quality may be CT_V_QUALITY_OPEN, bass 12 while it is being written */
    ct_chord before; /* in force before the current one was begun */
    uint8_t  previous_root;
    uint8_t  flags; /* private: first bar, chord written at this beat, changes written in this bar ... */
} ct_backbone_state;

void                   ct_backbone_begin(ct_backbone_state *state, int32_t total_bars);
/* allowed: CT_B_COUNT bytes, 1 where the token may come next. Returns how many may (0 after EOS). */
int                    ct_backbone_allowed(const ct_backbone_state *state, uint8_t *allowed);
CT_NODISCARD ct_status ct_backbone_push(ct_backbone_state *state, int token);
/* The row after pushing `token`: CT_BC_COUNT values. `open`: whether the token was left open by the grammar. */
void                   ct_backbone_row(const ct_backbone_state *state, int token, bool open, uint16_t *row);

/* ---- melody, over the bars, sections, chords and rhythm of a piece (its melody is not read) */
typedef struct ct_melody_state {
    const ct_piece *piece;
    int32_t         position;  /* steps from the start: where the next note would start */
    int32_t         bars_done; /* BAR tokens written */
    int32_t         expect;    /* private to tokens.c */
    int32_t         end;       /* steps of the piece */
    uint8_t         pitch, velocity;
    uint8_t         pitch_class;          /* of the last PITCH, 12: none yet */
    bool            rested;               /* the last token was a REST: none may follow before a note or a bar line */
    int32_t         bar, change, section; /* what holds the position: private to tokens.c */
    int32_t         occurrences[CT_SECTION_COUNT]; /* sections begun, by label: private to tokens.c */
} ct_melody_state;

void                   ct_melody_begin(ct_melody_state *state, const ct_piece *backbone);
int                    ct_melody_allowed(const ct_melody_state *state, uint8_t *allowed); /* CT_M_COUNT bytes */
CT_NODISCARD ct_status ct_melody_push(ct_melody_state *state, int token);
void ct_melody_row(const ct_melody_state *state, int token, bool open, uint16_t *row); /* CT_MC_COUNT values */

/* ---- whole pieces. Rows: count x columns of the stage, in the arena. */
typedef struct ct_rows {
    uint16_t *at;
    int64_t   count;
    int       columns;
} ct_rows;

/* Reduce a piece to what the tokens can say (tempo to bins, long notes cut, gaps of one or two steps closed, more than
 * one change inside a beat dropped, velocities to bin centres ...), in place. encode(quantise(p)) loses nothing more:
 * decode(encode(p)) == quantise(p). */
CT_NODISCARD ct_status ct_piece_quantise(ct_piece *piece, ct_arena *arena);

CT_NODISCARD ct_status ct_backbone_encode(const ct_piece *piece, ct_arena *arena, ct_rows *out);
CT_NODISCARD ct_status ct_melody_encode(const ct_piece *piece, ct_arena *arena, ct_rows *out);
/* Only the token column is read. Error: row number, token, what was expected. */
CT_NODISCARD ct_status ct_backbone_decode(const ct_rows *rows, ct_arena *arena, ct_piece *out);
/* Fills out->melody; the rest of `out` is the backbone the melody was written over. */
CT_NODISCARD ct_status ct_melody_decode(const ct_rows *rows, ct_arena *arena, ct_piece *out);

/* Transpose `count` rows in place by `semitones` (-11..11): roots, keys, pitches. Pitches that would leave 0..127 turn
 * back an octave. ct_rows_transpose by s then -s is the identity when none did. */
void ct_rows_transpose(ct_stage stage, uint16_t *rows, int64_t count, int semitones);

#endif
