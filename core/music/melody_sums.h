/* melody_sums.h -- sums of notes over windows of time, as differences of running sums.
 *
 * Shared by the files that make features of notes (melody_notes.h). Pure; nothing can fail.
 */
#ifndef CT_MUSIC_MELODY_SUMS_H
#define CT_MUSIC_MELODY_SUMS_H

#include "core/music/grid.h"

#include <math.h>

typedef struct ct_melody_sums {
    double n, pitch, pitch2, velocity, velocity2, length;
} ct_melody_sums;

static inline ct_melody_sums ct_melody_minus(ct_melody_sums a, ct_melody_sums b) {
    return (ct_melody_sums){
        a.n - b.n,          a.pitch - b.pitch, a.pitch2 - b.pitch2, a.velocity - b.velocity, a.velocity2 - b.velocity2,
        a.length - b.length};
}

static inline ct_melody_sums ct_melody_plus(ct_melody_sums sum, const ct_grid_note *n, double weight) {
    sum.n += weight;
    sum.pitch += weight * n->pitch;
    sum.pitch2 += weight * n->pitch * n->pitch;
    sum.velocity += weight * n->velocity;
    sum.velocity2 += weight * n->velocity * n->velocity;
    sum.length += weight * (n->end - n->start);
    return sum;
}

static inline double ct_melody_spread(double sum, double sum2, double n) {
    double mean = sum / n;
    return sqrt(fmax(sum2 / n - mean * mean, 0));
}

static inline double ct_melody_clip(double x, double limit) {
    return fmax(-limit, fmin(limit, x));
}

#endif
