/* test_analyse.c -- analysis of small songs made here, whose key, chords, metre and melody are known. */
#include "core/music/analyse.h"
#include "core/music/grid.h"
#include "core/music/key.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "odd_files.h"

/* ---- songs made by hand */
typedef struct song {
    ct_midi       midi;
    ct_midi_note  notes[4096];
    ct_midi_event tempo, metres[8];
    ct_midi_track tracks[8];
} song;

static song *song_new(int ppq, size_t tracks) {
    song *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->midi = (ct_midi){.ppq = ppq, .tracks = s->tracks, .track_count = tracks, .notes = s->notes, .repairs = ""};
    for (size_t t = 0; t < tracks; t++) s->tracks[t].name = "";
    s->midi.tempos.at = &s->tempo;
    s->midi.metres.at = s->metres;
    return s;
}

static void tempo(song *s, double quarters) {
    s->tempo = (ct_midi_event){.value = quarters, .text = ""};
    s->midi.tempos.count = 1;
}

static void metre(song *s, double quarter, int numerator, int denominator) {
    ct_midi_event *e = &s->metres[s->midi.metres.count++];
    *e = (ct_midi_event){.tick = (int64_t)(quarter * s->midi.ppq), .text = ""};
    e->a = (int16_t)numerator;
    e->b = (int16_t)denominator;
}

/* A note; times in quarters. */
static void note(song *s, int track, int channel, double start, double length, int pitch) {
    assert_true(s->midi.note_count < CT_COUNT(s->notes));
    ct_midi_note *n = &s->notes[s->midi.note_count++];
    n->start = llround(start * s->midi.ppq);
    n->end = llround((start + length) * s->midi.ppq);
    n->track = (uint16_t)track;
    n->channel = (uint8_t)channel;
    n->pitch = (uint8_t)pitch;
    n->velocity = 80;
}

static int by_start(const void *pa, const void *pb) {
    const ct_midi_note *a = pa, *b = pb;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return (a->pitch > b->pitch) - (a->pitch < b->pitch);
}

/* Bass on the first beat, two chords after it. */
static void accompany(song *s, int track, double start, double bar, int root, int third) {
    note(s, track, 1, start, bar, 36 + root);
    for (int beat = 0; beat < 4; beat++) {
        double at = start + beat * bar / 4;
        note(s, track, 1, at, bar / 4, 60 + root);
        note(s, track, 1, at, bar / 4, 60 + root + third);
        note(s, track, 1, at, bar / 4, 60 + root + 7);
    }
}

typedef struct result {
    ct_arena    arena;
    ct_piece    piece;
    ct_analysis info;
} result;

static ct_status analyse_with(song *s, const ct_analyse_options *o, result *r) {
    *r = (result){0};
    qsort(s->notes, s->midi.note_count, sizeof *s->notes, by_start);
    return ct_analyse(&s->midi, o, &r->arena, &r->piece, &r->info);
}

static result analyse(song *s) {
    result             r;
    ct_analyse_options o = ct_analyse_defaults();
    ct_status          status = analyse_with(s, &o, &r);
    if (status != CT_OK) print_message("%s\n", ct_message());
    assert_int_equal(status, CT_OK);
    assert_int_equal(ct_piece_check(&r.piece), CT_OK);
    return r;
}

static void done(song *s, result *r) {
    ct_arena_free(&r->arena);
    free(s);
}

static bool warned(const result *r, const char *words) {
    for (size_t i = 0; i < r->info.warning_count; i++)
        if (strstr(r->info.warnings[i], words)) return true;
    return false;
}

/* C G Am F in 4/4 or another length of bar: `bars` bars with a tune over them, all moved by `shift` quarters. */
static void four_chords(song *s, int bars, double bar, double shift) {
    static const int ROOT[] = {0, 7, 9, 5}, THIRD[] = {4, 4, 3, 4};
    static const int TUNE[4][4] = {{76, 79, 84, 83}, {79, 83, 86, 83}, {81, 84, 88, 84}, {77, 81, 84, 81}};
    for (int b = 0; b < bars; b++) {
        double at = shift + b * bar;
        accompany(s, 1, at, bar, ROOT[b % 4], THIRD[b % 4]);
        for (int k = 0; k < 4; k++) note(s, 0, 0, at + k * bar / 4, bar / 4, TUNE[b % 4][k]);
    }
}

static void assert_chord(const result *r, int bar, int root, int quality) {
    int32_t at = ct_piece_change_at(&r->piece, r->piece.bars[bar].start);
    assert_int_equal(r->piece.changes[at].chord.root, root);
    assert_int_equal(r->piece.changes[at].chord.quality, quality);
}

