/* Preparing one song: every filter on either side of its limit; drums that change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "temp_folder.h"
#include "train/prepare.h"

#include <math.h>

enum { PPQ = 480, NOTES = 2000 };
static ct_arena arena;

static int forget(void **state) {
    (void)state;
    ct_arena_free(&arena);
    return 0;
}

/* ---- a song: 24 bars of a tune, chords but for the last four bars, drums when asked for */
typedef struct song {
    ct_midi       midi;
    ct_midi_note  notes[NOTES];
    ct_midi_event tempo, metre;
    ct_midi_track tracks[4];
} song;

/* Times in quarters. */
static void note(song *s, int track, int channel, double start, double length, int pitch) {
    assert_true(s->midi.note_count < NOTES);
    s->notes[s->midi.note_count++] = (ct_midi_note){.start = llround(start * PPQ),
                                                    .end = llround((start + length) * PPQ),
                                                    .track = (uint16_t)track,
                                                    .channel = (uint8_t)channel,
                                                    .pitch = (uint8_t)pitch,
                                                    .velocity = 90};
}

static song *song_new(void) {
    static const int tune[] = {0, 4, 7, 4, 9, 7, 5, 2}, roots[] = {0, 9, 5, 7}, thirds[] = {4, 3, 4, 4};
    song            *s = CT_NEW(&arena, song, 1);
    assert_non_null(s);
    s->midi = (ct_midi){.ppq = PPQ, .tracks = s->tracks, .track_count = 4, .notes = s->notes, .repairs = ""};
    s->midi.tempos = (ct_midi_list){&s->tempo, 1};
    s->midi.metres = (ct_midi_list){&s->metre, 1};
    s->tempo = (ct_midi_event){.value = 120, .text = ""};
    s->metre = (ct_midi_event){.a = 4, .b = 4, .text = ""};
    s->tracks[0].name = "A song";
    s->tracks[1].name = "Melody";
    s->tracks[2].name = "Piano";
    s->tracks[3].name = "Drums";
    for (int bar = 0; bar < 24; bar++) {
        int root = roots[bar % 4];
        for (int k = 0; k < 8 && bar % 3 < 2; k += 1 + (bar % 2)) /* two bars of three sing */
            note(s, 1, 0, 4 * bar + k / 2.0, 0.5, 67 + tune[(k + bar) % 8]);
        note(s, 2, 1, 4 * bar, 4, 36 + root);
        for (int beat = 0; beat < 4; beat++)
            for (int k = 0; k < 3; k++)
                note(s, 2, 1, 4 * bar + beat, 1, 48 + root + (k == 1 ? thirds[bar % 4] : 7 * k / 2));
    }
    return s;
}

static int by_start(const void *pa, const void *pb) {
    const ct_midi_note *a = pa, *b = pb;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return (a->pitch > b->pitch) - (a->pitch < b->pitch);
}

static void analyse(song *s, ct_piece *piece, ct_analysis *info) {
    ct_analyse_options options = ct_analyse_defaults();
    qsort(s->notes, s->midi.note_count, sizeof *s->notes, by_start);
    if (ct_analyse(&s->midi, &options, &arena, piece, info) != CT_OK) fail_msg("%s", ct_message());
}

/* ---- filters */
static ct_filter_limits off(void) {
    return (ct_filter_limits){.metres = ""};
}

static void passes(const song *s, const ct_piece *p, const ct_analysis *info, ct_filter_limits limits) {
    if (ct_filter_song(&limits, &s->midi, p, info) != CT_OK) fail_msg("%s", ct_message());
}

static void refused(const song *s, const ct_piece *p, const ct_analysis *info, ct_filter_limits limits,
                    const char *said) {
    assert_int_equal(ct_filter_song(&limits, &s->midi, p, info), CT_EFAIL);
    assert_string_equal(ct_message(), said);
    const char *reason = ct_message();
    assert_non_null(ct_filter_key(reason, strcspn(reason, ":")));
    assert_non_null(strstr(reason, ct_filter_key(reason, strcspn(reason, ":"))));
}

