/* test_midi.c -- the repairer on every kind of broken file, pairing of notes, reading what was written. */
#include "core/music/midi.h"
#include "core/music/midi_repair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "odd_files.h"

/* ---- building files by hand */
typedef struct file {
    uint8_t bytes[1 << 12];
    size_t  count;
} file;

static void add(file *f, const void *bytes, size_t count) {
    assert_true(f->count + count <= sizeof f->bytes);
    memcpy(f->bytes + f->count, bytes, count);
    f->count += count;
}
#define ADD(f, literal) add((f), (literal), sizeof(literal) - 1)

static void add_header(file *f, int format, int tracks, int division) {
    const uint8_t h[14] = {'M',
                           'T',
                           'h',
                           'd',
                           0,
                           0,
                           0,
                           6,
                           0,
                           (uint8_t)format,
                           0,
                           (uint8_t)tracks,
                           (uint8_t)(division >> 8),
                           (uint8_t)division};
    add(f, h, sizeof h);
}

static void add_track(file *f, const void *events, size_t count, int length) {
    const uint8_t h[8] = {'M', 'T', 'r', 'k', 0, 0, (uint8_t)(length >> 8), (uint8_t)length};
    add(f, h, sizeof h);
    add(f, events, count);
}
#define TRACK(f, events) add_track((f), (events), sizeof(events) - 1, (int)sizeof(events) - 1)

/* One C4 of 96 ticks, with status bytes and an end of track; in words of the clean file. */
#define NOTE "\x00\x90\x3c\x40\x60\x80\x3c\x00"
#define END "\x00\xff\x2f\x00"

static file one_track(const void *events, size_t count) {
    file f = {.count = 0};
    add_header(&f, 1, 1, 96);
    add_track(&f, events, count, (int)count);
    return f;
}
#define ONE(events) one_track((events), sizeof(events) - 1)

static void assert_repaired(const file *in, const file *want, const char *report) {
    ct_arena         arena = {0};
    ct_midi_repaired out, again;
    assert_int_equal(ct_midi_repair(in->bytes, in->count, &arena, &out), CT_OK);
    assert_string_equal(out.report, report);
    assert_int_equal(out.count, want->count);
    assert_memory_equal(out.bytes, want->bytes, want->count);
    assert_int_equal(ct_midi_repair(out.bytes, out.count, &arena, &again), CT_OK);
    assert_string_equal(again.report, "");
    assert_int_equal(again.count, out.count);
    assert_memory_equal(again.bytes, out.bytes, out.count);
    ct_arena_free(&arena);
}

static void assert_refused(const file *in, const char *reason) {
    ct_arena         arena = {0};
    ct_midi_repaired out;
    assert_int_equal(ct_midi_repair(in->bytes, in->count, &arena, &out), CT_EFAIL);
    assert_string_equal(ct_message(), reason);
    ct_arena_free(&arena);
}

/* ---- the repairer: files and chunks */
static void test_clean(void **state) {
    (void)state;
    file f = ONE(NOTE END);
    assert_repaired(&f, &f, "");
}

static void test_refused(void **state) {
    (void)state;
    file empty = {.count = 0}, page = {.count = 0}, cut = {.count = 0}, bare = {.count = 0};
    assert_refused(&empty, "offset 0: no MThd in 0 bytes (hint: this is not a MIDI file)");
    ADD(&page, "<html>not music</html>");
    assert_refused(&page, "offset 0: no MThd in 22 bytes (hint: this is not a MIDI file)");
    ADD(&cut, "junkMThd\0\0\0\6\0");
    assert_refused(&cut, "offset 4: MThd is cut off, 9 of its 14 bytes are there");
    add_header(&bare, 1, 3, 96);
    assert_refused(&bare, "offset 14: no track (MTrk) after the header");
}