/* ---- grid and metre */
static void test_plain_song(void **state) {
    (void)state;
    song *s = song_new(480, 2);
    tempo(s, 100);
    metre(s, 0, 4, 4);
    four_chords(s, 16, 4, 0);
    result r = analyse(s);
    assert_int_equal(r.piece.bar_count, 16);
    assert_int_equal(r.piece.bars[3].metre, CT_4_4);
    assert_true(fabs(r.piece.bars[3].tempo - 100) < 1e-9);
    assert_int_equal(r.info.key, 0);
    assert_int_equal(r.piece.bars[5].key, 0);
    assert_int_equal(r.info.melody_track, 0);
    assert_int_equal(r.piece.melody_count, 64);
    assert_int_equal(r.piece.melody[5].start, 60);
    assert_int_equal(r.piece.melody[5].end, 72);
    assert_int_equal(r.piece.melody[5].pitch, 83);
    assert_int_equal(r.piece.melody[5].velocity, 80);
    for (int b = 0; b < 16; b++) assert_chord(&r, b, (const int[]){0, 7, 9, 5}[b % 4], b % 4 == 2 ? CT_MIN : CT_MAJ);
    assert_int_equal(r.piece.change_count, 16);
    assert_int_equal(r.piece.rhythm[0], 1);
    assert_true(r.info.phase == 0);
    assert_true(ct_analysis_tick(&r.info, &r.piece, 48 + 6) == 4 * 480 + 240);
    done(s, &r);
}

static void test_phase(void **state) {
    (void)state;
    for (int shift = 0; shift < 480; shift += 53) { /* a junk signature; beats lie anywhere */
        song *s = song_new(480, 2);
        tempo(s, 90);
        metre(s, 0, 1, 4);
        four_chords(s, 12, 4, 8 + shift / 480.0);
        result r = analyse(s);
        assert_true(fabs(r.info.phase - shift) < 1 || fabs(r.info.phase - shift) > 479);
        assert_int_equal(r.piece.bar_count, 12);
        assert_int_equal(r.piece.bars[0].metre, CT_4_4);
        assert_chord(&r, 1, 7, CT_MAJ);
        assert_true(warned(&r, "time signatures do not fit"));
        done(s, &r);
    }
}

static void test_triple_time_found(void **state) {
    (void)state;
    song            *s = song_new(96, 2);
    static const int ROOT[] = {2, 9, 7, 9}, THIRD[] = {4, 4, 4, 4};
    for (int b = 0; b < 24; b++) {
        note(s, 1, 1, 3 * b, 3, 36 + ROOT[b % 4]);
        for (int k = 1; k < 3; k++)
            for (int i = 0; i < 3; i++)
                note(s, 1, 1, 3 * b + k, 1, 60 + ROOT[b % 4] + (i == 0 ? 0 : i == 1 ? THIRD[b % 4] : 7));
        note(s, 0, 0, 3 * b, 2, 78 - b % 3);
        note(s, 0, 0, 3 * b + 2, 1, 76);
    }
    result r = analyse(s);
    assert_int_equal(r.piece.bars[4].metre, CT_3_4);
    assert_int_equal(r.piece.bar_count, 24);
    assert_true(warned(&r, "no time signature"));
    assert_true(warned(&r, "no tempo event"));
    assert_true(r.piece.bars[0].tempo == 120);
    done(s, &r);
}

static void test_compound(void **state) {
    (void)state;
    song *s = song_new(480, 2);
    tempo(s, 90); /* quarters: 60 dotted quarters a minute */
    metre(s, 0, 6, 8);
    four_chords(s, 8, 3, 0);
    for (int b = 0; b < 8; b++) note(s, 1, 1, 3 * b + 0.5, 0.5, 64);
    result r = analyse(s);
    assert_int_equal(r.piece.bars[0].metre, CT_6_8);
    assert_int_equal(r.piece.bar_count, 8);
    assert_int_equal(r.piece.beat_count, 16);
    assert_true(fabs(r.piece.bars[0].tempo - 60) < 1e-9);
    assert_true(r.info.ticks_per_beat == 720);
    done(s, &r);
}

