/* barline.c -- see barline.h. */
#include "core/music/barline.h"

#include <math.h>

const float         ct_barline_price[2] = {5, 10}; /* chosen by fit_metre's folds */
static const double TRIPLE = 0.1;                  /* by how much three must stand out more than four */

double ct_barline_fit(const float *weights, const float *row) {
    float sum = 0;
    for (int k = 0; k < CT_PULSE_CUES; k++) sum += weights[k] * row[k];
    return (double)sum;
}

/* First in the bar rather than anything else. */
static double begins(const float (*w)[CT_PULSE_CUES], const float *row) {
    return ct_barline_fit(w[0], row) -
           (ct_barline_fit(w[1], row) + ct_barline_fit(w[2], row) + ct_barline_fit(w[3], row)) / 3;
}

double ct_barline_stand_out(const ct_pulse *pulse, int32_t beats, int per_bar, int first) {
    double  on = 0, off = 0;
    int32_t ons = 0;
    for (int32_t b = 0; b < beats; b++) {
        double value = begins(ct_barline_weights, pulse->rows[b]);
        if (b % per_bar == first) {
            on += value;
            ons++;
        } else {
            off += value;
        }
    }
    return ons && ons < beats ? on / ons - off / (beats - ons) : 0;
}

double ct_barline_best(const ct_pulse *pulse, int32_t beats, int per_bar) {
    double top = 0;
    for (int first = 0; first < per_bar; first++) top = fmax(top, ct_barline_stand_out(pulse, beats, per_bar, first));
    return top;
}

ct_status ct_barline_find(const ct_pulse *pulse, int32_t beats, int per_bar, const float (*weights)[CT_PULSE_CUES],
                          const float *price, ct_arena *arena, ct_barlines *out) {
    double(*best)[4] = ct_arena_alloc(arena, (size_t)beats, sizeof *best);
    uint8_t(*back)[4] = ct_arena_alloc(arena, (size_t)beats, sizeof *back);
    out->position = CT_NEW(arena, uint8_t, (size_t)beats);
    if (!best || !back || !out->position) return CT_ENOMEM;
    if (!per_bar) per_bar = ct_barline_best(pulse, beats, 3) > ct_barline_best(pulse, beats, 4) + TRIPLE ? 3 : 4;
    int last = per_bar - 1, row[4] = {0, 1, per_bar == 3 ? 3 : 2, 3};
    for (int32_t b = 0; b < beats; b++) {
        for (int p = 0; p < per_bar; p++) {
            int    from = p ? p - 1 : last;
            double before = b ? best[b - 1][from] : 0;
            for (int cut = 1; b && p == 0 && per_bar == 4 && cut < 3; cut++)
                if (best[b - 1][cut] - (double)price[cut - 1] > before) {
                    before = best[b - 1][cut] - (double)price[cut - 1];
                    from = cut;
                }
            best[b][p] = before + ct_barline_fit(weights[row[p]], pulse->rows[b]);
            back[b][p] = (uint8_t)from;
        }
    }
    int at = 0;
    for (int p = 1; p < per_bar && beats; p++)
        if (best[beats - 1][p] > best[beats - 1][at]) at = p;
    for (int32_t b = beats - 1; b >= 0; b--) {
        out->position[b] = (uint8_t)at;
        at = back[b][at];
    }
    out->per_bar = per_bar;
    return CT_OK;
}
