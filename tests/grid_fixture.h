/* grid_fixture.h -- songs made of notes in quarters, and the grid that is found for them.
 *
 * Owner: song_done frees a song and all that its arena holds. Fails: by an assertion of cmocka, which is included
 * before.
 */
#ifndef CT_TESTS_GRID_FIXTURE_H
#define CT_TESTS_GRID_FIXTURE_H

#include "core/music/metre.h"

#include <math.h>
#include <stdlib.h>

enum { SONG_PPQ = 480 };

typedef struct song {
    ct_midi       midi;
    ct_midi_note  notes[8192];
    ct_midi_event metre, tempos[256];
    ct_midi_track track;
    ct_arena      arena;
} song;

/* numerator 0: without a time signature. 120 quarters a minute. */
static song *song_new(int numerator, int denominator) {
    song *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->track.name = "";
    s->metre = (ct_midi_event){.a = (int16_t)numerator, .b = (int16_t)denominator, .text = ""};
    s->tempos[0].value = 120;
    s->midi = (ct_midi){.ppq = SONG_PPQ, .tracks = &s->track, .track_count = 1, .notes = s->notes, .repairs = ""};
    s->midi.metres = (ct_midi_list){&s->metre, numerator ? 1 : 0};
    s->midi.tempos = (ct_midi_list){s->tempos, 1};
    return s;
}

static void song_done(song *s) {
    ct_arena_free(&s->arena);
    free(s);
}

/* On channel 0; start and length in quarters. */
static ct_midi_note *note(song *s, double start, double length, int pitch) {
    assert_true(s->midi.note_count < CT_COUNT(s->notes));
    ct_midi_note *n = &s->notes[s->midi.note_count++];
    *n = (ct_midi_note){llround(start * SONG_PPQ), llround((start + length) * SONG_PPQ), 0, 0, (uint8_t)pitch, 80, 0};
    return n;
}

static int by_start(const void *pa, const void *pb) {
    const ct_midi_note *a = pa, *b = pb;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return (a->pitch > b->pitch) - (a->pitch < b->pitch);
}

static ct_grid lay(song *s, ct_metre_report *report) {
    ct_grid grid;
    qsort(s->notes, s->midi.note_count, sizeof *s->notes, by_start);
    assert_int_equal(ct_metre_grid(&s->midi, 1000, &s->arena, &grid, report), CT_OK);
    return grid;
}

#endif
