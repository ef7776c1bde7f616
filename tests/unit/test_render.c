/* infer/render.h: what sounds and when, and that a sheet comes back from the file it went into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "infer/render.h"

#define OK(expression)                                                                                                 \
    do {                                                                                                               \
        if ((expression) != CT_OK) fail_msg("%s", ct_message());                                                       \
    } while (0)

/* A sheet, its piece, and both rendered. */
typedef struct work {
    ct_arena arena;
    ct_sheet sheet;
    ct_piece piece;
    ct_midi  midi;
} work;

static void prepare(work *w, const char *text) {
    memset(w, 0, sizeof *w);
    OK(ct_sheet_parse("chart", text, strlen(text), &w->arena, &w->sheet));
    OK(ct_sheet_to_piece(&w->sheet, &w->arena, &w->piece, NULL));
}

static void render(work *w, const char *text) {
    prepare(w, text);
    OK(ct_render(&w->piece, &w->sheet, &w->arena, &w->midi));
}

/* Through the bytes of a file. */
static ct_midi through_file(const ct_midi *midi, ct_arena *arena) {
    uint8_t *bytes;
    size_t   count;
    ct_midi  back;
    OK(ct_midi_write(midi, arena, &bytes, &count));
    OK(ct_midi_read(bytes, count, arena, &back));
    assert_string_equal(back.repairs, "");
    return back;
}

/* The notes of one track that start at `tick`: how many, their pitch classes, their end (which they share). */
static int struck(const ct_midi *m, int track, int64_t tick, unsigned *tones, int64_t *end) {
    int count = 0;
    *tones = 0;
    for (size_t i = 0; i < m->note_count; i++) {
        const ct_midi_note *n = &m->notes[i];
        if (n->track != track || n->start != tick) continue;
        if (count++) assert_int_equal(n->end, *end);
        *tones |= 1u << n->pitch % 12;
        *end = n->end;
    }
    return count;
}

static void chord_at(const ct_midi *m, int64_t tick, int64_t end, unsigned tones) {
    unsigned found;
    int64_t  found_end = -1;
    assert_int_equal(struck(m, CT_RENDER_CHORDS, tick, &found, &found_end), __builtin_popcount(tones));
    assert_int_equal(found, tones);
    assert_int_equal(found_end, end);
}

static void bass_at(const ct_midi *m, int64_t tick, int64_t end, int pitch_class) {
    unsigned found;
    int64_t  found_end = -1;
    assert_int_equal(struck(m, CT_RENDER_BASS, tick, &found, &found_end), 1);
    assert_int_equal(found, 1u << pitch_class);
    assert_int_equal(found_end, end);
}

static void marker_is(const ct_midi *m, size_t i, int64_t tick, const char *text) {
    assert_true(i < m->markers.count);
    assert_int_equal(m->markers.at[i].tick, tick);
    assert_string_equal(m->markers.at[i].text, text);
}

/* ---- what sounds */

static void test_bars_without_rhythm(void **state) {
    (void)state;
    work w;
    render(&w, "title: T\nkey: Eb\ntempo: 97\nmeter: 3/4\n[Pickup] | N.C. |\n[Verse 1]\n| Eb | % | Bb13(#11)/D . Cm |");
    chord_at(&w.midi, 1440, 2880, 1u << 3 | 1u << 7 | 1u << 10); /* one strike a bar */
    chord_at(&w.midi, 2880, 4320, 1u << 3 | 1u << 7 | 1u << 10);
    chord_at(&w.midi, 4320, 5280, 1u << 10 | 1u << 2 | 1u << 5 | 1u << 8 | 1u << 0 | 1u << 4 | 1u << 7); /* in full */
    chord_at(&w.midi, 5280, 5760, 1u << 0 | 1u << 3 | 1u << 7);
    bass_at(&w.midi, 1440, 2880, 3);
    bass_at(&w.midi, 4320, 5280, 2);
    bass_at(&w.midi, 5280, 5760, 0);
    assert_int_equal(w.midi.markers.count, 7);
    marker_is(&w.midi, 0, 0, "[Pickup]");
    marker_is(&w.midi, 1, 0, "N.C.");
    marker_is(&w.midi, 2, 1440, "[Verse 1]");
    marker_is(&w.midi, 3, 1440, "Eb");
    marker_is(&w.midi, 4, 4320, "Bb13(#11)/D");
    marker_is(&w.midi, 5, 5280, "Cm");
    marker_is(&w.midi, 6, 5760, "||");
    assert_int_equal(w.midi.keys.count, 1);
    assert_int_equal(w.midi.keys.at[0].a, -3);
    assert_int_equal(w.midi.metres.at[0].a, 3);
    assert_true(w.midi.tempos.at[0].value == 97);
    assert_string_equal(w.midi.tracks[CT_RENDER_TITLE].name, "T");
    assert_string_equal(w.midi.tracks[CT_RENDER_BASS].name, "bass");
    ct_arena_free(&w.arena);
}

