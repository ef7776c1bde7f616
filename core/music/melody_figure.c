/* melody_figure.c -- a note in its line, in the beat, in the song, and where it comes back; see melody_notes.h. */
#include "core/music/melody_notes.h"

#include "core/music/melody_sums.h"

#include <stdlib.h>

enum { WINDOW_NOTES = 256, STEPS_MOST = 96 };
static const double TOGETHER = CT_MELODY_TOGETHER, OVER = 0.06, REACH = 8, TURN = 6.283185307179586;

/* ---- where each pitch is heard */
typedef struct pitch_index {
    uint32_t *at; /* notes by pitch, then start */
    size_t    first[129];
} pitch_index;

static ct_status index_pitches(const ct_melody_song *s, ct_arena *arena, pitch_index *out) {
    size_t next[128];
    *out = (pitch_index){.at = CT_NEW(arena, uint32_t, s->count)};
    if (!out->at) return CT_ENOMEM;
    for (size_t i = 0; i < s->count; i++) out->first[s->notes[i].pitch + 1]++;
    for (int p = 0; p < 128; p++) out->first[p + 1] += out->first[p];
    for (int p = 0; p < 128; p++) next[p] = out->first[p];
    for (size_t i = 0; i < s->count; i++) out->at[next[s->notes[i].pitch]++] = (uint32_t)i;
    return CT_OK;
}

/* The note of this pitch that starts at `start`, CT_MELODY_NONE: there is none. */
static int32_t heard_at(const ct_melody_song *s, const pitch_index *index, int pitch, double start) {
    size_t low = index->first[pitch], end = index->first[pitch + 1], high = end;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->notes[index->at[middle]].start < start - TOGETHER)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && s->notes[index->at[low]].start <= start + TOGETHER ? (int32_t)index->at[low] : CT_MELODY_NONE;
}

/* ---- the line a note lies in: the nearest note before and after, in pitch and time */
typedef struct surroundings {
    double support, others; /* beats around: notes of the same pitch class, all */
    double crowd;           /* notes within four semitones */
    double sounding, doubled;
} surroundings;

static double distance(const ct_grid_note *a, const ct_grid_note *b) {
    return fabs(b->start - a->start) + abs(b->pitch - a->pitch) / 4.0;
}

static void regard(const ct_grid_note *n, const ct_grid_note *other, surroundings *w) {
    double apart = fabs(other->start - n->start);
    int    interval = abs(other->pitch - n->pitch);
    if (apart <= 1) {
        w->others++;
        w->support += interval % 12 == 0 && interval > 0;
    }
    if (apart <= 2) w->crowd += interval <= 4;
    if (other->start <= n->start + TOGETHER && other->end > n->start + OVER) {
        w->sounding++;
        w->doubled += interval % 12 == 0;
    }
}

static surroundings look(ct_melody_song *s, size_t i) {
    const ct_grid_note *notes = s->notes, *n = &notes[i];
    surroundings        w = {0};
    double              nearest = INFINITY;
    s->before[i] = s->after[i] = CT_MELODY_NONE;
    for (size_t k = i; k-- > 0 && i - k <= WINDOW_NOTES && notes[k].start >= n->start - REACH;) {
        regard(n, &notes[k], &w);
        double d = distance(&notes[k], n);
        if (n->start - notes[k].start <= TOGETHER || d >= nearest) continue;
        nearest = d;
        s->before[i] = (int32_t)k;
    }
    nearest = INFINITY;
    for (size_t k = i + 1; k < s->count && k - i <= WINDOW_NOTES && notes[k].start <= n->start + REACH; k++) {
        regard(n, &notes[k], &w);
        double d = distance(n, &notes[k]);
        if (notes[k].start - n->start <= TOGETHER || d >= nearest) continue;
        nearest = d;
        s->after[i] = (int32_t)k;
    }
    return w;
}

static double length_of(const ct_grid_note *n) {
    return fmax(n->end - n->start, 0) + 0.02;
}

/* From `a` to `b`, the later one; `n` is the one of them whose row it is. */
static void write_step(const ct_grid_note *a, const ct_grid_note *b, const ct_grid_note *n, float *x) {
    x[0] = x[1] = x[3] = x[5] = 0;
    x[2] = (float)REACH;
    x[4] = 1;
    if (!a || !b) return;
    const ct_grid_note *other = a == n ? b : a;
    x[0] = (float)(ct_melody_clip(other->pitch - n->pitch, 24) / 12);
    x[1] = fabsf(x[0]);
    x[2] = (float)(b->start - a->start);
    x[3] = (float)((n->velocity - other->velocity) / 10.0);
    x[4] = (float)ct_melody_clip(b->start - a->end, 1);
    x[5] = (float)log(length_of(n) / length_of(other));
}

static void write_line(const ct_melody_song *s, size_t i, const surroundings *w, float *x) {
    const ct_grid_note *n = &s->notes[i];
    double              beat = n->start - floor(n->start), steps = n->start * CT_STEPS_PER_BEAT;
    write_step(s->before[i] < 0 ? NULL : &s->notes[s->before[i]], n, n, x);
    write_step(n, s->after[i] < 0 ? NULL : &s->notes[s->after[i]], n, x + 6);
    x[12] = s->copies[i] > 1;
    x[13] = (float)cos(TURN * beat);
    x[14] = (float)sin(TURN * beat);
    x[15] = (float)cos(2 * TURN * beat);
    x[16] = (float)sin(2 * TURN * beat);
    x[17] = (float)cos(4 * TURN * beat);
    x[18] = (float)cos(4 * TURN * (n->end - floor(n->end)));
    x[19] = (float)fabs(steps - round(steps));
    x[20] = (float)(w->support / (w->others + 1));
    x[21] = (float)w->doubled;
    x[22] = (float)(w->sounding / 4);
    x[23] = (float)(w->crowd / 8);
}

