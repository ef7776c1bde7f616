/* theory.h -- the fixed facts of harmony and metre that everything else shares.
 *
 * Pitch classes 0..11 with C = 0; keys 0..23 = tonic + 12 * minor; chords as
 * root, quality and bass (interval above the root); metres with their beats;
 * the 76 rhythm masks of one beat; the music-theoretic distances phi of H-RPE.
 * All tables are constants; ct_phi_table alone computes, into the caller's memory.
 * The numbers here are part of the dataset's format version: append, never reorder.
 *
 * Sources: Harte et al. 2005 (chord syntax), Harte 2006 (tonal centroids), Chew 2000 (spiral array),
 * Lerdahl 2001 (chord distance), Sethares 1993 (roughness); formulas beside each function.
 */
#ifndef CT_MUSIC_THEORY_H
#define CT_MUSIC_THEORY_H

#include "core/status.h"

/* ---- chords */
enum ct_quality {
    CT_MAJ,
    CT_MIN,
    CT_DIM,
    CT_AUG,
    CT_MAJ7,
    CT_MIN7,
    CT_DOM7,
    CT_HDIM7,
    CT_DIM7,
    CT_MINMAJ7,
    CT_MAJ6,
    CT_MIN6,
    CT_SUS2,
    CT_SUS4,
    CT_SUS4B7,
    CT_POWER,
    CT_QUALITY_COUNT
};
enum { CT_NO_CHORD = 12 }; /* root of "no chord" (Harte: N) */

typedef struct ct_chord {
    uint8_t root;    /* 0..11, CT_NO_CHORD */
    uint8_t quality; /* ct_quality; 0 when there is no chord */
    uint8_t bass;    /* semitones above the root, 0..11; 0 when there is no chord */
} ct_chord;

static inline bool ct_chord_same(ct_chord a, ct_chord b) {
    return a.root == b.root && a.quality == b.quality && a.bass == b.bass;
}

/* Pitch classes above the root as a 12-bit mask (bit i: i semitones above the root). */
uint16_t    ct_quality_mask(int quality);
/* Harte's name: "maj", "min", ..., "sus4(b7)", "5". */
const char *ct_quality_name(int quality);
/* "C:maj7/5", "N": the bass as a scale degree of the root. Roots spelt by `key` (0..23; -1: C C# D Eb E F F# G Ab A Bb
 * B). Writes at most `size` bytes; returns text. */
const char *ct_chord_name(ct_chord chord, int key, char *text, size_t size);

/* ---- keys */
/* "C:maj", "F#:min". */
const char *ct_key_name(int key);
/* Name of a pitch class spelt for `key`: "Bb" in F major, "A#" in B major. */
const char *ct_pitch_class_name(int pitch_class, int key);

/* ---- metres */
typedef struct ct_metre {
    const char *name;             /* "6/8" */
    uint8_t     numerator;        /* 6 */
    uint8_t     denominator;      /* 8 */
    uint8_t     beats;            /* 2 */
    uint8_t     eighths_per_beat; /* 3: what one beat lasts, in eighth notes */
} ct_metre;
enum ct_metre_number { CT_2_4, CT_3_4, CT_4_4, CT_2_2, CT_6_8, CT_9_8, CT_12_8, CT_5_8, CT_7_8, CT_METRE_COUNT };
const ct_metre *ct_metre_at(int number);
/* Number of the metre numerator/denominator, -1 when it is none of ours. */
int             ct_metre_find(int numerator, int denominator);
/* 12 * beats. */
int             ct_metre_steps(int number);

/* ---- tempo: 48 log bins from 30 to 240 beats a minute */
enum { CT_TEMPO_COUNT = 48 };
int    ct_tempo_bin(double beats_per_minute); /* clamped to 0..47 */
double ct_tempo_of_bin(int bin);              /* centre of the bin */

/* ---- rhythm: 76 onset masks of one beat of 12 steps
 * 0..15 are the sixteenth grid (steps 0 3 6 9; bit i of the number = step 3 i), 16..75 the sextuplet masks (steps 0 2 4
 * 6 8 10) that the sixteenth grid can't say, in rising order of their 6-bit mask. */
enum { CT_RHYTHM_COUNT = 76 };
/* 12-bit mask of steps (bit s: an onset at step s). */
uint16_t ct_rhythm_mask(int rhythm);
/* The rhythm nearest to any 12-bit mask: fewest steps moved; ties to the sixteenth grid. Exact for the 76 masks. */
int      ct_rhythm_nearest(uint16_t mask);

/* ---- H-RPE's fixed distances (design, section 5)
 * phi[f][delta][qa][qb], f one of CT_PHI_COUNT, delta = (root_a - root_b) mod 12, qa and qb values of the quality
 * column (0..CT_QUALITY_VALUES-1; those past CT_QUALITY_COUNT, i.e. open, none and unknown, get 0). Each f is
 * standardised over all delta, qa, qb < CT_QUALITY_COUNT: mean 0, variance 1. out: CT_PHI_COUNT * 12 *
 * CT_QUALITY_VALUES^2 doubles. */
enum { CT_QUALITY_VALUES = CT_QUALITY_COUNT + 3 };
enum ct_phi {
    CT_PHI_COMMON_TONES,
    CT_PHI_FIFTHS,
    CT_PHI_TONNETZ,
    CT_PHI_TONAL_CENTROID,
    CT_PHI_SPIRAL,
    CT_PHI_LERDAHL,
    CT_PHI_ROUGHNESS,
    CT_PHI_COUNT
};
const char *ct_phi_name(int phi);
void        ct_phi_table(double *out);
/* One distance before standardisation, for chord a of root ra and quality qa, and b (the golden values). */
double      ct_phi_raw(int phi, int ra, int qa, int rb, int qb);

#endif