static void test_metres_and_tempos(void **state) {
    (void)state;
    work w;
    render(&w, "tempo: 60\nmeter: 2/2\n| C |\n{meter: 6/8} {key: F#m}\n| D |\n{meter: 7/8} {tempo: 120}\n| E |\n| F |");
    const int64_t starts[] = {0, 1920, 3360, 5040};
    const double  quarters[] = {120, 90, 60};
    assert_int_equal(w.midi.tempos.count, 3);
    assert_int_equal(w.midi.metres.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(w.midi.tempos.at[i].tick, starts[i]);
        assert_int_equal(w.midi.metres.at[i].tick, starts[i]);
        assert_true(w.midi.tempos.at[i].value == quarters[i]);
    }
    assert_int_equal(w.midi.keys.at[1].tick, 1920);
    assert_int_equal(w.midi.keys.at[1].a, 3);
    assert_int_equal(w.midi.keys.at[1].b, 1);
    for (size_t i = 0; i < 4; i++) marker_is(&w.midi, i, starts[i], (const char *[]){"C", "D", "E", "F"}[i]);
    marker_is(&w.midi, 4, 6720, "||");
    ct_arena_free(&w.arena);
}

static void test_rhythm_and_melody(void **state) {
    (void)state;
    work    w;
    ct_note melody[] = {{6, 30, 70, 99}, {30, 96, 72, 1}};
    prepare(&w, "| C . . F . . . . | F . . N.C. |"); /* the change lies inside the second beat */
    w.piece.melody = melody;
    w.piece.melody_count = 2;
    w.piece.rhythm[1] = (uint8_t)ct_rhythm_nearest(1 << 8);          /* the change itself strikes at 6 */
    w.piece.rhythm[3] = (uint8_t)ct_rhythm_nearest(1 << 0 | 1 << 3); /* steps 36 and 39 */
    OK(ct_render(&w.piece, &w.sheet, &w.arena, &w.midi));
    unsigned c = 1u << 0 | 1u << 4 | 1u << 7, f = 1u << 5 | 1u << 9 | 1u << 0;
    chord_at(&w.midi, 0, 720, c);
    chord_at(&w.midi, 720, 800, f);
    chord_at(&w.midi, 800, 1440, f);
    chord_at(&w.midi, 1440, 1560, f);
    chord_at(&w.midi, 1560, 3360, f); /* no strike in the second bar; N.C. ends it */
    bass_at(&w.midi, 720, 1920, 5);
    bass_at(&w.midi, 1920, 3360, 5);
    for (size_t i = 0; i < w.midi.note_count; i++) assert_true(w.midi.notes[i].end <= 3840);
    int count = 0;
    for (size_t i = 0; i < w.midi.note_count; i++)
        if (w.midi.notes[i].track == CT_RENDER_MELODY) {
            assert_int_equal(w.midi.notes[i].start, melody[count].start * 40);
            assert_int_equal(w.midi.notes[i].end, melody[count].end * 40);
            assert_int_equal(w.midi.notes[i].pitch, melody[count].pitch);
            assert_int_equal(w.midi.notes[i].velocity, melody[count++].velocity);
        }
    assert_int_equal(count, 2);
    ct_arena_free(&w.arena);
}

