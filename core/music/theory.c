/* theory.c -- chords, metres, keys, tempos; see theory.h. The tables of H-RPE are in theory_phi.c. */
#include "core/music/theory.h"

#include <math.h>
#include <stdio.h>

/* ---- chords */

static const struct {
    const char *name;
    uint16_t    mask;
} qualities[CT_QUALITY_COUNT] = {
    [CT_MAJ] = {"maj", 0x091},         [CT_MIN] = {"min", 0x089},     [CT_DIM] = {"dim", 0x049},
    [CT_AUG] = {"aug", 0x111},         [CT_MAJ7] = {"maj7", 0x891},   [CT_MIN7] = {"min7", 0x489},
    [CT_DOM7] = {"7", 0x491},          [CT_HDIM7] = {"hdim7", 0x449}, [CT_DIM7] = {"dim7", 0x249},
    [CT_MINMAJ7] = {"minmaj7", 0x889}, [CT_MAJ6] = {"maj6", 0x291},   [CT_MIN6] = {"min6", 0x289},
    [CT_SUS2] = {"sus2", 0x085},       [CT_SUS4] = {"sus4", 0x0a1},   [CT_SUS4B7] = {"sus4(b7)", 0x4a1},
    [CT_POWER] = {"5", 0x081},
};

uint16_t ct_quality_mask(int quality) {
    CT_ASSERT(quality >= 0 && quality < CT_QUALITY_COUNT);
    return qualities[quality].mask;
}

const char *ct_quality_name(int quality) {
    CT_ASSERT(quality >= 0 && quality < CT_QUALITY_COUNT);
    return qualities[quality].name;
}

/* The bass as a degree of the root's scale; what a chord itself contains is spelt as the chord spells it. */
static const char *bass_degree(int bass, int quality) {
    static const char *const degrees[12] = {"1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7"};
    if (bass == 8 && quality == CT_AUG) return "#5";
    if (bass == 9 && quality == CT_DIM7) return "bb7";
    return degrees[bass];
}

const char *ct_chord_name(ct_chord chord, int key, char *text, size_t size) {
    if (chord.root == CT_NO_CHORD) {
        snprintf(text, size, "N");
        return text;
    }
    CT_ASSERT(chord.root < 12 && chord.quality < CT_QUALITY_COUNT && chord.bass < 12);
    snprintf(text, size, "%s:%s%s%s", ct_pitch_class_name(chord.root, key), ct_quality_name(chord.quality),
             chord.bass ? "/" : "", chord.bass ? bass_degree(chord.bass, chord.quality) : "");
    return text;
}

/* ---- keys */

/* Places on the line of fifths (C = 0, G = 1, F = -1) of the 24 tonics, as their key names spell them. */
static const int8_t tonic_fifths[24] = {
    0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5, /* C Db D Eb E F F# G Ab A Bb B  */
    0, 7,  2, -3, 4, -1, 6, 1, 8,  3, -2, 5, /* C C# D Eb E F F# G G# A Bb B  */
};

const char *ct_key_name(int key) {
    static const char *const names[24] = {
        "C:maj", "Db:maj", "D:maj", "Eb:maj", "E:maj", "F:maj", "F#:maj", "G:maj", "Ab:maj", "A:maj", "Bb:maj", "B:maj",
        "C:min", "C#:min", "D:min", "Eb:min", "E:min", "F:min", "F#:min", "G:min", "G#:min", "A:min", "Bb:min", "B:min",
    };
    CT_ASSERT(key >= 0 && key < 24);
    return names[key];
}

/* A key spells the twelve pitch classes by a window of twelve places on the line of fifths: from its flat second (five
 * below the tonic) to its sharp fourth (six above), moved so that no double accidental, Fb or Cb# arises. */
const char *ct_pitch_class_name(int pitch_class, int key) {
    static const char *const names[20] = {"Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F",  "C",  "G",  "D",
                                          "A",  "E",  "B",  "F#", "C#", "G#", "D#", "A#", "E#", "B#"};
    enum { FIRST = -7, LAST_START = 1, NEUTRAL_START = -4 };
    CT_ASSERT(pitch_class >= 0 && pitch_class < 12 && key >= -1 && key < 24);
    int start = key < 0 ? NEUTRAL_START : tonic_fifths[key] - 5;
    if (start < FIRST) start = FIRST;
    if (start > LAST_START) start = LAST_START;
    int fifths = (7 * pitch_class) % 12; /* some place of this pitch class; the others lie 12 apart */
    while (fifths >= start + 12) fifths -= 12;
    while (fifths < start) fifths += 12;
    return names[fifths - FIRST];
}

