/* chord_features.c -- see chord_features.h. */
#include "core/music/chord_features.h"

#include <math.h>
#include <string.h>

enum { STEPS = CT_STEPS_PER_BEAT, REACH_BEATS = 8, LOW_BASS = 55, BASS = 60 };

/* ---- a beat by itself */
typedef struct beat {
    float all[12], inner[12], bass[12], onset[12], lower[12], first[12];
    float mass; /* notes that start on the beat */
    float low;  /* 1 when the lowest of them is a bass note, 1/2 when it is not */
} beat;

typedef struct listener {
    const ct_grid *grid;
    beat          *beats;
    int32_t        count, steps;
    uint8_t       *lowest, *highest; /* pitch by step; 255, 0: nothing sounds */
    float          piece[12];
} listener;

static int32_t end_of(const listener *l, const ct_grid_note *n) {
    int32_t end = n->step_end < n->step + REACH_BEATS * STEPS ? n->step_end : n->step + REACH_BEATS * STEPS;
    return end < l->steps ? end : l->steps;
}

static void add_note(listener *l, const ct_grid_note *n) {
    const float share = 1.0f / STEPS;
    int         pc = n->pitch % 12;
    for (int32_t step = n->step, end = end_of(l, n); step < end; step++) {
        beat *b = &l->beats[step / STEPS];
        b->all[pc] += share;
        if (l->highest[step] > n->pitch) b->inner[pc] += share;
        if (l->lowest[step] == n->pitch) b->bass[pc] += n->pitch < BASS ? share : share / 2;
        if (2 * n->pitch < l->lowest[step] + l->highest[step]) b->lower[pc] += share;
    }
    beat *b = &l->beats[n->step / STEPS];
    bool  on = n->step % STEPS == 0;
    b->onset[pc] += on ? 1.0f : 0.4f;
    b->mass += (float)on;
    if (on && l->lowest[n->step] == n->pitch) b->low = n->pitch < LOW_BASS ? 1.0f : 0.5f;
}

/* The lowest note of the first half of the beat. */
static void find_first(listener *l, int32_t beat_) {
    for (int32_t step = beat_ * STEPS; step < beat_ * STEPS + STEPS / 2; step++) {
        if (l->lowest[step] == 255) continue;
        l->beats[beat_].first[l->lowest[step] % 12] = 1;
        return;
    }
}

/* Roots, so that short notes count. */
static void level(listener *l, beat *b) {
    for (int i = 0; i < 12; i++) {
        l->piece[i] += fminf(b->all[i], 1);
        b->all[i] = sqrtf(fminf(b->all[i], 1));
        b->inner[i] = sqrtf(fminf(b->inner[i], 1));
        b->bass[i] = fminf(b->bass[i], 1);
        b->onset[i] = fminf(b->onset[i], 2);
        b->lower[i] = sqrtf(fminf(b->lower[i], 1));
    }
}

static ct_status listen(listener *l, const ct_grid_note *notes, size_t count, ct_arena *arena) {
    l->lowest = CT_NEW(arena, uint8_t, (size_t)l->steps);
    l->highest = CT_NEW(arena, uint8_t, (size_t)l->steps);
    l->beats = CT_NEW(arena, beat, (size_t)l->count);
    if (!l->lowest || !l->highest || !l->beats) return CT_ENOMEM;
    memset(l->lowest, 255, (size_t)l->steps);
    for (size_t i = 0; i < count; i++)
        for (int32_t step = notes[i].step, end = end_of(l, &notes[i]); step < end; step++) {
            if (notes[i].pitch < l->lowest[step]) l->lowest[step] = notes[i].pitch;
            if (notes[i].pitch > l->highest[step]) l->highest[step] = notes[i].pitch;
        }
    for (size_t i = 0; i < count; i++) add_note(l, &notes[i]);
    for (int32_t b = 0; b < l->count; b++) {
        find_first(l, b);
        level(l, &l->beats[b]);
    }
    float top = 1e-6f;
    for (int i = 0; i < 12; i++) top = fmaxf(top, l->piece[i]);
    for (int i = 0; i < 12; i++) l->piece[i] /= top;
    return CT_OK;
}

/* ---- a beat among others */
static const beat *at(const listener *l, int32_t b) {
    static const beat silence;
    return b < 0 || b >= l->count ? &silence : &l->beats[b];
}

/* out += share of the rows of beats begin..end-1 that lie in the piece. */
static void add_inner(const listener *l, int32_t begin, int32_t end, float *out) {
    for (int32_t b = begin; b < end; b++)
        for (int i = 0; i < 12; i++) out[i] += at(l, b)->inner[i] / (float)(end - begin);
}

