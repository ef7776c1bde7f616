/* melody_notes.c -- the melody among all notes; see ct_melody_draw in melody.h. */
#include "core/music/melody.h"

ct_status ct_melody_draw(const ct_grid_note *notes, size_t count, ct_arena *arena, uint8_t *picked) {
    (void)arena;
    for (size_t i = 0; i < count; i++) {
        bool top = true;
        for (size_t k = i; k-- > 0 && notes[k].start > notes[i].start - 4;)
            top &= !(notes[k].pitch > notes[i].pitch && notes[k].end > notes[i].start + 0.06);
        for (size_t k = i + 1; k < count && notes[k].start <= notes[i].start + 1.0 / 16; k++)
            top &= notes[k].pitch <= notes[i].pitch;
        picked[i] = top;
    }
    return CT_OK;
}
