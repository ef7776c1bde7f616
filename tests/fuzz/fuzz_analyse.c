/* fuzz_analyse.c -- MIDI files that read, from notes to rows and back: an analysed piece is valid, its rows decode to
 * the piece they were made from, and encode to the same rows again. Apart from fuzz_midi.c, for it takes a hundred
 * times as long. */
#include "core/music/analyse.h"
#include "core/music/tokens.h"
#include "tests/fuzz/fuzz.h"

static bool same_rows(const uint16_t *a, const uint16_t *b, int64_t count, int columns) {
    return !count || memcmp(a, b, (size_t)count * (size_t)columns * sizeof *a) == 0;
}

static void encode_and_decode(ct_piece *piece, ct_arena *arena) {
    ct_rows  backbone, melody, second;
    ct_piece again;
    CT_ASSERT(ct_piece_check(piece) == CT_OK);
    CT_ASSERT(ct_piece_quantise(piece, arena) == CT_OK && ct_piece_check(piece) == CT_OK);
    CT_ASSERT(ct_backbone_encode(piece, arena, &backbone) == CT_OK);
    CT_ASSERT(ct_melody_encode(piece, arena, &melody) == CT_OK);
    CT_ASSERT(ct_backbone_decode(&backbone, arena, &again) == CT_OK);
    CT_ASSERT(ct_melody_decode(&melody, arena, &again) == CT_OK && ct_piece_check(&again) == CT_OK);
    CT_ASSERT(ct_backbone_encode(&again, arena, &second) == CT_OK && second.count == backbone.count);
    CT_ASSERT(same_rows(backbone.at, second.at, second.count, second.columns));
    CT_ASSERT(ct_melody_encode(&again, arena, &second) == CT_OK && second.count == melody.count);
    CT_ASSERT(same_rows(melody.at, second.at, second.count, second.columns));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ct_arena           arena = {.cap = FUZZ_ARENA};
    ct_midi            midi;
    ct_piece           piece;
    ct_analysis        info;
    ct_analyse_options options = ct_analyse_defaults();
    options.merged = size % 2;
    if (ct_midi_read(data, size, &arena, &midi) == CT_OK && ct_analyse(&midi, &options, &arena, &piece, &info) == CT_OK)
        encode_and_decode(&piece, &arena);
    ct_arena_free(&arena);
    return 0;
}
