/* theory.h: tables, names, and the golden values of the harmonic distances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/music/theory.h"

static void near(double found, double expected, double within) {
    if (fabs(found - expected) > within) fail_msg("%.6f is not %.6f", found, expected);
}

static double from_c(int phi, int root, int quality) {
    return ct_phi_raw(phi, 0, CT_MAJ, root, quality);
}

static void test_chords(void **state) {
    (void)state;
    char      text[32];
    ct_chord  chord = {0, CT_MAJ7, 7};
    const int sizes[CT_QUALITY_COUNT] = {3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3, 4, 2};
    assert_string_equal(ct_chord_name(chord, -1, text, sizeof text), "C:maj7/5");
    assert_string_equal(ct_chord_name((ct_chord){CT_NO_CHORD, 0, 0}, 5, text, sizeof text), "N");
    assert_string_equal(ct_chord_name((ct_chord){10, CT_SUS4B7, 0}, 11, text, sizeof text), "A#:sus4(b7)");
    assert_string_equal(ct_chord_name((ct_chord){10, CT_SUS4B7, 10}, 5, text, sizeof text), "Bb:sus4(b7)/b7");
    assert_string_equal(ct_chord_name(chord, -1, text, 4), "C:m");
    for (int q = 0; q < CT_QUALITY_COUNT; q++) {
        assert_int_equal(__builtin_popcount(ct_quality_mask(q)), sizes[q]);
        for (int other = 0; other < q; other++) assert_int_not_equal(ct_quality_mask(q), ct_quality_mask(other));
    }
    assert_int_equal(ct_quality_mask(CT_HDIM7), 1 | 1 << 3 | 1 << 6 | 1 << 10);
    assert_int_equal(ct_quality_mask(CT_MINMAJ7), 1 | 1 << 3 | 1 << 7 | 1 << 11);
}

static int pitch_class_of(const char *name) {
    static const int letters[7] = {9, 11, 0, 2, 4, 5, 7};
    int              pc = letters[name[0] - 'A'];
    if (name[1]) pc += name[1] == '#' ? 1 : -1;
    return (pc + 12) % 12;
}

static void test_names(void **state) {
    (void)state;
    static const char *const neutral[12] = {"C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"};
    for (int key = -1; key < 24; key++)
        for (int pc = 0; pc < 12; pc++) assert_int_equal(pitch_class_of(ct_pitch_class_name(pc, key)), pc);
    for (int pc = 0; pc < 12; pc++) assert_string_equal(ct_pitch_class_name(pc, -1), neutral[pc]);
    assert_string_equal(ct_pitch_class_name(10, 5), "Bb");
    assert_string_equal(ct_pitch_class_name(10, 11), "A#");
    assert_string_equal(ct_pitch_class_name(8, 12 + 9), "G#"); /* the leading note of A minor */
    assert_string_equal(ct_pitch_class_name(5, 6), "E#");
    for (int key = 0; key < 24; key++) {
        char tonic[4];
        assert_int_equal(sscanf(ct_key_name(key), "%3[^:]", tonic), 1);
        assert_int_equal(pitch_class_of(tonic), key % 12);
        assert_string_equal(tonic, ct_pitch_class_name(key % 12, key));
    }
}

static void test_metres(void **state) {
    (void)state;
    for (int i = 0; i < CT_METRE_COUNT; i++) {
        const ct_metre *m = ct_metre_at(i);
        assert_int_equal(ct_metre_find(m->numerator, m->denominator), i);
        assert_int_equal(m->beats * m->eighths_per_beat * m->denominator, 8 * m->numerator);
        assert_int_equal(5040 % ct_metre_steps(i), 0);
    }
    assert_int_equal(ct_metre_find(13, 8), -1);
    assert_int_equal(ct_metre_steps(CT_2_2), 24);
    assert_int_equal(ct_metre_steps(CT_7_8), 84);
}

static void test_tempo(void **state) {
    (void)state;
    assert_int_equal(ct_tempo_bin(0), 0);
    assert_int_equal(ct_tempo_bin(NAN), 0);
    assert_int_equal(ct_tempo_bin(1e9), 47);
    assert_int_equal(ct_tempo_bin(239.99), 47);
    assert_int_equal(ct_tempo_bin(120), 32); /* 48 log 4 / log 8 = 32 */
    for (int b = 0; b < CT_TEMPO_COUNT; b++) assert_int_equal(ct_tempo_bin(ct_tempo_of_bin(b)), b);
}

static void test_rhythm(void **state) {
    (void)state;
    for (int r = 0; r < CT_RHYTHM_COUNT; r++) {
        assert_int_equal(ct_rhythm_nearest(ct_rhythm_mask(r)), r);
        for (int other = 0; other < r; other++) assert_int_not_equal(ct_rhythm_mask(r), ct_rhythm_mask(other));
    }
    assert_int_equal(ct_rhythm_mask(16), 1 << 2);
    assert_int_equal(ct_rhythm_mask(75), 0x555);
    assert_int_equal(ct_rhythm_nearest(1 << 0 | 1 << 7), 1 | 4); /* 7: one step to 6 either way */
    assert_int_equal(ct_rhythm_mask(ct_rhythm_nearest(1 << 0 | 1 << 8 | 1 << 5)), 1 << 0 | 1 << 4 | 1 << 8);
    assert_int_equal(ct_rhythm_mask(ct_rhythm_nearest(1 << 11)), 1 << 10);
    assert_int_equal(ct_rhythm_nearest(1 << 0 | 1 << 3 | 1 << 8), 1 | 2 | 8); /* both grids one step off: sixteenths */
}

