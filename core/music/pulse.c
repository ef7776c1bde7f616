/* pulse.c -- see pulse.h. */
#include "core/music/pulse.h"

#include <math.h>

enum { DRUMS = 9, LOW = 50, UPPER = 60, BANDS = 4, HELD = 4, WINDOW = 8 };
static const double NEAR = 0.13; /* beats: an onset this near is on the beat */

/* What is gathered from the notes for each beat, before cues are made of it. */
typedef struct beat {
    double  chroma[2][12]; /* of the beat, and of the beat that begins half a beat earlier */
    double  shape[BANDS];  /* onsets by register */
    double  low, mass, count, loud, longest, tied, ends, upper, next, onsets;
    uint8_t lowest, deepest; /* sounding; beginning on the beat; 255: none */
} beat;

typedef struct pulse {
    double  origin, period;
    int32_t beats;
    beat   *at;
} pulse;

static void add_chroma(const pulse *p, int which, int pitch, double at, double end) {
    double shift = which ? 0.5 : 0;
    at += shift;
    end = fmin(end + shift, at + HELD);
    for (int32_t b = (int32_t)floor(fmax(at, 0)); b < p->beats && b < end; b++)
        p->at[b].chroma[which][pitch % 12] += fmin(end, b + 1) - fmax(at, b);
}

static void add_held(const pulse *p, int pitch, double at, double end) {
    for (int32_t b = (int32_t)floor(fmax(at + NEAR, 0)); b < p->beats && b < end - NEAR && b < at + HELD; b++)
        if (pitch < p->at[b].lowest) p->at[b].lowest = (uint8_t)pitch;
}

static void add_on_beat(beat *b, const ct_midi_note *n, double length) {
    b->count++;
    b->mass += fmin(length, HELD);
    b->longest = fmax(b->longest, fmin(length, 8));
    b->loud = fmax(b->loud, n->velocity / 127.0);
    if (n->pitch < LOW) b->low += fmin(length, HELD);
    if (n->pitch < b->deepest) b->deepest = n->pitch;
}

static void gather(const pulse *p, const ct_midi *midi) {
    double  upper = -HELD, any = -HELD; /* the last onsets before the beat that is filled next */
    int32_t filled = 0;
    for (size_t i = 0; i < midi->note_count; i++) {
        const ct_midi_note *n = &midi->notes[i];
        double              at = ((double)n->start - p->origin) / p->period;
        double              end = ((double)n->end - p->origin) / p->period, length = end - at;
        int32_t             b = (int32_t)floor(at + NEAR), over = (int32_t)ceil(at), last = (int32_t)floor(end + 0.5);
        if (n->channel == DRUMS || b < 0 || b >= p->beats) continue;
        for (; filled <= b; filled++) p->at[filled].upper = fmin(filled - upper, HELD);
        for (int which = 0; which < 2; which++) add_chroma(p, which, n->pitch, at, end);
        add_held(p, n->pitch, at, end);
        p->at[b].shape[n->pitch < 48 ? 0 : n->pitch < 60 ? 1 : n->pitch < 72 ? 2 : 3]++;
        p->at[b].onsets++;
        if (fabs(at - b) <= NEAR)
            add_on_beat(&p->at[b], n, length);
        else if (over < p->beats && over - at < 0.6 && end > over + 0.25)
            p->at[over].tied += fmin(length, HELD);
        if (length >= 1 && last < p->beats && last >= 0 && fabs(end - last) <= NEAR) p->at[last].ends++;
        int32_t before = (int32_t)floor(any + NEAR);
        if (any >= 0 && fabs(any - before) <= NEAR && at > any + NEAR && p->at[before].next == 0)
            p->at[before].next = fmin(at - any, HELD);
        any = at;
        if (n->pitch >= UPPER) upper = at;
    }
    for (; filled < p->beats; filled++) p->at[filled].upper = fmin(filled - upper, HELD);
}

/* ---- cues */
static double away(const double *a, const double *b, int count) {
    double dot = 0, aa = 0, bb = 0;
    for (int k = 0; k < count; k++) {
        dot += a[k] * b[k];
        aa += a[k] * a[k];
        bb += b[k] * b[k];
    }
    if (aa == 0 && bb == 0) return 0;
    return aa > 0 && bb > 0 ? 1 - dot / sqrt(aa * bb) : 1;
}

static void sum_chroma(const pulse *p, int32_t from, int32_t count, int which, double sum[12]) {
    for (int k = 0; k < 12; k++) sum[k] = 0;
    for (int32_t b = from < 0 ? 0 : from; b < from + count && b < p->beats; b++)
        for (int k = 0; k < 12; k++) sum[k] += p->at[b].chroma[which][k];
}

static float flux(const pulse *p, int32_t b, int32_t count, int which) {
    double before[12], after[12];
    sum_chroma(p, b - count, count, which, before);
    sum_chroma(p, b, count, which, after);
    return (float)away(before, after, 12);
}

static float texture(const pulse *p, int32_t b) {
    double before[BANDS] = {0}, after[BANDS] = {0}, apart = 0, all = 1;
    for (int32_t i = b - WINDOW; i < b + WINDOW; i++)
        for (int k = 0; i >= 0 && i < p->beats && k < BANDS; k++) (i < b ? before : after)[k] += p->at[i].shape[k];
    for (int k = 0; k < BANDS; k++) {
        apart += fabs(before[k] - after[k]);
        all += before[k] + after[k];
    }
    return (float)(apart / all);
}

