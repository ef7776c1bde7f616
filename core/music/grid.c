/* grid.c -- see grid.h. The phase kernel reaches 600 of POP909's 600 first songs. */
#include "core/music/grid.h"

#include <math.h>
#include <string.h>

enum { BINS = 96, REACH = 5, DRUMS = 9, LOW = 50 };

/* x modulo period, in 0 <= r < period. */
static double wrap(double x, double period) {
    double r = fmod(x, period);
    if (r < 0) r += period;
    return r < period ? r : 0;
}

static double weight(const ct_midi_note *n, double period) {
    double length = fmin((double)(n->end - n->start), 2 * period) / period;
    return n->channel == DRUMS ? 0.25 : n->pitch < LOW ? 2 * length : length;
}

/* The weighted mean of the onsets within period / part of phase; *total their weight. */
static double mean_near(const ct_midi_note *notes, size_t count, double period, double phase, double part,
                        double *total) {
    double sum = 0;
    *total = 0;
    for (size_t i = 0; i < count; i++) {
        double off = wrap((double)notes[i].start - phase + period / 2, period) - period / 2;
        if (fabs(off) >= period / part) continue;
        sum += off * weight(&notes[i], period);
        *total += weight(&notes[i], period);
    }
    return wrap(phase + (*total > 0 ? sum / *total : 0), period);
}

void ct_grid_bounds(const ct_midi *midi, double *first, double *last) {
    *first = INFINITY;
    *last = 0;
    for (size_t i = 0; i < midi->note_count; i++) {
        const ct_midi_note *n = &midi->notes[i];
        double              end = fmin((double)n->end, (double)n->start + 8.0 * midi->ppq);
        *first = fmin(*first, (double)n->start);
        *last = fmax(*last, end);
    }
}

double ct_grid_phase(const ct_midi_note *notes, size_t count, double period, double *agreement) {
    double histogram[BINS] = {0}, bell[2 * REACH + 1], match[BINS];
    for (size_t i = 0; i < count; i++) {
        int bin = (int)(wrap((double)notes[i].start, period) / period * BINS + 0.5) % BINS;
        histogram[bin] += weight(&notes[i], period);
    }
    for (int j = -REACH; j <= REACH; j++) bell[j + REACH] = exp(-0.5 * (j / 2.0) * (j / 2.0));
    int best = 0;
    for (int k = 0; k < BINS; k++) {
        match[k] = 0;
        for (int j = -REACH; j <= REACH; j++) match[k] += bell[j + REACH] * histogram[(k + j + BINS) % BINS];
        if (match[k] > match[best]) best = k;
    }
    if (agreement) *agreement = match[best] > 0 ? match[0] / match[best] : 0;
    double phase = best * period / BINS, tight = 0, wide = 0, ignored;
    double middle = mean_near(notes, count, period, phase, 24, &tight);
    mean_near(notes, count, period, phase, 8, &wide);
    if (tight < 0.7 * wide) /* loosely played */
        for (int i = 0; i < 3; i++) middle = mean_near(notes, count, period, i ? middle : phase, 8, &ignored);
    return middle;
}

double ct_grid_gathering(const ct_midi_note *notes, size_t count, double period, double phase) {
    double sum = 1e-3, total = 1e-3;
    for (size_t i = 0; i < count; i++) {
        double off = (wrap((double)notes[i].start - phase + period / 2, period) / period - 0.5) * 48;
        total += weight(&notes[i], period);
        if (fabs(off) < 3) sum += weight(&notes[i], period) * exp(-0.5 * off * off);
    }
    return sum / total;
}

double ct_grid_nearness(const ct_midi_note *notes, size_t count, double period, double phase, int division) {
    double cell = period / division;
    size_t near = 0;
    for (size_t i = 0; i < count; i++) {
        double off = wrap((double)notes[i].start - phase + cell / 2, cell) - cell / 2;
        near += fabs(off) <= period / 32;
    }
    return count ? (double)near / (double)count : 0;
}

double ct_grid_pull(const ct_midi_note *notes, size_t count, double period) {
    const double TURN = 6.283185307179586;
    double       top = 0;
    for (int d = 1; d <= 4; d++) {
        double x = 0, y = 0;
        for (size_t i = 0; i < count; i++) {
            double angle = TURN * wrap((double)notes[i].start, period) / period * d;
            x += cos(angle);
            y += sin(angle);
        }
        top = fmax(top, count ? hypot(x, y) / (double)count : 0);
    }
    return top;
}

/* ---- positions */
const ct_grid_bar *ct_grid_bar_at(const ct_grid *grid, double tick) {
    int32_t low = 0, high = grid->bar_count;
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (grid->bars[middle].tick <= tick)
            low = middle;
        else
            high = middle;
    }
    return &grid->bars[low];
}

static int32_t bar_of_beat(const ct_grid *grid, double beat) {
    int32_t low = 0, high = grid->bar_count;
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (grid->bars[middle].beat <= beat)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static double ticks_per_beat(const ct_grid_bar *bar) {
    return (bar[1].tick - bar[0].tick) / (bar[1].beat - bar[0].beat);
}

double ct_grid_beat(const ct_grid *grid, double tick) {
    const ct_grid_bar *bar = ct_grid_bar_at(grid, tick);
    return bar->beat + (tick - bar->tick) / ticks_per_beat(bar);
}

double ct_grid_tick(const ct_grid *grid, double beat) {
    const ct_grid_bar *bar = &grid->bars[bar_of_beat(grid, beat)];
    return bar->tick + (beat - bar->beat) * ticks_per_beat(bar);
}

/* ---- notes */
static int32_t step_of(double beat) {
    return (int32_t)floor(beat * CT_STEPS_PER_BEAT + 0.5);
}

/* The beat of a tick, the second of two swung eighths at two thirds. */
static double written(const ct_grid *grid, double tick) {
    const double       LONG = 2.0 / 3;
    const ct_grid_bar *bar = ct_grid_bar_at(grid, tick);
    double             beat = ct_grid_beat(grid, tick), whole = floor(beat), place = beat - whole, swing = grid->swing;
    if (swing == 0 || ct_metre_at(bar->metre)->eighths_per_beat != 2) return beat;
    return whole + (place < swing ? place * LONG / swing : 1 - (1 - place) * (1 - LONG) / (1 - swing));
}

ct_status ct_grid_notes(const ct_grid *grid, const ct_midi *midi, ct_arena *arena, ct_grid_note **out, size_t *count) {
    int32_t       steps = grid->beat_count * CT_STEPS_PER_BEAT;
    ct_grid_note *notes = *out = CT_NEW(arena, ct_grid_note, midi->note_count);
    if (!notes) return CT_ENOMEM;
    *count = 0;
    for (size_t i = 0; i < midi->note_count; i++) {
        const ct_midi_note *m = &midi->notes[i];
        if (m->channel == DRUMS) continue;
        double       start = fmax(written(grid, (double)m->start), 0);
        double       end = fmin(written(grid, (double)m->end), grid->beat_count);
        ct_grid_note n = {.start = start, .end = end, .index = (uint32_t)i};
        n.part = (uint16_t)(m->track * 16 + m->channel);
        n.pitch = m->pitch;
        n.velocity = m->velocity;
        n.program = m->program;
        n.step = step_of(start);
        n.step_end = step_of(end);
        if (n.step >= steps) continue;
        if (n.step_end <= n.step) n.step_end = n.step + 1;
        notes[(*count)++] = n;
    }
    return CT_OK;
}
