/* melody_notes.c -- features of notes; see melody_notes.h. Times in beats. */
#include "core/music/melody_notes.h"

#include "core/music/melody_sums.h"

#include <math.h>
#include <stdlib.h>

enum { WINDOW_NOTES = 256 };
static const double TOGETHER = CT_MELODY_TOGETHER, OVER = 0.06, NEAR = 4;

size_t ct_melody_singles(const ct_grid_note *notes, size_t count, ct_grid_note *out, uint32_t *of, uint8_t *copies) {
    size_t last[128], n = 0;
    for (int i = 0; i < 128; i++) last[i] = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t k = last[notes[i].pitch];
        if (k != SIZE_MAX && notes[i].start - out[k].start <= TOGETHER) {
            if (notes[i].velocity > out[k].velocity) out[k].velocity = notes[i].velocity;
            if (notes[i].end > out[k].end) out[k].end = notes[i].end;
            if (notes[i].step_end > out[k].step_end) out[k].step_end = notes[i].step_end;
            copies[k] = (uint8_t)(copies[k] + (copies[k] < UINT8_MAX));
            of[i] = (uint32_t)k;
            continue;
        }
        last[notes[i].pitch] = n;
        out[n] = notes[i];
        copies[n] = 1;
        of[i] = (uint32_t)n++;
    }
    return n;
}

/* ---- a note among its neighbours */
static size_t find_clusters(const ct_grid_note *notes, size_t count, ct_melody_cluster *clusters, uint32_t *of) {
    size_t n = 0;
    for (size_t i = 0, end; i < count; i = end, n++) {
        ct_melody_cluster *c = &clusters[n];
        *c = (ct_melody_cluster){.begin = i, .top = i, .bottom = i};
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
static void look_at_cluster(const ct_grid_note *notes, const ct_melody_cluster *c, size_t index, size_t clusters,
                            size_t i, float *x) {
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
    x[24] = (float)(ct_melody_clip(before->pitch - n->pitch, 24) / 12);
    x[25] = (float)ct_melody_clip(before->start - n->start, 4);
    x[26] = (float)(ct_melody_clip(after->pitch - n->pitch, 24) / 12);
    x[27] = (float)ct_melody_clip(after->start - n->start, 4);
    x[28] = fabsf(x[24]);
    x[29] = fabsf(x[26]);
    x[30] = (float)(top->pitch - n->pitch) / 12;
    x[31] = (float)(n->pitch - notes[c[index].bottom].pitch) / 12;
}

/* The note against the mean of four beats either way, and of the song. */
static void compare(const ct_grid_note *n, ct_melody_sums w, ct_melody_sums all, double first, double last, float *x) {
    double length = n->end - n->start, mean = w.pitch / w.n, loud = w.velocity / w.n;
    x[8] = (float)((n->pitch - 60) / 12.0);
    x[9] = (float)((n->pitch - all.pitch / all.n) / 12);
    x[10] = (float)((n->pitch - mean) / 12);
    x[11] = (float)((n->pitch - mean) / (ct_melody_spread(w.pitch, w.pitch2, w.n) + 1));
    x[13] = (float)log(fmax(length, 0) + 0.02);
    x[14] = length > 0.9;
    x[15] = (float)(length - w.length / w.n);
    x[17] = (float)((n->velocity - loud) / 10);
    x[18] = (float)((n->velocity - loud) / (ct_melody_spread(w.velocity, w.velocity2, w.n) + 2));
    x[19] = (float)(n->velocity / 127.0);
    x[20] = (float)((n->velocity - all.velocity / all.n) / (ct_melody_spread(all.velocity, all.velocity2, all.n) + 1));
    x[21] = (float)(w.n / 8);
    x[32] = (float)log(fmin(fmax(n->start - first, 1), 32));
    x[33] = (float)log(fmin(fmax(last - n->start, 1), 32));
    x[34] = n->pitch >= 55 && n->pitch <= 79;
}

ct_status ct_melody_features(const ct_grid_note *notes, const uint8_t *copies, size_t count, ct_arena *arena,
                             ct_melody_song *out) {
    *out = (ct_melody_song){.notes = notes,
                            .copies = copies,
                            .count = count,
                            .clusters = CT_NEW(arena, ct_melody_cluster, count),
                            .cluster_of = CT_NEW(arena, uint32_t, count),
                            .rows = ct_arena_alloc(arena, count, sizeof *out->rows)};
    ct_melody_sums *sums = CT_NEW(arena, ct_melody_sums, count + 1);
    if (!out->rows || !out->clusters || !out->cluster_of || !sums) return CT_ENOMEM;
    out->cluster_count = find_clusters(notes, count, out->clusters, out->cluster_of);
    size_t begin = 0, end = 0;
    for (size_t i = 0; i < count; i++) sums[i + 1] = ct_melody_plus(sums[i], &notes[i], 1);
    for (size_t i = 0; i < count; i++) {
        float *x = out->rows[i];
        while (notes[begin].start < notes[i].start - NEAR) begin++;
        while (end < count && notes[end].start < notes[i].start + NEAR) end++;
        look_around(notes, count, i, x);
        look_at_cluster(notes, out->clusters, out->cluster_of[i], out->cluster_count, i, x);
        compare(&notes[i], ct_melody_minus(sums[end], sums[begin]), sums[count], notes[0].start, notes[count - 1].start,
                x);
    }
    return ct_melody_figures(out, arena);
}