#define PASSES(field, value)                                                                                           \
    do {                                                                                                               \
        ct_filter_limits l_ = off();                                                                                   \
        l_.field = (value);                                                                                            \
        passes(s, &p, &info, l_);                                                                                      \
    } while (0)
#define REFUSED(field, value, said)                                                                                    \
    do {                                                                                                               \
        ct_filter_limits l_ = off();                                                                                   \
        l_.field = (value);                                                                                            \
        refused(s, &p, &info, l_, said);                                                                               \
    } while (0)

static void filters_by_hand(void **state) {
    (void)state;
    song       *s = song_new();
    ct_piece    p;
    ct_analysis info;
    analyse(s, &p, &info);
    passes(s, &p, &info, off());
    /* of each six bars two have eight notes and two four */
    PASSES(least_notes, 96);
    REFUSED(least_notes, 97, "too few melody notes: 96, filter.least_notes is 97");
    PASSES(least_bars, 24);
    REFUSED(least_bars, 25, "too few bars: 24, filter.least_bars is 25");
    PASSES(most_bars, 24);
    REFUSED(most_bars, 23, "too many bars: 24, filter.most_bars is 23");
    PASSES(most_minutes, 0.8);
    REFUSED(most_minutes, 0.7, "too many minutes: 0.8, filter.most_minutes is 0.7");
    PASSES(least_pitches, 6); /* 0 2 4 5 7 9 */
    REFUSED(least_pitches, 7, "too few different pitches in the melody: 6, filter.least_pitches is 7");
    PASSES(least_melody, 0.66);
    REFUSED(least_melody, 0.67, "melody in too few bars: 0.6667, filter.least_melody is 0.67");
    PASSES(least_harmony, 1);
    PASSES(least_tempo, 119.9);
    REFUSED(least_tempo, 120.1, "too slow: 120, filter.least_tempo is 120.1");
    PASSES(most_tempo, 120.1);
    REFUSED(most_tempo, 119.9, "too fast: 120, filter.most_tempo is 119.9");
    PASSES(metres, "4/4");
    PASSES(metres, "3/4, 4/4 6/8");
    REFUSED(metres, "3/4 6/8", "a metre not asked for: 4/4, filter.metres is 3/4 6/8");
    PASSES(least_grid, 1);

    p.changes = CT_NEW(&arena, ct_change, 4); /* half of it without a chord, two different ones that count once each */
    assert_non_null(p.changes);
    p.changes[0] = (ct_change){0, {0, CT_MAJ, 0}};
    p.changes[1] = (ct_change){6 * 48, {0, CT_MAJ, 4}};
    p.changes[2] = (ct_change){9 * 48, {CT_NO_CHORD, 0, 0}};
    p.changes[3] = (ct_change){21 * 48, {9, CT_MIN, 0}};
    p.change_count = 4;
    PASSES(least_harmony, 0.5);
    REFUSED(least_harmony, 0.51, "no chord found for too much of the time: 0.5, filter.least_harmony is 0.51");
    PASSES(least_chords, 2);
    REFUSED(least_chords, 3, "too few different chords: 2, filter.least_chords is 3");

    size_t all = s->midi.note_count, moved = 0; /* a quarter of the onsets between the places of the grid */
    for (size_t i = 0; i < all; i++)
        if (i % 4 == 0) s->notes[i].start += PPQ / 24 * 10 / 4, moved++;
    qsort(s->notes, all, sizeof *s->notes, by_start);
    double near = (double)(all - moved) / (double)all;
    PASSES(least_grid, near - 0.001);
    ct_filter_limits limits = off();
    limits.least_grid = near + 0.001;
    assert_int_equal(ct_filter_song(&limits, &s->midi, &p, &info), CT_EFAIL);
    assert_message_has("too few onsets near the grid: 0.7");
}