static void test_around_the_file(void **state) {
    (void)state;
    file want = ONE(NOTE END), riff = {.count = 0}, junk = {.count = 0}, tail = want;
    ADD(&riff, "RIFF\x40\0\0\0RMIDdata\x2a\0\0\0");
    add(&riff, want.bytes, want.count);
    assert_repaired(&riff, &want, "RIFF wrapper removed");
    ADD(&junk, "\0\0\0\0\0\0\0\0");
    add(&junk, want.bytes, want.count);
    assert_repaired(&junk, &want, "bytes before MThd skipped (8)");
    ADD(&tail, "\1\2\3\4\5\6\7\10\11\12\13\14");
    assert_repaired(&tail, &want, "bytes after the last track skipped (12)");
    tail.count = want.count;
    add(&tail, want.bytes, want.count);
    assert_repaired(&tail, &want, "second file after the first left out");
}

static void test_header(void **state) {
    (void)state;
    file want = ONE(NOTE END), f = want, longer = {.count = 0};
    f.bytes[7] = 99;
    assert_repaired(&f, &want, "MThd length wrong");
    ADD(&longer, "MThd\0\0\0\x8\0\1\0\1\0\x60\xaa\xbb");
    TRACK(&longer, NOTE END);
    assert_repaired(&longer, &want, "MThd length wrong");
    f = want;
    f.bytes[9] = 2;
    assert_repaired(&f, &want, "format 2 read as format 1");
    f.bytes[9] = 9;
    assert_repaired(&f, &want, "format unknown, read as format 1");
    f = want;
    f.bytes[11] = 7;
    assert_repaired(&f, &want, "number of tracks differs from the header's");
    f = want;
    f.bytes[12] = f.bytes[13] = 0;
    want.bytes[12] = 480 >> 8;
    want.bytes[13] = 480 & 255;
    assert_repaired(&f, &want, "division 0 read as 480 ticks a quarter");
}

static void test_smpte(void **state) {
    (void)state;
    file in = {.count = 0}, want = {.count = 0};
    add_header(&in, 1, 1, 0xe728); /* 25 frames of 40 ticks: 1000 ticks a second, a quarter is 500; all counted twice */
    TRACK(&in, "\x00\xff\x51\x03\x07\xa1\x20" NOTE END);
    add_header(&want, 1, 1, 1000);
    TRACK(&want, "\x00\x90\x3c\x40\x81\x40\x80\x3c\x00" END);
    assert_repaired(&in, &want, "SMPTE division read at 120 quarters a minute");
    in.bytes[13] = 0;
    assert_repaired(&in, &want,
                    "SMPTE division read at 120 quarters a minute; SMPTE division with a rate or resolution that does "
                    "not exist");
}

static void test_chunks(void **state) {
    (void)state;
    file want = ONE(NOTE END), alien = {.count = 0}, gap = {.count = 0};
    add_header(&alien, 1, 1, 96);
    ADD(&alien, "XFIH\0\0\0\3abc");
    TRACK(&alien, NOTE END);
    assert_repaired(&alien, &want, "unknown chunks skipped");
    add_header(&gap, 1, 1, 96);
    ADD(&gap, "\0\0\0\0\xff\xff\xff\xff\0");
    TRACK(&gap, NOTE END);
    assert_repaired(&gap, &want, "bytes between chunks skipped (9)");
}

static void test_track_lengths(void **state) {
    (void)state;
    const char good[] = NOTE END;
    file                     two = {.count = 0};
    add_header(&two, 1, 2, 96);
    TRACK(&two, NOTE END);
    TRACK(&two, NOTE END);
    const int wrong[] = {0, 5, 11, 13, 500};
    for (size_t i = 0; i < CT_COUNT(wrong); i++) {
        file f = {.count = 0};
        add_header(&f, 1, 2, 96);
        add_track(&f, good, sizeof good - 1, wrong[i]);
        TRACK(&f, NOTE END);
        assert_repaired(&f, &two, "track length wrong");
    }
    file want = ONE(NOTE END), after = ONE(NOTE END "\x00\x90\x40\x40\x00");
    assert_repaired(&after, &want, "bytes after an end of track skipped (5)");
}