static void test_halves(void **state) {
    (void)state;
    for (int sixteenths = 0; sixteenths < 2; sixteenths++) {
        song *s = song_new(480, 2);
        metre(s, 0, 2, 2);
        four_chords(s, 8, 4, 0);
        for (int b = 0; b < 8 && sixteenths; b++) note(s, 0, 0, 4 * b + 0.75, 0.25, 74);
        result r = analyse(s);
        assert_int_equal(r.piece.bars[0].metre, sixteenths ? CT_4_4 : CT_2_2);
        assert_int_equal(r.piece.bar_count, 8);
        assert_true(r.piece.bars[0].tempo == (sixteenths ? 120 : 60));
        done(s, &r);
    }
}

static void test_metre_changes(void **state) {
    (void)state;
    song *s = song_new(480, 2);
    tempo(s, 100);
    metre(s, 0, 4, 4);
    metre(s, 16, 3, 4);
    metre(s, 28, 5, 4);
    four_chords(s, 4, 4, 0);
    four_chords(s, 4, 3, 16);
    four_chords(s, 4, 5, 28);
    result           r = analyse(s);
    static const int WANT[] = {CT_4_4, CT_4_4, CT_4_4, CT_4_4, CT_3_4, CT_3_4, CT_3_4, CT_3_4, CT_3_4, CT_2_4, CT_3_4};
    assert_int_equal(r.piece.bar_count, 16);
    for (size_t i = 0; i < CT_COUNT(WANT); i++) assert_int_equal(r.piece.bars[i].metre, WANT[i]);
    assert_true(r.info.bar_ticks[8] == 28 * 480);
    done(s, &r);
}

static void test_pickup(void **state) {
    (void)state;
    song *s = song_new(480, 2); /* one quarter before the first bar line, written as a bar of 1/4 */
    tempo(s, 100);
    metre(s, 0, 1, 4);
    metre(s, 1, 4, 4);
    note(s, 0, 0, 0, 1, 72);
    four_chords(s, 8, 4, 1);
    result r = analyse(s);
    assert_int_equal(r.piece.bar_count, 9);
    assert_true(ct_piece_has_pickup(&r.piece));
    assert_int_equal(r.piece.melody[0].start, 36);
    assert_true(r.info.bar_ticks[1] == 480);
    assert_chord(&r, 1, 0, CT_MAJ);
    done(s, &r);
}

/* An upbeat that stands at tick 0, where the file says a bar begins. */
static void test_upbeat(void **state) {
    (void)state;
    static const double UPBEAT[] = {1, 0.5, 2.5};
    for (size_t i = 0; i < CT_COUNT(UPBEAT); i++) {
        song *s = song_new(480, 2);
        metre(s, 0, 4, 4);
        tempo(s, 84);
        note(s, 0, 0, 0, UPBEAT[i], 79);
        four_chords(s, 12, 4, UPBEAT[i]);
        result r = analyse(s);
        assert_true(ct_piece_has_pickup(&r.piece) == (UPBEAT[i] <= 2));
        assert_int_equal(r.piece.bar_count, 13);
        assert_true(r.info.bar_ticks[1] == UPBEAT[i] * 480);
        assert_int_equal(r.piece.melody[0].start, 48 - (int)(12 * UPBEAT[i]));
        assert_true(warned(&r, "bar lines moved"));
        for (int32_t b = 0; b < r.piece.bar_count; b++) assert_true(fabs(r.piece.bars[b].tempo - 84) < 0.01);
        done(s, &r);
    }
}

static void test_tempo_changes(void **state) {
    (void)state;
    song         *s = song_new(480, 2);
    ct_midi_event tempos[] = {
        {.tick = 0, .value = 60}, {.tick = 4 * 480, .value = 120}, {.tick = 10 * 480, .value = 60}};
    s->midi.tempos = (ct_midi_list){tempos, 3};
    metre(s, 0, 4, 4);
    four_chords(s, 4, 4, 0);
    result r = analyse(s);
    assert_true(r.piece.bars[0].tempo == 60);
    assert_true(fabs(r.piece.bars[1].tempo - 120) < 1e-9);
    assert_true(fabs(r.piece.bars[2].tempo - 80) < 1e-9); /* two beats in one second, two in two: 4 beats in 3 s */
    assert_true(fabs(r.piece.bars[3].tempo - 60) < 1e-9);
    done(s, &r);
}

/* ---- key, melody, sections */
static void test_keys(void **state) {
    (void)state;
    static const int MINOR[] = {0, 2, 3, 5, 7, 8, 11, 12};
    for (int tonic = 0; tonic < 12; tonic++) {
        double major[12] = {0}, minor[12] = {0};
        for (int i = 0; i < 8; i++) {
            major[(tonic + (const int[]){0, 2, 4, 5, 7, 9, 11, 12}[i]) % 12] += i == 4 ? 2 : 1;
            minor[(tonic + MINOR[i]) % 12] += i == 4 ? 2 : 1;
        }
        assert_int_equal(ct_key_of(major), tonic);
        assert_int_equal(ct_key_of(minor), tonic + 12);
    }
}