static double around(const pulse *p, int32_t b) {
    double  sum = 0;
    int32_t n = 0;
    for (int32_t i = b - 4; i <= b + 4; i++)
        if (i >= 0 && i < p->beats && p->at[i].count > 0) {
            sum += p->at[i].loud;
            n++;
        }
    return n ? sum / n : 0;
}

static void fill_row(const pulse *p, int32_t b, float *row) {
    const beat *x = &p->at[b];
    row[CT_PULSE_LOW] = (float)fmin(x->low, 4);
    row[CT_PULSE_BASS] = b && x->lowest != 255 && p->at[b - 1].lowest % 12 != x->lowest % 12;
    row[CT_PULSE_FLUX_1] = flux(p, b, 1, 0);
    row[CT_PULSE_FLUX_2] = flux(p, b, 2, 0);
    row[CT_PULSE_FLUX_4] = flux(p, b, 4, 0);
    row[CT_PULSE_EARLY] = flux(p, b, 1, 1);
    row[CT_PULSE_MASS] = (float)fmin(x->mass, 12);
    row[CT_PULSE_COUNT] = (float)fmin(x->count, 12);
    row[CT_PULSE_LOUD] = (float)(x->count > 0 ? x->loud - around(p, b) : -0.1);
    row[CT_PULSE_LONG] = (float)x->longest;
    row[CT_PULSE_TIED] = (float)fmin(x->tied, 8);
    row[CT_PULSE_ENDS] = (float)fmin(x->ends, 6);
    row[CT_PULSE_DEEP] = x->deepest == 255 ? 0 : (float)fmax(72 - x->deepest, 0);
    row[CT_PULSE_DENSER] = (float)(x->onsets - (b ? p->at[b - 1].onsets : 0));
    row[CT_PULSE_EMPTY] = x->count == 0;
    row[CT_PULSE_BREATH] = (float)x->upper;
    row[CT_PULSE_REST] = (float)x->next;
    row[CT_PULSE_TEXTURE] = texture(p, b);
    row[CT_PULSE_FIRST] = b == 0;
}

/* Likeness of two beats: harmony and shape of the texture. */
static float alike(const beat *a, const beat *b) {
    return (float)(1 - 0.7 * away(a->chroma[0], b->chroma[0], 12) - 0.3 * away(a->shape, b->shape, BANDS));
}

/* For each lag, how much more alike the eight beats after a place are than the eight before it; kept where the beats
 * after are alike indeed. Forwards and backwards. */
static ct_status repetition(const pulse *p, ct_arena *arena, ct_pulse_row *rows) {
    float *sum = CT_NEW(arena, float, (size_t)p->beats + 1);
    if (!sum) return CT_ENOMEM;
    for (int32_t lag = WINDOW; lag < CT_PULSE_LAGS && lag < p->beats - WINDOW; lag++) {
        int32_t pairs = p->beats - lag;
        sum[0] = 0;
        for (int32_t b = 0; b < pairs; b++) sum[b + 1] = sum[b] + alike(&p->at[b], &p->at[b + lag]);
        for (int32_t b = 0; b + WINDOW <= pairs; b++) {
            int32_t back = b < WINDOW ? b : WINDOW;
            float   after = (sum[b + WINDOW] - sum[b]) / WINDOW;
            float   before = back ? (sum[b] - sum[b - back]) / (float)back : 0;
            if (after < 0.8f || after <= before) continue;
            rows[b][CT_PULSE_AGAIN] += (after - before) * (after - 0.8f);
            rows[b + lag][CT_PULSE_AGAIN] += (after - before) * (after - 0.8f);
        }
    }
    return CT_OK;
}

static void standardise(ct_pulse_row *rows, int32_t beats) {
    for (int k = 0; k < CT_PULSE_CUES; k++) {
        double sum = 0, squares = 0;
        for (int32_t b = 0; b < beats; b++) sum += (double)rows[b][k];
        for (int32_t b = 0; b < beats; b++) squares += pow((double)rows[b][k] - sum / beats, 2);
        double spread = sqrt(squares / beats) + 1e-6;
        for (int32_t b = 0; b < beats; b++)
            rows[b][k] = (float)fmax(-4, fmin(4, ((double)rows[b][k] - sum / beats) / spread));
    }
}

static void near_lags(const pulse *p, double *out) {
    for (int32_t lag = 0; lag < CT_PULSE_NEAR_LAGS; lag++) {
        double sum = 0;
        for (int32_t b = 0; b + lag < p->beats; b++) sum += (double)alike(&p->at[b], &p->at[b + lag]);
        out[lag] = lag < p->beats ? sum / (p->beats - lag) : 0;
    }
}

ct_status ct_pulse_cues(const ct_midi *midi, double origin, double period, int32_t beats, ct_arena *arena,
                        ct_pulse *out) {
    pulse         p = {.origin = origin, .period = period, .beats = beats, .at = CT_NEW(arena, beat, (size_t)beats)};
    ct_pulse_row *rows = out->rows = ct_arena_alloc(arena, (size_t)beats, sizeof *rows);
    if (!p.at || !rows) return CT_ENOMEM;
    for (int32_t b = 0; b < beats; b++) p.at[b].lowest = p.at[b].deepest = 255;
    gather(&p, midi);
    for (int32_t b = 0; b < beats; b++) fill_row(&p, b, rows[b]);
    CT_TRY(repetition(&p, arena, rows));
    near_lags(&p, out->alike);
    standardise(rows, beats);
    return CT_OK;
}