static void the_first_filter_names_it(void **state) {
    (void)state;
    song       *s = song_new();
    ct_piece    p;
    ct_analysis info;
    analyse(s, &p, &info);
    ct_filter_limits limits = off();
    limits.least_bars = 100;
    limits.least_notes = 1000;
    limits.metres = "3/4";
    refused(s, &p, &info, limits, "too few melody notes: 96, filter.least_notes is 1000");
    assert_null(ct_filter_key("drums only", 10));
    assert_null(ct_filter_key("too few", 7));
}

static void limits_that_make_no_sense(void **state) {
    (void)state;
    ct_filter_limits limits = {.metres = "4/4 4/3"};
    assert_int_equal(ct_filter_check(&limits), CT_EUSAGE);
    assert_message_has("found \"4/3\"");
    limits = (ct_filter_limits){.metres = "  12/8,3/4 ,2/2 ", .least_bars = 4, .most_bars = 4};
    assert_int_equal(ct_filter_check(&limits), CT_OK);
    limits.most_bars = 3;
    assert_int_equal(ct_filter_check(&limits), CT_EUSAGE);
    limits = (ct_filter_limits){.metres = "", .least_tempo = 100, .most_tempo = 60};
    assert_int_equal(ct_filter_check(&limits), CT_EUSAGE);
    assert_message_has("filter.most_tempo: 60");
}

/* What no key sets changes nothing: the defaults are those from before there were more filters. */
static void defaults(void **state) {
    (void)state;
    ct_prepare_config config;
    static const char text[] = "input: a\noutput: b\n";
    assert_int_equal(ct_config_read_text(&ct_prepare_schema, text, "text", &arena, &config), CT_OK);
    ct_filter_limits l = config.filter;
    assert_true(l.least_notes == 16 && l.least_bars == 4 && config.duplicates_share == 0.2);
    assert_true(!l.most_bars && !l.least_pitches && !l.least_chords && !(l.most_minutes > 0) && !(l.least_melody > 0));
    assert_true(!(l.least_harmony > 0) && !(l.least_grid > 0) && !(l.least_tempo > 0) && !(l.most_tempo > 0) &&
                !*l.metres);
    assert_int_equal(config.duplicates_keep, CT_KEEP_ALL);
}

/* ---- drums */
static const ct_prepare_config plain = {.track_names = true, .filter = {.metres = ""}};

static ct_prepared prepare(song *s) {
    char        folder[TEMP_PATH];
    uint8_t    *bytes;
    size_t      count;
    ct_prepared out;
    qsort(s->notes, s->midi.note_count, sizeof *s->notes, by_start);
    assert_int_equal(ct_midi_write(&s->midi, &arena, &bytes, &count), CT_OK);
    temp_folder(folder);
    temp_write(temp_path(&arena, folder, "song.mid"), bytes, count);
    ct_prepare_file(&plain, temp_path(&arena, folder, "song.mid"), &arena, &out);
    temp_remove(folder);
    return out;
}

static void same_rows(const ct_prepared *a, const ct_prepared *b) {
    assert_int_not_equal(a->outcome, CT_LEFT_OUT);
    assert_int_not_equal(b->outcome, CT_LEFT_OUT);
    for (int s = 0; s < CT_STAGES; s++) {
        assert_int_equal(a->rows[s].count, b->rows[s].count);
        assert_memory_equal(a->rows[s].at, b->rows[s].at,
                            (size_t)(a->rows[s].count * a->rows[s].columns) * sizeof *a->rows[s].at);
    }
}

/* Sixteenths of a hi-hat, kick and snare, high and low: pitches that would be melody, bass and wrong notes. */
static void add_drums(song *s, int track, int channel, int program) {
    size_t before = s->midi.note_count;
    for (int k = 0; k < 24 * 16; k++) note(s, track, channel, k / 4.0, 0.2, k % 8 == 0 ? 36 : k % 8 == 4 ? 39 : 97);
    for (size_t i = before; i < s->midi.note_count; i++) s->notes[i].program = (uint8_t)program;
}

