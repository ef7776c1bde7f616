/* test_melody.c -- which notes are the melody, in music made here where that is known; one voice out of what was
 * chosen. */
#include "core/music/analyse.h"
#include "core/music/melody.h"
#include "core/music/melody_net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ct_arena arena;

static int forget(void **state) {
    (void)state;
    ct_arena_free(&arena);
    return 0;
}

/* ---- names */
static void names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int         says;
    } CASES[] = {{"MELODY", 3},
                 {"Melodie", 3},
                 {"melodia 1", 3},
                 {"Lead Vocals", 2},
                 {"lead vox", 2},
                 {"Singer", 2},
                 {"VOICE", 2},
                 {"Gesang", 2},
                 {"Chant", 2},
                 {"Solo Gtr", 1},
                 {"lead", 1},
                 {"LeadSynth", 1},
                 {"Lead Bass", -1},
                 {"Backing Vocal", -1},
                 {"Choir Voices", -1},
                 {"Countermelody", -1},
                 {"Melody (pad)", -1},
                 {"Voice Oohs", -1},
                 {"Piano", 0},
                 {"Single coil", 0},
                 {"Misleading", 0},
                 {"Leader", 0},
                 {"", 0},
                 {"M\xc3\xa9lodie", 3},
                 {"track 1", 0}};
    for (size_t i = 0; i < CT_COUNT(CASES); i++)
        if (ct_melody_name_says(CASES[i].name) != CASES[i].says)
            fail_msg("%s: %d", CASES[i].name, ct_melody_name_says(CASES[i].name));
}

/* ---- one voice */
static ct_grid_note at(double start, double length, int pitch) {
    ct_grid_note n = {.start = start, .end = start + length, .pitch = (uint8_t)pitch, .velocity = 80};
    n.step = (int32_t)lround(start * CT_STEPS_PER_BEAT);
    n.step_end = (int32_t)lround(n.end * CT_STEPS_PER_BEAT);
    if (n.step_end <= n.step) n.step_end = n.step + 1;
    return n;
}

static void sings(const ct_grid_note *notes, size_t count, const ct_note *wanted, int32_t wanted_count) {
    uint8_t  chosen[16];
    ct_note *voice;
    int32_t  n;
    memset(chosen, 1, sizeof chosen);
    assert_true(count <= sizeof chosen);
    assert_int_equal(ct_melody_voice(notes, count, chosen, 480, &arena, &voice, &n), CT_OK);
    assert_int_equal(n, wanted_count);
    for (int32_t i = 0; i < n; i++) {
        assert_int_equal(voice[i].start, wanted[i].start);
        assert_int_equal(voice[i].end, wanted[i].end);
        assert_int_equal(voice[i].pitch, wanted[i].pitch);
    }
}
#define SINGS(notes, ...)                                                                                              \
    do {                                                                                                               \
        static const ct_note w_[] = {__VA_ARGS__};                                                                     \
        sings(notes, CT_COUNT(notes), w_, CT_COUNT(w_));                                                               \
    } while (0)

static void legato_is_cut(void **state) {
    (void)state;
    const ct_grid_note lines[] = {at(0, 1.25, 67), at(1, 1.5, 69), at(2, 1, 67)};
    SINGS(lines, {0, 12, 67, 80}, {12, 24, 69, 80}, {24, 36, 67, 80});
}

static void the_same_pitch_again(void **state) {
    (void)state;
    const ct_grid_note again[] = {at(0, 2, 67), at(1, 2, 67), at(1, 1, 67), at(3, 0.5, 67)};
    SINGS(again, {0, 12, 67, 80}, {12, 36, 67, 80}, {36, 42, 67, 80});
}

static void octaves_do_not_leap(void **state) {
    (void)state;
    const ct_grid_note low[] = {at(0, 1, 60), at(1, 1, 62), at(1, 1, 74), at(2, 1, 64), at(2, 1, 76), at(3, 1, 65)};
    SINGS(low, {0, 12, 60, 80}, {12, 24, 62, 80}, {24, 36, 64, 80}, {36, 48, 65, 80});
    const ct_grid_note high[] = {at(0, 1, 60), at(0, 1, 72), at(1, 1, 62), at(1, 1, 74)};
    SINGS(high, {0, 12, 72, 80}, {12, 24, 74, 80});
    const ct_grid_note thirds[] = {at(0, 1, 60), at(1, 1, 62), at(1, 1, 65)}; /* no doubling: the upper one leads */
    SINGS(thirds, {0, 12, 60, 80}, {12, 24, 65, 80});
}

