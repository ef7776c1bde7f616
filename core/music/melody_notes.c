/* melody_notes.c -- features of notes; see melody_notes.h. Times in beats. */
#include "core/music/melody_notes.h"

#include <math.h>
#include <stdlib.h>

enum { WINDOW_NOTES = 256 };
static const double TOGETHER = 1.0 / 16, OVER = 0.06, NEAR = 4;

size_t ct_melody_singles(const ct_grid_note *notes, size_t count, ct_grid_note *out, uint32_t *kept) {
    double last[128];
    size_t n = 0;
    for (int i = 0; i < 128; i++) last[i] = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (notes[i].start - last[notes[i].pitch] <= TOGETHER) continue;
        last[notes[i].pitch] = notes[i].start;
        out[n] = notes[i];
        kept[n++] = (uint32_t)i;
    }
    return n;
}

float ct_melody_probability(const float *row, const ct_melody_weight *weights, int count, float bias) {
    float sum = bias;
    for (int k = 0; k < count; k++) {
        float z = (row[k] - weights[k].mean) / weights[k].spread;
        sum += weights[k].weight * fmaxf(-5, fminf(5, z));
    }
    return 1 / (1 + expf(-fmaxf(-30, fminf(30, sum))));
}

/* ---- sums over windows of time, by differences of running sums */
typedef struct running {
    double n, pitch, pitch2, velocity, velocity2, length;
} running;

static running minus(running a, running b) {
    return (running){
        a.n - b.n,          a.pitch - b.pitch, a.pitch2 - b.pitch2, a.velocity - b.velocity, a.velocity2 - b.velocity2,
        a.length - b.length};
}

static running plus(running sum, const ct_grid_note *n, double weight) {
    sum.n += weight;
    sum.pitch += weight * n->pitch;
    sum.pitch2 += weight * n->pitch * n->pitch;
    sum.velocity += weight * n->velocity;
    sum.velocity2 += weight * n->velocity * n->velocity;
    sum.length += weight * (n->end - n->start);
    return sum;
}

static double spread(double sum, double sum2, double n) {
    double mean = sum / n;
    return sqrt(fmax(sum2 / n - mean * mean, 0));
}

/* ---- a note among its neighbours */
/* The notes that start together: [begin, end). */
typedef struct cluster {
    size_t begin, end, top, bottom; /* top, bottom: highest and lowest note */
    double loudness;                /* mean velocity */
} cluster;

static size_t find_clusters(const ct_grid_note *notes, size_t count, cluster *clusters, uint32_t *of) {
    size_t n = 0;
    for (size_t i = 0, end; i < count; i = end, n++) {
        cluster *c = &clusters[n];
        *c = (cluster){.begin = i, .top = i, .bottom = i};
        for (end = i; end < count && notes[end].start - notes[i].start <= TOGETHER; end++) {
            of[end] = (uint32_t)n;
            c->loudness += notes[end].velocity;
            if (notes[end].pitch > notes[c->top].pitch) c->top = end;
            if (notes[end].pitch < notes[c->bottom].pitch) c->bottom = end;
        }
        c->end = end;
        c->loudness /= (double)(end - i);
    }
    return n;
}

static double clip(double x, double limit) {
    return fmax(-limit, fmin(limit, x));
}

/* What sounds at the note's start, above and below. */
static void look_around(const ct_grid_note *notes, size_t count, size_t i, float *x) {
    const ct_grid_note *n = &notes[i];
    double              above = 0, below = 0, up = 24, down = 24, covered = 0, higher = 0, same = 0, around = 0;
    for (size_t k = i; k-- > 0 && i - k <= WINDOW_NOTES && notes[k].start >= n->start - NEAR;) {
        int apart = notes[k].pitch - n->pitch;
        around++;
        higher += apart > 0;
        same += apart == 0;
        if (notes[k].end <= n->start + OVER) continue;
        above += apart > 0;
        below += apart < 0;
        if (apart > 0) up = fmin(up, apart);
        if (apart < 0) down = fmin(down, -apart);
    }
    for (size_t k = i + 1; k < count && k - i <= WINDOW_NOTES && notes[k].start < n->start + NEAR; k++) {
        int  apart = notes[k].pitch - n->pitch;
        bool together = notes[k].start <= n->start + TOGETHER;
        around++;
        higher += apart > 0;
        same += apart == 0;
        if (together && apart > 0) {
            above++;
            up = fmin(up, apart);
        }
        if (together && apart < 0) {
            below++;
            down = fmin(down, -apart);
        }
        covered += !together && apart > 0 && notes[k].start < n->end - OVER;
    }
    x[3] = (float)above;
    x[4] = (float)below;
    x[5] = (float)up;
    x[6] = (float)down;
    x[7] = (float)covered;
    x[12] = (float)(higher / (around + 1));
    x[22] = (float)((same + 1) / 8);
}