static void test_end_of_track(void **state) {
    (void)state;
    file want = ONE(NOTE END), none = ONE(NOTE), cut = ONE(NOTE "\x00\x90\x3c"), vlq = ONE(NOTE "\x81");
    file length = ONE(NOTE "\x00\xff\x2f\x01\x00");
    assert_repaired(&none, &want, "end of track added");
    assert_repaired(&cut, &want, "end of track added; track cut off inside an event");
    want.bytes[want.count - 4] = 0;
    assert_repaired(&vlq, &want, "end of track added; track cut off inside an event");
    assert_repaired(&length, &want, "meta events of wrong length");
    file two = {.count = 0}, both = {.count = 0};
    add_header(&two, 1, 2, 96);
    TRACK(&two, NOTE);
    TRACK(&two, NOTE END);
    add_header(&both, 1, 2, 96);
    TRACK(&both, NOTE END);
    TRACK(&both, NOTE END);
    assert_repaired(&two, &both, "end of track added");
}

/* ---- the repairer: events */
static void test_running_status(void **state) {
    (void)state;
    file want = ONE("\x00\x90\x3c\x40\x60\x90\x3c\x00" END);
    file running = ONE("\x00\x90\x3c\x40\x60\x3c\x00" END);
    file meta = ONE("\x00\x90\x3c\x40\x00\xff\x7f\x01\x55\x60\x3c\x00" END);
    file sysex = ONE("\x00\x90\x3c\x40\x00\xf0\x03\x01\x02\xf7\x60\x3c\x00" END);
    file none = ONE("\x00\x3c\x40\x90\x3c\x40\x60\x90\x3c\x00" END);
    assert_repaired(&running, &want, "");
    assert_repaired(&meta, &want, "running status after sysex or meta");
    assert_repaired(&sysex, &want, "running status after sysex or meta");
    assert_repaired(&none, &want, "bytes without a status skipped (2)");
}

static void test_data_bytes(void **state) {
    (void)state;
    file want = ONE("\x00\x90\x3c\x7f\x60\x80\x3c\x00" END);
    file loud = ONE("\x00\x90\x3c\xc8\x60\x80\x3c\x00" END);
    file pitch = ONE("\x00\x90\x3c\x7f\x00\x90\x85\x40\x60\x80\x3c\x00" END);
    file program = ONE("\x00\xc0\x90\x00\x90\x3c\x7f\x60\x80\x3c\x00" END);
    assert_repaired(&loud, &want, "data bytes above 127");
    assert_repaired(&pitch, &want, "data bytes above 127");
    assert_repaired(&program, &want, "data bytes above 127");
}

static void test_dropped_events(void **state) {
    (void)state;
    file want = ONE(NOTE END);
    file controls = ONE("\x00\xb0\x07\x64\x00\xe0\x00\x40\x00\xd0\x10\x00\xa0\x3c\x40" NOTE END);
    file split = ONE("\x00\xf0\x02\x43\x12\x00\xf7\x02\x10\xf7" NOTE END);
    file open = ONE("\x00\xf0\x50\x43\x12\xf7" NOTE END);
    file system = ONE("\x00\xf8\x00\xf2\x01\x02\x00\xf3\x01" NOTE END);
    assert_repaired(&controls, &want, "");
    assert_repaired(&split, &want, "");
    assert_repaired(&open, &want, "sysex of wrong length");
    assert_repaired(&system, &want, "system messages skipped (3)");
}

static void test_numbers(void **state) {
    (void)state;
    file want = ONE(NOTE END), five = ONE("\x80\x80\x80\x80\x00\x90\x3c\x40\x60\x80\x3c\x00" END);
    assert_repaired(&five, &want, "number longer than four bytes");
    file late = ONE(NOTE "\xff\xff\xff\x7f\x90\x3c\x40\xff\xff\xff\x7f\x80\x3c\x00" END);
    file held = ONE(NOTE "\xff\xff\xff\x1f\xff\x2f\x00");
    assert_repaired(&late, &held, "events after tick 268435455 left out (2)");
}

