/* What is said of a piece: a song of eight bars written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "infer/summary.h"

#include <math.h>
#include <string.h>

enum { BARS = 8, BEAT = CT_STEPS_PER_BEAT };
static ct_arena   arena;
static ct_bar     bars[BARS];
static ct_section sections[] = {{CT_SECTION_PICKUP, 0, 1},
                                {CT_SECTION_A, 1, 3},
                                {CT_SECTION_INTERLUDE, 4, 1},
                                {CT_SECTION_A + 1, 5, 2},
                                {CT_SECTION_OUTRO, 7, 1}};
static ct_change  changes[] = {
     {0, {CT_NO_CHORD, 0, 0}}, {4 * BEAT, {0, CT_MAJ, 0}}, {8 * BEAT, {9, CT_MIN, 0}}, {12 * BEAT, {0, CT_MAJ, 4}}};
static uint8_t rhythm[4 * BARS];
static ct_note notes[] = {{3 * BEAT, 4 * BEAT, 67, 90},
                          {4 * BEAT, 5 * BEAT, 72, 90},
                          {5 * BEAT, 6 * BEAT, 58, 90},
                          {8 * BEAT, 9 * BEAT, 64, 90}};

static const uint8_t     textures[BARS] = {CT_TEXTURE_SILENT, 2, 2, CT_TEXTURE_BROKEN, 4, 4, 4, CT_TEXTURE_LINE};
static const float       sure[] = {0.9f, 0.4f, 0.75f, 0.49f};
static const ct_analysis info = {.texture = textures, .chord_confidence = sure, .key_confidence = 0.875f};

/* Bar 0 is a pickup; 3/4 in bars 5 and 6, Bb major from bar 4 on, bar 7 slower. */
static ct_piece song(void) {
    ct_piece p = {.title = "",
                  .bars = bars,
                  .bar_count = BARS,
                  .sections = sections,
                  .section_count = 5,
                  .changes = changes,
                  .change_count = 4,
                  .rhythm = rhythm,
                  .melody = notes,
                  .melody_count = 4};
    int32_t  start = 0;
    for (int32_t i = 0; i < BARS; i++) {
        uint8_t metre = i == 5 || i == 6 ? CT_3_4 : CT_4_4;
        bars[i] = (ct_bar){start, metre, i < 4 ? 0 : 10, i == 7 ? 60 : 96 + i};
        start += ct_metre_steps(metre);
        p.beat_count += ct_metre_at(metre)->beats;
    }
    assert_int_equal(ct_piece_check(&p), CT_OK);
    return p;
}

static ct_summary summary_of(const ct_piece *p) {
    ct_summary s;
    assert_int_equal(ct_summary_make(p, &info, &arena, &s), CT_OK);
    return s;
}

static void counts_bars_as_people_do(void **state) {
    (void)state;
    ct_piece   p = song();
    ct_summary s = summary_of(&p);
    assert_int_equal(s.metre_count, 3);
    assert_int_equal(s.metres[0].first, 0);
    assert_int_equal(s.metres[1].value, CT_3_4);
    assert_int_equal(s.metres[1].first, 5);
    assert_int_equal(s.metres[1].bars, 2);
    assert_int_equal(s.key_count, 2);
    assert_int_equal(s.keys[1].value, 10);
    assert_int_equal(s.keys[1].first, 4);
    assert_int_equal(s.keys[1].bars, 4);
    p.sections = &sections[1]; /* without a pickup the first bar is 1 */
    p.section_count--;
    s = summary_of(&p);
    assert_int_equal(s.metres[0].first, 1);
    assert_int_equal(s.keys[1].first, 5);
}

static void hears_tempo_chords_and_melody(void **state) {
    (void)state;
    ct_piece   p = song();
    ct_summary s = summary_of(&p);
    assert_true(s.tempo == 98 && s.slowest == 60 && s.fastest == 102); /* beats: 60, 96, 97, 98: the 15th of 30 */
    assert_string_equal(s.form, "pickup A 3 interlude 1 B 2 outro 1");
    assert_int_equal(s.chords, 2); /* another bass is no other chord */
    assert_true(s.changes_per_bar == 0.5);
    assert_int_equal(s.lowest, 58);
    assert_int_equal(s.highest, 72);
    assert_int_equal(s.middle, 67);
    assert_true(s.sung == 3.0 / 8);
}

static void prints_remarks(void **state) {
    (void)state;
    char       text[2048] = "";
    ct_piece   p = song();
    ct_summary s = summary_of(&p);
    FILE      *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    ct_summary_print(&s, &p, f);
    fclose(f);
    assert_string_equal(text, "# tempo   98 beats a minute, bars from 60 to 102\n"
                              "# metre   4/4, 3/4 from bar 5, 4/4 from bar 7\n"
                              "# key     C:maj, Bb:maj from bar 4; 88 % sure\n"
                              "# form    8 bars: pickup A 3 interlude 1 B 2 outro 1\n"
                              "# chords  2 different, 0.5 changes a bar; 57 % sure, least in bars 1, 3\n"
                              "# plays   broken chords 50 %, chords 25 %, silent 12 %, line 12 % of the bars\n"
                              "# melody  4 notes, Bb3 to C5, median G4; in 38 % of the bars\n");
    p.melody_count = 0;
    s = summary_of(&p);
    assert_int_equal(s.lowest, -1);
    f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    ct_summary_print(&s, &p, f);
    fclose(f);
    assert_non_null(strstr(text, "# melody  none\n"));
}

static void names_the_least_sure_bars(void **state) {
    (void)state;
    static const float EACH[BARS] = {0.3f, 0.1f, 0.45f, 0.6f, 0.2f, 0.44f, 0.05f, 0.4f};
    static const int   LEAST[] = {0, 1, 4, 5, 6, 7};
    ct_change          each[BARS];
    ct_piece           p = song();
    ct_analysis        heard = info;
    for (int i = 0; i < BARS; i++) each[i] = (ct_change){bars[i].start, {(uint8_t)i, CT_MAJ, 0}};
    p.changes = each;
    p.change_count = BARS;
    heard.chord_confidence = EACH;
    ct_summary s;
    assert_int_equal(ct_summary_make(&p, &heard, &arena, &s), CT_OK);
    assert_int_equal(s.doubts, CT_SUMMARY_DOUBTS);
    for (int i = 0; i < CT_SUMMARY_DOUBTS; i++) assert_int_equal(s.doubtful[i], LEAST[i]);
}

static int forget(void **state) {
    (void)state;
    ct_arena_free(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_bars_as_people_do),
        cmocka_unit_test(hears_tempo_chords_and_melody),
        cmocka_unit_test(prints_remarks),
        cmocka_unit_test(names_the_least_sure_bars),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
