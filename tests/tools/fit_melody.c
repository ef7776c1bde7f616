/* fit_melody.c -- fits the weights of melody_notes.h and prints them as C (core/music/melody_weights.c).
 *
 *   fit_melody POP909 > core/music/melody_weights.c
 *
 * The notes of the odd songs 1..599, all tracks merged; a note is melody when the track MELODY has it. Two logistic
 * regressions by stochastic gradient with momentum, batches of 4096 drawn by a fixed generator: the same bytes on
 * every run of the same build.
 */
#include "core/music/melody_notes.h"
#include "core/music/metre.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 4000, BATCH = 4096, SONGS = 300 };

typedef struct song {
    ct_arena      arena;
    ct_grid_note *notes;
    float (*rows)[CT_MELODY_ALL];
    float   *p;
    uint8_t *wanted;
    size_t   count;
} song;

static song   songs[SONGS];
static size_t song_count;

static void check(ct_status status) {
    if (status == CT_OK) return;
    fprintf(stderr, "%s\n", ct_message());
    exit(1);
}

static void load(const char *folder, int number) {
    char path[512];
    snprintf(path, sizeof path, "%s/%03d/%03d.mid", folder, number, number);
    FILE *f = fopen(path, "rb");
    if (!f) return;
    static uint8_t  bytes[1 << 20];
    size_t          size = fread(bytes, 1, sizeof bytes, f), all;
    song           *s = &songs[song_count];
    ct_midi         midi;
    ct_grid         grid;
    ct_metre_report report;
    ct_grid_note   *notes;
    fclose(f);
    check(ct_midi_read(bytes, size, &s->arena, &midi));
    if (ct_metre_grid(&midi, 1000, &s->arena, &grid, &report) != CT_OK) return;
    check(ct_grid_notes(&grid, &midi, &s->arena, &notes, &all));
    s->notes = CT_NEW(&s->arena, ct_grid_note, all);
    uint32_t *kept = CT_NEW(&s->arena, uint32_t, all);
    s->wanted = CT_NEW(&s->arena, uint8_t, all);
    s->p = CT_NEW(&s->arena, float, all);
    if (!s->notes || !kept || !s->wanted || !s->p) check(CT_ENOMEM);
    s->count = ct_melody_singles(notes, all, s->notes, kept);
    for (size_t k = 0; k < s->count; k++) {
        size_t end = k + 1 < s->count ? kept[k + 1] : all;
        for (size_t i = kept[k]; i < all && (i < end || notes[i].start <= s->notes[k].start + 1.0 / 16); i++)
            if (notes[i].pitch == s->notes[k].pitch && notes[i].start <= s->notes[k].start + 1.0 / 16)
                s->wanted[k] |= strcmp(midi.tracks[midi.notes[notes[i].index].track].name, "MELODY") == 0;
    }
    check(ct_melody_features(s->notes, s->count, &s->arena, &s->rows));
    song_count++;
}

static uint32_t next_random(void) {
    static uint64_t state = 909;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static void standardise(ct_melody_weight *w, int count) {
    for (int k = 0; k < count; k++) {
        double sum = 0, sum2 = 0, n = 0;
        for (size_t s = 0; s < song_count; s++) {
            for (size_t i = 0; i < songs[s].count; i++) {
                double x = (double)songs[s].rows[i][k];
                sum += x;
                sum2 += x * x;
            }
            n += (double)songs[s].count;
        }
        w[k].mean = (float)(sum / n);
        w[k].spread = (float)(sqrt(fmax(sum2 / n - sum / n * sum / n, 0)) + 1e-6);
    }
}

static void fit(ct_melody_weight *w, int count, float *bias) {
    double momentum[CT_MELODY_ALL] = {0};
    standardise(w, count);
    for (int round = 0; round < ROUNDS; round++) {
        double gradient[CT_MELODY_ALL] = {0}, error = 0, rate = 0.1 * (1 - (double)round / ROUNDS);
        for (int b = 0; b < BATCH; b++) {
            const song *s = &songs[next_random() % song_count];
            size_t      i = next_random() % s->count;
            double      e = (double)ct_melody_probability(s->rows[i], w, count, *bias) - s->wanted[i];
            for (int k = 0; k < count; k++)
                gradient[k] += e / BATCH * fmax(-5, fmin(5, (double)((s->rows[i][k] - w[k].mean) / w[k].spread)));
            error += e / BATCH;
        }
        for (int k = 0; k < count; k++) {
            momentum[k] = 0.9 * momentum[k] + gradient[k];
            w[k].weight -= (float)(rate * momentum[k]);
        }
        *bias -= (float)(5 * rate * error);
    }
}

static void print(const char *name, const ct_melody_weight *w, int count, float bias) {
    printf("\nconst float %s_bias = %.6ff;\n", name, (double)bias);
    printf("const ct_melody_weight %s[] = {\n", name);
    for (int k = 0; k < count; k++)
        printf("    {%.6ff, %.6ff, %.6ff},\n", (double)w[k].mean, (double)w[k].spread, (double)w[k].weight);
    printf("};\n");
}

int main(int argc, char **argv) {
    static ct_melody_weight first[CT_MELODY_ALL], second[CT_MELODY_ALL];
    float                   first_bias = 0, second_bias = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: fit_melody POP909 > core/music/melody_weights.c\n");
        return 2;
    }
    for (int number = 1; number < 600; number += 2) load(argv[1], number);
    if (!song_count) {
        fprintf(stderr, "%s: no songs\n", argv[1]);
        return 1;
    }
    fit(first, CT_MELODY_OWN, &first_bias);
    for (size_t k = 0; k < song_count; k++) {
        song *s = &songs[k];
        for (size_t i = 0; i < s->count; i++)
            s->p[i] = ct_melody_probability(s->rows[i], first, CT_MELODY_OWN, first_bias);
        check(ct_melody_context(s->notes, s->count, s->p, &s->arena, s->rows));
    }
    fit(second, CT_MELODY_ALL, &second_bias);
    printf("/* melody_weights.c -- mean, spread and weight of each feature of melody_notes.h, in its order.\n"
           " * Made by tests/tools/fit_melody from %zu songs of POP909 (odd numbers); don't edit.\n */\n"
           "#include \"core/music/melody_notes.h\"\n",
           song_count);
    print("ct_melody_first", first, CT_MELODY_OWN, first_bias);
    print("ct_melody_second", second, CT_MELODY_ALL, second_bias);
    return 0;
}