static void test_modulation(void **state) {
    (void)state;
    song *s = song_new(480, 2);
    metre(s, 0, 4, 4);
    four_chords(s, 24, 4, 0);
    size_t first = s->midi.note_count;
    four_chords(s, 16, 4, 96);
    for (size_t i = first; i < s->midi.note_count; i++) s->notes[i].pitch = (uint8_t)(s->notes[i].pitch + 2);
    result r = analyse(s);
    assert_int_equal(r.info.key, 0);
    assert_int_equal(r.piece.bars[10].key, 0);
    assert_int_equal(r.piece.bars[32].key, 2);
    done(s, &r);
}

static void test_names(void **state) {
    (void)state;
    song *s = song_new(480, 3); /* the tune lies on track 0; track 2 has the name */
    metre(s, 0, 4, 4);
    four_chords(s, 16, 4, 0);
    for (int b = 0; b < 16; b++) {
        note(s, 2, 2, 4 * b, 2, 62);
        note(s, 2, 2, 4 * b, 2, 65);
    }
    s->tracks[2].name = "Lead Vocals";
    ct_analyse_options o = ct_analyse_defaults();
    result             r = analyse(s);
    assert_int_equal(r.info.melody_track, 2);
    assert_int_equal(r.piece.melody_count, 16);
    assert_int_equal(r.piece.melody[0].pitch, 65);
    ct_arena_free(&r.arena);
    o.use_names = false;
    assert_int_equal(analyse_with(s, &o, &r), CT_OK);
    assert_int_equal(r.info.melody_track, 0);
    assert_true(warned(&r, "by its texture"));
    done(s, &r);
}

static void test_merged(void **state) {
    (void)state;
    song *s = song_new(480, 2);
    metre(s, 0, 4, 4);
    four_chords(s, 16, 4, 0);
    ct_analyse_options o = ct_analyse_defaults();
    result             r;
    o.merged = true;
    assert_int_equal(analyse_with(s, &o, &r), CT_OK);
    assert_int_equal(r.info.melody_track, -1);
    int right = 0, picked = 0;
    for (size_t i = 0; i < s->midi.note_count; i++) {
        picked += r.info.is_melody[i];
        right += r.info.is_melody[i] && s->notes[i].track == 0;
    }
    assert_true(right >= 48);
    assert_true(picked <= right + 6);
    done(s, &r);
}

static void test_drums(void **state) {
    (void)state;
    song *s = song_new(480, 3), *only = song_new(480, 1);
    metre(s, 0, 4, 4);
    four_chords(s, 8, 4, 0);
    for (int b = 0; b < 32; b++) note(s, 2, 9, b, 0.25, 42);
    result r = analyse(s);
    assert_int_equal(r.info.melody_track, 0);
    assert_chord(&r, 0, 0, CT_MAJ);
    done(s, &r);
    for (int b = 0; b < 32; b++) note(only, 0, 9, b, 0.25, 42);
    ct_analyse_options o = ct_analyse_defaults();
    assert_int_equal(analyse_with(only, &o, &r), CT_EFAIL);
    assert_string_equal(ct_message(), "drums only");
    done(only, &r);
}

static void test_sections(void **state) {
    (void)state;
    song *s = song_new(480, 2);
    metre(s, 0, 4, 4);
    static const int  A[8][2] = {{0, 4}, {7, 4}, {9, 3}, {5, 4}, {0, 4}, {7, 4}, {5, 4}, {0, 4}};
    static const int  B[8][2] = {{2, 3}, {9, 3}, {2, 3}, {4, 3}, {10, 4}, {5, 4}, {3, 4}, {7, 4}};
    static const char FORM[] = "iABABo";
    double            at = 0;
    for (const char *f = FORM; *f; f++)
        for (int b = 0; b < (*f == 'i' || *f == 'o' ? 4 : 8); b++) {
            const int *c = *f == 'B' ? B[b] : A[b];
            accompany(s, 1, at, 4, c[0], c[1]);
            for (int k = 0; k < 4 && *f != 'i' && *f != 'o'; k++)
                note(s, 0, 0, at + k, 1, 72 + c[0] + (*f == 'B' ? (k * 5 + b) % 7 : (k * 3 + b) % 5));
            at += 4;
        }
    result           r = analyse(s);
    static const int LABEL[] = {CT_SECTION_INTRO, CT_SECTION_A,     CT_SECTION_A + 1,
                                CT_SECTION_A,     CT_SECTION_A + 1, CT_SECTION_OUTRO};
    static const int BARS[] = {4, 8, 8, 8, 8, 4};
    assert_int_equal(r.piece.section_count, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(r.piece.sections[i].label, LABEL[i]);
        assert_int_equal(r.piece.sections[i].bars, BARS[i]);
    }
    done(s, &r);
}