static void fill_rows(const listener *l, int32_t t, int32_t bar, ct_chord_view *out) {
    enum { OWN = 6, AROUND = 10, FAR = 8 };
    const beat  *b = at(l, t), *before = at(l, t - 1), *after = at(l, t + 1);
    const float *rows[OWN + AROUND] = {b->all,
                                       b->inner,
                                       b->bass,
                                       b->onset,
                                       b->lower,
                                       b->first,
                                       before->inner,
                                       before->bass,
                                       before->lower,
                                       after->inner,
                                       after->bass,
                                       after->first,
                                       at(l, t - 2)->inner,
                                       at(l, t - 2)->bass,
                                       at(l, t + 2)->inner,
                                       at(l, t + 2)->bass};
    for (int k = 0; k < OWN + AROUND; k++) memcpy(out->rows[k], rows[k], sizeof out->rows[k]);
    const ct_grid_bar *bars = l->grid->bars;
    add_inner(l, bars[bar].beat, bars[bar + 1].beat, out->rows[OWN + AROUND]);
    for (int32_t k = t - FAR; k <= t + FAR; k++)
        for (int i = 0; i < 12; i++) out->rows[OWN + AROUND + 1][i] += at(l, k)->all[i] / (2 * FAR + 1);
    memcpy(out->rows[OWN + AROUND + 2], l->piece, sizeof l->piece);
    memcpy(out->bass, b->bass, sizeof out->bass);
}

/* 1 - cosine of a + a2 and b + b2 (0 between two silences). */
static float distance2(const float *a, const float *a2, const float *b, const float *b2) {
    float dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < 12; i++) {
        float u = a[i] + a2[i], v = b[i] + b2[i];
        dot += u * v;
        aa += u * u;
        bb += v * v;
    }
    return aa == 0 && bb == 0 ? 0 : 1 - dot / sqrtf(aa * bb + 1e-6f);
}

static float distance(const float *a, const float *b) {
    static const float NOTHING[12];
    return distance2(a, NOTHING, b, NOTHING);
}

/* Sum of twelve; how many of them sound. */
static float sum_of(const float *row) {
    float sum = 0;
    for (int i = 0; i < 12; i++) sum += row[i];
    return sum;
}

static float classes(const beat *a, const beat *b, const beat *c) {
    float n = 0;
    for (int i = 0; i < 12; i++) n += (float)(a->all[i] > 0 || b->all[i] > 0 || c->all[i] > 0);
    return n;
}

static void fill_signs(const listener *l, int32_t t, int32_t bar, float *s) {
    const ct_grid_bar *bars = l->grid->bars;
    int32_t            place = t - bars[bar].beat, length = bars[bar + 1].beat - bars[bar].beat;
    const beat        *b2 = at(l, t - 2), *b1 = at(l, t - 1), *b = at(l, t), *n1 = at(l, t + 1);
    float              around = 0;
    for (int d = -2; d <= 2; d++) around += sum_of(at(l, t + d)->inner);
    *s++ = place == 0;
    *s++ = length > 2 && 2 * place == length;
    *s++ = length == 2;
    *s++ = length == 3;
    *s++ = distance(b1->inner, b->inner);
    *s++ = distance(b1->bass, b->bass);
    *s++ = distance(b1->all, b->all);
    *s++ = distance2(b1->inner, b2->inner, b->inner, n1->inner);
    *s++ = distance2(b1->bass, b2->bass, b->bass, n1->bass);
    *s++ = distance(b1->first, b->first);
    *s++ = distance(b1->inner, b2->inner);
    *s++ = distance(b->inner, n1->inner);
    *s++ = fminf(b->mass, 8) / 8;
    *s++ = b->low;
    *s++ = b1->low;
    *s++ = n1->low;
    *s++ = fminf(n1->mass, 8) / 8;
    *s++ = classes(b, b, b) == 0;
    *s++ = fminf(classes(b, b, b), 5) / 5;
    *s++ = fminf(classes(b1, b, n1), 7) / 7;
    *s++ = fminf(sum_of(b->inner), 3) / 3;
    *s++ = sum_of(b->bass);
    *s++ = fminf(around, 10) / 10;
    *s++ = around == 0;
    *s++ = classes(b1, b, n1) == 0;
    *s++ = fminf(sum_of(b->all), 4) / 4;
}

ct_status ct_chord_views(const ct_grid *grid, const ct_grid_note *notes, size_t count, ct_arena *arena,
                         ct_chord_view **out) {
    listener l = {.grid = grid, .count = grid->beat_count, .steps = grid->beat_count * STEPS};
    *out = CT_NEW(arena, ct_chord_view, (size_t)l.count);
    if (!*out) return CT_ENOMEM;
    CT_TRY(listen(&l, notes, count, arena));
    int32_t bar = 0;
    for (int32_t t = 0; t < l.count; t++) {
        while (bar + 1 < grid->bar_count && grid->bars[bar + 1].beat <= t) bar++;
        fill_rows(&l, t, bar, &(*out)[t]);
        fill_signs(&l, t, bar, (*out)[t].signs);
    }
    return CT_OK;
}
