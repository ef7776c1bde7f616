/* How an accompaniment is played: bars written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/music/texture.h"

enum { BARS = 9, NOTES = 256, BEAT = CT_STEPS_PER_BEAT };
static ct_grid_bar  bars[BARS + 1];
static ct_grid_note notes[NOTES];
static uint8_t      melody[NOTES];
static size_t       count;

static void note(int bar, double beat, double length, int pitch) {
    int32_t step = (int32_t)((4 * bar + beat) * BEAT);
    notes[count++] = (ct_grid_note){.step = step, .step_end = step + (int32_t)(length * BEAT), .pitch = (uint8_t)pitch};
}

static void chord(int bar, double beat, double length) {
    for (int k = 0; k < 3; k++) note(bar, beat, length, 60 + 4 * k);
}

static void each_bar_is_heard_as_it_is_played(void **state) {
    (void)state;
    static const int EXPECTED[BARS] = {CT_TEXTURE_SILENT, CT_TEXTURE_CHORDS, CT_TEXTURE_BASS_AND_CHORDS,
                                       CT_TEXTURE_BROKEN, CT_TEXTURE_LINE,   CT_TEXTURE_CHORDS,
                                       CT_TEXTURE_HELD,   CT_TEXTURE_MIXED,  CT_TEXTURE_LINE};
    uint8_t          textures[BARS];
    ct_grid          grid = {.bars = bars, .bar_count = BARS, .beat_count = 4 * BARS};
    for (int b = 0; b <= BARS; b++) bars[b] = (ct_grid_bar){1920.0 * b, 4 * b, CT_4_4};
    for (int beat = 0; beat < 4; beat++) chord(1, beat, 1);
    for (int beat = 0; beat < 4; beat++) beat % 2 ? chord(2, beat, 1) : note(2, beat, 1, 40);
    for (int k = 0; k < 8; k++) note(3, k / 2.0, 0.5, 48 + (int[]){0, 7, 12, 16}[k % 4]);
    for (int beat = 0; beat < 4; beat++) note(4, beat, 1, 48 + 2 * beat);
    chord(5, 0, 8);
    for (int beat = 0; beat < 4; beat++) /* thirds */
        for (int k = 0; k < 2; k++) note(7, beat, 1, 60 + beat + 4 * k);
    note(8, 0, 4, 36);
    size_t accompaniment = count;
    for (int bar = 0; bar < BARS; bar++) /* a melody over it all, which is not looked at */
        for (int k = 0; k < 3; k++) note(bar, 0, 1, 72 + 7 * k);
    for (size_t i = accompaniment; i < count; i++) melody[i] = 1;
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k && notes[k].step < notes[k - 1].step; k--) {
            ct_grid_note swap = notes[k];
            uint8_t      mark = melody[k];
            notes[k] = notes[k - 1];
            notes[k - 1] = swap;
            melody[k] = melody[k - 1];
            melody[k - 1] = mark;
        }
    ct_texture_bars(&grid, notes, count, melody, textures);
    for (int b = 0; b < BARS; b++)
        if (textures[b] != EXPECTED[b])
            fail_msg("bar %d: %s, expected %s", b, ct_texture_name(textures[b]), ct_texture_name(EXPECTED[b]));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_bar_is_heard_as_it_is_played)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