/* Close position, near middle C, and no hand jumps: from chord to chord no tone moves more than a fifth. */
static void test_voicing(void **state) {
    (void)state;
    work w;
    render(&w, "| C | F#m7b5 | B7(b9,#11) | Em | A13 | Dm9 | G7alt | Db | Eb5 | Cdim7 | Gsus4 | Ab6/9 | C |");
    int low = 0, high = 0;
    for (int i = 0; i < w.sheet.chord_count; i++) {
        int new_low = 128, new_high = 0;
        for (size_t n = 0; n < w.midi.note_count; n++) {
            if (w.midi.notes[n].track != CT_RENDER_CHORDS || w.midi.notes[n].start != i * 1920) continue;
            if (w.midi.notes[n].pitch < new_low) new_low = w.midi.notes[n].pitch;
            if (w.midi.notes[n].pitch > new_high) new_high = w.midi.notes[n].pitch;
        }
        assert_in_range(new_low, 48, 62);
        assert_true(new_high - new_low < 12);
        if (i) assert_true(abs(new_low - low) <= 7 && abs(new_high - high) <= 7);
        low = new_low;
        high = new_high;
    }
    ct_arena_free(&w.arena);

    render(&w, "| C | Am | F | G |"); /* the textbook: common tones stay */
    int64_t end = 0;
    for (size_t n = 0; n < w.midi.note_count && w.midi.notes[n].start < 3840; n++)
        if (w.midi.notes[n].track == CT_RENDER_CHORDS && w.midi.notes[n].pitch % 12 == 0) {
            assert_int_equal(w.midi.notes[n].pitch, 60);
            end = w.midi.notes[n].end;
        }
    assert_int_equal(end, 3840);
    ct_arena_free(&w.arena);
}

static void test_notes_in_order(void **state) {
    (void)state;
    work w;
    render(&w, "| C G | Am F |");
    for (size_t i = 1; i < w.midi.note_count; i++) {
        const ct_midi_note *a = &w.midi.notes[i - 1], *b = &w.midi.notes[i];
        assert_true(a->start < b->start || (a->start == b->start && a->pitch <= b->pitch));
    }
    ct_arena_free(&w.arena);
}

static void test_piece_alone(void **state) {
    (void)state;
    work w;
    prepare(&w, "key: F\ntempo: 80\n[Song] | C9 | Bb |");
    OK(ct_render(&w.piece, NULL, &w.arena, &w.midi));
    marker_is(&w.midi, 0, 0, "[A]");
    marker_is(&w.midi, 1, 0, "C7"); /* the piece's own chord */
    chord_at(&w.midi, 0, 1920, 1u << 0 | 1u << 4 | 1u << 7 | 1u << 10);
    ct_sheet other;
    OK(ct_sheet_parse("chart", "| C |", 5, &w.arena, &other));
    assert_int_equal(ct_render(&w.piece, &other, &w.arena, &w.midi), CT_EFAIL);
    ct_arena_free(&w.arena);
}

/* ---- there and back */

static void test_same_bytes(void **state) {
    (void)state;
    uint8_t *bytes[2];
    size_t   counts[2];
    work     w[2];
    for (int i = 0; i < 2; i++) {
        render(&w[i], "title: é\ntempo: 88.88\n[Intro] | C Am7 F G | E7/G# |\n[A] | Am | F | C | G |");
        OK(ct_midi_write(&w[i].midi, &w[i].arena, &bytes[i], &counts[i]));
    }
    assert_int_equal(counts[0], counts[1]);
    assert_memory_equal(bytes[0], bytes[1], counts[0]);
    for (int i = 0; i < 2; i++) ct_arena_free(&w[i].arena);
}

typedef struct dice {
    uint64_t seed, count;
} dice;

static uint32_t roll(dice *d, size_t n) {
    return ct_philox_below(ct_philox_at(d->seed, 5, d->count++).word[0], (uint32_t)n);
}

/* A random sheet with nothing left open. */
static void random_text(uint64_t seed, char *text) {
    static const char *const names[] = {"Intro", "Verse 1", "Verse 2", "B", "Outro"};
    static const char *const keys[] = {"C", "Db", "F#", "Gm", "C#m", "Ebm", "G#m"};
    static const char *const bars[] = {"C",
                                       "Am7 . D9 .",
                                       "N.C.",
                                       "F#m7b5 B7(b9)",
                                       "Bb/D C D",
                                       "%",
                                       "",
                                       "E . . F",
                                       "G13 . . . . C . .",
                                       "{key: A} A",
                                       "{tempo: 133.7} F",
                                       "{tempo: 61} F",
                                       "{meter: 3/4} G",
                                       "{meter: 2/2} G",
                                       "{meter: 12/8} G",
                                       "{meter: 5/8} D",
                                       "{meter: 9/8} D",
                                       "{meter: 4/4} D E"};
    dice                     d = {seed, 0};
    const char *key = keys[roll(&d, CT_COUNT(keys))], *metre = ct_metre_at((int)roll(&d, CT_METRE_COUNT))->name;
    uint32_t    tempo = 10 + roll(&d, 390), hundredths = roll(&d, 100), sections = 1 + roll(&d, 5);
    text +=
        sprintf(text, "title: Song %d\nkey: %s\ntempo: %u.%02u\nmeter: %s\n", (int)seed, key, tempo, hundredths, metre);
    if (roll(&d, 2)) text += sprintf(text, "[Pickup] | C |\n");
    for (uint32_t s = 0; s < sections; s++) {
        text += sprintf(text, "\n[%s]\n| Dm |", names[roll(&d, CT_COUNT(names))]);
        for (uint32_t n = roll(&d, 9); n > 0; n--) text += sprintf(text, " %s |", bars[roll(&d, CT_COUNT(bars))]);
    }
}

