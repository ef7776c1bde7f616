/* fuzz_midi.c -- MIDI files, from any bytes to notes and back. Promises held: a repaired file needs no repair and
 * reads; what is written reads back as it was, unrepaired, and writes the same bytes. */
#include "core/music/leadsheet.h"
#include "core/music/midi_repair.h"
#include "tests/fuzz/fuzz.h"

static void same_list(const ct_midi_list *a, const ct_midi_list *b) {
    CT_ASSERT(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        const ct_midi_event *x = &a->at[i], *y = &b->at[i];
        CT_ASSERT(x->tick == y->tick && !(x->value < y->value) && !(x->value > y->value) && x->a == y->a);
        CT_ASSERT(x->b == y->b && (!x->text || !strcmp(x->text, y->text)));
    }
}

static void write_and_read(const ct_midi *midi, ct_arena *arena) {
    uint8_t *bytes, *second;
    size_t   count, second_count;
    ct_midi  again;
    CT_ASSERT(ct_midi_write(midi, arena, &bytes, &count) == CT_OK);
    CT_ASSERT(ct_midi_read(bytes, count, arena, &again) == CT_OK);
    CT_ASSERT(!*again.repairs && again.ppq == midi->ppq && again.track_count == midi->track_count);
    for (size_t t = 0; t < midi->track_count; t++) CT_ASSERT(!strcmp(again.tracks[t].name, midi->tracks[t].name));
    CT_ASSERT(again.note_count == midi->note_count);
    for (size_t i = 0; i < midi->note_count; i++) {
        const ct_midi_note *a = &midi->notes[i], *b = &again.notes[i];
        CT_ASSERT(a->start == b->start && a->end == b->end && a->track == b->track && a->channel == b->channel);
        CT_ASSERT(a->pitch == b->pitch && a->velocity == b->velocity && a->program == b->program);
    }
    same_list(&midi->tempos, &again.tempos);
    same_list(&midi->metres, &again.metres);
    same_list(&midi->keys, &again.keys);
    same_list(&midi->markers, &again.markers);
    same_list(&midi->lyrics, &again.lyrics);
    CT_ASSERT(ct_midi_write(&again, arena, &second, &second_count) == CT_OK);
    CT_ASSERT(second_count == count && !memcmp(second, bytes, count));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ct_arena         arena = {.cap = FUZZ_ARENA};
    ct_midi_repaired clean, again;
    ct_midi          midi;
    ct_sheet         sheet;
    if (ct_midi_repair(data, size, &arena, &clean) == CT_OK) {
        CT_ASSERT(clean.count <= 3 * size);
        CT_ASSERT(ct_midi_repair(clean.bytes, clean.count, &arena, &again) == CT_OK && !*again.report);
        CT_ASSERT(again.count == clean.count && !memcmp(again.bytes, clean.bytes, clean.count));
        CT_ASSERT(ct_midi_read(data, size, &arena, &midi) == CT_OK);
        write_and_read(&midi, &arena);
        if (ct_sheet_from_midi(&midi, &arena, &sheet) == CT_OK) CT_ASSERT(ct_sheet_print(&sheet, &arena));
    }
    ct_arena_free(&arena);
    return 0;
}
