/* test_chords.c -- chords and keys of music made here, as a pianist would play them: broken, over other basses, under a
 * tune. */
#include "core/music/analyse.h"
#include "core/music/leadsheet.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct song {
    ct_midi       midi;
    ct_midi_note  notes[4096];
    ct_midi_event metre;
    ct_midi_track track;
    ct_arena      arena;
    ct_piece      piece;
    ct_analysis   info;
} song;

static song *song_new(void) {
    song *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->track.name = "";
    s->metre = (ct_midi_event){.a = 4, .b = 4, .text = ""};
    s->midi = (ct_midi){.ppq = 480, .tracks = &s->track, .track_count = 1, .notes = s->notes, .repairs = ""};
    s->midi.metres = (ct_midi_list){&s->metre, 1};
    return s;
}

/* A note; times in beats. */
static void note(song *s, double start, double length, int pitch) {
    assert_true(s->midi.note_count < CT_COUNT(s->notes));
    s->notes[s->midi.note_count++] = (ct_midi_note){
        .start = llround(start * 480), .end = llround((start + length) * 480), .pitch = (uint8_t)pitch, .velocity = 80};
}

static int by_start(const void *pa, const void *pb) {
    const ct_midi_note *a = pa, *b = pb;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return (a->pitch > b->pitch) - (a->pitch < b->pitch);
}

static void analyse(song *s) {
    ct_analyse_options o = ct_analyse_defaults();
    qsort(s->notes, s->midi.note_count, sizeof *s->notes, by_start);
    ct_status status = ct_analyse(&s->midi, &o, &s->arena, &s->piece, &s->info);
    if (status != CT_OK) print_message("%s\n", ct_message());
    assert_int_equal(status, CT_OK);
}

static void done(song *s) {
    ct_arena_free(&s->arena);
    free(s);
}

/* The change in force at a beat. */
static int32_t change_at(const song *s, int beat) {
    return ct_piece_change_at(&s->piece, beat * CT_STEPS_PER_BEAT);
}

static void assert_chord(const song *s, int beat, const char *want) {
    char text[32];
    assert_string_equal(ct_chord_name(s->piece.changes[change_at(s, beat)].chord, -1, text, sizeof text), want);
}

/* Eighths that climb through a chord with its ninth, as pianists break them: 1 5 9 3 5 9 3 5; a tune above. */
static void broken(song *s, int bar, int root, int third, const int tune[4]) {
    const int STEPS[8] = {0, 7, 14, 12 + third, 19, 14, 12 + third, 7};
    for (int k = 0; k < 8; k++) note(s, 4 * bar + k / 2.0, k ? 0.5 : 4, (k ? 48 : 36) + root + STEPS[k]);
    for (int k = 0; k < 4; k++) note(s, 4 * bar + k, 1, tune[k]);
}

/* C Am F G, four times. */
static song *ninths(void) {
    song            *s = song_new();
    static const int ROOT[4] = {0, 9, 5, 7}, THIRD[4] = {4, 3, 4, 4};
    static const int TUNE[4][4] = {{79, 76, 74, 72}, {76, 81, 79, 76}, {77, 81, 79, 77}, {74, 79, 81, 83}};
    for (int bar = 0; bar < 16; bar++) broken(s, bar, ROOT[bar % 4], THIRD[bar % 4], TUNE[bar % 4]);
    analyse(s);
    return s;
}

static void test_broken_chords_with_ninths(void **state) {
    (void)state;
    song                    *s = ninths();
    static const char *const NAME[4] = {"C:maj", "A:min", "F:maj", "G:maj"};
    for (int beat = 0; beat < 64; beat++) assert_chord(s, beat, NAME[beat / 4 % 4]);
    done(s);
}

static void block(song *s, double at, double length, int bass, int a, int b, int c) {
    note(s, at, length, bass);
    note(s, at, length, a);
    note(s, at, length, b);
    note(s, at, length, c);
}

/* C G/B Am7 Dm7 G7 with plain chords, all moved up by so many semitones. */
static song *plain(int up) {
    song *s = song_new();
    for (int round = 0; round < 4; round++) {
        double at = 16 * round;
        block(s, at, 4, 36 + up, 60 + up, 64 + up, 67 + up);
        block(s, at + 4, 4, 35 + up, 59 + up, 62 + up, 67 + up);
        block(s, at + 8, 4, 45 + up, 55 + up, 60 + up, 64 + up);
        block(s, at + 12, 2, 38 + up, 60 + up, 65 + up, 69 + up);
        block(s, at + 14, 2, 43 + up, 53 + up, 59 + up, 62 + up);
    }
    analyse(s);
    return s;
}

static void test_sevenths_and_basses(void **state) {
    (void)state;
    song *s = plain(0);
    assert_chord(s, 16, "C:maj");
    assert_chord(s, 20, "G:maj/3");
    assert_chord(s, 24, "A:min7");
    assert_chord(s, 28, "D:min7");
    assert_chord(s, 30, "G:7");
    done(s);
}