/* The note in its cluster, and the highest notes of the clusters before and after. */
static void look_at_cluster(const ct_grid_note *notes, const cluster *c, size_t index, size_t clusters, size_t i,
                            float *x) {
    const ct_grid_note *n = &notes[i], *top = &notes[c[index].top];
    double              rank = 0;
    bool                octave = false;
    for (size_t k = c[index].begin; k < c[index].end; k++) {
        rank += notes[k].pitch > n->pitch;
        octave |= abs(notes[k].pitch - n->pitch) == 12;
    }
    const ct_grid_note *before = &notes[c[index > 0 ? index - 1 : 0].top];
    const ct_grid_note *after = &notes[c[index + 1 < clusters ? index + 1 : index].top];
    x[0] = rank == 0;
    x[1] = (float)rank;
    x[2] = (float)(c[index].end - c[index].begin);
    x[16] = (float)((n->velocity - c[index].loudness) / 10);
    x[23] = octave;
    x[24] = (float)(clip(before->pitch - n->pitch, 24) / 12);
    x[25] = (float)clip(before->start - n->start, 4);
    x[26] = (float)(clip(after->pitch - n->pitch, 24) / 12);
    x[27] = (float)clip(after->start - n->start, 4);
    x[28] = fabsf(x[24]);
    x[29] = fabsf(x[26]);
    x[30] = (float)(top->pitch - n->pitch) / 12;
    x[31] = (float)(n->pitch - notes[c[index].bottom].pitch) / 12;
}

/* The note against the mean of four beats either way, and of the song. */
static void compare(const ct_grid_note *n, running w, running all, double first, double last, float *x) {
    double length = n->end - n->start, mean = w.pitch / w.n, loud = w.velocity / w.n;
    x[8] = (float)((n->pitch - 60) / 12.0);
    x[9] = (float)((n->pitch - all.pitch / all.n) / 12);
    x[10] = (float)((n->pitch - mean) / 12);
    x[11] = (float)((n->pitch - mean) / (spread(w.pitch, w.pitch2, w.n) + 1));
    x[13] = (float)log(fmax(length, 0) + 0.02);
    x[14] = length > 0.9;
    x[15] = (float)(length - w.length / w.n);
    x[17] = (float)((n->velocity - loud) / 10);
    x[18] = (float)((n->velocity - loud) / (spread(w.velocity, w.velocity2, w.n) + 2));
    x[19] = (float)(n->velocity / 127.0);
    x[20] = (float)((n->velocity - all.velocity / all.n) / (spread(all.velocity, all.velocity2, all.n) + 1));
    x[21] = (float)(w.n / 8);
    x[32] = (float)log(fmin(fmax(n->start - first, 1), 32));
    x[33] = (float)log(fmin(fmax(last - n->start, 1), 32));
    x[34] = n->pitch >= 55 && n->pitch <= 79;
}

ct_status ct_melody_features(const ct_grid_note *notes, size_t count, ct_arena *arena, float (**out)[CT_MELODY_ALL]) {
    float(*rows)[CT_MELODY_ALL] = *out = ct_arena_alloc(arena, count, sizeof *rows);
    cluster  *clusters = CT_NEW(arena, cluster, count);
    uint32_t *of = CT_NEW(arena, uint32_t, count);
    running  *sums = CT_NEW(arena, running, count + 1);
    if (!rows || !clusters || !of || !sums) return CT_ENOMEM;
    size_t n = find_clusters(notes, count, clusters, of), begin = 0, end = 0;
    for (size_t i = 0; i < count; i++) sums[i + 1] = plus(sums[i], &notes[i], 1);
    for (size_t i = 0; i < count; i++) {
        while (notes[begin].start < notes[i].start - NEAR) begin++;
        while (end < count && notes[end].start < notes[i].start + NEAR) end++;
        look_around(notes, count, i, rows[i]);
        look_at_cluster(notes, clusters, of[i], n, i, rows[i]);
        compare(&notes[i], minus(sums[end], sums[begin]), sums[count], notes[0].start, notes[count - 1].start, rows[i]);
    }
    return CT_OK;
}