static void test_golden_distances(void **state) {
    (void)state;
    static const struct {
        int    root, quality;
        double harte;
    } harte[] = {{7, CT_MAJ, 1.2134}, {5, CT_MAJ, 1.2134},  {9, CT_MIN, .7993},  {4, CT_MIN, .8487},
                 {0, CT_MIN, .8487},  {2, CT_MIN, 1.5275},  {4, CT_MAJ, 1.2223}, {8, CT_MAJ, 1.2223},
                 {3, CT_MAJ, 1.3930}, {9, CT_MAJ, 1.3930},  {2, CT_MAJ, 1.6991}, {10, CT_MAJ, 1.6991},
                 {1, CT_MAJ, 1.7055}, {11, CT_MAJ, 1.7055}, {6, CT_MAJ, 1.9700}, {0, CT_DOM7, .5432},
                 {0, CT_MAJ7, .4486}, {0, CT_DIM, 1.2677},  {0, CT_AUG, .8487}};
    for (size_t i = 0; i < CT_COUNT(harte); i++)
        near(from_c(CT_PHI_TONAL_CENTROID, harte[i].root, harte[i].quality), harte[i].harte, 6e-5);
    near(from_c(CT_PHI_SPIRAL, 7, CT_MAJ), 1.1680, 6e-5);
    near(from_c(CT_PHI_SPIRAL, 9, CT_MIN), 1.0821, 6e-5);
    near(from_c(CT_PHI_SPIRAL, 4, CT_MIN), 1.1013, 6e-5);
    near(from_c(CT_PHI_SPIRAL, 0, CT_MIN), .5960, 6e-5);
    near(from_c(CT_PHI_LERDAHL, 0, CT_MAJ), 0, 0);
    near(from_c(CT_PHI_LERDAHL, 7, CT_MAJ), 5, 0);
    near(from_c(CT_PHI_LERDAHL, 5, CT_MAJ), 5, 0);
    near(from_c(CT_PHI_LERDAHL, 9, CT_MIN), 7, 0);
    near(from_c(CT_PHI_LERDAHL, 4, CT_MIN), 7, 0);
    near(from_c(CT_PHI_LERDAHL, 2, CT_MIN), 8, 0);
    near(from_c(CT_PHI_LERDAHL, 11, CT_DIM), 8, 0);
    near(from_c(CT_PHI_LERDAHL, 11, CT_HDIM7), 8, 0);
    near(from_c(CT_PHI_COMMON_TONES, 9, CT_MIN), 2, 0);
    near(from_c(CT_PHI_FIFTHS, 6, CT_MAJ), 6, 0);
    near(from_c(CT_PHI_FIFTHS, 10, CT_MAJ), 2, 0);
    near(from_c(CT_PHI_TONNETZ, 7, CT_MAJ), 2 / 3., 1e-12);
    near(from_c(CT_PHI_TONNETZ, 9, CT_MIN), 1 / 3., 1e-12);
    near(from_c(CT_PHI_TONNETZ, 6, CT_MAJ), 4 / 3., 1e-12);
    if (!(from_c(CT_PHI_ROUGHNESS, 1, CT_MAJ) > 1.5 * from_c(CT_PHI_ROUGHNESS, 9, CT_MIN))) fail();
}

static void test_phi_properties(void **state) {
    (void)state;
    enum { V = CT_QUALITY_VALUES, Q = CT_QUALITY_COUNT };
    static double table[CT_PHI_COUNT][12][V][V];
    ct_phi_table(&table[0][0][0][0]);
    for (int f = 0; f < CT_PHI_COUNT; f++) {
        double sum = 0, squares = 0;
        for (int d = 0; d < 12; d++)
            for (int a = 0; a < V; a++)
                for (int b = 0; b < V; b++) {
                    double x = table[f][d][a][b];
                    assert_true(isfinite(x));
                    if (a >= Q || b >= Q) assert_true(x == 0);
                    sum += x;
                    squares += x * x;
                }
        near(sum / (12 * Q * Q), 0, 1e-12);
        near(squares / (12 * Q * Q), 1, 1e-12);
        assert_true(strlen(ct_phi_name(f)) > 0);
        /* Standardised is raw up to one line; transposing both chords changes nothing. */
        double slope =
            (table[f][5][0][0] - table[f][0][0][0]) / (ct_phi_raw(f, 5, 0, 0, 0) - ct_phi_raw(f, 0, 0, 0, 0));
        for (int d = 0; d < 12; d++)
            for (int q = 0; q < Q; q++) {
                near(table[f][d][q][CT_MIN] - table[f][0][0][0],
                     slope * (ct_phi_raw(f, d, q, 0, CT_MIN) - ct_phi_raw(f, 0, 0, 0, 0)), 1e-9);
                near(ct_phi_raw(f, (d + 5) % 12, q, 5, CT_DOM7), ct_phi_raw(f, d, q, 0, CT_DOM7), 0);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chords),         cmocka_unit_test(test_names),  cmocka_unit_test(test_metres),
        cmocka_unit_test(test_tempo),          cmocka_unit_test(test_rhythm), cmocka_unit_test(test_golden_distances),
        cmocka_unit_test(test_phi_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
