/* melody_phrase.c -- the phrase a note lies in, against the song's others; see melody_notes.h.
 *
 * Over a window of beats around a note: what the line there is like (the mean of its notes' likeness, trait by trait;
 * its pitch, loudness, pace, steps) and what accompanies it, each less its mean over the song where the line is heard.
 */
#include "core/music/melody_notes.h"

#include "core/music/melody_sums.h"

#include <stdlib.h>

enum { RATIOS = 9, WINDOWS = 2, STATS = 9, SUMS = RATIOS + 10 };

/* Sums of one note: of the line, weighted by the opinion of it ... */
enum {
    SUM_P = RATIOS,
    SUM_PITCH,
    SUM_PITCH2,
    SUM_LOUD,
    SUM_LENGTH,
    SUM_REPEATED,
    SUM_GAP,
    SUM_REST,
    SUM_REST_LOUD,
    SUM_REST_PITCH
};

static void sums_of(const ct_melody_song *s, size_t i, double p, size_t ratios, double *out) {
    const ct_grid_note *n = &s->notes[i];
    for (int t = 0; t < RATIOS; t++) out[t] = p * (double)s->rows[i][ratios + (size_t)t];
    out[SUM_P] = p;
    out[SUM_PITCH] = p * n->pitch;
    out[SUM_PITCH2] = p * n->pitch * n->pitch;
    out[SUM_LOUD] = p * n->velocity;
    out[SUM_LENGTH] = p * log(fmax(n->end - n->start, 0) + 0.05);
    out[SUM_REPEATED] = p * (s->after[i] >= 0 && s->notes[s->after[i]].pitch == n->pitch);
    out[SUM_GAP] = s->after[i] >= 0 ? p * ct_melody_clip(s->notes[s->after[i]].start - n->end, 1) : p;
    out[SUM_REST] = 1 - p;
    out[SUM_REST_LOUD] = (1 - p) * n->velocity;
    out[SUM_REST_PITCH] = (1 - p) * n->pitch;
}

/* What the window is like, from its sums and those of the whole song (which help out where there is little). */
static void describe(const double *w, const double *all, double beats, float *x) {
    const double PRIOR = 0.5;
    double       line = w[SUM_P] + PRIOR, rest = w[SUM_REST] + PRIOR;
    double       share = all[SUM_P] + 1e-6, rests = all[SUM_REST] + 1e-6;
    double       pitch = (w[SUM_PITCH] + PRIOR * all[SUM_PITCH] / share) / line;
    double       pitch2 = (w[SUM_PITCH2] + PRIOR * all[SUM_PITCH2] / share) / line;
    x[0] = (float)(pitch / 12);
    x[1] = (float)(sqrt(fmax(pitch2 - pitch * pitch, 0)) / 12);
    x[2] = (float)((w[SUM_LOUD] + PRIOR * all[SUM_LOUD] / share) / line / 10);
    x[3] = (float)((w[SUM_LENGTH] + PRIOR * all[SUM_LENGTH] / share) / line);
    x[4] = (float)((w[SUM_REPEATED] + PRIOR * all[SUM_REPEATED] / share) / line);
    x[5] = (float)((w[SUM_GAP] + PRIOR * all[SUM_GAP] / share) / line);
    x[6] = (float)log((w[SUM_REST] + PRIOR) / beats);
    x[7] = (float)((w[SUM_REST_LOUD] + PRIOR * all[SUM_REST_LOUD] / rests) / rest / 10);
    x[8] = (float)((w[SUM_REST_PITCH] + PRIOR * all[SUM_REST_PITCH] / rests) / rest / 12);
}

static void write_window(ct_melody_song *s, double (*sums)[SUMS], double reach, size_t column) {
    size_t begin = 0, end = 0;
    for (size_t i = 0; i < s->count; i++) {
        double w[SUMS];
        float *x = &s->rows[i][column];
        while (s->notes[begin].start < s->notes[i].start - reach) begin++;
        while (end < s->count && s->notes[end].start <= s->notes[i].start + reach) end++;
        for (int k = 0; k < SUMS; k++) w[k] = sums[end][k] - sums[begin][k];
        for (int t = 0; t < RATIOS; t++) x[t] = (float)(w[t] / (w[SUM_P] + 0.5));
        describe(w, sums[s->count], 2 * reach, x + RATIOS);
    }
}

/* Less the mean over the notes of the line. */
static void centre(ct_melody_song *s, const float *p, size_t column) {
    for (size_t k = column; k < column + STATS; k++) {
        double sum = 0, weight = 1e-6;
        for (size_t i = 0; i < s->count; i++) {
            sum += (double)p[i] * (double)s->rows[i][k];
            weight += (double)p[i];
        }
        for (size_t i = 0; i < s->count; i++) s->rows[i][k] -= (float)(sum / weight);
    }
}

ct_status ct_melody_phrases(ct_melody_song *s, const float *probability, size_t ratios, ct_arena *arena) {
    static const double REACH[WINDOWS] = {4, 16};
    const size_t        COLUMN = CT_MELODY_OWN + CT_MELODY_AGAINST + CT_MELODY_LIKE;
    double(*sums)[SUMS] = ct_arena_alloc(arena, s->count + 1, sizeof *sums);
    if (!sums) return CT_ENOMEM;
    for (size_t i = 0; i < s->count; i++) {
        double own[SUMS];
        sums_of(s, i, (double)probability[i], ratios, own);
        for (int k = 0; k < SUMS; k++) sums[i + 1][k] = sums[i][k] + own[k];
    }
    for (size_t w = 0; w < WINDOWS; w++) {
        write_window(s, sums, REACH[w], COLUMN + w * (RATIOS + STATS));
        centre(s, probability, COLUMN + w * (RATIOS + STATS) + RATIOS);
    }
    return CT_OK;
}
