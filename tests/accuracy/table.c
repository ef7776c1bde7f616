/* table.c -- see table.h. */
#include "table.h"

#include "draw.h"

#include <stdlib.h>
#include <string.h>

enum { SONGS = 2048, DRAWINGS = 1000, WORST = 10 };

typedef struct cell {
    double right, total;
} cell;

static const struct {
    const char *name;
    double      floor, aim;
} METRIC[] = {
#define X(id, name, floor, aim) {name, floor, aim},
    METRICS(X)
#undef X
};

static cell   cells[METRIC_COUNT][SONGS];
static char   songs[SONGS][64];
static size_t song_count;

void table_song(const char *name) {
    if (song_count == SONGS) abort();
    snprintf(songs[song_count++], sizeof songs[0], "%s", name);
}

void table_add(enum metric metric, double right, double total) {
    cells[metric][song_count - 1].right += right;
    cells[metric][song_count - 1].total += total;
}

/* ---- scores and their intervals */
static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct score {
    double value, low, high;
    size_t songs;
} score;

static score score_of(enum metric metric) {
    static cell   kept[SONGS];
    static double values[DRAWINGS];
    size_t        n = 0;
    double        right = 0, total = 0;
    uint64_t      state = 909;
    for (size_t i = 0; i < song_count; i++) {
        if (cells[metric][i].total <= 0) continue;
        kept[n++] = cells[metric][i];
        right += cells[metric][i].right;
        total += cells[metric][i].total;
    }
    if (!n) return (score){0};
    for (size_t d = 0; d < DRAWINGS; d++) {
        double r = 0, t = 0;
        for (size_t i = 0; i < n; i++) {
            const cell *c = &kept[draw(&state) % n];
            r += c->right;
            t += c->total;
        }
        values[d] = r / t;
    }
    qsort(values, DRAWINGS, sizeof values[0], by_value);
    return (score){right / total, values[DRAWINGS / 40], values[DRAWINGS - 1 - DRAWINGS / 40], n};
}

static void print_scores(FILE *out) {
    fprintf(out, "| | score | 95 %% interval | songs | floor | aim |\n|---|---|---|---|---|---|\n");
    for (int m = 0; m < METRIC_COUNT; m++) {
        score s = score_of((enum metric)m);
        if (!s.songs) continue;
        fprintf(out, "| %s | %.1f %% | %.1f-%.1f | %zu | ", METRIC[m].name, 100 * s.value, 100 * s.low, 100 * s.high,
                s.songs);
        if (METRIC[m].floor > 0)
            fprintf(out, "%.4g%s | %.4g |\n", 100 * METRIC[m].floor, s.value < METRIC[m].floor ? ", missed" : "",
                    100 * METRIC[m].aim);
        else
            fprintf(out, "| |\n");
    }
}

/* ---- confusions */
enum { KINDS = 10 };
static const char *const KIND[KINDS + 1] = {"maj",  "min",       "maj7, maj6", "7", "min7, min6", "sus2",
                                            "sus4", "dim, dim7", "aug",        "N", "other root"};
static double            confusion[KINDS][KINDS + 1];

static int kind_of(ct_chord c) {
    static const int OF[CT_QUALITY_COUNT] = {
        [CT_MAJ] = 0,  [CT_MIN] = 1,   [CT_DIM] = 7,    [CT_AUG] = 8,     [CT_MAJ7] = 2, [CT_MIN7] = 4,
        [CT_DOM7] = 3, [CT_HDIM7] = 7, [CT_DIM7] = 7,   [CT_MINMAJ7] = 4, [CT_MAJ6] = 2, [CT_MIN6] = 4,
        [CT_SUS2] = 5, [CT_SUS4] = 6,  [CT_SUS4B7] = 6, [CT_POWER] = 0};
    return c.root == CT_NO_CHORD ? 9 : OF[c.quality];
}

void table_confuse(ct_chord reference, ct_chord estimate, double seconds) {
    bool same = reference.root == estimate.root || estimate.root == CT_NO_CHORD;
    confusion[kind_of(reference)][same ? kind_of(estimate) : KINDS] += seconds;
}

static void print_confusions(FILE *out) {
    double all = 0;
    fprintf(out, "| said (down), heard (across), %% of its time |");
    for (int k = 0; k <= KINDS; k++) fprintf(out, " %s |", KIND[k]);
    fprintf(out, " share of all |\n|---|");
    for (int k = 0; k <= KINDS + 1; k++) fprintf(out, "---|");
    for (int r = 0; r < KINDS; r++)
        for (int e = 0; e <= KINDS; e++) all += confusion[r][e];
    for (int r = 0; r < KINDS; r++) {
        double sum = 0;
        for (int e = 0; e <= KINDS; e++) sum += confusion[r][e];
        fprintf(out, "\n| %s |", KIND[r]);
        for (int e = 0; e <= KINDS; e++) fprintf(out, sum > 0 ? " %.1f |" : " |", 100 * confusion[r][e] / sum);
        fprintf(out, " %.1f |", all > 0 ? 100 * sum / all : 0);
    }
    fprintf(out, "\n");
}

/* ---- the songs that go worst */
static void print_worst(FILE *out, enum metric metric) {
    bool told[SONGS] = {false};
    fprintf(out, "* %s:", METRIC[metric].name);
    for (int k = 0; k < WORST; k++) {
        size_t worst = SONGS;
        double least = 2;
        for (size_t i = 0; i < song_count; i++) {
            const cell *c = &cells[metric][i];
            if (told[i] || c->total <= 0 || c->right / c->total >= least) continue;
            least = c->right / c->total;
            worst = i;
        }
        if (worst == SONGS) break;
        told[worst] = true;
        fprintf(out, "%s%s %s (%.0f %%)", k ? "," : "", k == WORST / 2 ? "\n " : "", songs[worst], 100 * least);
    }
    fprintf(out, "\n");
}

void table_print(FILE *out) {
    static const enum metric TOLD[] = {MAJMIN_SURE, KEY, MELODY_BRIDGE, PHRASES, NOTTINGHAM};
    print_scores(out);
    fprintf(out, "\nChords of POP909 where the root is right:\n\n");
    print_confusions(out);
    fprintf(out, "\nThe songs that go worst:\n\n");
    for (size_t i = 0; i < CT_COUNT(TOLD); i++) print_worst(out, TOLD[i]);
}