static void drums_are_no_music(void **state) {
    (void)state;
    ct_prepared without = prepare(song_new());
    song       *s = song_new();
    add_drums(s, 3, 9, 0);
    ct_prepared with = prepare(s);
    same_rows(&without, &with);
    assert_true(without.sketch.count > 0 && without.sketch.count == with.sketch.count);
    song *only = CT_NEW(&arena, song, 1);
    *only = *song_new();
    only->midi.note_count = 0;
    only->midi.notes = only->notes;
    add_drums(only, 3, 9, 0);
    ct_prepared drums = prepare(only);
    assert_int_equal(drums.outcome, CT_LEFT_OUT);
    assert_string_equal(drums.reason, "drums only");
}

/* Chords alone: rows of the backbone, none of the melody; a filter that asks for one leaves the song out. */
static void chords_without_a_melody(void **state) {
    (void)state;
    song  *s = song_new();
    size_t kept = 0;
    for (size_t i = 0; i < s->midi.note_count; i++)
        if (s->notes[i].track != 1) s->notes[kept++] = s->notes[i];
    s->midi.note_count = kept;
    ct_prepared p = prepare(s);
    assert_int_equal(p.outcome, CT_USED_WARNED);
    assert_non_null(strstr(p.reason, "no melody found"));
    assert_true(p.rows[CT_BACKBONE].count > 24 * 5);
    assert_int_equal(p.rows[CT_MELODY].count, 0);
    assert_int_equal(p.rows[CT_MELODY].columns, CT_MC_COUNT);
    assert_int_equal(p.sketch.count, 0);
    ct_piece    piece;
    ct_analysis info;
    analyse(s, &piece, &info);
    ct_filter_limits limits = off();
    limits.least_notes = 1000;
    passes(s, &piece, &info, limits);
    limits.least_pitches = 1;
    refused(s, &piece, &info, limits, "too few different pitches in the melody: 0, filter.least_pitches is 1");
}

/* Drums elsewhere: by the track's name, by a program without a pitch. A song that is called so, and steel drums, play.
 */
static void drums_on_other_channels(void **state) {
    (void)state;
    ct_prepared without = prepare(song_new());
    static const struct {
        const char *name;
        int         program;
        bool        drums;
    } cases[] = {{"DRUMS", 0, true},        {"Percussion 2", 0, true}, {"", 115, true},
                 {"Effects", 127, true},    {"Steel Drums", 0, false}, {"", 114, false},
                 {"Drummer boy", 0, false}, {"Strings", 48, false}};
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        song *s = song_new();
        s->tracks[3].name = cases[i].name;
        add_drums(s, 3, 5, cases[i].program);
        ct_prepared with = prepare(s);
        bool        same = with.rows[0].count == without.rows[0].count &&
                    !memcmp(with.rows[0].at, without.rows[0].at,
                            (size_t)(with.rows[0].count * with.rows[0].columns) * sizeof *with.rows[0].at);
        if (same != cases[i].drums) fail_msg("%s, program %d", cases[i].name, cases[i].program);
        if (cases[i].drums) same_rows(&without, &with);
    }
    song *alone = song_new(); /* all on one track, called after its song */
    for (size_t i = 0; i < alone->midi.note_count; i++) alone->notes[i].track = 1;
    alone->tracks[1].name = "Drums";
    ct_prepared p = prepare(alone);
    assert_int_not_equal(p.outcome, CT_LEFT_OUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(filters_by_hand, forget),
        cmocka_unit_test_teardown(the_first_filter_names_it, forget),
        cmocka_unit_test_teardown(limits_that_make_no_sense, forget),
        cmocka_unit_test_teardown(defaults, forget),
        cmocka_unit_test_teardown(drums_are_no_music, forget),
        cmocka_unit_test_teardown(chords_without_a_melody, forget),
        cmocka_unit_test_teardown(drums_on_other_channels, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
