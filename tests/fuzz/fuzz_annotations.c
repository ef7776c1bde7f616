/* fuzz_annotations.c -- what POP909's folders say: a small song with five valid files, one of which is replaced by the
 * input; the input's first byte says which. What is read can be laid over the song, and the piece made of both is
 * valid. Nothing outside the folder may be opened. */
#include "core/music/analyse.h"
#include "core/music/pop909.h"
#include "tests/fuzz/fuzz.h"
#include "tests/watch_open.h"

enum { PPQ = 480, BARS = 8, TONES = 2 * BARS, FILES = 5, NAME = 100 };
static const char *const names[FILES] = {"beat_midi.txt", "chord_midi.txt", "key_audio.txt", "human_label1.txt",
                                         "melody.txt"};
static char              texts[FILES][4096], paths[FILES][NAME];
static const char       *folder;
static ct_midi_note      notes[5 * BARS];
static ct_midi_event     tempo = {.value = 60, .text = ""};
static ct_midi_track     tracks[2] = {{.name = "MELODY"}, {.name = "PIANO"}};
static ct_midi           midi = {.ppq = PPQ, .tracks = tracks, .track_count = 2, .notes = notes, .repairs = ""};

static void add(int track, int quarter, int length, int pitch) {
    notes[midi.note_count++] = (ct_midi_note){.start = (int64_t)quarter * PPQ,
                                              .end = (int64_t)(quarter + length) * PPQ,
                                              .track = (uint16_t)track,
                                              .pitch = (uint8_t)pitch,
                                              .velocity = 90};
}

/* Of two notes a bar over a chord, in seconds that are quarters. */
static void make(void) {
    static const char *const CHORDS[] = {"C:maj", "A:min7/b3", "F:maj7", "G:sus4(b7)"};
    size_t                   at[FILES] = {0};
    for (int bar = 0; bar < BARS; bar++) {
        for (int k = 0; k < 3; k++) add(1, 4 * bar, 4, 48 + 4 * k - (k == 2));
        for (int k = 0; k < 2; k++) {
            int pitch = 60 + (5 * (2 * bar + k)) % 12;
            add(0, 4 * bar + 2 * k, 2, pitch);
            at[4] += (size_t)snprintf(texts[4] + at[4], sizeof texts[4] - at[4], "%d 8\n", pitch);
        }
        for (int k = 0; k < 4; k++)
            at[0] += (size_t)snprintf(texts[0] + at[0], sizeof texts[0] - at[0], "%d.0 %d.0 %d.0\n", 4 * bar + k,
                                      k % 2 == 0, k == 0);
        at[1] += (size_t)snprintf(texts[1] + at[1], sizeof texts[1] - at[1], "%d.0 %d.0 %s\n", 4 * bar, 4 * bar + 4,
                                  CHORDS[bar % 4]);
    }
    snprintf(texts[2], sizeof texts[2], "0.0 16.0 C:maj\n16.0 32.0 A:min\n");
    snprintf(texts[3], sizeof texts[3], "i2A4o2\n");
}

static void setup(void) {
    if (folder) return;
    midi.tempos = (ct_midi_list){&tempo, 1};
    make();
    folder = fuzz_folder();
    for (int i = 0; i < FILES; i++) {
        snprintf(paths[i], NAME, "%s/%s", folder, names[i]);
        fuzz_write(paths[i], texts[i], strlen(texts[i]));
    }
}

static void annotate(ct_arena *arena) {
    ct_pop909          song;
    ct_annotations     known;
    ct_piece           piece;
    ct_analysis        info;
    ct_analyse_options options = ct_analyse_defaults();
    if (ct_pop909_read(folder, arena, &song) != CT_OK || ct_pop909_annotate(&song, &midi, arena, &known) != CT_OK) {
        CT_ASSERT(*ct_message());
        return;
    }
    options.annotations = &known;
    if (ct_analyse(&midi, &options, arena, &piece, &info) == CT_OK) CT_ASSERT(ct_piece_check(&piece) == CT_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ct_arena arena = {.cap = FUZZ_ARENA};
    if (!size) return 0;
    setup();
    int which = data[0] % FILES;
    fuzz_write(paths[which], data + 1, size - 1);
    watch_below = folder;
    annotate(&arena);
    watch_below = NULL;
    fuzz_write(paths[which], texts[which], strlen(texts[which]));
    ct_arena_free(&arena);
    return 0;
}
