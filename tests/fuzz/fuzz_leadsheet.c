/* fuzz_leadsheet.c -- lead sheets: what is parsed prints as text that parses to the same sheet and prints the same; it
 * makes a valid piece, whose own sheet does so too. */
#include "core/music/leadsheet.h"
#include "core/music/tokens.h"
#include "tests/fuzz/fuzz.h"

static void print_and_parse(const ct_sheet *sheet, ct_arena *arena) {
    ct_sheet again;
    char    *text = ct_sheet_print(sheet, arena);
    CT_ASSERT(text);
    if (ct_sheet_parse("printed", text, strlen(text), arena, &again) != CT_OK) {
        fprintf(stderr, "%s\n%s\n", ct_message(), text);
        CT_ASSERT(strlen(text) > CT_SHEET_BYTES_MAX); /* bars that were short for a person are written out */
        return;
    }
    CT_ASSERT(again.bar_count == sheet->bar_count && again.section_count == sheet->section_count);
    CT_ASSERT(again.chord_count == sheet->chord_count && !strcmp(again.title, sheet->title));
    for (int32_t i = 0; i < sheet->bar_count; i++) {
        const ct_sheet_bar *a = &sheet->bars[i], *b = &again.bars[i];
        CT_ASSERT(a->start == b->start && a->key == b->key && a->metre == b->metre && !(a->tempo < b->tempo) &&
                  !(a->tempo > b->tempo));
    }
    for (int32_t i = 0; i < sheet->section_count; i++) {
        const ct_sheet_section *a = &sheet->sections[i], *b = &again.sections[i];
        CT_ASSERT(!strcmp(a->name, b->name) && a->label == b->label && a->first == b->first && a->bars == b->bars);
    }
    for (int32_t i = 0; i < sheet->chord_count; i++)
        CT_ASSERT(sheet->chords[i].step == again.chords[i].step &&
                  !strcmp(sheet->chords[i].symbol.text, again.chords[i].symbol.text));
    char *second = ct_sheet_print(&again, arena);
    CT_ASSERT(second && !strcmp(text, second));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ct_arena      arena = {.cap = FUZZ_ARENA};
    ct_sheet      sheet, of_piece;
    ct_sheet_open open;
    ct_piece      piece;
    ct_rows       rows;
    const char  **lines;
    size_t        line_count;
    if (ct_sheet_parse("input", (const char *)data, size, &arena, &sheet) == CT_OK) {
        print_and_parse(&sheet, &arena);
        CT_ASSERT(ct_sheet_reductions(&sheet, &arena, &lines, &line_count) == CT_OK);
        CT_ASSERT(ct_sheet_to_piece(&sheet, &arena, &piece, &open) == CT_OK);
        CT_ASSERT(ct_piece_check(&piece) == CT_OK);
        CT_ASSERT(ct_sheet_from_piece(&piece, &arena, &of_piece) == CT_OK);
        print_and_parse(&of_piece, &arena);
        CT_ASSERT(ct_piece_quantise(&piece, &arena) == CT_OK);
        if (ct_backbone_encode(&piece, &arena, &rows) != CT_OK) fprintf(stderr, "%s\n", ct_message());
    }
    ct_arena_free(&arena);
    return 0;
}
