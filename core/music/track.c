/* track.c -- see track.h. */
#include "core/music/track.h"

#include "core/music/time_map.h"

#include <math.h>

enum { DRUMS = 9, LOW = 50, PERIODS = 40, REACH = 6, FRAMES_MAX = 120000, BEATS_MIN = 16 };
static const double FRAME = 0.01, SHORTEST = 30, LONGEST = 100, USUAL = 55; /* seconds; frames */
static const float  TURN = 0.6F;                                            /* price of a period one step away */

typedef struct tracker {
    int32_t  frames;
    double   first, ticks_per_frame;
    float   *strength;
    float   *best; /* [frame * PERIODS + period]: of rows of beats that end here, the last of that period */
    uint8_t *back; /* the period before, PERIODS: the row begins here */
} tracker;

static int32_t period_of(int index) {
    return (int32_t)lround(SHORTEST * pow(LONGEST / SHORTEST, index / (PERIODS - 1.0)));
}

static void hear(tracker *t, const ct_midi *midi) {
    for (size_t i = 0; i < midi->note_count; i++) {
        const ct_midi_note *n = &midi->notes[i];
        double              at = ((double)n->start - t->first) / t->ticks_per_frame;
        float               weight = (float)n->velocity / 127 * (n->pitch < LOW ? 1.5F : 1);
        for (int32_t f = (int32_t)at - REACH; f <= (int32_t)at + REACH; f++)
            if (f >= 0 && f < t->frames) t->strength[f] += weight * (float)exp(-0.5 * pow((f - at) / 2, 2));
    }
    double sum = 0, squares = 0;
    for (int32_t f = 0; f < t->frames; f++) {
        t->strength[f] = logf(1 + 2 * t->strength[f]);
        sum += (double)t->strength[f];
        squares += (double)t->strength[f] * (double)t->strength[f];
    }
    double mean = sum / t->frames, spread = sqrt(fmax(squares / t->frames - mean * mean, 1e-12));
    for (int32_t f = 0; f < t->frames; f++) t->strength[f] = (float)(((double)t->strength[f] - mean) / spread);
}

static void search(tracker *t) {
    float   gain[PERIODS], usual[PERIODS];
    int32_t period[PERIODS];
    for (int p = 0; p < PERIODS; p++) {
        period[p] = period_of(p);
        gain[p] = (float)(period[p] / USUAL);
        usual[p] = -0.5F * gain[p] * (float)pow(log2(period[p] / USUAL), 2);
    }
    for (int32_t f = 0; f < t->frames; f++)
        for (int p = 0; p < PERIODS; p++) {
            float   before = 0;
            uint8_t from = PERIODS;
            for (int q = p - 2; f >= period[p] && q <= p + 2; q++) {
                if (q < 0 || q >= PERIODS) continue;
                float way = t->best[(size_t)(f - period[p]) * PERIODS + (size_t)q] - TURN * (float)((q - p) * (q - p));
                if (way <= before && from < PERIODS) continue;
                if (from == PERIODS || way > before) {
                    before = way;
                    from = (uint8_t)q;
                }
            }
            t->best[(size_t)f * PERIODS + (size_t)p] = before + gain[p] * t->strength[f] + usual[p];
            t->back[(size_t)f * PERIODS + (size_t)p] = from;
        }
}

/* The best row, backwards from the last second and a half. */
static ct_status follow(const tracker *t, ct_arena *arena, ct_track *out) {
    int32_t at = t->frames - 1, beats = 0, from = t->frames > 100 ? t->frames - 100 : 0;
    int     p = 0;
    for (int32_t f = from; f < t->frames; f++)
        for (int q = 0; q < PERIODS; q++)
            if (t->best[(size_t)f * PERIODS + (size_t)q] > t->best[(size_t)at * PERIODS + (size_t)p]) {
                at = f;
                p = q;
            }
    out->ticks = CT_NEW(arena, double, (size_t)t->frames / (size_t)SHORTEST + 2);
    if (!out->ticks) return CT_ENOMEM;
    for (;;) {
        out->ticks[beats++] = t->first + at * t->ticks_per_frame;
        uint8_t q = t->back[(size_t)at * PERIODS + (size_t)p];
        if (q == PERIODS) break;
        at -= period_of(p);
        p = q;
    }
    for (int32_t i = 0; i < beats / 2; i++) {
        double swap = out->ticks[i];
        out->ticks[i] = out->ticks[beats - 1 - i];
        out->ticks[beats - 1 - i] = swap;
    }
    out->count = (size_t)beats;
    return CT_OK;
}

/* The notes that lie an eighth of a beat and more from any beat: how much they gather on halves, thirds or quarters of
 * it, the highest mean cosine of two, three and four times their angle. */
static double gathers_between(const ct_midi *midi, const ct_track *track) {
    double x[5] = {0}, top = 0, n = 1e-9, all = 1e-9;
    for (size_t i = 0; i < midi->note_count; i++) {
        double beat = ct_track_beat(track, (double)midi->notes[i].start), into = beat - floor(beat);
        all++;
        if (into < 0.125 || into > 0.875) continue;
        n++;
        for (int d = 2; d <= 4; d++) x[d] += cos(6.283185307179586 * d * into);
    }
    for (int d = 2; d <= 4; d++) top = fmax(top, x[d] / n);
    return n < 16 ? (all - n) / all : top;
}

double ct_track_beat(const ct_track *t, double tick) {
    size_t low = 0, high = t->count - 1;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (t->ticks[middle] <= tick)
            low = middle;
        else
            high = middle;
    }
    return (double)low + (tick - t->ticks[low]) / (t->ticks[low + 1] - t->ticks[low]);
}

double ct_track_tick(const ct_track *t, double beat) {
    double at = fmin(fmax(floor(beat), 0), (double)t->count - 2);
    size_t low = (size_t)at;
    return t->ticks[low] + (beat - at) * (t->ticks[low + 1] - t->ticks[low]);
}

ct_status ct_track_beats(const ct_midi *midi, ct_arena *arena, ct_track *out) {
    ct_time_map map;
    *out = (ct_track){0};
    if (midi->note_count < 2) return CT_OK;
    CT_TRY(ct_time_map_make(midi, arena, &map));
    double first = (double)midi->notes[0].start, last = (double)midi->notes[midi->note_count - 1].start;
    double seconds = ct_time_seconds(&map, last) - ct_time_seconds(&map, first);
    if (seconds < 10 || seconds > FRAMES_MAX * FRAME - 2) return CT_OK;
    tracker t = {.ticks_per_frame = (last - first) / seconds * FRAME};
    t.first = first - REACH * t.ticks_per_frame;
    t.frames = (int32_t)((last - t.first) / t.ticks_per_frame) + REACH + 1;
    t.strength = CT_NEW(arena, float, (size_t)t.frames);
    t.best = CT_NEW(arena, float, (size_t)t.frames *PERIODS);
    t.back = CT_NEW(arena, uint8_t, (size_t)t.frames * PERIODS);
    if (!t.strength || !t.best || !t.back) return CT_ENOMEM;
    hear(&t, midi);
    search(&t);
    CT_TRY(follow(&t, arena, out));
    if (out->count < BEATS_MIN)
        out->ticks = NULL;
    else
        out->sure = gathers_between(midi, out);
    return CT_OK;
}