static void test_meta(void **state) {
    (void)state;
    file want = ONE(NOTE END);
    file zero = ONE("\x00\xff\x51\x03\x00\x00\x00" NOTE END), brief = ONE("\x00\xff\x51\x02\x07\xa1" NOTE END);
    file metre = ONE("\x00\xff\x58\x04\x00\x02\x18\x08\x00\xff\x58\x04\x04\xff\x18\x08" NOTE END);
    file key = ONE("\x00\xff\x59\x02\x09\x00\x00\xff\x59\x02\x00\x05" NOTE END);
    assert_repaired(&zero, &want, "impossible tempos left out");
    assert_repaired(&brief, &want, "meta events of wrong length");
    assert_repaired(&metre, &want, "impossible time signatures left out (2)");
    assert_repaired(&key, &want, "impossible key signatures left out (2)");
    file tempo = ONE("\x00\xff\x51\x03\x07\xa1\x20" NOTE END);
    file longer = ONE("\x00\xff\x51\x04\x07\xa1\x20\x00" NOTE END);
    assert_repaired(&longer, &tempo, "meta events of wrong length");
    file cut = ONE(NOTE "\x00\xff\x03\x7f"
                        "abc");
    assert_repaired(&cut, &want, "end of track added; track cut off inside an event");
}

static void test_conductor_moves(void **state) {
    (void)state;
    file in = {.count = 0}, want = {.count = 0};
    add_header(&in, 1, 2, 96);
    TRACK(&in, "\x00\xff\x03\x01"
               "a" END);
    TRACK(&in, "\x00\xff\x51\x03\x07\xa1\x20" NOTE END);
    add_header(&want, 1, 2, 96);
    TRACK(&want, "\x00\xff\x03\x01"
                 "a"
                 "\x00\xff\x51\x03\x07\xa1\x20" END);
    TRACK(&want, NOTE END);
    assert_repaired(&in, &want, "");
}

/* ---- reading */
static ct_midi read_ok(ct_arena *arena, const file *f) {
    ct_midi midi;
    assert_int_equal(ct_midi_read(f->bytes, f->count, arena, &midi), CT_OK);
    return midi;
}

static void test_pairing(void **state) {
    (void)state;
    ct_arena arena = {0};
    /* two C4 that overlap (first in, first out), one E4 of no length, one G4 that hangs; an end without a note */
    file     f =
        ONE("\x00\x80\x30\x00\x00\x90\x3c\x40\x0a\x3c\x50\x0a\x3c\x00\x0a\x3c\x00\x00\x40\x30\x00\x40\x00\x05\x43\x20"
            "\x10\xff\x2f\x00");
    ct_midi m = read_ok(&arena, &f);
    assert_int_equal(m.note_count, 4);
    const int64_t start[] = {0, 10, 30, 35}, end[] = {20, 30, 31, 51};
    const int     pitch[] = {60, 60, 64, 67}, velocity[] = {64, 80, 48, 32};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(m.notes[i].start, start[i]);
        assert_int_equal(m.notes[i].end, end[i]);
        assert_int_equal(m.notes[i].pitch, pitch[i]);
        assert_int_equal(m.notes[i].velocity, velocity[i]);
    }
    file hanging = ONE("\x00\x90\x3c\x40\xbd\x00\xff\x2f\x00"); /* the track ends after 7808 ticks */
    m = read_ok(&arena, &hanging);
    assert_int_equal(m.notes[0].end, 8 * 96);
    ct_arena_free(&arena);
}

