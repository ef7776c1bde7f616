/* chord_tones.c -- does a melody sing the chords it stands over? For MIDI files that `cantus generate` wrote (chords as
 * markers, a track called melody, beats of a quarter): the share of the melody's time on tones of the chord in force,
 * and the same against the chords moved by 1 to 11 semitones, which a melody that had not heard them would reach as
 * well. build/release/tools/chord_tones FILES Formula: CTR by duration (reference: Yeh et al. 2021, without
 * the passing notes). POP909's own melodies: 0.70 and 0.22. */
#include "core/file.h"
#include "core/music/leadsheet.h"

#include <stdio.h>
#include <string.h>

typedef struct ct_shares {
    double time, on_chord[12]; /* [s]: chords moved up by s semitones */
} ct_shares;

static ct_status add_file(const char *path, ct_arena *arena, ct_shares *sum) {
    ct_bytes bytes;
    ct_midi  midi;
    ct_sheet sheet;
    CT_TRY(ct_file_read(path, 64 << 20, arena, &bytes));
    CT_TRY(ct_context(ct_midi_read(bytes.at, bytes.count, arena, &midi), "%s", path));
    CT_TRY(ct_context(ct_sheet_from_midi(&midi, arena, &sheet), "%s", path));
    for (size_t i = 0; i < midi.note_count; i++) {
        const ct_midi_note *n = &midi.notes[i];
        if (strcmp(midi.tracks[n->track].name, "melody") != 0) continue;
        for (int64_t step = n->start * 12 / midi.ppq; step < n->end * 12 / midi.ppq; step++) {
            const ct_symbol *chord = &sheet.chords[ct_sheet_chord_at(&sheet, (int32_t)step)].symbol;
            if (chord->chord.root == CT_NO_CHORD) continue;
            sum->time++;
            for (int s = 0; s < 12; s++)
                sum->on_chord[s] += chord->tones >> ((n->pitch - chord->chord.root - s + 144) % 12) & 1;
        }
    }
    return CT_OK;
}

int main(int argc, char **argv) {
    ct_shares sum = {0};
    for (int i = 1; i < argc; i++) {
        ct_arena  arena = {0};
        ct_status status = add_file(argv[i], &arena, &sum);
        ct_arena_free(&arena);
        if (status != CT_OK) {
            fprintf(stderr, "%s\n", ct_message());
            return 1;
        }
    }
    if (!(sum.time > 0)) {
        fprintf(stderr, "no melody over chords in %d files\n", argc - 1);
        return 1;
    }
    double moved = 0;
    for (int s = 1; s < 12; s++) moved += sum.on_chord[s] / 11;
    printf("%d files: on chord tones %.3f of the time; chords moved %.3f\n", argc - 1, sum.on_chord[0] / sum.time,
           moved / sum.time);
    return 0;
}
