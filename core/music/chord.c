/* chord.c -- see chord.h. */
#include "core/music/chord.h"

#include <math.h>
#include <string.h>

enum { SUB = 4, REACH_BEATS = 8, SEGMENT_MAX = 8, NONE = 12 * CT_QUALITY_COUNT };

/* ---- what sounds */
typedef struct span {
    int32_t begin, end; /* quarters of a beat */
} span;

static span span_of(const ct_grid_note *n, int32_t cells) {
    span s = {(int32_t)floor(n->start * SUB + 0.3), (int32_t)ceil(n->end * SUB - 0.3)};
    if (s.end <= s.begin) s.end = s.begin + 1;
    if (s.end > s.begin + REACH_BEATS * SUB) s.end = s.begin + REACH_BEATS * SUB;
    if (s.end > cells) s.end = cells;
    return s;
}

static void add_note(ct_beat_chroma *c, const ct_grid_note *n, span s, const uint8_t *low, const uint8_t *top) {
    int pc = n->pitch % 12;
    for (int32_t cell = s.begin; cell < s.end; cell++) {
        ct_beat_chroma *b = &c[cell / SUB];
        b->all[pc] += 1.0f / SUB;
        if (top[cell] > n->pitch) b->inner[pc] += 1.0f / SUB;
        if (low[cell] == n->pitch) b->bass[pc] += (n->pitch < 60 ? 1.0f : 0.5f) / SUB;
    }
    if (s.begin < s.end) c[s.begin / SUB].onset[pc] += s.begin % SUB == 0 ? 1.0f : 0.4f;
}

ct_status ct_chord_chroma(const ct_grid *grid, const ct_grid_note *notes, size_t count, ct_arena *arena,
                          ct_beat_chroma **out) {
    int32_t  cells = grid->beat_count * SUB;
    uint8_t *low = CT_NEW(arena, uint8_t, (size_t)cells), *top = CT_NEW(arena, uint8_t, (size_t)cells);
    *out = CT_NEW(arena, ct_beat_chroma, (size_t)grid->beat_count);
    if (!low || !top || !*out) return CT_ENOMEM;
    memset(low, 255, (size_t)cells);
    for (size_t i = 0; i < count; i++) {
        span s = span_of(&notes[i], cells);
        for (int32_t c = s.begin; c < s.end; c++) {
            if (notes[i].pitch < low[c]) low[c] = notes[i].pitch;
            if (notes[i].pitch > top[c]) top[c] = notes[i].pitch;
        }
    }
    for (size_t i = 0; i < count; i++) add_note(*out, &notes[i], span_of(&notes[i], cells), low, top);
    for (int32_t b = 0; b < grid->beat_count; b++) {
        ct_beat_chroma *c = &(*out)[b];
        for (int i = 0; i < 12; i++) {
            c->all[i] = sqrtf(fminf(c->all[i], 2));
            c->inner[i] = sqrtf(fminf(c->inner[i], 2));
            c->bass[i] = fminf(c->bass[i], 2);
            c->onset[i] = fminf(c->onset[i], 2);
        }
    }
    return CT_OK;
}

/* ---- the search */
/* The price of a quality: rarer ones have to explain more. Bare fifths are left to the player. These numbers and the
 * others of the search were tuned by hand on odd songs of POP909. */
static double price(int quality) {
    switch (quality) {
    case CT_MAJ:
    case CT_MIN:
        return 0.3;
    case CT_MAJ7:
    case CT_MIN7:
    case CT_DOM7:
        return 0.45;
    case CT_SUS2:
    case CT_SUS4:
        return 0.8;
    case CT_DIM:
    case CT_AUG:
        return 0.5;
    case CT_POWER:
        return 9;
    default:
        return 0.6;
    }
}

/* How well the chord explains mean tones and the bass at its start: tones inside less tones outside, over the size of
 * the chord, and the bass (a chord tone other than the root counts three quarters). */
static double fit(int root, int quality, const double tones[12], const float bass[12]) {
    uint16_t mask = ct_quality_mask(quality);
    double   in = 0, outside = 0, low = 0;
    int      size = 0;
    for (int i = 0; i < 12; i++) {
        int pc = (root + i) % 12;
        if (mask >> i & 1) {
            in += tones[pc];
            low += (i ? 0.75 : 1) * fmin(bass[pc], 1);
            size++;
        } else
            outside += tones[pc];
    }
    return (in - outside) / size + 0.7 * low - price(quality);
}

static int best_chord(const double tones[12], const float bass[12], double *score) {
    int best = NONE;
    *score = 0;
    for (int root = 0; root < 12; root++) {
        for (int q = 0; q < CT_QUALITY_COUNT; q++) {
            double s = fit(root, q, tones, bass);
            if (s <= *score) continue;
            *score = s;
            best = root * CT_QUALITY_COUNT + q;
        }
    }
    return best;
}

/* The bass of a segment: another chord tone, when it lies lowest clearly longer than the root. */
static uint8_t bass_of(int root, int quality, const ct_beat_chroma *c, int32_t begin, int32_t end) {
    double  low[12] = {0};
    uint8_t best = 0;
    for (int32_t b = begin; b < end; b++)
        for (int i = 0; i < 12; i++) low[i] += c[b].bass[(root + i) % 12];
    for (uint8_t i = 1; i < 12; i++)
        if ((ct_quality_mask(quality) >> i & 1) && low[i] > low[best]) best = i;
    return low[best] > 2 * low[0] ? best : 0;
}

ct_status ct_chord_beats(const ct_beat_chroma *chroma, int32_t beats, ct_arena *arena, ct_chord *out) {
    const double STAY = 0.7;
    double(*sum)[12] = ct_arena_alloc(arena, (size_t)beats + 1, sizeof *sum);
    double  *best = CT_NEW(arena, double, (size_t)beats + 1);
    int32_t *length = CT_NEW(arena, int32_t, (size_t)beats + 1);
    int     *chord = CT_NEW(arena, int, (size_t)beats + 1);
    if (!sum || !best || !length || !chord) return CT_ENOMEM;
    for (int32_t b = 0; b < beats; b++)
        for (int i = 0; i < 12; i++) {
            double all = fmin(chroma[b].all[i] * chroma[b].all[i], 1);
            double inner = fmin(chroma[b].inner[i] * chroma[b].inner[i], 1);
            sum[b + 1][i] = sum[b][i] + 0.3 * all + 0.7 * inner;
        }
    for (int32_t end = 1; end <= beats; end++) {
        best[end] = -INFINITY;
        for (int32_t n = 1; n <= SEGMENT_MAX && n <= end; n++) {
            double mean[12], score;
            for (int i = 0; i < 12; i++) mean[i] = (sum[end][i] - sum[end - n][i]) / n;
            int    c = best_chord(mean, chroma[end - n].bass, &score);
            double total = best[end - n] + score + STAY * (n - 1);
            if (total <= best[end]) continue;
            best[end] = total;
            length[end] = n;
            chord[end] = c;
        }
    }
    for (int32_t end = beats; end > 0; end -= length[end]) {
        ct_chord c = {.root = CT_NO_CHORD};
        if (chord[end] != NONE) {
            c.root = (uint8_t)(chord[end] / CT_QUALITY_COUNT);
            c.quality = (uint8_t)(chord[end] % CT_QUALITY_COUNT);
            c.bass = bass_of(c.root, c.quality, chroma, end - length[end], end);
        }
        for (int32_t b = end - length[end]; b < end; b++) out[b] = c;
    }
    return CT_OK;
}