/* Chords do not depend on the key, and how sure they are little (a note's register counts). */
static void test_transposed(void **state) {
    (void)state;
    song *s = plain(0);
    for (int up = 1; up < 12; up++) {
        song *t = plain(up);
        assert_int_equal(t->piece.change_count, s->piece.change_count);
        for (int32_t i = 0; i < s->piece.change_count; i++) {
            ct_chord a = s->piece.changes[i].chord, b = t->piece.changes[i].chord;
            assert_int_equal(s->piece.changes[i].step, t->piece.changes[i].step);
            assert_int_equal((a.root + up) % 12, b.root);
            assert_int_equal(a.quality, b.quality);
            assert_int_equal(a.bass, b.bass);
            assert_true(fabsf(s->info.chord_confidence[i] - t->info.chord_confidence[i]) < 0.2f);
        }
        done(t);
    }
    done(s);
}

/* A prelude as harpsichordists play them: one quick voice, short basses, nothing in between. It has a harmony
 * throughout. */
static void test_thin_figures(void **state) {
    (void)state;
    static const int         ROOT[] = {2, 7, 9, 2}, FIGURE[] = {16, 14, 16, 12, 19, 16, 14, 12};
    static const char *const NAME[] = {"D:maj", "G:maj", "A:maj", "D:maj"};
    song                    *s = song_new();
    for (int bar = 0; bar < 8; bar++) {
        int root = 60 + ROOT[bar % 4];
        for (int k = 0; k < 16; k++) note(s, 4 * bar + k / 4.0, 0.2, root + FIGURE[k % 8]);
        for (int beat = 0; beat < 4; beat++) note(s, 4 * bar + beat, 0.25, root - 24);
    }
    analyse(s);
    for (int32_t i = 0; i < s->piece.change_count; i++)
        assert_int_not_equal(s->piece.changes[i].chord.root, CT_NO_CHORD);
    for (int bar = 1; bar < 7; bar++) assert_chord(s, 4 * bar + 1, NAME[bar % 4]);
    done(s);
}

/* A chord struck at once is surer than one whose ninth sounds as long as its third. */
static void test_confidence(void **state) {
    (void)state;
    song *clear = plain(0), *doubtful = ninths();
    for (int32_t i = 0; i < clear->piece.change_count; i++) {
        assert_true(clear->info.chord_confidence[i] > 0.85f);
        assert_true(clear->info.chord_confidence[i] < 1.0001f);
    }
    for (int32_t i = 0; i < doubtful->piece.change_count; i++) {
        assert_true(doubtful->info.chord_confidence[i] > 0);
        assert_true(doubtful->info.chord_confidence[i] < 0.85f);
    }
    done(clear);
    done(doubtful);
}

/* Am F C G, and E before it starts again: in a histogram C major, but it begins on A minor and goes back there by its
 * dominant. Without E and from C on it is C major. */
static song *turns(bool minor) {
    static const int CHORD[8][3] = {{69, 60, 64}, {65, 57, 60}, {60, 64, 67}, {67, 59, 62},
                                    {69, 60, 64}, {65, 57, 60}, {67, 59, 62}, {64, 56, 59}};
    song            *s = song_new();
    for (int bar = 0; bar < 32; bar++) {
        const int *c = CHORD[minor ? bar % 8 : (bar + 2) % 4];
        block(s, 4 * bar, 4, c[0] - 24, c[0], c[1], c[2]);
        for (int beat = 0; beat < 4; beat++) note(s, 4 * bar + beat, 1, (const int[]){76, 72, 79, 72}[beat]);
    }
    analyse(s);
    return s;
}

static void test_relative_keys(void **state) {
    (void)state;
    for (int minor = 0; minor < 2; minor++) {
        song *s = turns(minor);
        assert_int_equal(s->info.key, minor ? 21 : 0);
        assert_int_equal(s->piece.bars[9].key, s->info.key);
        assert_true(s->info.key_confidence > 0.5f);
        assert_true(s->info.key_confidence <= 1);
        done(s);
    }
}

/* A chart in Ab has Db and Eb, and nothing sharp. */
static void test_flat_key(void **state) {
    (void)state;
    song    *s = plain(8);
    ct_sheet sheet;
    bool     flat = false;
    assert_int_equal(s->info.key, 8);
    assert_int_equal(ct_sheet_from_piece(&s->piece, &s->arena, &sheet), CT_OK);
    for (int32_t i = 0; i < sheet.chord_count; i++) {
        assert_null(strchr(sheet.chords[i].symbol.text, '#'));
        flat |= strcmp(sheet.chords[i].symbol.text, "Bbm7") == 0;
    }
    assert_true(flat);
    done(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_chords_with_ninths),
        cmocka_unit_test(test_sevenths_and_basses),
        cmocka_unit_test(test_transposed),
        cmocka_unit_test(test_thin_figures),
        cmocka_unit_test(test_confidence),
        cmocka_unit_test(test_relative_keys),
        cmocka_unit_test(test_flat_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