/* ---- metres */

static const ct_metre metres[CT_METRE_COUNT] = {
    [CT_2_4] = {"2/4", 2, 4, 2, 2},    [CT_3_4] = {"3/4", 3, 4, 3, 2}, [CT_4_4] = {"4/4", 4, 4, 4, 2},
    [CT_2_2] = {"2/2", 2, 2, 2, 4},    [CT_6_8] = {"6/8", 6, 8, 2, 3}, [CT_9_8] = {"9/8", 9, 8, 3, 3},
    [CT_12_8] = {"12/8", 12, 8, 4, 3}, [CT_5_8] = {"5/8", 5, 8, 5, 1}, [CT_7_8] = {"7/8", 7, 8, 7, 1},
};

const ct_metre *ct_metre_at(int number) {
    CT_ASSERT(number >= 0 && number < CT_METRE_COUNT);
    return &metres[number];
}

int ct_metre_find(int numerator, int denominator) {
    for (int i = 0; i < CT_METRE_COUNT; i++)
        if (metres[i].numerator == numerator && metres[i].denominator == denominator) return i;
    return -1;
}

int ct_metre_steps(int number) {
    return 12 * ct_metre_at(number)->beats;
}

/* ---- tempo: bin b covers 30 * 8^(b/48) .. 30 * 8^((b+1)/48) */

int ct_tempo_bin(double beats_per_minute) {
    if (!(beats_per_minute > 30.0)) return 0;
    if (beats_per_minute >= 240.0) return CT_TEMPO_COUNT - 1;
    int bin = (int)floor(CT_TEMPO_COUNT * log(beats_per_minute / 30.0) / log(8.0));
    return bin < CT_TEMPO_COUNT ? bin : CT_TEMPO_COUNT - 1;
}

double ct_tempo_of_bin(int bin) {
    CT_ASSERT(bin >= 0 && bin < CT_TEMPO_COUNT);
    return 30.0 * pow(8.0, (bin + 0.5) / CT_TEMPO_COUNT);
}

/* ---- rhythm */

/* Spread the bits of a grid's number over the 12 steps of a beat: bit i to step `width` i. */
static uint16_t spread(unsigned bits, int width) {
    unsigned mask = 0;
    for (int i = 0; i * width < 12; i++)
        if (bits >> i & 1) mask |= 1u << (i * width);
    return (uint16_t)mask;
}

/* Sextuplet masks whose onsets all lie on steps 0 and 6 (bits 0 and 3) belong to the sixteenth grid. */
static bool sixteenth_can_say(unsigned sextuplet) {
    return (sextuplet & ~9u) == 0;
}

uint16_t ct_rhythm_mask(int rhythm) {
    CT_ASSERT(rhythm >= 0 && rhythm < CT_RHYTHM_COUNT);
    if (rhythm < 16) return spread((unsigned)rhythm, 3);
    unsigned bits = 0;
    for (int number = 15; number < rhythm; bits++) number += !sixteenth_can_say(bits);
    return spread(bits - 1, 2);
}

/* Move every onset to the nearest line of the grid (earlier when half-way; the last line takes what lies behind it).
 * Returns the steps moved in all. */
static int snap(uint16_t mask, int width, unsigned *bits) {
    int last = 12 / width - 1, moved = 0;
    *bits = 0;
    for (int step = 0; step < 12; step++) {
        if (!(mask >> step & 1)) continue;
        int line = (2 * step + width - 1) / (2 * width);
        if (line > last) line = last;
        *bits |= 1u << line;
        moved += step > line * width ? step - line * width : line * width - step;
    }
    return moved;
}

int ct_rhythm_nearest(uint16_t mask) {
    unsigned sixteenth, sextuplet;
    int      moved_sixteenth = snap(mask, 3, &sixteenth), moved_sextuplet = snap(mask, 2, &sextuplet);
    if (moved_sixteenth <= moved_sextuplet) return (int)sixteenth;
    if (sixteenth_can_say(sextuplet)) return (int)((sextuplet & 1) | (sextuplet >> 3 & 1) << 2);
    int number = 15;
    for (unsigned bits = 0; bits <= sextuplet; bits++) number += !sixteenth_can_say(bits);
    return number;
}