static void grace_notes_go(void **state) {
    (void)state;
    const ct_grid_note before[] = {at(0, 0.08, 66), at(0.08, 0.9, 67), at(1, 1, 64)};
    SINGS(before, {0, 12, 67, 80}, {12, 24, 64, 80});
    const ct_grid_note on_one_step[] = {at(0, 0.03, 69), at(0.035, 0.9, 67),
                                        at(1, 1, 64)}; /* the higher one is grace */
    SINGS(on_one_step, {0, 11, 67, 80}, {12, 24, 64, 80});
    const ct_grid_note quick[] = {at(0, 0.25, 66), at(0.25, 0.75, 67)}; /* a sixteenth is none */
    SINGS(quick, {0, 3, 66, 80}, {3, 12, 67, 80});
}

static void inner_voices_go(void **state) {
    (void)state;
    const ct_grid_note held[] = {at(0, 3, 76), at(1, 1, 67), at(2, 0.5, 64), at(3, 1, 74)};
    SINGS(held, {0, 36, 76, 80}, {36, 48, 74, 80});
    const ct_grid_note hanging[] = {at(0, 30, 76), at(1, 1, 67), at(2, 1, 64)};
    SINGS(hanging, {0, 12, 76, 80}, {12, 24, 67, 80}, {24, 36, 64, 80});
}

/* ---- the drawn line */
static void a_line_keeps_near(void **state) {
    (void)state;
    const ct_grid_note notes[] = {at(0, 1, 67), at(1, 1, 48), at(1, 1, 69), at(2, 1, 71), at(3, 1, 91), at(3, 1, 72)};
    const float        p[] = {0.9F, 0.62F, 0.6F, 0.9F, 0.62F, 0.6F};
    uint8_t            picked[6];
    assert_int_equal(ct_melody_draw(notes, CT_COUNT(notes), p, &arena, picked), CT_OK);
    static const uint8_t WANT[] = {1, 0, 1, 1, 0, 1};
    assert_memory_equal(picked, WANT, sizeof WANT);
}

/* What is unlikely between two likely notes does not cut the line in two, however much of it there is. */
static void a_line_passes_over(void **state) {
    (void)state;
    ct_grid_note notes[64];
    float        p[64];
    uint8_t      picked[64];
    for (int i = 0; i < 64; i++) {
        notes[i] = at(i / 4.0, 0.25, 55 + i % 3);
        p[i] = i % 63 ? 0.1F : 0.95F;
    }
    assert_int_equal(ct_melody_draw(notes, 64, p, &arena, picked), CT_OK);
    for (int i = 0; i < 64; i++) assert_int_equal(picked[i], i % 63 == 0);
}

/* ---- notes that are there twice */
static void doubles(void **state) {
    (void)state;
    const ct_grid_note notes[] = {at(0, 0.5, 67), at(0, 1, 60), at(0.05, 1, 67), at(1, 1, 67)};
    ct_grid_note       out[4];
    uint32_t           of[4];
    uint8_t            copies[4];
    assert_int_equal(ct_melody_singles(notes, 4, out, of, copies), 3);
    assert_true(of[0] == 0 && of[1] == 1 && of[2] == 0 && of[3] == 2);
    assert_true(copies[0] == 2 && copies[1] == 1 && copies[2] == 1);
    assert_true(out[0].end == notes[2].end);
    assert_int_equal(out[0].step_end, notes[2].step_end);
}

/* ---- files */
typedef struct song {
    ct_midi       midi;
    ct_midi_note  notes[4096];
    ct_midi_event tempo, metre;
    ct_midi_track tracks[4];
} song;

static song *song_new(size_t tracks) {
    song *s = CT_NEW(&arena, song, 1);
    assert_non_null(s);
    s->midi = (ct_midi){.ppq = 480, .tracks = s->tracks, .track_count = tracks, .notes = s->notes, .repairs = ""};
    for (size_t t = 0; t < tracks; t++) s->tracks[t].name = "";
    s->metre = (ct_midi_event){.a = 4, .b = 4, .text = ""};
    s->tempo = (ct_midi_event){.value = 100, .text = ""};
    s->midi.tempos = (ct_midi_list){&s->tempo, 1};
    s->midi.metres = (ct_midi_list){&s->metre, 1};
    return s;
}

static void note(song *s, int track, double start, double length, int pitch, int velocity) {
    assert_true(s->midi.note_count < CT_COUNT(s->notes));
    s->notes[s->midi.note_count++] = (ct_midi_note){.start = llround(start * 480),
                                                    .end = llround((start + length) * 480),
                                                    .track = (uint16_t)track,
                                                    .channel = (uint8_t)track,
                                                    .pitch = (uint8_t)pitch,
                                                    .velocity = (uint8_t)velocity};
}