/* ---- repetition */
static void write_returns(const ct_melody_song *s, const pitch_index *index, size_t i, float *x) {
    static const double APART[] = {1, 2, 4, 8, 16};
    const ct_grid_note *n = &s->notes[i];
    int                 bars = 0;
    for (size_t k = 0; k < CT_COUNT(APART); k++)
        x[k] = (float)((heard_at(s, index, n->pitch, n->start - APART[k]) >= 0) +
                       (heard_at(s, index, n->pitch, n->start + APART[k]) >= 0));
    for (int bar = 1; bar <= 8; bar++)
        bars += (heard_at(s, index, n->pitch, n->start - 4 * bar) >= 0) +
                (heard_at(s, index, n->pitch, n->start + 4 * bar) >= 0);
    x[5] = (float)bars / 16;
}

typedef struct keyed {
    uint64_t key;
    uint32_t note;
} keyed;

static int by_key(const void *pa, const void *pb) {
    const keyed *a = pa, *b = pb;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->note > b->note) - (a->note < b->note);
}

static uint64_t step_key(const ct_melody_song *s, const ct_grid_note *n, int32_t other) {
    if (other < 0) return 0;
    double steps = fmin(fabs(s->notes[other].start - n->start) * CT_STEPS_PER_BEAT, STEPS_MOST);
    return (uint64_t)lround(steps) << 8 | (uint64_t)(s->notes[other].pitch - n->pitch + 128);
}

/* Number the figures; x[0] of each row: how often it comes. */
static ct_status number_figures(ct_melody_song *s, ct_arena *arena, size_t column) {
    keyed *list = CT_NEW(arena, keyed, s->count);
    s->figure = CT_NEW(arena, uint32_t, s->count);
    if (!list || !s->figure) return CT_ENOMEM;
    for (size_t i = 0; i < s->count; i++) {
        const ct_grid_note *n = &s->notes[i];
        list[i].key = ((uint64_t)n->pitch << 15 | step_key(s, n, s->before[i])) << 15 | step_key(s, n, s->after[i]);
        list[i].note = (uint32_t)i;
    }
    qsort(list, s->count, sizeof *list, by_key);
    for (size_t i = 0, end; i < s->count; i = end) {
        for (end = i; end < s->count && list[end].key == list[i].key; end++) s->figure[list[end].note] = s->figures;
        for (size_t k = i; k < end; k++) s->rows[list[k].note][column] = (float)log((double)(end - i));
        s->figures++;
    }
    return CT_OK;
}

/* ---- the song */
/* shares[v]: share of the notes whose value is below v, half of those at v added. */
static void shares_of(double *counts, size_t values, size_t count) {
    double below = 0;
    for (size_t v = 0; v < values; v++) {
        double here = counts[v];
        counts[v] = (below + here / 2) / (double)count;
        below += here;
    }
}

static int steps_of(const ct_grid_note *n) {
    int steps = n->step_end - n->step;
    return steps < STEPS_MOST ? steps : STEPS_MOST - 1;
}

static void write_song(ct_melody_song *s, size_t column) {
    double pitch[128] = {0}, velocity[128] = {0}, steps[STEPS_MOST] = {0}, loud = 0, loud2 = 0, n = (double)s->count;
    for (size_t i = 0; i < s->count; i++) {
        pitch[s->notes[i].pitch]++;
        velocity[s->notes[i].velocity]++;
        steps[steps_of(&s->notes[i])]++;
        loud += s->notes[i].velocity;
        loud2 += (double)s->notes[i].velocity * s->notes[i].velocity;
    }
    shares_of(pitch, 128, s->count);
    shares_of(velocity, 128, s->count);
    shares_of(steps, STEPS_MOST, s->count);
    double first = s->notes[0].start, span = s->notes[s->count - 1].start - first + 1;
    for (size_t i = 0; i < s->count; i++) {
        const ct_grid_note *note = &s->notes[i];
        float              *x = &s->rows[i][column];
        x[0] = (float)pitch[note->pitch];
        x[1] = (float)velocity[note->velocity];
        x[2] = (float)steps[steps_of(note)];
        x[3] = (float)(ct_melody_spread(loud, loud2, n) / 10);
        x[4] = (float)(n / span / 8);
        x[5] = (float)((note->start - first) / span);
    }
}

ct_status ct_melody_figures(ct_melody_song *s, ct_arena *arena) {
    pitch_index index;
    s->before = CT_NEW(arena, int32_t, s->count);
    s->after = CT_NEW(arena, int32_t, s->count);
    if (!s->before || !s->after) return CT_ENOMEM;
    CT_TRY(index_pitches(s, arena, &index));
    if (!s->count) return CT_OK;
    for (size_t i = 0; i < s->count; i++) {
        surroundings w = look(s, i);
        write_line(s, i, &w, &s->rows[i][CT_MELODY_PLACE]);
        write_returns(s, &index, i, &s->rows[i][CT_MELODY_PLACE + 24]);
    }
    write_song(s, CT_MELODY_PLACE + 31);
    return number_figures(s, arena, CT_MELODY_PLACE + 30);
}
