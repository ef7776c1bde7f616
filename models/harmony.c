/* harmony.c -- see harmony.h. */
#include "models/harmony.h"

#include <math.h>
#include <string.h>

void ct_rotary_pairs(const ct_model_config *c, int32_t *source, double *omega) {
    static const double periods[] = {4, 8, 16, 32, 2, 64, 1, 0}; /* bars; 0: one beat */
    static const double turns[] = {5, 4, 3, 1, 2, 6};
    const double        tau = 6.283185307179586476925;
    int64_t             pairs = c->width / c->heads / 2, given = 0;
    double              share = 0;
    for (int64_t i = 0; i < c->rotary_count; i++) {
        share += c->rotary[i].share;
        int64_t end = llround(share * (double)pairs), count = (end < pairs ? end : pairs) - given;
        for (int64_t k = 0; k < count; k++) {
            int32_t by = c->rotary[i].by;
            source[given + k] = by;
            if (by == CT_BY_INDEX)
                omega[given + k] = pow(c->rotary_base, -(double)k / (double)count);
            else if (by == CT_BY_TIME || by == CT_BY_PLACE) {
                double bars = periods[(size_t)k % CT_COUNT(periods)];
                if (bars > 0)
                    omega[given + k] = tau / (bars * CT_PHASES_PER_BAR);
                else {
                    source[given + k] = CT_SOURCE_BEAT;
                    omega[given + k] = tau / CT_STEPS_PER_BEAT;
                }
            } else
                omega[given + k] = tau * turns[(size_t)k % CT_COUNT(turns)] / 12;
        }
        given += count > 0 ? count : 0;
    }
    for (; given < pairs; given++) {
        source[given] = CT_BY_INDEX;
        omega[given] = 0;
    }
}

static int32_t value(const uint16_t *row, int column) {
    return column < 0 ? 0 : row[column];
}

static int32_t pitch_class(const uint16_t *row, int column) {
    int32_t v = value(row, column);
    return v < 12 ? v : 0; /* no chord: not turned */
}

void ct_row_positions(const ct_model *m, const uint16_t *row, int64_t index, int32_t *out) {
    const int *t = m->column_time;
    int32_t    phase = value(row, t[1]), step = value(row, t[3]);
    out[CT_BY_INDEX] = (int32_t)index;
    out[CT_BY_TIME] = value(row, t[0]) * CT_PHASES_PER_BAR + phase;
    out[CT_BY_PLACE] = value(row, t[2]) * CT_PHASES_PER_BAR + phase;
    out[CT_BY_ROOT] = pitch_class(row, m->column_root[0]);
    out[CT_BY_PREVIOUS_ROOT] = pitch_class(row, m->column_root[1]);
    out[CT_BY_PITCH_CLASS] = pitch_class(row, m->column_root[2]);
    out[CT_SOURCE_BEAT] = t[3] >= 0 && step + 2 < m->columns[t[3]].size ? step : 0;
}

int32_t ct_walk_row(ct_walk *w, const uint16_t *row, int32_t song) {
    int32_t chord[3];
    if (song < 0 && w->count) return (int32_t)w->count - 1;
    ct_row_chord(w->model, row, chord);
    if (w->count == 0 || song != w->song || memcmp(chord, w->chords + (w->count - 1) * 3, sizeof chord) != 0) {
        if (w->count == w->most) return -1;
        memcpy(w->chords + w->count++ * 3, chord, sizeof chord);
        w->song = song;
    }
    return (int32_t)w->count - 1;
}
