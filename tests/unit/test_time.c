/* test_time.c -- tempo and swing: what a beat is, how long it lasts, where its second half begins. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/music/analyse.h"
#include "core/music/swing.h"
#include "core/music/tempo.h"
#include "grid_fixture.h"

/* A bar of `beats` beats, each `beat` quarters long, whose second half begins at `half`. */
static void bar(song *s, double at, int beats, double beat, double half, int number) {
    static const int ROOT[] = {0, 7, 9, 5, 0, 7, 5, 7}, TUNE[] = {72, 74, 76, 77, 79, 77, 74, 71};
    int              root = ROOT[number % 8];
    note(s, at, beats * beat, 36 + root);
    for (int k = 0; k < beats; k++) {
        note(s, at + k * beat, beat, 60 + root % 7);
        note(s, at + k * beat, half * beat, TUNE[(number + k) % 8]);
        note(s, at + (k + half) * beat, (1 - half) * beat, TUNE[(number + k + 2) % 8]);
    }
}

static double tempo_of(song *s, const ct_grid *grid, int bar_number) {
    double tempos[1000];
    assert_int_equal(ct_tempo_bars(grid, &s->midi, &s->arena, tempos), CT_OK);
    return tempos[bar_number];
}

/* The same music, whose beats a metronome has, in a file that calls half or twice of one a quarter; with the bars it
 * says, and without. */
static void test_half_and_double_speed(void **state) {
    (void)state;
    static const struct {
        int    numerator; /* what the file says; 0: nothing */
        double tempo, beat;
        int    bars, metre;
        double beats_a_minute;
    } CASES[] = {
        {4, 100, 1, 32, CT_4_4, 100}, {0, 100, 1, 32, CT_4_4, 100}, {4, 39, 0.5, 32, CT_4_4, 78},
        {3, 39, 0.5, 32, CT_3_4, 78}, {0, 39, 0.5, 32, CT_4_4, 78}, {2, 39, 0.5, 32, CT_4_4, 78},
        {0, 220, 2, 32, CT_4_4, 110}, {4, 220, 2, 64, CT_2_2, 110}, {4, 41, 0.5, 16, CT_4_4, 41},
        {4, 207, 2, 64, CT_4_4, 207},
    };
    for (size_t i = 0; i < CT_COUNT(CASES); i++) {
        song *s = song_new(CASES[i].numerator, 4);
        s->tempos[0].value = CASES[i].tempo;
        int             per_bar = CASES[i].numerator == 3 ? 3 : 4;
        ct_metre_report report;
        for (int b = 0; b < 32; b++) bar(s, b * per_bar * CASES[i].beat, per_bar, CASES[i].beat, 0.5, b);
        ct_grid g = lay(s, &report);
        assert_int_equal(report.from_events, CASES[i].numerator != 0);
        assert_int_equal(g.bar_count, CASES[i].bars);
        for (int32_t b = 0; b < g.bar_count; b++) {
            assert_int_equal(g.bars[b].metre, CASES[i].metre);
            assert_int_equal(g.bars[b].beat, b * ct_metre_at(CASES[i].metre)->beats);
        }
        assert_true(fabs(g.bars[0].tick) < 1);
        assert_true(fabs(tempo_of(s, &g, 3) - CASES[i].beats_a_minute) < 1e-6);
        song_done(s);
    }
}

/* A slow song whose file says 6/8, which its notes don't: beats are found from the music, and are a metronome's. */
static void test_slow_and_wrong(void **state) {
    (void)state;
    song           *s = song_new(6, 8);
    ct_metre_report report;
    s->tempos[0].value = 39;
    for (int b = 0; b < 32; b++) bar(s, 0.11 + 2 * b, 4, 0.5, 0.5, b);
    ct_grid g = lay(s, &report);
    assert_true(report.events_refused);
    assert_int_equal(g.bar_count, 32);
    assert_int_equal(g.bars[3].metre, CT_4_4);
    assert_true(fabs(tempo_of(s, &g, 3) - 78) < 1e-6);
    song_done(s);
}

/* A fast song with sixteenths keeps its quarters: halves have no place for them. Those of drums don't count. */
static void test_fast_with_sixteenths(void **state) {
    (void)state;
    for (int channel = 0; channel < 10; channel += 9) {
        song *s = song_new(4, 4);
        s->tempos[0].value = 220;
        ct_metre_report report;
        for (int b = 0; b < 32; b++) {
            bar(s, 4 * b, 4, 1, 0.5, b);
            for (int k = 0; k < 16; k++) note(s, 4 * b + k / 4.0, 0.25, 42)->channel = (uint8_t)channel;
        }
        ct_grid g = lay(s, &report);
        assert_int_equal(g.bars[7].metre, channel ? CT_2_2 : CT_4_4);
        song_done(s);
    }
}

/* ---- swing */
static double swing_of(song *s) {
    ct_metre_report report;
    ct_grid         g = lay(s, &report);
    return ct_swing_find(&g, &s->midi);
}

