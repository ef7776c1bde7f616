/* fit_key.c -- fits what speaks for one of two relative keys, and how sure one is of the pair, and prints them as C
 * (core/music/key_weights.c).
 *
 *   fit_key POP909 > core/music/key_weights.c
 *   fit_key POP909 folds                how well weights fitted on one half of the songs do on the other
 *
 * The odd songs 1..599 of one key, all tracks merged. A logistic regression by Newton's method, and the sharpness under
 * which the pairs that are said are likeliest. The same bytes on every run of the same build.
 */
#include "core/music/chord.h"
#include "core/music/chord_symbol.h"
#include "core/music/key.h"
#include "core/music/metre.h"
#include "core/music/pop909.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SONGS = 300, ROUNDS = 50, N = CT_KEY_LEANINGS };
static const double DECAY = 0.005; /* of the squares of the weights: as if each had been seen at 0, give or take 14 */

typedef struct song {
    int    number;
    bool   minor;
    int    major; /* of the two keys */
    double leanings[N], fits[24];
} song;

static song   songs[SONGS];
static size_t song_count;

static void check(ct_status status) {
    if (status == CT_OK) return;
    fprintf(stderr, "%s\n", ct_message());
    exit(1);
}

static void merge(ct_midi *m) {
    for (size_t i = 0; i < m->note_count; i++)
        if (m->notes[i].channel != 9) m->notes[i].track = m->notes[i].channel = m->notes[i].program = 0;
}

static void load(const char *root, int number) {
    static uint8_t bytes[1 << 20];
    char           path[512];
    ct_arena       arena = {0};
    snprintf(path, sizeof path, "%s/%03d/%03d.mid", root, number, number);
    FILE *f = fopen(path, "rb");
    if (!f) return;
    size_t size = fread(bytes, 1, sizeof bytes, f), count;
    fclose(f);
    ct_midi         m;
    ct_grid         grid;
    ct_grid_note   *notes;
    ct_metre_report report;
    ct_pop909       said;
    song           *s = &songs[song_count];
    check(ct_midi_read(bytes, size, &arena, &m));
    snprintf(path, sizeof path, "%s/%03d", root, number);
    check(ct_pop909_read(path, &arena, &said));
    int key = said.keys.count ? ct_key_parse(said.keys.at[0].label, strlen(said.keys.at[0].label)) : -1;
    merge(&m);
    if (said.keys.count == 1 && key >= 0 && ct_metre_grid(&m, 1000, &arena, &grid, &report) == CT_OK) {
        check(ct_grid_notes(&grid, &m, &arena, &notes, &count));
        ct_chord *chords = CT_NEW(&arena, ct_chord, (size_t)grid.beat_count);
        float    *sure = CT_NEW(&arena, float, (size_t)grid.beat_count);
        if (!chords || !sure) check(CT_ENOMEM);
        check(ct_chord_beats(&grid, notes, count, &arena, chords, sure));
        *s = (song){.number = number, .minor = key >= 12, .major = key < 12 ? key : (key - 12 + 3) % 12};
        ct_key_leanings(s->major, notes, count, chords, grid.beat_count, s->leanings);
        check(ct_key_fits(&grid, notes, count, &arena, s->fits));
        song_count++;
    }
    ct_arena_free(&arena);
}

static bool is_of(const song *s, int fold) { /* fold -1: of all */
    return fold < 0 || s->number / 2 % 2 == fold;
}

static double odds(const song *s, const double w[N]) {
    double sum = 0;
    for (int i = 0; i < N; i++) sum += w[i] * s->leanings[i];
    return sum;
}

/* ---- fitting */
/* x = a^-1 b for a positive definite a. */
static void solve(double a[N][N], double b[N]) {
    for (int k = 0; k < N; k++)
        for (int i = k + 1; i < N; i++) {
            double f = a[i][k] / a[k][k];
            for (int j = k; j < N; j++) a[i][j] -= f * a[k][j];
            b[i] -= f * b[k];
        }
    for (int k = N - 1; k >= 0; k--) {
        for (int j = k + 1; j < N; j++) b[k] -= a[k][j] * b[j];
        b[k] /= a[k][k];
    }
}

static void fit_leanings(int without, double w[N]) {
    memset(w, 0, N * sizeof *w);
    for (int round = 0; round < ROUNDS; round++) {
        double hessian[N][N] = {{0}}, gradient[N] = {0};
        for (size_t k = 0; k < song_count; k++) {
            const song *s = &songs[k];
            if (without >= 0 && is_of(s, without)) continue;
            double p = 1 / (1 + exp(-odds(s, w)));
            for (int i = 0; i < N; i++) {
                gradient[i] += (p - s->minor) * s->leanings[i];
                for (int j = 0; j < N; j++) hessian[i][j] += p * (1 - p) * s->leanings[i] * s->leanings[j];
            }
        }
        for (int i = 0; i < N; i++) {
            gradient[i] += DECAY * w[i];
            hessian[i][i] += DECAY;
        }
        solve(hessian, gradient);
        for (int i = 0; i < N; i++) w[i] -= gradient[i];
    }
}

static double pair_fit(const song *s, int major) {
    return s->fits[major] + s->fits[(major + 9) % 12 + 12];
}

static double fit_sharpness(int without) {
    double best = 0, top = -INFINITY;
    for (int half = 1; half <= 80; half++) {
        double sum = 0;
        for (size_t k = 0; k < song_count; k++) {
            const song *s = &songs[k];
            double      all = 0;
            if (without >= 0 && is_of(s, without)) continue;
            for (int major = 0; major < 12; major++)
                all += exp(0.5 * half * (pair_fit(s, major) - pair_fit(s, s->major)));
            sum -= log(all);
        }
        if (sum <= top) continue;
        top = sum;
        best = 0.5 * half;
    }
    return best;
}

static void folds(void) {
    int right = 0;
    for (int fold = 0; fold < 2; fold++) {
        double w[N];
        fit_leanings(fold, w);
        printf("# without fold %d: %.3f %.3f %.3f %.3f, sharpness %.1f\n", fold, w[0], w[1], w[2], w[3],
               fit_sharpness(fold));
        for (size_t k = 0; k < song_count; k++)
            if (is_of(&songs[k], fold)) right += (odds(&songs[k], w) > 0) == songs[k].minor;
    }
    printf("major or minor: %d of %zu songs\n", right, song_count);
}

int main(int argc, char **argv) {
    double w[N];
    if (argc < 2) {
        fprintf(stderr, "usage: fit_key POP909 [folds] > core/music/key_weights.c\n");
        return 2;
    }
    for (int number = 1; number < 600; number += 2) load(argv[1], number);
    if (!song_count) {
        fprintf(stderr, "%s: no songs\n", argv[1]);
        return 1;
    }
    if (argc > 2) {
        folds();
        return 0;
    }
    fit_leanings(-1, w);
    printf("/* key_weights.c -- what speaks for one of two relative keys, and how sure one is of the pair; see key.h.\n"
           " *\n"
           " * Fitted on %zu odd songs of POP909 by tests/tools/fit_key: make fit-key\n"
           " */\n#include \"core/music/key.h\"\n\n/* clang-format off */\n",
           song_count);
    printf("const float ct_key_lean_weights[CT_KEY_LEANINGS] = {%.3ff, %.3ff, %.3ff, %.3ff};\n", w[0], w[1], w[2],
           w[3]);
    printf("const float ct_key_sharpness = %.1ff;\n/* clang-format on */\n", fit_sharpness(-1));
    return 0;
}