static void test_sheets_come_back(void **state) {
    (void)state;
    int tried = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        char     text[4096];
        work     w = {.piece = {.title = ""}};
        ct_sheet back;
        random_text(seed, text);
        if (ct_sheet_parse("chart", text, strlen(text), &w.arena, &w.sheet) != CT_OK) { /* "%" after a new metre, ... */
            ct_arena_free(&w.arena);
            continue;
        }
        tried++;
        OK(ct_sheet_to_piece(&w.sheet, &w.arena, &w.piece, NULL));
        OK(ct_render(&w.piece, &w.sheet, &w.arena, &w.midi));
        ct_midi midi = through_file(&w.midi, &w.arena);
        OK(ct_sheet_from_midi(&midi, &w.arena, &back));
        assert_string_equal(ct_sheet_print(&back, &w.arena), ct_sheet_print(&w.sheet, &w.arena));
        assert_int_equal(back.chord_count, w.sheet.chord_count);
        for (int i = 0; i < back.chord_count; i++) {
            assert_int_equal(back.chords[i].step, w.sheet.chords[i].step);
            assert_memory_equal(&back.chords[i].symbol, &w.sheet.chords[i].symbol, sizeof(ct_symbol));
        }
        for (int i = 0; i < back.section_count; i++)
            assert_int_equal(back.sections[i].label, w.sheet.sections[i].label);
        ct_arena_free(&w.arena);
    }
    assert_true(tried > 100);
}

/* What was left open comes back as the renderer filled it in; all else as it was. */
static void test_open_sheets_come_back(void **state) {
    (void)state;
    work     w;
    ct_sheet back;
    render(&w, "| F | Bb | C7 | F |");
    ct_midi midi = through_file(&w.midi, &w.arena);
    OK(ct_sheet_from_midi(&midi, &w.arena, &back));
    assert_string_equal(ct_sheet_print(&back, &w.arena), "key: F\ntempo: 100\nmeter: 4/4\n\n| F | Bb | C7 | F |\n");
    ct_arena_free(&w.arena);
}

static void test_foreign_files(void **state) {
    (void)state;
    ct_arena      arena = {0};
    ct_sheet      sheet;
    ct_midi_event markers[] = {{.tick = 0, .text = "Am"},        {.tick = 100, .text = "hello"},
                               {.tick = 480, .text = "[x]y]"},   {.tick = 481, .text = "F/A"},
                               {.tick = 2000, .text = "[\x01]"}, {.tick = 2001, .text = ""}};
    ct_midi_event metres[] = {{.tick = 0, .a = 4, .b = 4}, {.tick = 1921, .a = 13, .b = 8}};
    ct_midi       m = {.ppq = 480, .markers = {markers, CT_COUNT(markers)}, .metres = {metres, 1}, .repairs = ""};
    OK(ct_sheet_from_midi(&m, &arena, &sheet));
    assert_string_equal(ct_sheet_print(&sheet, &arena), "meter: 4/4\n\n[x)y]\n| Am F/A . . | F/A |\n");
    m.metres.count = 2;
    markers[5].tick = 5000;
    assert_int_equal(ct_sheet_from_midi(&m, &arena, &sheet), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "metre 13/8"));
    m.metres.count = 1;
    markers[5].tick = INT64_MAX - 1;
    assert_int_equal(ct_sheet_from_midi(&m, &arena, &sheet), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "more than 4096 bars"));
    m.markers.count = 0;
    assert_int_equal(ct_sheet_from_midi(&m, &arena, &sheet), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "no marker names a chord"));
    ct_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bars_without_rhythm),
        cmocka_unit_test(test_metres_and_tempos),
        cmocka_unit_test(test_rhythm_and_melody),
        cmocka_unit_test(test_voicing),
        cmocka_unit_test(test_notes_in_order),
        cmocka_unit_test(test_piece_alone),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_sheets_come_back),
        cmocka_unit_test(test_open_sheets_come_back),
        cmocka_unit_test(test_foreign_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
