/* chord_symbol.h -- chords as people write them.
 *
 * Reads lead-sheet spelling (Am7, Cmaj7, CΔ7, F#m7b5, Bø, G/B, Bb13(#11), E7sus4,
 * C6/9, Caug, C+, Cdim, Co7, N.C.) and the syntax of Harte (C:maj7/5, A:min(9),
 * C:(1,b3,5), N). A symbol keeps all its tones and its text; beside them stands
 * the nearest chord that the models know, and whether that says less.
 *
 * Owner: ct_symbol is a plain value; its text lies inside.
 * Fails: CT_EFAIL with column, what was found and what was expected.
 */
#ifndef CT_MUSIC_CHORD_SYMBOL_H
#define CT_MUSIC_CHORD_SYMBOL_H

#include "core/music/theory.h"

enum { CT_SYMBOL_BYTES = 32 }; /* text with its NUL; longer ones are refused */

typedef struct ct_symbol {
    char     text[CT_SYMBOL_BYTES]; /* as written */
    uint16_t tones;                 /* all tones written: bit i is i semitones above the root; 0: no chord */
    ct_chord chord;                 /* the nearest of our chords; the bass is exact */
    bool     reduced;               /* chord has not just the tones written */
} ct_symbol;

/* Read `bytes` bytes of text (no NUL needed), all of them. On failure *column (may be NULL) is the byte it went wrong
 * at, from 1; the message starts with "chord \"...\": ".
 *
 * Outside parentheses a number means the stack up to it (9: seventh and ninth), inside just that degree; b5 and #5 take
 * the fifth's place in lead-sheet spelling and are added in Harte's, where *5 takes the fifth away. "C2" and "C4" add a
 * tone; "alt" is b5 b9 #9 b13 without the fifth. */
CT_NODISCARD ct_status ct_symbol_parse(const char *text, size_t bytes, ct_symbol *out, size_t *column);

/* A chord of ours in lead-sheet spelling, its names spelt by `key` (0..23, -1 neutral): "F#m7b5", "C/E", "N.C.". Parses
 * back to the same chord, not reduced. */
ct_symbol ct_symbol_of_chord(ct_chord chord, int key);

/* The quality that keeps third, fifth and seventh (or sixth) of any set of tones above a root; exact for our own. */
int ct_quality_nearest(uint16_t tones);

/* Pitch class of a note name ("F#", "Bb", "E♭") at the start of text; *used bytes belong to it. -1: no note name. */
int ct_note_parse(const char *text, size_t bytes, size_t *used);

/* Number of a key (theory.h) written as G, GM, Bb major, C:maj, F#m, A minor, C:min; -1: no key. */
int ct_key_parse(const char *text, size_t bytes);

#endif
