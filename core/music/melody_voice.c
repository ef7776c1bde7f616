/* melody_voice.c -- one voice that can be sung, out of the notes chosen; see ct_melody_voice in melody.h. */
#include "core/music/melody.h"

#include <stdlib.h>

enum { OCTAVE = 12, GRACE_REACH = 3, MAIN_LEAST = 3, HELD_MOST = 4 * CT_STEPS_PER_BEAT };

/* Of two notes that start together: does `b` take the place of `a`? `before` is what was sung last, NULL: nothing. */
static bool replaces(const ct_note *a, const ct_note *b, const ct_note *before) {
    const ct_note *low = a->pitch < b->pitch ? a : b, *high = low == a ? b : a;
    if (a->pitch == b->pitch) return b->end > a->end;
    bool doubled = high->pitch - low->pitch == OCTAVE;
    bool lower = doubled && before && abs(low->pitch - before->pitch) < abs(high->pitch - before->pitch);
    return lower ? low == b : high == b;
}

/* A step's length of ornament before a note, which takes its place in time. */
static bool is_grace(const ct_note *a, const ct_note *b) {
    return a->end - a->start <= 1 && b->start - a->start <= 1 && b->end - b->start >= MAIN_LEAST &&
           abs(a->pitch - b->pitch) <= GRACE_REACH;
}

/* A lower note that comes and goes while a higher one is held (not for ever: that would be one left hanging). */
static bool is_under(const ct_note *held, const ct_note *b) {
    return b->pitch < held->pitch && b->end <= held->end && held->end - held->start <= HELD_MOST;
}

/* Did `a` end before `b` began, though both lie on one step? */
static bool in_turn(const ct_grid_note *a, const ct_grid_note *b) {
    const double LITTLE = 1.0 / 48;
    return b->start - a->start > LITTLE && a->end <= b->start + LITTLE;
}

ct_status ct_melody_voice(const ct_grid_note *notes, size_t count, const uint8_t *chosen, int32_t steps,
                          ct_arena *arena, ct_note **out, int32_t *out_count) {
    ct_note            *voice = *out = CT_NEW(arena, ct_note, count);
    const ct_grid_note *sung = NULL; /* the last note of the voice */
    int32_t             n = 0;
    if (!voice) return CT_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const ct_grid_note *g = &notes[i];
        if (!chosen[i]) continue;
        ct_note  note = {g->step, g->step_end < steps ? g->step_end : steps, g->pitch, g->velocity ? g->velocity : 1};
        ct_note *last = n ? &voice[n - 1] : NULL;
        if (last && last->start == note.start) {
            bool later = in_turn(sung, g) ? g->end - g->start > sung->end - sung->start
                                          : replaces(last, &note, n > 1 ? last - 1 : NULL);
            if (!later) continue;
            *last = note;
            sung = g;
            continue;
        }
        if (last && is_under(last, &note)) continue;
        if (last && is_grace(last, &note)) {
            note.start = last->start;
            *last = note;
            sung = g;
            continue;
        }
        if (last && last->end > note.start) last->end = note.start;
        voice[n++] = note;
        sung = g;
    }
    *out_count = n;
    return CT_OK;
}
