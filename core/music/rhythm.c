/* rhythm.c -- see rhythm.h. */
#include "core/music/rhythm.h"

void ct_rhythm_beats(const ct_grid_note *notes, size_t count, const uint8_t *melody, int32_t beats, uint16_t *masks,
                     uint8_t *out) {
    for (int32_t b = 0; b < beats; b++) masks[b] = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t beat = notes[i].step / CT_STEPS_PER_BEAT;
        if (!melody[i] && beat < beats) masks[beat] |= (uint16_t)(1 << notes[i].step % CT_STEPS_PER_BEAT);
    }
    for (int32_t b = 0; b < beats; b++) out[b] = (uint8_t)ct_rhythm_nearest(masks[b]);
}
