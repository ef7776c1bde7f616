/* Annotations of POP909: taken instead of what the notes would say, laid where melody.txt fits, refused where they
 * can't be read; ticks and seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/music/analyse.h"
#include "core/music/pop909.h"
#include "core/music/time_map.h"
#include "core/rng.h"
#include "temp_folder.h"

#include <math.h>

enum { PPQ = 480, PHASE = 100, BARS = 12, TONES = 2 * BARS };
static ct_arena arena;
static char     folder[TEMP_PATH];

static int make_folder(void **state) {
    (void)state;
    temp_folder(folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    temp_remove(folder);
    ct_arena_free(&arena);
    return 0;
}

/* ---- ticks and seconds */
static ct_time_map map_of(ct_midi_event *tempos, size_t count) {
    ct_midi     midi = {.ppq = PPQ, .tempos = {tempos, count}};
    ct_time_map map;
    assert_int_equal(ct_time_map_make(&midi, &arena, &map), CT_OK);
    return map;
}

static void seconds_follow_every_tempo(void **state) {
    (void)state;
    ct_midi_event tempos[] = {
        {.tick = 2 * PPQ, .value = 60}, {.tick = 4 * PPQ, .value = 30}, {.tick = 4 * PPQ, .value = 240}};
    ct_time_map         map = map_of(tempos, CT_COUNT(tempos));
    static const double QUARTER[] = {-1, 0, 1, 2, 3, 4, 6}, SECONDS[] = {-0.5, 0, 0.5, 1, 2, 3, 3.5};
    for (size_t i = 0; i < CT_COUNT(QUARTER); i++) {
        assert_true(fabs(ct_time_seconds(&map, QUARTER[i] * PPQ) - SECONDS[i]) < 1e-12);
        assert_true(fabs(ct_time_tick(&map, SECONDS[i]) - QUARTER[i] * PPQ) < 1e-9);
    }
}

/* ---- a song of C major, and a folder that says something else of it */
typedef struct song {
    ct_midi       midi;
    ct_midi_note  notes[8 * BARS];
    ct_midi_event tempo;
    ct_midi_track tracks[2];
} song;

static void add(song *s, int track, double quarter, double length, int pitch) {
    s->notes[s->midi.note_count++] = (ct_midi_note){.start = llround(quarter * PPQ) + PHASE,
                                                    .end = llround((quarter + length) * PPQ) + PHASE,
                                                    .track = (uint16_t)track,
                                                    .pitch = (uint8_t)pitch,
                                                    .velocity = 90};
}

static int tone(int k) {
    return 60 + (5 * k + k * k / 7) % 12;
}

/* The beats lie at PHASE; melody from the quarter `first`. */
static song *song_new(double first) {
    song *s = CT_NEW(&arena, song, 1);
    assert_non_null(s);
    s->midi = (ct_midi){.ppq = PPQ, .tracks = s->tracks, .track_count = 2, .notes = s->notes, .repairs = ""};
    s->tempo = (ct_midi_event){.value = 60, .text = ""};
    s->midi.tempos = (ct_midi_list){&s->tempo, 1};
    s->tracks[0].name = "MELODY";
    s->tracks[1].name = "PIANO";
    for (int bar = 0; bar < BARS; bar++) {
        for (int k = 0; k < 2; k++) add(s, 0, first + 4 * bar + 2 * k, 2, tone(2 * bar + k));
        for (int k = 0; k < 3; k++) add(s, 1, 4 * bar, 4, 48 + (k == 0 ? 0 : k == 1 ? 4 : 7));
    }
    for (size_t i = 1; i < s->midi.note_count; i++) /* by start */
        for (size_t k = i; k && s->notes[k].start < s->notes[k - 1].start; k--) {
            ct_midi_note swap = s->notes[k];
            s->notes[k] = s->notes[k - 1];
            s->notes[k - 1] = swap;
        }
    return s;
}

static void put(const char *name, const char *text) {
    temp_write(temp_path(&arena, folder, name), text, strlen(text));
}

/* A beat a second from PHASE on; bars of three or four. */
static void put_beats(int per_bar, int first) {
    char text[8192], *at = text;
    for (int b = 0; b < 4 * BARS; b++) {
        bool down = (b - first) % per_bar == 0;
        int  half = per_bar == 3 ? down : down || (b - first) % 2 == 0;
        int  whole = down && (per_bar == 4 || (b - first) % 6 == 0);
        at += sprintf(at, "%.9f %d.0 %d.0\n", b + (double)PHASE / PPQ, half, whole);
    }
    put("beat_midi.txt", text);
}

static void put_melody(int rest) {
    char text[4096], *at = text;
    at += sprintf(at, "0 %d\n", rest);
    for (int k = 0; k < TONES; k++) at += sprintf(at, "%d 8\n", tone(k));
    put("melody.txt", text);
}

