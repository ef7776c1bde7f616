/* melody_line.c -- one line through all notes; see ct_melody_draw in melody.h. */
#include "core/music/melody.h"

#include "core/music/melody_notes.h"

#include <math.h>
#include <stdlib.h>

enum { LOOK_BACK = 16 };

typedef struct row_search {
    uint32_t *node; /* notes that may be in the row */
    int64_t  *from; /* of each node: the one before it, -1: none */
    int64_t  *top;  /* of each node: where the best row ends among the nodes up to it */
    double   *best; /* of each node: the value of the best row that ends there */
} row_search;

/* The best way to node n, whose note is worth `odds`. */
static void join(const ct_grid_note *notes, row_search *r, int64_t n, double odds) {
    const double        LEAP = 0.06, FORGET = 4;
    const ct_grid_note *b = &notes[r->node[n]];
    int64_t             k = n - 1;
    r->from[n] = -1;
    r->best[n] = odds;
    for (; k >= 0 && k >= n - LOOK_BACK; k--) {
        const ct_grid_note *a = &notes[r->node[k]];
        double              gap = b->start - a->start;
        if (gap <= CT_MELODY_TOGETHER) continue;
        double value = r->best[k] + odds - LEAP * abs(b->pitch - a->pitch) * exp(-gap / FORGET);
        if (value <= r->best[n]) continue;
        r->best[n] = value;
        r->from[n] = k;
    }
    if (k < 0) return;
    int64_t before = r->top[k]; /* so long ago that its pitch is forgotten */
    if (r->best[before] + odds <= r->best[n] || b->start - notes[r->node[before]].start <= CT_MELODY_TOGETHER) return;
    r->best[n] = r->best[before] + odds;
    r->from[n] = before;
}

/* The best row of notes, no two of which start together: each earns its log odds, each interval costs by its size,
 * less the longer ago. Notes may be passed over for nothing. */
static void best_row(const ct_grid_note *notes, size_t count, const float *probability, double bias, row_search *r,
                     uint8_t *in_row) {
    const double HARDLY = -3;
    int64_t      n = 0;
    for (size_t i = 0; i < count; i++) {
        double p = (double)probability[i], odds = log(p + 1e-6) - log(1 - p + 1e-6) + bias;
        in_row[i] = 0;
        if (odds <= HARDLY) continue;
        r->node[n] = (uint32_t)i;
        join(notes, r, n, odds);
        r->top[n] = n && r->best[r->top[n - 1]] >= r->best[n] ? r->top[n - 1] : n;
        n++;
    }
    for (int64_t last = n ? r->top[n - 1] : -1; last >= 0; last = r->from[last]) in_row[r->node[last]] = 1;
}

ct_status ct_melody_draw(const ct_grid_note *notes, size_t count, const float *probability, ct_arena *arena,
                         uint8_t *picked) {
    const double BIAS = 0.5;
    row_search   r = {CT_NEW(arena, uint32_t, count), CT_NEW(arena, int64_t, count), CT_NEW(arena, int64_t, count),
                      CT_NEW(arena, double, count)};
    if (!r.node || !r.from || !r.top || !r.best) return CT_ENOMEM;
    best_row(notes, count, probability, BIAS, &r, picked);
    return CT_OK;
}
