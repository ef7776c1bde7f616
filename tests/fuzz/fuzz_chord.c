/* fuzz_chord.c -- chord symbols, note and key names: text that reads keeps its meaning when it is read again, and the
 * chord it stands for has a spelling that reads as that chord. */
#include "core/music/chord_symbol.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    ct_symbol   symbol, again;
    size_t      column = 0, used;
    int         key = ct_key_parse(text, size), note = ct_note_parse(text, size, &used);
    CT_ASSERT(key >= -1 && key < 24 && note >= -1 && note < 12 && used <= size);
    if (ct_symbol_parse(text, size, &symbol, &column) != CT_OK) {
        CT_ASSERT(column >= 1 && column <= size + 1);
        return 0;
    }
    CT_ASSERT(strlen(symbol.text) < CT_SYMBOL_BYTES && symbol.tones < 1 << 12);
    CT_ASSERT(symbol.chord.root <= CT_NO_CHORD && symbol.chord.quality < CT_QUALITY_COUNT && symbol.chord.bass < 12);
    CT_ASSERT(ct_symbol_parse(symbol.text, strlen(symbol.text), &again, NULL) == CT_OK);
    CT_ASSERT(!strcmp(again.text, symbol.text) && again.tones == symbol.tones);
    CT_ASSERT(ct_chord_same(again.chord, symbol.chord) && again.reduced == symbol.reduced);
    for (key = -1; key < 24; key++) {
        ct_symbol ours = ct_symbol_of_chord(symbol.chord, key);
        CT_ASSERT(ct_symbol_parse(ours.text, strlen(ours.text), &again, NULL) == CT_OK);
        CT_ASSERT(ct_chord_same(again.chord, symbol.chord) && !again.reduced);
    }
    return 0;
}
