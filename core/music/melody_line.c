/* melody_line.c -- one line through all notes; see ct_melody_draw in melody.h. */
#include "core/music/melody.h"

#include "core/music/melody_notes.h"

#include <math.h>
#include <stdlib.h>

enum { LOOK_BACK = 12 };

typedef struct row_search {
    uint32_t *node; /* notes that may be in the row */
    int64_t  *from; /* of each node: the one before it, -1: none */
    double   *best; /* of each node: the value of the best row that ends there */
} row_search;

/* The best row of notes, no two of which start together: each earns its log odds, each interval costs by its size,
 * less the longer ago. Notes may be passed over for nothing. Returns the beats in which a note of the row starts. */
static int64_t best_row(const ct_grid_note *notes, size_t count, const float *probability, double bias, row_search *r,
                        uint8_t *in_row) {
    const double LEAP = 0.04, HARDLY = -3, TOGETHER = 1.0 / 16;
    uint32_t    *node = r->node;
    int64_t     *from = r->from;
    double      *best = r->best;
    int64_t      n = 0, last = -1, beats = 0, beat = -1;
    for (size_t i = 0; i < count; i++) {
        double p = (double)probability[i], odds = log(p + 1e-6) - log(1 - p + 1e-6) + bias;
        in_row[i] = 0;
        if (odds <= HARDLY) continue;
        node[n] = (uint32_t)i;
        from[n] = -1;
        best[n] = odds;
        for (int64_t k = n - 1; k >= 0 && k >= n - LOOK_BACK; k--) {
            const ct_grid_note *a = &notes[node[k]], *b = &notes[i];
            double              gap = b->start - a->start;
            if (gap <= TOGETHER) continue;
            double value = best[k] + odds - LEAP * abs(b->pitch - a->pitch) * exp(-gap / 4);
            if (value <= best[n]) continue;
            best[n] = value;
            from[n] = k;
        }
        if (last < 0 || best[n] > best[last]) last = n;
        n++;
    }
    for (; last >= 0; last = from[last]) {
        const ct_grid_note *a = &notes[node[last]];
        beats += (int64_t)a->start != beat;
        beat = (int64_t)a->start;
        in_row[node[last]] = 1;
    }
    return beats;
}

/* Draw the line; where it stays silent through most of the music, whose notes then look like none the weights were
 * fitted on, ask less of them. */
static ct_status draw(const ct_grid_note *notes, size_t count, const float *probability, ct_arena *arena,
                      uint8_t *in_row) {
    enum { TRIES = 5 };
    const double BIAS = 0.4, STEP = 1, ENOUGH = 0.6;
    row_search   r = {CT_NEW(arena, uint32_t, count), CT_NEW(arena, int64_t, count), CT_NEW(arena, double, count)};
    if (!r.node || !r.from || !r.best) return CT_ENOMEM;
    int64_t beats = 0, beat = -1;
    for (size_t i = 0; i < count; i++) {
        beats += (int64_t)notes[i].start != beat;
        beat = (int64_t)notes[i].start;
    }
    for (int i = 0; i < TRIES; i++)
        if ((double)best_row(notes, count, probability, BIAS + i * STEP, &r, in_row) >= ENOUGH * (double)beats) break;
    return CT_OK;
}

ct_status ct_melody_draw(const ct_grid_note *notes, size_t count, ct_arena *arena, uint8_t *picked) {
    ct_grid_note *single = CT_NEW(arena, ct_grid_note, count);
    uint32_t     *kept = CT_NEW(arena, uint32_t, count);
    float        *p = CT_NEW(arena, float, count), (*rows)[CT_MELODY_ALL];
    uint8_t      *in_row = CT_NEW(arena, uint8_t, count);
    if (!single || !kept || !p || !in_row) return CT_ENOMEM;
    size_t n = ct_melody_singles(notes, count, single, kept);
    CT_TRY(ct_melody_features(single, n, arena, &rows));
    for (size_t i = 0; i < n; i++)
        p[i] = ct_melody_probability(rows[i], ct_melody_first, CT_MELODY_OWN, ct_melody_first_bias);
    CT_TRY(ct_melody_context(single, n, p, arena, rows));
    for (size_t i = 0; i < n; i++)
        p[i] = ct_melody_probability(rows[i], ct_melody_second, CT_MELODY_ALL, ct_melody_second_bias);
    CT_TRY(draw(single, n, p, arena, in_row));
    for (size_t i = 0; i < n; i++) picked[kept[i]] = in_row[i];
    return CT_OK;
}