/* ---- the second round */
/* Against the line that the first round saw within `reach` beats (probabilities squared as weights; the note itself
 * left out, a little of the mean of all notes mixed in). */
static void against_line(const ct_grid_note *n, float p, running w, double seen, running all, double reach, float *x) {
    const double PRIOR = 0.05;
    running      own = plus((running){0}, n, (double)p * (double)p);
    w = minus(w, own);
    double weight = w.n + PRIOR;
    double pitch = (w.pitch + PRIOR * all.pitch / all.n) / weight;
    double loud = (w.velocity + PRIOR * all.velocity / all.n) / weight;
    double wide = sqrt(fmax(w.pitch2 / weight - pitch * pitch, 1));
    double uneven = sqrt(fmax(w.velocity2 / weight - loud * loud, 4));
    x[0] = (float)((n->pitch - pitch) / 12);
    x[1] = (float)(fabs(n->pitch - pitch) / wide);
    x[2] = (float)((n->velocity - loud) / 10);
    x[3] = (float)(fabs(n->velocity - loud) / uneven);
    x[4] = (float)log(weight);
    x[5] = (float)((seen - (double)p) / reach);
}

static void against_all(const ct_grid_note *n, running line, float *x) {
    double weight = line.n + 1e-9, wide = spread(line.pitch, line.pitch2, weight);
    double uneven = spread(line.velocity, line.velocity2, weight);
    x[0] = (float)((n->pitch - line.pitch / weight) / 12);
    x[1] = (float)(fabs(n->pitch - line.pitch / weight) / (wide + 1));
    x[2] = (float)((n->velocity - line.velocity / weight) / (uneven + 2));
    x[3] = fabsf(x[2]);
    x[4] = (float)log(uneven + 1);
}

/* The strongest rival at the same time, and the likeliest neighbours within two beats. */
static void rivals(const ct_grid_note *notes, size_t count, const float *p, size_t i, float *x) {
    const ct_grid_note *n = &notes[i];
    double              rival = 0, before = 0, after = 0, best_before = 0, best_after = 0;
    int                 down = 0, up = 0;
    for (size_t k = i > WINDOW_NOTES ? i - WINDOW_NOTES : 0; k < count && k <= i + WINDOW_NOTES; k++) {
        double apart = notes[k].start - n->start, q = (double)p[k], near = q * exp(-fabs(apart));
        if (k == i || apart < -2 || apart >= 2) continue;
        if (fabs(apart) < 0.1) rival = fmax(rival, q);
        if (apart < -0.1 && near > best_before) {
            best_before = near;
            before = q;
            down = notes[k].pitch - n->pitch;
        }
        if (apart > 0.1 && near > best_after) {
            best_after = near;
            after = q;
            up = notes[k].pitch - n->pitch;
        }
    }
    x[0] = p[i];
    x[1] = logf(p[i] + 1e-4f);
    x[2] = (float)rival;
    x[3] = (float)((double)p[i] - rival);
    x[4] = (float)before;
    x[5] = (float)after;
    x[6] = (float)(clip(down, 24) / 12);
    x[7] = (float)(clip(up, 24) / 12);
    x[8] = fabsf(x[6]);
    x[9] = fabsf(x[7]);
}

ct_status ct_melody_context(const ct_grid_note *notes, size_t count, const float *probability, ct_arena *arena,
                            float (*rows)[CT_MELODY_ALL]) {
    static const double REACH[] = {2, 8, 32};
    running            *line = CT_NEW(arena, running, count + 1);
    double             *seen = CT_NEW(arena, double, count + 1);
    running             all = {0};
    if (!line || !seen) return CT_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        double p = (double)probability[i];
        line[i + 1] = plus(line[i], &notes[i], p * p);
        seen[i + 1] = seen[i] + p;
        all = plus(all, &notes[i], 1);
    }
    for (size_t r = 0; r < CT_COUNT(REACH); r++) {
        size_t begin = 0, end = 0;
        for (size_t i = 0; i < count; i++) {
            while (notes[begin].start < notes[i].start - REACH[r]) begin++;
            while (end < count && notes[end].start <= notes[i].start + REACH[r]) end++;
            against_line(&notes[i], probability[i], minus(line[end], line[begin]), seen[end] - seen[begin], all,
                         REACH[r], &rows[i][CT_MELODY_OWN + 6 * r]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        against_all(&notes[i], line[count], &rows[i][CT_MELODY_OWN + 18]);
        rivals(notes, count, probability, i, &rows[i][CT_MELODY_OWN + 23]);
    }
    return CT_OK;
}