static void put_all(void) {
    put_beats(4, 0);
    put_melody(16);
    put("chord_midi.txt", "0.2 8.2083333 F#:min7/b3\n8.2083333 10.208333 N\n10.208333 48.2 B:sus4(b7,9)\n");
    put("key_audio.txt", "0.5\t16.2\tGb:maj\n16.2\t47\tEb:min\n");
    put("human_label1.txt", "i1B2B3A4o1");
}

static ct_piece taken(song *s, ct_annotations *known, ct_analysis *info) {
    ct_pop909          notes;
    ct_piece           piece;
    ct_analyse_options options = ct_analyse_defaults();
    if (ct_pop909_read(folder, &arena, &notes) != CT_OK) fail_msg("%s", ct_message());
    if (ct_pop909_annotate(&notes, &s->midi, &arena, known) != CT_OK) fail_msg("%s", ct_message());
    options.annotations = known;
    if (ct_analyse(&s->midi, &options, &arena, &piece, info) != CT_OK) fail_msg("%s", ct_message());
    return piece;
}

static void what_is_annotated_is_taken(void **state) {
    (void)state;
    ct_annotations known;
    ct_analysis    info;
    song          *s = song_new(4);
    put_all();
    ct_piece p = taken(s, &known, &info);
    assert_int_equal(p.bar_count, BARS + 1); /* a bar of chords before the melody's first */
    assert_true(fabs(info.bar_ticks[0] - PHASE) < 1e-6);
    assert_true(fabs(info.bar_ticks[1] - PHASE - 4 * PPQ) < 1e-6);
    assert_int_equal(p.change_count, 3);
    assert_true(ct_chord_same(p.changes[0].chord, (ct_chord){6, CT_MIN7, 3}));
    assert_int_equal(p.changes[1].step, 8 * CT_STEPS_PER_BEAT);
    assert_int_equal(p.changes[1].chord.root, CT_NO_CHORD);
    assert_int_equal(p.changes[2].step, 10 * CT_STEPS_PER_BEAT);
    assert_true(ct_chord_same(p.changes[2].chord, (ct_chord){11, CT_SUS4B7, 0}));
    for (int32_t b = 0; b < p.bar_count; b++) assert_int_equal(p.bars[b].key, b < 4 ? 6 : 12 + 3);
    assert_int_equal(info.key, 12 + 3);
    static const ct_section SECTIONS[] = {{CT_SECTION_INTRO, 0, 1},
                                          {CT_SECTION_A, 1, 2},
                                          {CT_SECTION_A, 3, 3},
                                          {CT_SECTION_A + 1, 6, 4},
                                          {CT_SECTION_OUTRO, 10, 3}};
    assert_int_equal(p.section_count, CT_COUNT(SECTIONS));
    for (size_t i = 0; i < CT_COUNT(SECTIONS); i++) {
        assert_int_equal(p.sections[i].label, SECTIONS[i].label);
        assert_int_equal(p.sections[i].first, SECTIONS[i].first);
        assert_int_equal(p.sections[i].bars, SECTIONS[i].bars);
    }
}

static void bar_1_lies_where_the_melody_fits(void **state) {
    (void)state;
    song     *s = song_new(4);
    ct_pop909 notes;
    double    tick, matched;
    put_all();
    static const int RESTS[] = {0, 16, 28}; /* sixteenths before the first tone */
    for (size_t i = 0; i < CT_COUNT(RESTS); i++) {
        put_melody(RESTS[i]);
        assert_int_equal(ct_pop909_read(folder, &arena, &notes), CT_OK);
        assert_int_equal(ct_pop909_origin(&notes, &s->midi, &arena, &tick, &matched), CT_OK);
        assert_true(fabs(matched - 1) < 1e-9);
        assert_true(fabs(tick - (PHASE + 4 * PPQ - RESTS[i] * PPQ / 4.0)) < 1e-6);
    }
}

/* Another melody: bars by the marked beats, phrases by ear. */
static void phrases_that_do_not_fit_are_heard(void **state) {
    (void)state;
    ct_annotations known;
    ct_analysis    info;
    song          *s = song_new(4);
    put_all();
    put_beats(4, 3);
    put("melody.txt", "0 16\n30 4\n31 4\n99 8\n");
    ct_piece p = taken(s, &known, &info);
    assert_int_equal(known.section_count, 0);
    assert_true(fabs(info.bar_ticks[1] - PHASE - 3 * PPQ) < 1e-6);
    assert_int_equal(p.changes[p.change_count - 1].chord.root, 11);
}

static void songs_of_three_have_bars_of_three(void **state) {
    (void)state;
    ct_annotations known;
    ct_analysis    info;
    song          *s = song_new(3);
    put_all();
    put_beats(3, 0);
    put_melody(12);
    ct_piece p = taken(s, &known, &info);
    for (int32_t b = 0; b < p.bar_count; b++) assert_int_equal(p.bars[b].metre, CT_3_4);
    assert_int_equal(p.sections[1].first, 1);
}

