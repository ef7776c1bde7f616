/* texture.c -- see texture.h. */
#include "core/music/texture.h"

#include <math.h>
#include <stdlib.h>

const char *ct_texture_name(int texture) {
    static const char *const NAMES[CT_TEXTURE_COUNT] = {"silent",        "held", "chords", "bass and chords",
                                                        "broken chords", "line", "mixed"};
    return NAMES[texture];
}

/* Notes that begin on one step. */
typedef struct strike {
    int32_t step;
    int     notes, low, high;
} strike;

/* What a bar is made of. */
typedef struct bar_view {
    int    strikes, notes;
    int    chords; /* strikes of three notes and more */
    int    basses; /* strikes of one or two notes, followed in the bar by higher ones of two and more */
    double moved;  /* semitones from strike to strike, by their lowest notes */
    strike last;
} bar_view;

static void end_strike(bar_view *v, const strike *s) {
    enum { CHORD = 3, ABOVE_BASS = 5 };
    if (!s->notes) return;
    if (v->strikes) {
        v->moved += abs(s->low - v->last.low);
        v->basses += v->last.notes < CHORD && s->notes > 1 && s->low - v->last.high >= ABOVE_BASS;
    }
    v->chords += s->notes >= CHORD;
    v->strikes++;
    v->notes += s->notes;
    v->last = *s;
}

static int texture_of(const bar_view *v, bool sounds) {
    const double MOST = 0.6, ALONE = 1.7, LEAP = 2.5;
    if (!v->strikes) return sounds ? CT_TEXTURE_HELD : CT_TEXTURE_SILENT;
    if (v->basses && v->strikes >= 2 && v->chords + v->basses >= MOST * v->strikes) return CT_TEXTURE_BASS_AND_CHORDS;
    if (v->chords >= MOST * v->strikes) return CT_TEXTURE_CHORDS;
    if (v->notes > ALONE * v->strikes) return CT_TEXTURE_MIXED;
    bool leaps = v->strikes > 1 && v->moved / (v->strikes - 1) >= LEAP;
    return leaps ? CT_TEXTURE_BROKEN : CT_TEXTURE_LINE;
}

void ct_texture_bars(const ct_grid *grid, const ct_grid_note *notes, size_t count, const uint8_t *melody,
                     uint8_t *out) {
    size_t i = 0;
    double sounds_until = 0;
    for (int32_t b = 0; b < grid->bar_count; b++) {
        int32_t  begin = grid->bars[b].beat * CT_STEPS_PER_BEAT, end = grid->bars[b + 1].beat * CT_STEPS_PER_BEAT;
        bar_view view = {0};
        strike   now = {.step = -1};
        for (; i < count && notes[i].step < end; i++) {
            if (melody[i]) continue;
            if (notes[i].step != now.step) {
                end_strike(&view, &now);
                now = (strike){notes[i].step, 0, notes[i].pitch, notes[i].pitch};
            }
            now.notes++;
            if (notes[i].pitch < now.low) now.low = notes[i].pitch;
            if (notes[i].pitch > now.high) now.high = notes[i].pitch;
            sounds_until = fmax(sounds_until, notes[i].step_end);
        }
        end_strike(&view, &now);
        out[b] = (uint8_t)texture_of(&view, sounds_until > begin);
    }
}