static void test_events(void **state) {
    (void)state;
    ct_arena arena = {0};
    file     f = {.count = 0};
    add_header(&f, 1, 2, 96);
    TRACK(&f, "\x00\xff\x03\x05"
              "Hello"
              "\x00\xff\x51\x03\x0a\xfc\x80"
              "\x00\xff\x58\x04\x06\x03\x18\x08"
              "\x60\xff\x59\x02\xfd\x01"
              "\x00\xff\x06\x02\xf8\xfe"
              "\x00\xff\x51\x03\xf8\xf9\xfe" END);
    TRACK(&f, "\x00\xc3\x21\x00\xff\x05\x02la"
              "\x00\x93\x3c\x40\x60\x83\x3c\x00\x00\xc3\x05\x00\x93\x3e\x40\x60\x83\x3e\x00" END);
    ct_midi m = read_ok(&arena, &f);
    assert_int_equal(m.ppq, 96);
    assert_int_equal(m.track_count, 2);
    assert_string_equal(m.tracks[0].name, "Hello");
    assert_string_equal(m.tracks[1].name, "");
    assert_int_equal(m.tempos.count, 2);
    assert_true(m.tempos.at[0].value == 60e6 / 720000.0);
    assert_true(m.tempos.at[1].value == 60e6 / 0xf8f9fe);
    assert_int_equal(m.metres.count, 1);
    assert_int_equal(m.metres.at[0].a, 6);
    assert_int_equal(m.metres.at[0].b, 8);
    assert_int_equal(m.keys.at[0].a, -3);
    assert_int_equal(m.keys.at[0].b, 1);
    assert_int_equal(m.keys.at[0].tick, 96);
    assert_int_equal(m.markers.count, 1);
    assert_string_equal(m.markers.at[0].text, "øþ");
    assert_string_equal(m.lyrics.at[0].text, "la");
    assert_int_equal(m.notes[0].program, 0x21);
    assert_int_equal(m.notes[1].program, 5);
    assert_int_equal(m.notes[1].track, 1);
    ct_arena_free(&arena);
}

static void assert_same_music(const ct_midi *a, const ct_midi *b) {
    assert_int_equal(a->ppq, b->ppq);
    assert_int_equal(a->note_count, b->note_count);
    for (size_t i = 0; i < a->note_count; i++) {
        assert_int_equal(a->notes[i].start, b->notes[i].start);
        assert_int_equal(a->notes[i].end, b->notes[i].end);
        assert_int_equal(a->notes[i].pitch, b->notes[i].pitch);
        assert_int_equal(a->notes[i].velocity, b->notes[i].velocity);
        assert_int_equal(a->notes[i].program, b->notes[i].program);
        assert_int_equal(a->notes[i].track, b->notes[i].track);
        assert_int_equal(a->notes[i].channel, b->notes[i].channel);
    }
}

static void test_write_and_read(void **state) {
    (void)state;
    ct_arena      arena = {0};
    ct_midi_track tracks[] = {{"Song"}, {"MELODY"}, {""}};
    ct_midi_note  notes[] = {{0, 960, 2, 9, 36, 127, 0},
                             {0, 480, 1, 0, 60, 80, 24},
                             {480, 960, 1, 0, 60, 81, 24},
                             {960, 961, 2, 1, 127, 1, 3}};
    ct_midi_event tempo = {.tick = 0, .value = 100}, metre = {.a = 3, .b = 4}, key = {.a = -2, .b = 1};
    ct_midi_event marker = {.tick = 480, .text = "chorus"}, lyric = {.tick = 480, .text = "la", .track = 1};
    ct_midi       m = {.ppq = 480, .tracks = tracks, .track_count = 3, .notes = notes, .note_count = 4};
    m.tempos = (ct_midi_list){&tempo, 1};
    m.metres = (ct_midi_list){&metre, 1};
    m.keys = (ct_midi_list){&key, 1};
    m.markers = (ct_midi_list){&marker, 1};
    m.lyrics = (ct_midi_list){&lyric, 1};
    uint8_t *first, *second;
    size_t   first_count, second_count;
    assert_int_equal(ct_midi_write(&m, &arena, &first, &first_count), CT_OK);
    assert_int_equal(ct_midi_write(&m, &arena, &second, &second_count), CT_OK);
    assert_int_equal(first_count, second_count);
    assert_memory_equal(first, second, first_count);
    ct_midi back;
    assert_int_equal(ct_midi_read(first, first_count, &arena, &back), CT_OK);
    assert_string_equal(back.repairs, "");
    assert_same_music(&m, &back);
    assert_string_equal(back.tracks[1].name, "MELODY");
    assert_true(back.tempos.at[0].value == 100);
    assert_int_equal(back.metres.at[0].a, 3);
    assert_int_equal(back.keys.at[0].a, -2);
    assert_string_equal(back.markers.at[0].text, "chorus");
    assert_int_equal(back.lyrics.at[0].track, 1);
    ct_arena_free(&arena);
}

