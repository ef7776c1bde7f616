/* test_metre.c -- where bars lie in songs made here, whose files say nothing or the wrong thing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grid_fixture.h"

/* A bar of `beats` quarters: a chord with its bass on the first, one note on each, a tune in two notes. */
static void bar(song *s, double at, int beats, int number) {
    static const int ROOT[] = {0, 7, 9, 5, 0, 7, 5, 7}, TUNE[] = {72, 74, 76, 77, 79, 77, 74, 71};
    int              root = ROOT[number % 8];
    note(s, at, beats, 36 + root);
    for (int k = 0; k < beats; k++) {
        note(s, at + k, 1, 60 + root % 7);
        note(s, at + k, 0.5, 64 + root % 5);
    }
    note(s, at, beats - 1, TUNE[number % 8]);
    note(s, at + beats - 1, 1, TUNE[(number + 3) % 8]);
}

/* Bars of four with one of two after the eleventh: the bars after it lie where its length puts them. */
static void test_a_bar_of_two(void **state) {
    (void)state;
    song           *s = song_new(1, 4);
    ct_metre_report report;
    double          at = 0.3;
    for (int b = 0; b < 24; b++) {
        bar(s, at, b == 11 ? 2 : 4, b);
        at += b == 11 ? 2 : 4;
    }
    ct_grid g = lay(s, &report);
    assert_false(report.from_events);
    assert_int_equal(g.bar_count, 24);
    int twos = 0;
    for (int b = 0; b < 24; b++) {
        twos += g.bars[b].metre == CT_2_4;
        assert_true(g.bars[b].metre == CT_2_4 || g.bars[b].metre == CT_4_4);
    }
    assert_int_equal(twos, 1);
    assert_int_equal(lround(g.bars[10].tick / 480 - 0.3), 40);
    assert_int_equal(lround(g.bars[12].tick / 480 - 0.3), 46);
    assert_int_equal(lround(g.bars[23].tick / 480 - 0.3), 90);
    song_done(s);
}

/* A waltz in a file that says 4/4, and common time in one that says 3/4. */
static void test_contradiction(void **state) {
    (void)state;
    for (int beats = 3; beats <= 4; beats++) {
        song           *s = song_new(7 - beats, 4);
        ct_metre_report report;
        for (int b = 0; b < 32; b++) bar(s, b * beats, beats, b);
        ct_grid g = lay(s, &report);
        assert_true(report.events_refused);
        assert_int_equal(g.bar_count, 32);
        assert_int_equal(g.bars[5].metre, beats == 3 ? CT_3_4 : CT_4_4);
        assert_true(fabs(g.bars[5].tick - 5 * beats * 480) < 1);
        song_done(s);
    }
}

/* A waltz between two stretches of common time, and the other way round. */
static void test_change_of_metre(void **state) {
    (void)state;
    for (int inner = 3; inner <= 4; inner++) {
        song           *s = song_new(0, 0);
        int             outer = 7 - inner;
        double          at = 0;
        ct_metre_report report;
        for (int b = 0; b < 48; b++) {
            int beats = b < 16 || b >= 32 ? outer : inner;
            bar(s, at, beats, b);
            at += beats;
        }
        ct_grid g = lay(s, &report);
        assert_int_equal(g.bar_count, 48);
        for (int b = 0; b < 48; b++) {
            int beats = b < 16 || b >= 32 ? outer : inner;
            assert_int_equal(g.bars[b].metre, beats == 3 ? CT_3_4 : CT_4_4);
        }
        song_done(s);
    }
}

/* Jigs and slip jigs without a time signature: quavers in threes, the first of them long or low. */
static void test_dotted_beats(void **state) {
    (void)state;
    static const int TUNE[] = {67, 69, 71, 72, 71, 69, 74, 72, 71};
    for (int beats = 2; beats <= 3; beats++) {
        song           *s = song_new(0, 0);
        ct_metre_report report;
        for (int b = 0; b < 32; b++)
            for (int k = 0; k < beats; k++) {
                double at = 1.5 * (beats * b + k);
                note(s, at, 1, (k ? 52 : 43) + (b % 4 ? 0 : 2));
                note(s, at, b % 2 ? 1 : 0.5, TUNE[(3 * k + b) % 9]);
                if (b % 2 == 0) note(s, at + 0.5, 0.5, TUNE[(3 * k + b + 1) % 9]);
                note(s, at + 1, 0.5, TUNE[(3 * k + b + 2) % 9]);
            }
        ct_grid g = lay(s, &report);
        assert_int_equal(g.bar_count, 32);
        for (int b = 0; b < 32; b++) {
            assert_int_equal(g.bars[b].metre, beats == 2 ? CT_6_8 : CT_9_8);
            assert_true(fabs(g.bars[b].tick / 480 - 1.5 * beats * b) < 0.02);
        }
        song_done(s);
    }
}

