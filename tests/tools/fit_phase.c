/* fit_phase.c -- fits the weights of phase.h and prints them as C (core/music/phase_weights.c).
 *
 *   fit_phase POP909 > core/music/phase_weights.c
 *   fit_phase POP909 folds              how well weights fitted on one half of the songs do on the other
 *
 * The odd songs 1..599: whole, shaken, in excerpts of 32 beats, and the track MELODY alone. A softmax over the sixteen
 * places where a bar could begin; where the labels of a song tell its bars, one is right, else the four that are on
 * its beats. The same bytes on every run of the same build.
 */
#include "core/music/grid.h"
#include "core/music/phase.h"
#include "core/music/pop909.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KINDS = 5,
    EXAMPLES = 300 * 20,
    ROUNDS = 300,
    WEIGHTS = CT_PHASE_CUES * CT_PHASE_PLACES,
    PARAMETERS = WEIGHTS + 1
};
static const double      DECAY = 0.003, SHAKE = 0.08;
static const char *const KIND[KINDS] = {"whole", "shaken", "32 beats", "melody", "64 beats of melody"};

typedef struct example {
    ct_phase_table table;
    double         gathered[4]; /* logs */
    int            kind, fold;
    uint16_t       right; /* places where the bar may begin, a bit each; 0: none of them is on a beat */
} example;

static example *examples;
static size_t   example_count;

static void check(ct_status status) {
    if (status == CT_OK) return;
    fprintf(stderr, "%s\n", ct_message());
    exit(1);
}

static double uniform(void) {
    static uint64_t state = 909;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(state >> 33) + 0.5) / 2147483648.0;
}

/* `beat`: the tick of a beat; `bar`: that of a bar line, or a negative number. */
static void add(const ct_midi_note *notes, size_t count, double ppq, double beat, double bar, int kind, int fold) {
    if (count < 8 || example_count == EXAMPLES) return;
    ct_arena arena = {0};
    example *e = &examples[example_count++];
    double   phase = ct_grid_phase(notes, count, ppq, NULL);
    *e = (example){.kind = kind, .fold = fold};
    check(ct_phase_cues(notes, count, ppq, phase, &arena, &e->table));
    for (int k = 0; k < 4; k++)
        e->gathered[k] = log(ct_grid_gathering(notes, count, ppq, fmod(phase + k * ppq / 4, ppq)));
    for (int p = 0; p < CT_PHASE_PLACES; p++) {
        double here = phase + p * ppq / 4, off = fmod(fmod(here - beat, ppq) + ppq, ppq) / ppq;
        double into = fmod(fmod(here - bar, 4 * ppq) + 4 * ppq, 4 * ppq) / ppq;
        bool   right = fmin(off, 1 - off) <= 1.0 / 16 && (bar < 0 || fmin(into, 4 - into) <= 0.25);
        if (right) e->right |= (uint16_t)(1 << p);
    }
    ct_arena_free(&arena);
}

static int by_start(const void *a, const void *b) {
    const ct_midi_note *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return x->pitch - y->pitch;
}

static void excerpt(const ct_midi_note *notes, size_t count, double beats, double ppq, double beat, double bar,
                    int kind, int fold) {
    double first = (double)notes[0].start, last = (double)notes[count - 1].start;
    double begin = first + uniform() * fmax(last - first - beats * ppq, 1);
    size_t from = 0, to = 0;
    while (from < count && (double)notes[from].start < begin) from++;
    for (to = from; to < count && (double)notes[to].start < begin + beats * ppq;) to++;
    add(notes + from, to - from, ppq, beat, bar, kind, fold);
}

static void load(const char *root, int number) {
    static uint8_t bytes[1 << 20];
    char           path[512];
    ct_arena       arena = {0};
    ct_midi        m;
    ct_pop909      notes;
    double         bar, matched;
    snprintf(path, sizeof path, "%s/%03d/%03d.mid", root, number, number);
    FILE *f = fopen(path, "rb");
    if (!f) return;
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    check(ct_midi_read(bytes, size, &arena, &m));
    snprintf(path, sizeof path, "%s/%03d", root, number);
    check(ct_pop909_read(path, &arena, &notes));
    check(ct_pop909_origin(&notes, &m, &arena, &bar, &matched));
    ct_midi_note *copy = CT_NEW(&arena, ct_midi_note, m.note_count);
    if (!copy) check(CT_ENOMEM);
    int    fold = number / 2 % 2;
    double ppq = m.ppq, beat = ct_grid_phase(m.notes, m.note_count, ppq, NULL); /* right in all of these whole songs */
    double off = fmod(fmod(bar - beat, ppq) + ppq, ppq) / ppq;
    if (matched < 0.9 || notes.triple || fmin(off, 1 - off) > 0.1) bar = -1; /* labels between beats say nothing */
    add(m.notes, m.note_count, ppq, beat, bar, 0, fold);
    for (int k = 0; k < 4; k++) excerpt(m.notes, m.note_count, 32, ppq, beat, bar, 2, fold);
    for (size_t i = 0; i < m.note_count; i++) {
        copy[i] = m.notes[i];
        copy[i].start += llround(sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()) * SHAKE * ppq);
        if (copy[i].end <= copy[i].start) copy[i].end = copy[i].start + 1;
    }
    qsort(copy, m.note_count, sizeof *copy, by_start);
    add(copy, m.note_count, ppq, beat, bar, 1, fold);
    size_t tune = 0;
    for (size_t i = 0; i < m.note_count; i++)
        if (strcmp(m.tracks[m.notes[i].track].name, "MELODY") == 0) copy[tune++] = m.notes[i];
    add(copy, tune, ppq, beat, bar, 3, fold);
    for (int k = 0; k < 4; k++) excerpt(copy, tune, 64, ppq, beat, bar, 4, fold);
    ct_arena_free(&arena);
}