/* ---- what can't be used, and what is hostile */
static void assert_refused(song *s, const char *reason) {
    result             r;
    ct_analyse_options o = ct_analyse_defaults();
    assert_int_equal(analyse_with(s, &o, &r), CT_EFAIL);
    if (!strstr(ct_message(), reason)) print_message("%s\n", ct_message());
    assert_non_null(strstr(ct_message(), reason));
    done(s, &r);
}

static void test_refusals(void **state) {
    (void)state;
    song *none = song_new(480, 1), *few = song_new(480, 1), *wide = song_new(480, 1), *loose = song_new(480, 1);
    assert_refused(none, "no notes");
    note(few, 0, 0, 0, 1, 60);
    assert_refused(few, "too short: 1 notes, at least 8");
    for (int i = 0; i < 32; i++) note(wide, 0, 0, i, 1, 60 + i % 5);
    note(wide, 0, 0, 500000, 1, 60);
    assert_refused(wide, "too long: more than 1000 bars");
    uint32_t seed = 7;
    for (int i = 0; i < 2000; i++) {
        seed = seed * 1664525 + 1013904223;
        note(loose, 0, 0, seed / 4294967296.0 * 400, 1, 60 + (int)(seed >> 8) % 20);
    }
    assert_refused(loose, "notes follow no grid");
}

static void test_same_twice(void **state) {
    (void)state;
    song *s = song_new(480, 2);
    metre(s, 0, 4, 4);
    four_chords(s, 16, 4, 0.3);
    result a = analyse(s), b = analyse(s);
    assert_int_equal(a.piece.melody_count, b.piece.melody_count);
    for (int32_t i = 0; i < a.piece.melody_count; i++) {
        const ct_note *x = &a.piece.melody[i], *y = &b.piece.melody[i];
        assert_true(x->start == y->start && x->end == y->end && x->pitch == y->pitch && x->velocity == y->velocity);
    }
    assert_memory_equal(a.piece.rhythm, b.piece.rhythm, (size_t)a.piece.beat_count);
    assert_memory_equal(a.info.bar_ticks, b.info.bar_ticks, sizeof(double) * (size_t)(a.piece.bar_count + 1));
    ct_arena_free(&a.arena);
    done(s, &b);
}

static void test_collection(void **state) {
    (void)state;
    ct_arena list = {0};
    char   **names;
    size_t   files = odd_files(&list, &names);
    int      used = 0, refused = 0;
    for (size_t i = 0; i < 2 * files; i++) {
        ct_arena           arena = {.cap = (size_t)1 << 30};
        ct_midi            m;
        ct_piece           piece;
        ct_analysis        info;
        ct_analyse_options o = ct_analyse_defaults();
        ct_bytes           bytes = odd_file(names[i / 2], &arena);
        o.merged = i % 2;
        ct_status status = ct_midi_read(bytes.at, bytes.count, &arena, &m);
        if (status == CT_OK) status = ct_analyse(&m, &o, &arena, &piece, &info);
        if (status != CT_OK) print_message("%s: %s\n", names[i / 2], ct_message());
        assert_true(status == CT_OK || status == CT_EFAIL);
        if (status == CT_OK) assert_int_equal(ct_piece_check(&piece), CT_OK);
        used += status == CT_OK;
        refused += status != CT_OK;
        ct_arena_free(&arena);
    }
    ct_arena_free(&list);
    print_message("%d analyses, %d refused\n", used, refused);
    assert_true(used > 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_song), cmocka_unit_test(test_phase),      cmocka_unit_test(test_triple_time_found),
        cmocka_unit_test(test_compound),   cmocka_unit_test(test_halves),     cmocka_unit_test(test_metre_changes),
        cmocka_unit_test(test_pickup),     cmocka_unit_test(test_upbeat),     cmocka_unit_test(test_tempo_changes),
        cmocka_unit_test(test_keys),       cmocka_unit_test(test_modulation), cmocka_unit_test(test_names),
        cmocka_unit_test(test_merged),     cmocka_unit_test(test_drums),      cmocka_unit_test(test_sections),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_same_twice), cmocka_unit_test(test_collection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
