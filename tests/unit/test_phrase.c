/* test_phrase.c -- phrases of pieces made here: where they begin, which of them are the same. */
#include "core/music/section.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BARS = 64, BAR = 48 };

typedef struct made {
    ct_piece  piece;
    ct_bar    bars[BARS];
    ct_change changes[BARS];
    uint8_t   rhythm[4 * BARS];
    ct_note   melody[8 * BARS];
    ct_arena  arena;
} made;

static made *new_piece(int bars) {
    made *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->piece = (ct_piece){.title = "", .bars = m->bars, .bar_count = bars, .changes = m->changes, .rhythm = m->rhythm};
    m->piece.melody = m->melody;
    m->piece.beat_count = 4 * bars;
    for (int i = 0; i < bars; i++) m->bars[i] = (ct_bar){i * BAR, CT_4_4, 0, 100};
    for (int b = 0; b < 4 * bars; b++) m->rhythm[b] = 5;
    return m;
}

static void chord(made *m, int bar, int root, int quality) {
    ct_change c = {bar * BAR, {(uint8_t)root, (uint8_t)quality, 0}};
    if (m->piece.change_count && ct_chord_same(m->changes[m->piece.change_count - 1].chord, c.chord)) return;
    m->changes[m->piece.change_count++] = c;
}

static void tone(made *m, int start, int length, int pitch) {
    m->melody[m->piece.melody_count++] = (ct_note){start, start + length, (uint8_t)pitch, 80};
}

static void find(made *m) {
    assert_int_equal(ct_section_find(&m->piece, false, &m->arena), CT_OK);
    assert_int_equal(ct_piece_check(&m->piece), CT_OK);
}

static void done(made *m) {
    ct_arena_free(&m->arena);
    free(m);
}

static bool begins(const made *m, int bar) {
    for (int32_t i = 0; i < m->piece.section_count; i++)
        if (m->piece.sections[i].first == bar) return true;
    return false;
}

/* One loop of chords from beginning to end: only the tune tells phrases apart. It ends them on a long note. */
static void test_one_loop(void **state) {
    (void)state;
    static const int ROOT[] = {0, 7, 9, 5};
    made            *m = new_piece(44);
    uint32_t         seed = 5;
    for (int bar = 0; bar < 44; bar++) {
        chord(m, bar, ROOT[bar % 4], bar % 4 == 2 ? CT_MIN : CT_MAJ);
        bool last = bar % 8 == 3;
        for (int k = 0; k < (last ? 1 : 4); k++) {
            seed = seed * 1664525 + 1013904223;
            tone(m, bar * BAR + 12 * k, last ? 24 : 12, 67 + (int)(seed >> 28) % 9);
        }
    }
    find(m);
    for (int bar = 4; bar < 44; bar += 8) {
        assert_true(begins(m, bar));
        assert_false(begins(m, bar + 4));
    }
    done(m);
}

/* The same phrase a tone higher, in a key of its own, has the same letter. */
static void test_transposed(void **state) {
    (void)state;
    static const int ROOT[] = {0, 9, 5, 7, 0, 9, 2, 7}, TUNE[] = {72, 69, 77, 74, 76, 72, 74, 71};
    static const int OTHER[] = {5, 5, 0, 0, 2, 2, 7, 7};
    made            *m = new_piece(32);
    for (int bar = 0; bar < 32; bar++) {
        int  part = bar / 8, up = part == 3 ? 2 : 0, at = bar % 8;
        bool other = part == 2;
        m->bars[bar].key = (uint8_t)up;
        chord(m, bar, ((other ? OTHER : ROOT)[at] + up) % 12, CT_MAJ);
        for (int k = 0; k < (at == 7 ? 2 : 4); k++)
            tone(m, bar * BAR + 12 * k, 12, (other ? 60 + 3 * (k % 2) : TUNE[at] - k) + up);
    }
    find(m);
    for (int bar = 0; bar < 32; bar += 8) assert_true(begins(m, bar));
    uint8_t first = m->piece.sections[0].label;
    assert_int_equal(first, CT_SECTION_A);
    bool again = false;
    for (int32_t i = 0; i < m->piece.section_count; i++)
        if (m->piece.sections[i].first == 24) again = m->piece.sections[i].label == first;
    assert_true(again);
    done(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_loop), cmocka_unit_test(test_transposed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