static int by_start(const void *pa, const void *pb) {
    const ct_midi_note *a = pa, *b = pb;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return (a->pitch > b->pitch) - (a->pitch < b->pitch);
}

typedef struct heard {
    ct_piece    piece;
    ct_analysis info;
} heard;

static heard hear(song *s, bool use_names, bool merged) {
    heard              h;
    ct_analyse_options o = ct_analyse_defaults();
    o.use_names = use_names;
    o.merged = merged;
    qsort(s->notes, s->midi.note_count, sizeof *s->notes, by_start);
    if (ct_analyse(&s->midi, &o, &arena, &h.piece, &h.info) != CT_OK) fail_msg("%s", ct_message());
    assert_int_equal(ct_piece_check(&h.piece), CT_OK);
    return h;
}

static bool warned(const heard *h, const char *words) {
    for (size_t i = 0; i < h->info.warning_count; i++)
        if (strstr(h->info.warnings[i], words)) return true;
    return false;
}

static const int ROOTS[] = {0, 9, 5, 7}, THIRDS[] = {4, 3, 4, 4};

/* A tune of two phrases with breath between them, on track 0. */
static void tune(song *s, int bars, int above, int velocity) {
    static const double AT[] = {0, 1, 1.5, 2, 3, 4, 4.5, 5.5, 6}, LENGTH[] = {1, 0.5, 0.5, 1, 1, 0.5, 1, 0.5, 1};
    static const int    STEP[2][9] = {{4, 2, 4, 7, 5, 4, 4, 2, 0}, {9, 7, 4, 5, 4, 2, 4, 2, -1}};
    for (int bar = 0; bar < bars; bar += 2)
        for (int k = 0; k < 9; k++)
            note(s, 0, 4 * bar + AT[k], LENGTH[k] * 0.95, above + STEP[bar / 2 % 2][k], velocity + k % 3 * 4);
}

/* Chords in half notes, bass and an arpeggio in eighths that reaches above what is sung. */
static void figures(song *s, int track, int bars, int bass, int arpeggio, int velocity) {
    for (int bar = 0; bar < bars; bar++) {
        int root = ROOTS[bar % 4], third = THIRDS[bar % 4];
        note(s, track, 4 * bar, 2, bass + root % 12, velocity);
        note(s, track, 4 * bar + 2, 2, bass + root % 12, velocity);
        for (int k = 0; k < 8; k++)
            note(s, track, 4 * bar + k / 2.0, 0.5, arpeggio + root % 12 + (const int[]){0, 7, 12, third + 12}[k % 4],
                 velocity - k % 2);
    }
}

static void score(const song *s, const heard *h, double *precision, double *recall) {
    double right = 0, picked = 0, wanted = 0;
    for (size_t i = 0; i < s->midi.note_count; i++) {
        right += h->info.is_melody[i] && s->notes[i].track == 0;
        picked += h->info.is_melody[i];
        wanted += s->notes[i].track == 0;
    }
    *precision = picked > 0 ? right / picked : 0;
    *recall = right / wanted;
}

/* The tune, louder than an arpeggio that reaches above it: the highest notes are not the melody. */
static void inside_the_accompaniment(void **state) {
    (void)state;
    double precision, recall;
    song  *s = song_new(2);
    tune(s, 32, 67, 96);
    figures(s, 1, 32, 36, 55, 64);
    heard h = hear(s, false, true);
    score(s, &h, &precision, &recall);
    print_message("precision %.3f recall %.3f\n", precision, recall);
    assert_true(precision >= 0.65 && recall >= 0.85);
    for (size_t i = 0, k; i < s->midi.note_count; i = k) { /* the highest of each onset */
        size_t top = i;
        for (k = i; k < s->midi.note_count && s->notes[k].start == s->notes[i].start; k++) top = k;
        for (k = i; k < s->midi.note_count && s->notes[k].start == s->notes[i].start; k++)
            ((uint8_t *)h.info.is_melody)[k] = k == top;
    }
    score(s, &h, &precision, &recall);
    assert_true(precision < 0.5 && recall < 0.75);
}

/* Eight bars are enough to hear one. */
static void a_brief_piece(void **state) {
    (void)state;
    song *s = song_new(2);
    tune(s, 8, 72, 90);
    figures(s, 1, 8, 36, 48, 70);
    heard h = hear(s, false, false);
    assert_int_equal(h.info.melody_track, 0);
}