/* Each file in turn: missing, empty, and with a line that is wrong. */
static void files_that_are_wrong_are_named(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *says;
    } CASES[] = {{"beat_midi.txt", "1 0 0\n0.5 1 0\n", "beat_midi.txt:2: expected rising seconds"},
                 {"beat_midi.txt", "1 0\n", "beat_midi.txt:1: expected rising seconds"},
                 {"beat_midi.txt", "1 0 0\n", "no beats"},
                 {"chord_midi.txt", "1 2 C:maj\n\n3 x C:maj\n", "chord_midi.txt:3: expected seconds"},
                 {"chord_midi.txt", "2 1 C:maj\n", "chord_midi.txt:1: expected seconds"},
                 {"chord_midi.txt", "nan 1 C:maj\n", "chord_midi.txt:1: expected seconds"},
                 {"key_audio.txt", "0 9\n", "key_audio.txt:1: expected seconds"},
                 {"human_label1.txt", "", "human_label1.txt: empty"},
                 {"human_label1.txt", "A4B", "human_label1.txt:1: expected letters"},
                 {"human_label1.txt", "A4-8", "human_label1.txt:1: expected letters"},
                 {"human_label1.txt", "A0", "human_label1.txt:1: expected letters"},
                 {"melody.txt", "60 4\n128 4\n", "melody.txt:2: expected a pitch"},
                 {"melody.txt", "60\n", "melody.txt:1: expected a pitch"}};
    ct_pop909 notes;
    for (size_t i = 0; i < CT_COUNT(CASES); i++) {
        put_all();
        put(CASES[i].name, CASES[i].text);
        assert_int_equal(ct_pop909_read(folder, &arena, &notes), CT_EFAIL);
        assert_message_has(CASES[i].says);
        put_all();
        assert_int_equal(remove(temp_path(&arena, folder, CASES[i].name)), 0);
        assert_int_equal(ct_pop909_read(folder, &arena, &notes), CT_EFAIL);
        assert_message_has(CASES[i].name);
    }
}

static void labels_that_are_wrong_are_told(void **state) {
    (void)state;
    song          *s = song_new(4);
    ct_pop909      notes;
    ct_annotations known;
    put_all();
    put("chord_midi.txt", "0 1 H:maj\n");
    assert_int_equal(ct_pop909_read(folder, &arena, &notes), CT_OK);
    assert_int_equal(ct_pop909_annotate(&notes, &s->midi, &arena, &known), CT_EFAIL);
    assert_message_has("H:maj");
    put_all();
    put("key_audio.txt", "0 1 Z\n");
    assert_int_equal(ct_pop909_read(folder, &arena, &notes), CT_OK);
    assert_int_equal(ct_pop909_annotate(&notes, &s->midi, &arena, &known), CT_EFAIL);
    assert_message_has("key \"Z\"");
}

/* Bytes of each file changed at random: read, or refused with a message. */
static void any_bytes_are_read_or_refused(void **state) {
    (void)state;
    static const char *const NAMES[] = {"beat_midi.txt", "chord_midi.txt", "key_audio.txt", "human_label1.txt",
                                        "melody.txt"};
    song                    *s = song_new(4);
    ct_annotations           known;
    int                      refused = 0, taken_ = 0;
    put_all();
    for (uint64_t round = 0; round < 600; round++) {
        const char *path = temp_path(&arena, folder, NAMES[round % 5]);
        ct_bytes    whole = temp_read(path, &arena), bytes = temp_read(path, &arena);
        ct_pop909   notes;
        for (uint64_t k = 0; k < 1 + round % 3; k++) {
            ct_philox draw = ct_philox_at(1, round, k);
            bytes.at[ct_philox_below(draw.word[0], (uint32_t)bytes.count)] =
                draw.word[1] & 1 ? (uint8_t)draw.word[2] : (uint8_t) " \n.-09e"[draw.word[2] % 7];
        }
        temp_write(path, bytes.at, bytes.count);
        ct_status status = ct_pop909_read(folder, &arena, &notes);
        if (status == CT_OK) status = ct_pop909_annotate(&notes, &s->midi, &arena, &known);
        assert_true(status == CT_OK || (status == CT_EFAIL && *ct_message()));
        *(status == CT_OK ? &taken_ : &refused) += 1;
        temp_write(path, whole.at, whole.count);
    }
    assert_true(refused > 100 && taken_ > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_follow_every_tempo),        cmocka_unit_test(what_is_annotated_is_taken),
        cmocka_unit_test(bar_1_lies_where_the_melody_fits),  cmocka_unit_test(phrases_that_do_not_fit_are_heard),
        cmocka_unit_test(songs_of_three_have_bars_of_three), cmocka_unit_test(files_that_are_wrong_are_named),
        cmocka_unit_test(labels_that_are_wrong_are_told),    cmocka_unit_test(any_bytes_are_read_or_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
