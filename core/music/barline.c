/* barline.c -- see barline.h. */
#include "core/music/barline.h"

#include <math.h>

const float         ct_barline_price[2] = {5, 10}; /* chosen by fit_metre's folds */
static const double TRIPLE = 0.1;                  /* by how much three must stand out more than four */
static const double CHANGE = 4; /* of bars of three among those of four, or the other way round, and of the way back */

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

/* States of the search: four places in bars of four, then three in bars of three. */
enum { OF_THREE = 4, STATES = 7 };

ct_status ct_barline_find(const ct_pulse *pulse, int32_t beats, int per_bar, const float (*weights)[CT_PULSE_CUES],
                          const float *price, ct_arena *arena, ct_barlines *out) {
    static const int ROW[STATES] = {0, 1, 2, 3, 0, 1, 3};
    double(*best)[STATES] = ct_arena_alloc(arena, (size_t)beats, sizeof *best);
    uint8_t(*back)[STATES] = ct_arena_alloc(arena, (size_t)beats, sizeof *back);
    out->position = CT_NEW(arena, uint8_t, (size_t)beats);
    if (!best || !back || !out->position) return CT_ENOMEM;
    const bool open = per_bar == 0; /* three and four may follow each other */
    if (open) per_bar = ct_barline_best(pulse, beats, 3) > ct_barline_best(pulse, beats, 4) + TRIPLE ? 3 : 4;
    const double change = open ? CHANGE : INFINITY;
    for (int32_t b = 0; b < beats; b++) {
        for (int s = 0; s < STATES; s++) {
            const int    three = s >= OF_THREE, first = three ? OF_THREE : 0, last = three ? STATES - 1 : 3;
            const double foreign = per_bar == (three ? 3 : 4) ? 0 : change;
            int          from = s > first ? s - 1 : last;
            double       before = b ? best[b - 1][from] : -foreign;
            const int    other = three ? 3 : STATES - 1; /* where the other kind of bar ends */
            if (b && s == first && best[b - 1][other] - change > before) {
                before = best[b - 1][other] - change;
                from = other;
            }
            for (int cut = 1; b && s == 0 && cut < 3; cut++)
                if (best[b - 1][cut] - (double)price[cut - 1] > before) {
                    before = best[b - 1][cut] - (double)price[cut - 1];
                    from = cut;
                }
            best[b][s] = before + ct_barline_fit(weights[ROW[s]], pulse->rows[b]);
            back[b][s] = (uint8_t)from;
        }
    }
    int at = 0;
    for (int s = 1; s < STATES && beats; s++)
        if (best[beats - 1][s] > best[beats - 1][at]) at = s;
    out->per_bar = at >= OF_THREE ? 3 : 4;
    for (int32_t b = beats - 1; b >= 0; b--) {
        out->position[b] = (uint8_t)(at >= OF_THREE ? at - OF_THREE : at);
        at = back[b][at];
    }
    return CT_OK;
}