/* Among unnamed tracks: the tune in the middle, a thin counterpart above it that is one figure over and over. */
static void the_track_among_three(void **state) {
    (void)state;
    song *s = song_new(3);
    tune(s, 32, 65, 90);
    figures(s, 1, 32, 36, 48, 70);
    for (int k = 0; k < 32 * 8; k++) note(s, 2, k / 2.0, 0.4, 84 + (k % 2 ? 3 : 0), 72);
    heard h = hear(s, false, false);
    assert_int_equal(h.info.melody_track, 0);
    assert_true(h.info.melody_confidence > 0.5F);
}

/* A pad is no melody, whatever it is called. */
static void chords_with_a_name(void **state) {
    (void)state;
    song *s = song_new(3);
    tune(s, 32, 67, 90);
    figures(s, 1, 32, 36, 48, 70);
    for (int bar = 0; bar < 32; bar++)
        for (int k = 0; k < 4; k++)
            note(s, 2, 4 * bar, 4, 60 + ROOTS[bar % 4] % 12 + (const int[]){0, THIRDS[bar % 4], 7, 12}[k], 80);
    s->tracks[2].name = "Melody";
    heard h = hear(s, true, false);
    assert_int_equal(h.info.melody_track, 0);
    s->tracks[1].name = "Lead bass";
    s->tracks[0].name = "voice";
    h = hear(s, true, false);
    assert_int_equal(h.info.melody_track, 0);
    assert_true(h.info.melody_confidence >= 0.9F);
}

static void no_melody(void **state) {
    (void)state;
    for (int what = 0; what < 3; what++) {
        song *s = song_new(1);
        for (int bar = 0; bar < 24; bar++) {
            int root = ROOTS[bar % 4], third = THIRDS[bar % 4];
            for (int k = 0; k < 8 && what == 1; k++) note(s, 0, 4 * bar + k / 2.0, 0.45, 36 + root, 80); /* a bass */
            for (int k = 0; k < 3 && what != 1; k++)
                for (int beat = 0; beat < (what == 2 ? 4 : 1); beat++) /* a pad; chords on each beat */
                    note(s, 0, 4 * bar + beat, what == 2 ? 1 : 4, 55 + root + (const int[]){0, third, 7}[k], 70);
            if (what == 2) note(s, 0, 4 * bar, 4, 36 + root, 70);
        }
        heard h = hear(s, false, false);
        print_message("no melody %d: confidence %.3f, %d notes\n", what, (double)h.info.melody_confidence,
                      h.piece.melody_count);
        assert_int_equal(h.piece.melody_count, 0);
        assert_true(warned(&h, "no melody found"));
        assert_int_equal(h.info.melody_track, -1);
        assert_true(h.piece.change_count >= 4);
        for (size_t i = 0; i < s->midi.note_count; i++) assert_int_equal(h.info.is_melody[i], 0);
    }
}

/* A file of many notes is heard in parts: the first one as if it stood alone. */
static void many_notes(void **state) {
    (void)state;
    enum { ALL = 40000, PART = 16384 };
    ct_grid_note *notes = CT_NEW(&arena, ct_grid_note, ALL);
    float        *p = CT_NEW(&arena, float, ALL), *alone = CT_NEW(&arena, float, ALL);
    assert_true(notes && p && alone);
    for (int i = 0; i < ALL; i++) notes[i] = at(i / 4.0, 0.25, 48 + i * 7 % 31);
    assert_int_equal(ct_melody_probabilities(notes, ALL, p), CT_OK);
    assert_int_equal(ct_melody_probabilities(notes, PART, alone), CT_OK);
    assert_memory_equal(p, alone, PART * sizeof *p);
    for (int i = 0; i < ALL; i++) assert_true(p[i] >= 0 && p[i] <= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test_teardown(legato_is_cut, forget),
        cmocka_unit_test_teardown(the_same_pitch_again, forget),
        cmocka_unit_test_teardown(octaves_do_not_leap, forget),
        cmocka_unit_test_teardown(grace_notes_go, forget),
        cmocka_unit_test_teardown(inner_voices_go, forget),
        cmocka_unit_test_teardown(a_line_keeps_near, forget),
        cmocka_unit_test_teardown(a_line_passes_over, forget),
        cmocka_unit_test_teardown(doubles, forget),
        cmocka_unit_test_teardown(inside_the_accompaniment, forget),
        cmocka_unit_test_teardown(a_brief_piece, forget),
        cmocka_unit_test_teardown(the_track_among_three, forget),
        cmocka_unit_test_teardown(chords_with_a_name, forget),
        cmocka_unit_test_teardown(no_melody, forget),
        cmocka_unit_test_teardown(many_notes, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