/* The music begins before a bar line: with a pickup of any length. */
static void test_pickup_by_music(void **state) {
    (void)state;
    for (int upbeat = 1; upbeat < 4; upbeat++) {
        song           *s = song_new(0, 0);
        ct_metre_report report;
        for (int k = 0; k < upbeat; k++) note(s, k, 1, 67 + k);
        for (int b = 0; b < 16; b++) bar(s, upbeat + 4 * b, 4, b);
        ct_grid g = lay(s, &report);
        assert_int_equal(g.bar_count, 17);
        assert_true(fabs(g.bars[1].tick - upbeat * 480) < 1);
        song_done(s);
    }
}

/* A tune alone that sings on the off-beats: the longest notes begin between the beats, where notes gather most. */
static void test_syncopated_tune(void **state) {
    (void)state;
    static const double AT[] = {0, 0.5, 1, 1.5, 2.5, 3, 3.5, 4, 4.5, 5.5, 6},
                        LENGTH[] = {0.5, 0.5, 0.5, 1, 0.5, 0.5, 0.5, 0.5, 1, 0.5, 1};
    static const int PITCH[] = {67, 67, 69, 72, 71, 69, 67, 69, 71, 72, 67};
    for (int k = 0; k < 5; k++) {
        double          shift = 0.1 + 0.15 * k;
        song           *s = song_new(1, 4);
        ct_metre_report report;
        for (int phrase = 0; phrase < 12; phrase++)
            for (size_t i = 0; i < CT_COUNT(AT); i++)
                note(s, 8 * phrase + AT[i] + shift, LENGTH[i], PITCH[i] - phrase % 3);
        ct_grid g = lay(s, &report);
        assert_true(fabs(g.phase / 480 - shift) < 0.02);
        song_done(s);
    }
}

/* A song whose tempo swings by a sixth, every note a little early or late, in ticks that know nothing of it: bar
 * lines are found to within an eighth. Notes anywhere are refused. */
static void test_rubato(void **state) {
    (void)state;
    for (int random = 0; random < 2; random++) {
        song           *s = song_new(0, 0);
        ct_grid         grid;
        ct_metre_report report;
        uint32_t        seed = 3;
        for (int b = 0; b < 40; b++) bar(s, 4 * b, 4, b);
        for (size_t i = 0; i < s->midi.note_count; i++) {
            ct_midi_note *n = &s->notes[i];
            double        at = (double)n->start / 480, length = (double)(n->end - n->start);
            seed = seed * 1664525 + 1013904223;
            at = 1.03 * at + 0.6 * sin(at / 3.7) + 0.03 * (seed / 4294967296.0 - 0.5);
            n->start = llround((random ? seed / 4294967296.0 * 160 : at + 0.1) * 480);
            n->end = n->start + (int64_t)length;
        }
        qsort(s->notes, s->midi.note_count, sizeof *s->notes, by_start);
        ct_status status = ct_metre_grid(&s->midi, 1000, &s->arena, &grid, &report);
        if (random) {
            assert_int_equal(status, CT_EFAIL);
            assert_non_null(strstr(ct_message(), "notes follow no grid"));
        } else {
            assert_int_equal(status, CT_OK);
            assert_true(report.tracked);
            int right = 0;
            for (int b = 0; b < 40; b++)
                for (int32_t k = 0; k < grid.bar_count; k++)
                    right += fabs(grid.bars[k].tick / 480 - (4.12 * b + 0.6 * sin(4 * b / 3.7) + 0.1)) < 0.25;
            assert_true(right >= 36);
        }
        song_done(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bar_of_two),    cmocka_unit_test(test_contradiction),
        cmocka_unit_test(test_change_of_metre), cmocka_unit_test(test_dotted_beats),
        cmocka_unit_test(test_pickup_by_music), cmocka_unit_test(test_syncopated_tune),
        cmocka_unit_test(test_rubato),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
