/* melody_context.c -- a note against the line that a first opinion saw; see melody_notes.h. */
#include "core/music/melody_notes.h"

#include "core/music/melody_sums.h"

#include <stdlib.h>

enum { WINDOW_NOTES = 256 };

/* Against the line that the first round saw within `reach` beats (probabilities squared as weights; the note itself
 * left out, a little of the mean of all notes mixed in). */
static void against_line(const ct_grid_note *n, float p, ct_melody_sums w, double seen, ct_melody_sums all,
                         double reach, float *x) {
    const double   PRIOR = 0.05;
    ct_melody_sums own = ct_melody_plus((ct_melody_sums){0}, n, (double)p * (double)p);
    w = ct_melody_minus(w, own);
    double weight = w.n + PRIOR;
    double pitch = (w.pitch + PRIOR * all.pitch / all.n) / weight;
    double loud = (w.velocity + PRIOR * all.velocity / all.n) / weight;
    double wide = sqrt(fmax(w.pitch2 / weight - pitch * pitch, 1));
    double uneven = sqrt(fmax(w.velocity2 / weight - loud * loud, 4));
    x[0] = (float)((n->pitch - pitch) / 12);
    x[1] = (float)(fabs(n->pitch - pitch) / wide);
    x[2] = (float)((n->velocity - loud) / 10);
    x[3] = (float)(fabs(n->velocity - loud) / uneven);
    x[4] = (float)log(weight);
    x[5] = (float)((seen - (double)p) / reach);
}

static void against_all(const ct_grid_note *n, ct_melody_sums line, float *x) {
    double weight = line.n + 1e-9, wide = ct_melody_spread(line.pitch, line.pitch2, weight);
    double uneven = ct_melody_spread(line.velocity, line.velocity2, weight);
    x[0] = (float)((n->pitch - line.pitch / weight) / 12);
    x[1] = (float)(fabs(n->pitch - line.pitch / weight) / (wide + 1));
    x[2] = (float)((n->velocity - line.velocity / weight) / (uneven + 2));
    x[3] = fabsf(x[2]);
    x[4] = (float)log(uneven + 1);
}

/* The strongest rival at the same time, and the likeliest neighbours within two beats. */
static void rivals(const ct_grid_note *notes, size_t count, const float *p, size_t i, float *x) {
    const ct_grid_note *n = &notes[i];
    double              rival = 0, before = 0, after = 0, best_before = 0, best_after = 0;
    int                 down = 0, up = 0;
    size_t              begin = i;
    while (begin > 0 && i - begin < WINDOW_NOTES && notes[begin - 1].start >= n->start - 2) begin--;
    for (size_t k = begin; k < count && k <= i + WINDOW_NOTES && notes[k].start < n->start + 2; k++) {
        if (k == i) continue;
        double apart = notes[k].start - n->start, q = (double)p[k], near = q * exp(-fabs(apart));
        if (fabs(apart) < 0.1) rival = fmax(rival, q);
        if (apart < -0.1 && near > best_before) {
            best_before = near;
            before = q;
            down = notes[k].pitch - n->pitch;
        }
        if (apart > 0.1 && near > best_after) {
            best_after = near;
            after = q;
            up = notes[k].pitch - n->pitch;
        }
    }
    x[0] = p[i];
    x[1] = logf(p[i] + 1e-4f);
    x[2] = (float)rival;
    x[3] = (float)((double)p[i] - rival);
    x[4] = (float)before;
    x[5] = (float)after;
    x[6] = (float)(ct_melody_clip(down, 24) / 12);
    x[7] = (float)(ct_melody_clip(up, 24) / 12);
    x[8] = fabsf(x[6]);
    x[9] = fabsf(x[7]);
}

ct_status ct_melody_context(ct_melody_song *song, const float *probability, const float *other, ct_arena *arena) {
    static const double REACH[] = {2, 8, 32};
    const ct_grid_note *notes = song->notes;
    size_t              count = song->count;
    ct_melody_sums     *line = CT_NEW(arena, ct_melody_sums, count + 1);
    double             *seen = CT_NEW(arena, double, count + 1);
    ct_melody_sums      all = {0};
    if (!line || !seen) return CT_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        double p = (double)probability[i];
        line[i + 1] = ct_melody_plus(line[i], &notes[i], p * p);
        seen[i + 1] = seen[i] + p;
        all = ct_melody_plus(all, &notes[i], 1);
    }
    for (size_t r = 0; r < CT_COUNT(REACH); r++) {
        size_t begin = 0, end = 0;
        for (size_t i = 0; i < count; i++) {
            while (notes[begin].start < notes[i].start - REACH[r]) begin++;
            while (end < count && notes[end].start <= notes[i].start + REACH[r]) end++;
            against_line(&notes[i], probability[i], ct_melody_minus(line[end], line[begin]), seen[end] - seen[begin],
                         all, REACH[r], &song->rows[i][CT_MELODY_OWN + 6 * r]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        against_all(&notes[i], line[count], &song->rows[i][CT_MELODY_OWN + 18]);
        rivals(notes, count, probability, i, &song->rows[i][CT_MELODY_OWN + 23]);
    }
    return ct_melody_likeness(song, probability, other, arena);
}
