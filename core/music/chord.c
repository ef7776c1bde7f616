/* chord.c -- see chord.h. */
#include "core/music/chord.h"

enum { STATES = CT_CHORD_STATES, NONE = CT_CHORD_NONE, QUALITIES = CT_CHORD_QUALITIES };
enum { MAJOR, MINOR, DIMINISHED, AUGMENTED, SUSPENDED, KINDS };

/* What a state sounds like besides its name: chords that share their third, or lack it alike. */
static int kind_of(int state) {
    switch (state % QUALITIES) {
    case CT_MAJ:
    case CT_MAJ7:
    case CT_DOM7:
    case CT_MAJ6:
        return MAJOR;
    case CT_MIN:
    case CT_MIN7:
    case CT_MIN6:
    case CT_MINMAJ7:
        return MINOR;
    case CT_AUG:
        return AUGMENTED;
    case CT_SUS2:
    case CT_SUS4:
    case CT_SUS4B7:
        return SUSPENDED;
    default:
        return DIMINISHED;
    }
}

float ct_chord_sure(const float *likely, int state) {
    float sum = 0;
    for (int s = 0; s < STATES; s++)
        if (s / QUALITIES == state / QUALITIES && kind_of(s) == kind_of(state)) sum += likely[s];
    return sum;
}

/* What each state can expect to earn on a beat: the probabilities of itself, its root, and its root with its kind. */
static void expect(const float *likely, float *out) {
    const float PRICE = 1.5f; /* of a suspension */
    float       root[13] = {0}, kind[13][KINDS] = {{0}};
    for (int s = 0; s < STATES; s++) {
        root[s / QUALITIES] += likely[s];
        kind[s / QUALITIES][kind_of(s)] += likely[s];
    }
    for (int s = 0; s < STATES; s++) {
        out[s] = likely[s] + root[s / QUALITIES] + kind[s / QUALITIES][kind_of(s)];
        if (kind_of(s) == SUSPENDED) out[s] -= PRICE;
    }
}

static int best_of(const float *row) {
    int best = 0;
    for (int s = 1; s < STATES; s++)
        if (row[s] > row[best]) best = s;
    return best;
}

ct_status ct_chord_choose(const float *likely, int32_t beats, ct_arena *arena, uint8_t *out) {
    const float CHANGE = 0.3f;
    uint8_t(*from)[STATES] = ct_arena_alloc(arena, (size_t)beats, sizeof *from);
    float total[STATES] = {0}, worth[STATES];
    if (!from) return CT_ENOMEM;
    for (int32_t t = 0; t < beats; t++) {
        int   best = best_of(total);
        float jump = total[best] - (t ? CHANGE : 0);
        expect(likely + (size_t)t * STATES, worth);
        for (int s = 0; s < STATES; s++) {
            bool jumps = jump > total[s];
            from[t][s] = (uint8_t)(jumps ? best : s);
            total[s] = (jumps ? jump : total[s]) + worth[s];
        }
    }
    int state = best_of(total);
    for (int32_t t = beats - 1; t >= 0; t--) {
        out[t] = (uint8_t)state;
        state = from[t][state];
    }
    return CT_OK;
}

/* The bass of a segment: another chord tone, when it lies lowest clearly longer than the root. */
static uint8_t bass_of(int root, int quality, const ct_chord_view *views, int32_t begin, int32_t end) {
    float   low[12] = {0};
    uint8_t best = 0;
    for (int32_t b = begin; b < end; b++)
        for (int i = 0; i < 12; i++) low[i] += views[b].bass[(root + i) % 12];
    for (uint8_t i = 1; i < 12; i++)
        if ((ct_quality_mask(quality) >> i & 1) && low[i] > low[best]) best = i;
    return low[best] > 2 * low[0] ? best : 0;
}

ct_status ct_chord_beats(const ct_grid *grid, const ct_grid_note *notes, size_t count, ct_arena *arena, ct_chord *out,
                         float *confidence) {
    int32_t                 beats = grid->beat_count;
    ct_chord_view          *views;
    float                  *likely;
    const ct_chord_weights *weights;
    uint8_t                *states = CT_NEW(arena, uint8_t, (size_t)beats);
    if (!states) return CT_ENOMEM;
    CT_TRY(ct_chord_views(grid, notes, count, arena, &views));
    CT_TRY(ct_chord_fitted(arena, &weights));
    CT_TRY(ct_chord_posterior(weights, views, beats, arena, &likely));
    CT_TRY(ct_chord_choose(likely, beats, arena, states));
    for (int32_t begin = 0, end; begin < beats; begin = end) {
        int      state = states[begin];
        float    sum = 0;
        ct_chord c = {.root = CT_NO_CHORD};
        for (end = begin; end < beats && states[end] == state; end++)
            sum += ct_chord_sure(likely + (size_t)end * STATES, state);
        if (state != NONE) {
            c.root = (uint8_t)(state / QUALITIES);
            c.quality = (uint8_t)(state % QUALITIES);
            c.bass = bass_of(c.root, c.quality, views, begin, end);
        }
        for (int32_t b = begin; b < end; b++) {
            out[b] = c;
            confidence[b] = sum / (float)(end - begin);
        }
    }
    return CT_OK;
}