static void test_write_refuses(void **state) {
    (void)state;
    ct_arena     arena = {0};
    ct_midi_note note = {0, (int64_t)1 << 40, 0, 0, 60, 64, 0};
    ct_midi      m = {.ppq = 480, .notes = &note, .note_count = 1};
    uint8_t     *bytes;
    size_t       count;
    assert_int_equal(ct_midi_write(&m, &arena, &bytes, &count), CT_EFAIL);
    assert_string_equal(ct_message(), "event at tick 1099511627776 of track 0: at most tick 268435455, 1 tracks");
    ct_arena_free(&arena);
}

/* ---- what the wild has to offer */
static void test_collection(void **state) {
    (void)state;
    ct_arena list = {0};
    char   **names;
    size_t   files = odd_files(&list, &names);
    int      read = 0, refused = 0;
    for (size_t i = 0; i < files; i++) {
        ct_arena arena = {0};
        ct_midi  m, back;
        ct_bytes bytes = odd_file(names[i], &arena);
        if (ct_midi_read(bytes.at, bytes.count, &arena, &m) == CT_OK) {
            uint8_t *out;
            size_t   out_count;
            assert_int_equal(ct_midi_write(&m, &arena, &out, &out_count), CT_OK);
            assert_int_equal(ct_midi_read(out, out_count, &arena, &back), CT_OK);
            assert_string_equal(back.repairs, "");
            assert_int_equal(back.note_count, m.note_count);
            read++;
        } else {
            assert_non_null(strstr(ct_message(), "offset"));
            refused++;
        }
        ct_arena_free(&arena);
    }
    ct_arena_free(&list);
    print_message("%d files read, %d refused\n", read, refused);
    assert_true(read >= 230);
}

/* Every prefix of a file, and every byte of it turned over: something comes back, or a reason. */
static void test_mutations(void **state) {
    (void)state;
    file f = {.count = 0};
    add_header(&f, 1, 2, 96);
    TRACK(&f, "\x00\xff\x51\x03\x0a\xfc\x80"
              "\x00\xff\x58\x04\x06\x03\x18\x08" END);
    TRACK(&f, "\x00\xc3\x21\x00\xff\x05\x02la"
              "\x00\x93\x3c\x40\x60\x3c\x00\x00\xf0\x02\x01\xf7" NOTE END);
    for (size_t i = 0; i < f.count; i++) {
        for (int value = 0; value < 256; value += 17) {
            file     g = f;
            ct_arena arena = {0};
            ct_midi  m;
            if (value == 0)
                g.count = i;
            else
                g.bytes[i] ^= (uint8_t)value;
            ct_status status = ct_midi_read(g.bytes, g.count, &arena, &m);
            assert_true(status == CT_OK || (status == CT_EFAIL && *ct_message()));
            ct_arena_free(&arena);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_around_the_file),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_smpte),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_track_lengths),
        cmocka_unit_test(test_end_of_track),
        cmocka_unit_test(test_running_status),
        cmocka_unit_test(test_data_bytes),
        cmocka_unit_test(test_dropped_events),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_conductor_moves),
        cmocka_unit_test(test_pairing),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_write_refuses),
        cmocka_unit_test(test_collection),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