static void test_swing(void **state) {
    (void)state;
    for (int k = 0; k < 14; k++) {
        double   half = 0.5 + 0.02 * k;
        song    *s = song_new(4, 4);
        uint32_t seed = 1;
        for (int b = 0; b < 16; b++) bar(s, 4 * b, 4, 1, half, b);
        for (size_t i = 0; i < s->midi.note_count; i++) { /* played by hand */
            seed = seed * 1664525 + 1013904223;
            s->notes[i].start += (int64_t)(seed >> 28) * (i > 10);
        }
        double swing = swing_of(s);
        if (half > 0.55 && half < 0.71) {
            assert_true(fabs(swing - half - 7.5 / SONG_PPQ) < 0.01);
            ct_piece           piece;
            ct_analysis        info;
            ct_analyse_options options = ct_analyse_defaults();
            assert_int_equal(ct_analyse(&s->midi, &options, &s->arena, &piece, &info), CT_OK);
            assert_true(info.swing == swing);
            assert_true(piece.melody_count > 100);
            for (int32_t i = 0; i < piece.melody_count; i++)
                assert_true(piece.melody[i].start % 12 == 0 || piece.melody[i].start % 12 == 8);
        } else if (half < 0.53 || half > 0.73)
            assert_true(swing == 0);
        song_done(s);
    }
}

/* Triplets and 12/8 are not swung, nor is music with as many straight eighths. */
static void test_not_swung(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        song *s = song_new(kind == 1 ? 12 : 4, kind == 1 ? 8 : 4);
        for (int b = 0; b < 16; b++) {
            bar(s, (kind == 1 ? 6 : 4) * b, 4, kind == 1 ? 1.5 : 1, 2.0 / 3, b);
            if (kind == 0)
                for (int k = 0; k < 4; k++) note(s, 4 * b + k + 1.0 / 3, 0.3, 67);
            if (kind == 2)
                for (int k = 0; k < 4; k++) note(s, 4 * b + k + 0.5, 0.4, 67);
        }
        assert_true(swing_of(s) == 0);
        song_done(s);
    }
}

/* Without a time signature swung music is in four, triplets are 12/8. */
static void test_swing_is_no_12_8(void **state) {
    (void)state;
    for (int triplets = 0; triplets < 2; triplets++) {
        song           *s = song_new(0, 0);
        ct_metre_report report;
        for (int b = 0; b < 24; b++) {
            bar(s, 4 * b, 4, 1, 2.0 / 3, b);
            for (int k = 0; triplets && k < 4; k++) note(s, 4 * b + k + 1.0 / 3, 0.3, 67);
        }
        ct_grid g = lay(s, &report);
        assert_int_equal(g.bar_count, 24);
        assert_int_equal(g.bars[3].metre, triplets ? CT_12_8 : CT_4_4);
        song_done(s);
    }
}

/* ---- tempo */
static song *with_tempos(int bars, double (*tempo)(int bar)) {
    song *s = song_new(4, 4);
    for (int b = 0; b < bars; b++) {
        bar(s, 4 * b, 4, 1, 0.5, b);
        s->tempos[b] = (ct_midi_event){.tick = (int64_t)4 * SONG_PPQ * b, .value = tempo(b)};
    }
    s->midi.tempos.count = (size_t)bars;
    return s;
}

static double wavers(int b) {
    return 100 + 4 * sin(b * 2.1);
}
static double wavers_then_slow(int b) {
    return (b < 32 ? 100 : 60) + 4 * sin(b * 2.1);
}
static double slows_down(int b) {
    return b < 62 ? wavers(b) : b == 62 ? 80 : 50;
}
static double two_tempos(int b) {
    return b < 20 ? 100 : 104;
}

static void test_tempos(void **state) {
    (void)state;
    static const struct {
        double (*tempo)(int bar);
        int changes;
    } CASES[] = {{wavers, 0}, {wavers_then_slow, 1}, {slows_down, 2}, {two_tempos, 1}};
    for (size_t i = 0; i < CT_COUNT(CASES); i++) {
        song           *s = with_tempos(64, CASES[i].tempo);
        double          tempos[64], before = 0, after = 0;
        int             changes = 0;
        ct_metre_report report;
        ct_grid         g = lay(s, &report);
        assert_int_equal(g.bar_count, 64);
        assert_int_equal(ct_tempo_bars(&g, &s->midi, &s->arena, tempos), CT_OK);
        for (int b = 0; b < 64; b++) {
            before += 1 / CASES[i].tempo(b);
            after += 1 / tempos[b];
            assert_true(fabs(log(tempos[b] / CASES[i].tempo(b))) < 0.15);
            changes += b && tempos[b] != tempos[b - 1];
        }
        assert_int_equal(changes, CASES[i].changes);
        assert_true(fabs(after / before - 1) < 1e-9); /* it lasts as long */
        if (CASES[i].tempo == two_tempos) assert_true(tempos[0] == 100 && tempos[20] == 104);
        song_done(s);
    }
}

static void test_mean_tempo(void **state) {
    (void)state;
    song *s = song_new(4, 4);
    s->tempos[0].value = 60;
    double mean;
    s->tempos[1] = (ct_midi_event){.tick = 4 * SONG_PPQ, .value = 120};
    s->midi.tempos.count = 2;
    assert_int_equal(ct_tempo_mean(&s->midi, 0, 8 * SONG_PPQ, &s->arena, &mean), CT_OK);
    assert_true(fabs(mean - 80) < 1e-9); /* eight quarters in six seconds */
    assert_int_equal(ct_tempo_mean(&s->midi, 5, 5, &s->arena, &mean), CT_OK);
    assert_true(mean == 120);
    song_done(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_and_double_speed),
        cmocka_unit_test(test_slow_and_wrong),
        cmocka_unit_test(test_fast_with_sixteenths),
        cmocka_unit_test(test_swing),
        cmocka_unit_test(test_not_swung),
        cmocka_unit_test(test_swing_is_no_12_8),
        cmocka_unit_test(test_tempos),
        cmocka_unit_test(test_mean_tempo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
