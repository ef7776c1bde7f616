/* melody_likeness.c -- is a note like those of the line that a first opinion saw? See melody_notes.h.
 *
 * For each of several traits (pitch, velocity, length, ...) two histograms of the song are kept, of notes weighted by
 * the opinion and by its opposite; the logarithm of their ratio, the note itself left out, is a feature.
 */
#include "core/music/melody_notes.h"

#include "core/music/melody_sums.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_NOTES = 128, BINS = 1024, TRAITS = 9, LENGTHS = 8 };
static const double TOGETHER = CT_MELODY_TOGETHER, OVER = 0.06;

static int length_bin(const ct_grid_note *n) {
    static const int UP_TO[] = {1, 2, 3, 5, 7, 13, 25};
    int              bin = 0;
    while (bin < LENGTHS - 1 && n->step_end - n->step > UP_TO[bin]) bin++;
    return bin;
}

static int gap_bin(const ct_melody_song *s, size_t i) {
    if (s->after[i] < 0) return 0;
    double gap = s->notes[s->after[i]].start - s->notes[i].end;
    return 1 + (int)(ct_melody_clip(gap, 0.99) * 8 + 8);
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* The bin of a note in each trait. */
static void traits_of(const ct_melody_song *s, size_t i, int *bin) {
    const ct_grid_note      *n = &s->notes[i];
    const ct_melody_cluster *c = &s->clusters[s->cluster_of[i]];
    int                      rank = 0, length = length_bin(n);
    for (size_t k = c->begin; k < c->end; k++) rank += s->notes[k].pitch > n->pitch;
    bin[0] = n->pitch;
    bin[1] = n->velocity;
    bin[2] = length;
    bin[3] = n->step % CT_STEPS_PER_BEAT;
    bin[4] = n->step % (4 * CT_STEPS_PER_BEAT);
    bin[5] = gap_bin(s, i);
    bin[6] = least(rank, 3) * 4 + least((int)(c->end - c->begin), 4) - 1;
    bin[7] = n->pitch / 2 * 16 + n->velocity / 8;
    bin[8] = n->pitch / 2 * LENGTHS + length;
}

typedef struct histogram {
    double line[BINS], rest[BINS], lines, rests;
} histogram;

/* How many bins a trait has, and how far a note reaches into its neighbours' bins. */
static const struct {
    int    bins, stride;
    double prior;
} TRAIT[TRAITS] = {{128, 1, 0.05}, {128, 1, 0.05},   {LENGTHS, 0, 0.5},
                   {12, 0, 0.5},   {48, 0, 0.2},     {18, 0, 0.2},
                   {16, 0, 0.2},   {1024, 16, 0.01}, {64 * LENGTHS, LENGTHS, 0.02}};

static void smooth(double *bins, int count, int stride, double *scratch) {
    if (!stride) return;
    memcpy(scratch, bins, (size_t)count * sizeof *bins);
    for (int b = 0; b < count; b++) {
        double below = b >= stride ? scratch[b - stride] : 0, above = b + stride < count ? scratch[b + stride] : 0;
        bins[b] = (2 * scratch[b] + below + above) / 4;
    }
}

/* Of each trait: how much likelier it is among the notes weighted `line` than among those weighted `rest`. */
static ct_status write_ratios(ct_melody_song *s, const float *line, const float *rest, ct_arena *arena, size_t column) {
    histogram *h = CT_NEW(arena, histogram, 1);
    double    *scratch = CT_NEW(arena, double, BINS);
    int(*bins)[TRAITS] = ct_arena_alloc(arena, s->count, sizeof *bins);
    if (!h || !scratch || !bins) return CT_ENOMEM;
    for (size_t i = 0; i < s->count; i++) traits_of(s, i, bins[i]);
    for (int t = 0; t < TRAITS; t++) {
        double own = TRAIT[t].stride ? 0.5 : 1, prior = TRAIT[t].prior, all = prior * TRAIT[t].bins;
        memset(h, 0, sizeof *h);
        for (size_t i = 0; i < s->count; i++) {
            h->line[bins[i][t]] += (double)line[i];
            h->rest[bins[i][t]] += (double)rest[i];
            h->lines += (double)line[i];
            h->rests += (double)rest[i];
        }
        smooth(h->line, TRAIT[t].bins, TRAIT[t].stride, scratch);
        smooth(h->rest, TRAIT[t].bins, TRAIT[t].stride, scratch);
        for (size_t i = 0; i < s->count; i++) {
            double a = fmax(h->line[bins[i][t]] - own * (double)line[i], 0) + prior;
            double b = fmax(h->rest[bins[i][t]] - own * (double)rest[i], 0) + prior;
            double ratio = a / (h->lines - (double)line[i] + all) / (b / (h->rests - (double)rest[i] + all));
            s->rows[i][column + (size_t)t] = (float)ct_melody_clip(log(ratio), 6);
        }
    }
    return CT_OK;
}

/* Sums over the notes around: of the line, of the rest, of another line. */
typedef struct nearby {
    double line, rest, other;
} nearby;

static void add_near(nearby *sum, double weight, float line, float other) {
    sum->line += weight * (double)line;
    sum->rest += weight * (double)(1 - line);
    sum->other += weight * (double)other;
}

/* The notes within 16 beats that lie near in pitch, and near in loudness too: are they of the line (x) rather than of
 * another one (y)? */
static void write_near(const ct_melody_song *s, const float *line, const float *other, size_t i, float *x, float *y) {
    static const double BY_PITCH[] = {1, 0.9, 0.7, 0.45, 0.25, 0.1};
    const ct_grid_note *n = &s->notes[i];
    nearby              all = {0}, as_loud = {0};
    size_t              begin = i > WINDOW_NOTES ? i - WINDOW_NOTES : 0;
    while (s->notes[begin].start < n->start - 16) begin++;
    for (size_t k = begin; k < s->count && k <= i + WINDOW_NOTES && s->notes[k].start <= n->start + 16; k++) {
        const ct_grid_note *m = &s->notes[k];
        int                 interval = abs(m->pitch - n->pitch), louder = abs(m->velocity - n->velocity);
        if (k == i || interval > 5) continue;
        double weight = BY_PITCH[interval] * (1 - fabs(m->start - n->start) / 17);
        add_near(&all, weight, line[k], other[k]);
        if (louder < 16) add_near(&as_loud, weight * (1 - louder / 16.0), line[k], other[k]);
    }
    x[0] = (float)log((all.line + 0.05) / (all.rest + 0.2));
    x[1] = (float)log((as_loud.line + 0.05) / (as_loud.rest + 0.2));
    y[0] = (float)log((all.line + 0.05) / (all.other + 0.2));
    y[1] = (float)log((as_loud.line + 0.05) / (as_loud.other + 0.2));
}

/* What is thought of the notes of the same figure. */
static ct_status write_figures(ct_melody_song *s, const float *p, ct_arena *arena, size_t column) {
    double *sum = CT_NEW(arena, double, s->figures), *number = CT_NEW(arena, double, s->figures);
    if (!sum || !number) return CT_ENOMEM;
    for (size_t i = 0; i < s->count; i++) {
        sum[s->figure[i]] += (double)p[i];
        number[s->figure[i]]++;
    }
    for (size_t i = 0; i < s->count; i++) {
        double q = (double)p[i], others = number[s->figure[i]] - 1;
        s->rows[i][column] = (float)((sum[s->figure[i]] - q + 0.5 * q) / (others + 0.5) - q);
        s->rows[i][column + 1] = (float)fmin(others, 4);
    }
    return CT_OK;
}

/* The rivals: of the cluster, of what still sounds, of what starts before the note ends. */
static void write_rivals(const ct_melody_song *s, const float *p, size_t i, float *x) {
    const ct_grid_note      *notes = s->notes, *n = &notes[i];
    const ct_melody_cluster *c = &s->clusters[s->cluster_of[i]];
    double                   most = 0, sum = 0, held = 0, later = 0;
    for (size_t k = c->begin; k < c->end; k++) {
        if (k == i) continue;
        most = fmax(most, (double)p[k]);
        sum += (double)p[k];
    }
    for (size_t k = c->begin; k-- > 0 && c->begin - k <= WINDOW_NOTES && notes[k].start > n->start - 8;)
        if (notes[k].end > n->start + OVER) held = fmax(held, (double)p[k]);
    for (size_t k = c->end; k < s->count && k - c->end <= WINDOW_NOTES && notes[k].start < n->end - OVER; k++)
        if (notes[k].start > n->start + TOGETHER) later = fmax(later, (double)p[k]);
    x[0] = (float)most;
    x[1] = (float)sum;
    x[2] = (float)held;
    x[3] = (float)later;
    x[4] = s->before[i] < 0 ? 0 : p[s->before[i]];
    x[5] = s->after[i] < 0 ? 0 : p[s->after[i]];
}

/* How much of a line there is in the beats before and after: the mean over onsets of the strongest note of each. */
static ct_status write_presence(ct_melody_song *s, const float *p, ct_arena *arena, size_t column) {
    static const double REACH[] = {4, 16, 64};
    size_t              n = s->cluster_count;
    double             *sum = CT_NEW(arena, double, n + 1);
    if (!sum) return CT_ENOMEM;
    for (size_t c = 0; c < n; c++) {
        double most = 0;
        for (size_t k = s->clusters[c].begin; k < s->clusters[c].end; k++) most = fmax(most, (double)p[k]);
        sum[c + 1] = sum[c] + most;
    }
    for (size_t r = 0; r < CT_COUNT(REACH); r++) {
        size_t begin = 0, end = 0;
        for (size_t c = 0; c < n; c++) {
            double at = s->notes[s->clusters[c].begin].start;
            while (s->notes[s->clusters[begin].begin].start < at - REACH[r]) begin++;
            while (end < n && s->notes[s->clusters[end].begin].start <= at + REACH[r]) end++;
            double before = (sum[c] - sum[begin]) / (double)(c - begin + 1);
            double after = (sum[end] - sum[c + 1]) / (double)(end - c);
            for (size_t k = s->clusters[c].begin; k < s->clusters[c].end; k++) {
                s->rows[k][column + 2 * r] = (float)before;
                s->rows[k][column + 2 * r + 1] = (float)after;
            }
        }
    }
    for (size_t i = 0; i < s->count; i++) s->rows[i][column + 6] = (float)(sum[n] / (double)n);
    return CT_OK;
}

/* The other line: what the melody is not to be taken for. */
static void write_other(const ct_melody_song *s, const float *other, size_t i, float *x) {
    const ct_melody_cluster *c = &s->clusters[s->cluster_of[i]];
    double                   most = 0;
    for (size_t k = c->begin; k < c->end; k++)
        if (k != i) most = fmax(most, (double)other[k]);
    x[0] = other[i];
    x[1] = (float)most;
    x[2] = s->before[i] < 0 ? 0 : other[s->before[i]];
    x[3] = s->after[i] < 0 ? 0 : other[s->after[i]];
}

ct_status ct_melody_likeness(ct_melody_song *s, const float *melody, const float *other, ct_arena *arena) {
    const size_t COLUMN = CT_MELODY_OWN + CT_MELODY_AGAINST, SECOND = COLUMN + TRAITS + 17;
    float       *rest = CT_NEW(arena, float, s->count);
    if (!rest) return CT_ENOMEM;
    if (!s->count) return CT_OK;
    for (size_t i = 0; i < s->count; i++) rest[i] = 1 - melody[i];
    CT_TRY(write_ratios(s, melody, rest, arena, COLUMN));
    CT_TRY(write_ratios(s, melody, other, arena, SECOND));
    for (size_t i = 0; i < s->count; i++) {
        write_near(s, melody, other, i, &s->rows[i][COLUMN + TRAITS], &s->rows[i][SECOND + TRAITS]);
        write_rivals(s, melody, i, &s->rows[i][COLUMN + TRAITS + 2]);
        write_other(s, other, i, &s->rows[i][SECOND + TRAITS + 2]);
    }
    CT_TRY(write_figures(s, melody, arena, COLUMN + TRAITS + 8));
    CT_TRY(write_presence(s, melody, arena, COLUMN + TRAITS + 10));
    CT_TRY(write_figures(s, other, arena, SECOND + TRAITS + 6));
    CT_TRY(write_presence(s, other, arena, SECOND + TRAITS + 8));
    return ct_melody_phrases(s, melody, SECOND, arena);
}