/* ---- fitting */
static void fits_of(const ct_phase_model *m, const example *e, double *fits) {
    for (int p = 0; p < CT_PHASE_PLACES; p++) fits[p] = ct_phase_fit(m, &e->table, p, e->gathered[p % 4]);
}

static void learn(const example *e, const ct_phase_model *m, double *gradient) {
    double fits[CT_PHASE_PLACES], top = -INFINITY, all = 0, right = 0;
    fits_of(m, e, fits);
    for (int p = 0; p < CT_PHASE_PLACES; p++) top = fmax(top, fits[p]);
    for (int p = 0; p < CT_PHASE_PLACES; p++) {
        all += exp(fits[p] - top);
        if (e->right >> p & 1) right += exp(fits[p] - top) + 1e-12;
    }
    for (int first = 0; first < CT_PHASE_PLACES; first++) {
        double share = exp(fits[first] - top),
               error = share / all - (e->right >> first & 1 ? (share + 1e-12) / right : 0);
        for (int k = 0; k < CT_PHASE_CUES; k++)
            for (int p = 0; p < CT_PHASE_PLACES; p++)
                gradient[k * CT_PHASE_PLACES + p] += error * (double)e->table.places[k][(p + first) % CT_PHASE_PLACES];
        gradient[WEIGHTS] += error * e->gathered[first % 4];
    }
}

static void set(ct_phase_model *m, const double *at) {
    for (int k = 0; k < CT_PHASE_CUES; k++)
        for (int p = 0; p < CT_PHASE_PLACES; p++) m->weights[k][p] = (float)at[k * CT_PHASE_PLACES + p];
    m->gathered = (float)at[WEIGHTS];
}

static void fit(int fold, ct_phase_model *m) {
    double at[PARAMETERS] = {0}, mean[PARAMETERS] = {0}, square[PARAMETERS] = {0};
    at[WEIGHTS] = 1;
    for (int round = 0; round < ROUNDS; round++) {
        double gradient[PARAMETERS] = {0}, used = 0;
        set(m, at);
        for (size_t i = 0; i < example_count; i++) {
            if (examples[i].fold == fold || !examples[i].right) continue;
            learn(&examples[i], m, gradient);
            used++;
        }
        for (int i = 0; i < PARAMETERS; i++) {
            double g = gradient[i] / used + (i < WEIGHTS ? DECAY * at[i] : 0);
            mean[i] = 0.9 * mean[i] + 0.1 * g;
            square[i] = 0.99 * square[i] + 0.01 * g * g;
            at[i] -= 0.02 * (1 - (double)round / ROUNDS) * mean[i] / (1 - pow(0.9, round + 1)) /
                     (sqrt(square[i] / (1 - pow(0.99, round + 1))) + 1e-8);
        }
    }
    set(m, at);
}

static void folds(void) {
    static ct_phase_model m[2];
    for (int f = 0; f < 2; f++) fit(f, &m[f]);
    for (int hold = 0; hold < 7; hold++) {
        double right[KINDS] = {0}, all[KINDS] = {0};
        for (size_t i = 0; i < example_count; i++) {
            const example *e = &examples[i];
            int            beats = 0, best = ct_phase_best(&m[e->fold], &e->table, e->gathered, hold < 6 ? hold : 1e3);
            for (int p = 0; p < CT_PHASE_PLACES; p++)
                if (e->right >> p & 1) beats |= 1 << p % 4;
            right[e->kind] += beats >> best & 1;
            all[e->kind]++;
        }
        printf("hold %d:", hold);
        for (int k = 0; k < KINDS; k++) printf("  %s %.4f", KIND[k], right[k] / all[k]);
        printf("\n");
    }
}

int main(int argc, char **argv) {
    static ct_phase_model m;
    if (argc < 2) {
        fprintf(stderr, "usage: fit_phase POP909 [folds] > core/music/phase_weights.c\n");
        return 2;
    }
    examples = calloc(EXAMPLES, sizeof *examples);
    if (!examples) return 1;
    for (int number = 1; number < 600; number += 2) load(argv[1], number);
    if (!example_count) {
        fprintf(stderr, "%s: no songs\n", argv[1]);
        return 1;
    }
    if (argc > 2) {
        folds();
        free(examples);
        return 0;
    }
    fit(-1, &m);
    printf("/* phase_weights.c -- the weights of phase.h, in the order of its cues and places.\n"
           " *\n"
           " * Fitted on the odd songs of POP909 by tests/tools/fit_phase: make fit-phase\n"
           " */\n#include \"core/music/phase.h\"\n\n/* clang-format off */\n"
           "const ct_phase_model ct_phase_fitted = {\n    {");
    for (int k = 0; k < CT_PHASE_CUES; k++) {
        printf("%s{", k ? "     " : "");
        for (int p = 0; p < CT_PHASE_PLACES; p++)
            printf("%s%.3ff", p ? p % 8 ? ", " : ",\n      " : "", (double)m.weights[k][p]);
        printf(k + 1 < CT_PHASE_CUES ? "},\n" : "}},\n");
    }
    printf("    %.4ff,\n};\n/* clang-format on */\n", (double)m.gathered);
    free(examples);
    return 0;
}
