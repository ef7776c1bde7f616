/* phase.c -- see phase.h. */
#include "core/music/phase.h"

#include "core/music/grid.h"

#include <math.h>

enum { DRUMS = 9, LOW = 50, STRONG = 256 };
static const double HOLD = 3;            /* chosen by fit_phase's folds */
static const double TOGETHER = 1.0 / 16; /* beats: notes that begin so near each other begin together */

/* A moment at which notes begin. */
typedef struct moment {
    double at, end, length; /* beats; end: of the last of its notes; length: of all together, low ones doubled */
    int    notes, top, low, loud;
} moment;

static size_t find_moments(const ct_midi_note *notes, size_t count, double period, double phase, moment *out) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (notes[i].channel == DRUMS) continue;
        double at = ((double)notes[i].start - phase) / period, end = ((double)notes[i].end - phase) / period;
        if (!n || at - out[n - 1].at > TOGETHER) out[n++] = (moment){.at = at, .low = 128};
        moment *m = &out[n - 1];
        m->end = fmax(m->end, end);
        m->length += fmin(end - at, 2) * (notes[i].pitch < LOW ? 2 : 1);
        m->notes++;
        m->top = notes[i].pitch > m->top ? notes[i].pitch : m->top;
        m->low = notes[i].pitch < m->low ? notes[i].pitch : m->low;
        m->loud = notes[i].velocity > m->loud ? notes[i].velocity : m->loud;
    }
    return n;
}

static int place_of(double at) {
    double sixteenth = floor(at * 4 + 0.5);
    int    place = (int)fmod(sixteenth, CT_PHASE_PLACES);
    return place < 0 ? place + CT_PHASE_PLACES : place;
}

static int class_of(double beats) {
    return beats <= 0.3 ? 0 : beats <= 0.6 ? 1 : beats <= 1.2 ? 2 : 3;
}

static void add(const moment *m, const moment *before, const moment *after, float (*out)[CT_PHASE_PLACES]) {
    int place = place_of(m->at);
    out[CT_PHASE_LENGTH][place] += (float)m->length;
    out[CT_PHASE_ONSETS][place]++;
    out[CT_PHASE_NEXT + (after ? class_of(after->at - m->at) : 3)][place]++;
    out[CT_PHASE_LAST + (before ? class_of(m->at - before->at) : 3)][place]++;
    out[CT_PHASE_BASS][place] += m->low < LOW;
    out[CT_PHASE_CHORD][place] += m->notes >= 3;
    if (!after || after->at - m->end > 0.5) out[CT_PHASE_END][place_of(m->end)]++;
    if (!before || !after) return;
    out[CT_PHASE_PEAK][place] += m->top > before->top && m->top > after->top;
    out[CT_PHASE_LOUD][place] += m->loud > before->loud && m->loud > after->loud;
}

ct_status ct_phase_cues(const ct_midi_note *notes, size_t count, double period, double phase, ct_arena *arena,
                        ct_phase_table *table) {
    float(*out)[CT_PHASE_PLACES] = table->places;
    moment *moments = CT_NEW(arena, moment, count);
    if (!moments) return CT_ENOMEM;
    for (int k = 0; k < CT_PHASE_CUES; k++)
        for (int p = 0; p < CT_PHASE_PLACES; p++) out[k][p] = 0;
    size_t n = find_moments(notes, count, period, phase, moments);
    table->thickness = 0;
    for (size_t i = 0; i < n; i++) table->thickness += (float)moments[i].notes / (float)n;
    table->thickness = fminf(fmaxf(table->thickness - 1, 0), 3);
    for (size_t i = 0; i < n; i++)
        add(&moments[i], i ? &moments[i - 1] : NULL, i + 1 < n ? &moments[i + 1] : NULL, out);
    for (int k = 0; k < CT_PHASE_CUES; k++) {
        float all = 0;
        for (int p = 0; p < CT_PHASE_PLACES; p++) all += out[k][p];
        float scale = sqrtf(fminf(all, STRONG)) / (all + 8);
        for (int p = 0; p < CT_PHASE_PLACES; p++) out[k][p] = (out[k][p] - all / CT_PHASE_PLACES) * scale;
    }
    return CT_OK;
}

double ct_phase_fit(const ct_phase_model *model, const ct_phase_table *table, int first, double gathered) {
    float sum = 0;
    for (int k = 0; k < CT_PHASE_CUES; k++)
        for (int p = 0; p < CT_PHASE_PLACES; p++)
            sum += model->weights[k][p] * table->places[k][(p + first) % CT_PHASE_PLACES];
    return (double)sum + gathered * (double)model->gathered;
}

int ct_phase_best(const ct_phase_model *model, const ct_phase_table *table, const double gathered[4], double hold) {
    double value[4] = {0};
    int    best = 0;
    for (int p = 0; p < CT_PHASE_PLACES; p++) value[p % 4] += exp(ct_phase_fit(model, table, p, gathered[p % 4]));
    value[0] *= exp(hold * (double)table->thickness);
    for (int k = 1; k < 4; k++)
        if (value[k] > value[best]) best = k;
    return best;
}

ct_status ct_phase_choose(const ct_midi_note *notes, size_t count, double period, ct_arena *arena, double *phase) {
    ct_phase_table table;
    double         gathered[4];
    size_t         drums = 0;
    for (size_t i = 0; i < count; i++) drums += notes[i].channel == DRUMS;
    bool at_zero = fmin(*phase, period - *phase) < period / 96;
    if (at_zero || 8 * drums > count) return CT_OK;
    CT_TRY(ct_phase_cues(notes, count, period, *phase, arena, &table));
    for (int k = 0; k < 4; k++)
        gathered[k] = log(ct_grid_gathering(notes, count, period, fmod(*phase + k * period / 4, period)));
    *phase = fmod(*phase + ct_phase_best(&ct_phase_fitted, &table, gathered, HOLD) * period / 4, period);
    return CT_OK;
}
