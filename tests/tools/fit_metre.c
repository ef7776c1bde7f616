/* fit_metre.c -- fits the weights of barline.h and prints them as C (core/music/barline_weights.c).
 *
 *   fit_metre POP909 > core/music/barline_weights.c
 *   fit_metre POP909 folds            how well weights fitted on one half of the songs do on the other
 *
 * The odd songs 1..599 in bars of four. Where bars lie: the tune in melody.txt (in sixteenths of the human score) is
 * found again among the onsets of track MELODY; its place against them changes where the performance has a bar of two
 * more or less. A linear-chain model over places in the bar is fitted by gradient descent: likelihood of the rows of
 * bars that the score allows, over all rows. The same bytes on every run of the same build.
 */
#include "core/music/barline.h"
#include "core/music/grid.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SONGS = 300, TICKS = 16384, BEFORE = 512, SHIFTS = 24, NOTES = 4096, LINES = 512, ROUNDS = 400, WINDOW = 32 };
enum { CUES = CT_PULSE_CUES, PARAMETERS = 4 * CUES };
static const double DECAY = 0.03, JUMP = 6;

typedef struct song {
    ct_arena arena;
    int      number, line_count;
    int32_t  beats, lines[LINES]; /* the beats on which the bars of the score begin */
    ct_pulse pulse;
    uint8_t *allowed; /* places in the bar each beat may have, a bit each */
} song;

static song   songs[SONGS];
static size_t song_count;

static void check(ct_status status) {
    if (status == CT_OK) return;
    fprintf(stderr, "%s\n", ct_message());
    exit(1);
}

/* ---- annotations */
/* A field of the song's line in a table with a head. */
static double field(const char *folder, const char *table, int number, const char *name) {
    char path[512], line[4096], id[8];
    snprintf(path, sizeof path, "%s/%s", folder, table);
    snprintf(id, sizeof id, "%03d", number);
    FILE *f = fopen(path, "r");
    int   column = -1;
    for (bool head = true; f && fgets(line, sizeof line, f); head = false) {
        char *rest = line, *first = strsep(&rest, "\t\n"), *text = first;
        if (!head && strcmp(first, id) != 0) continue;
        for (int k = 0; text; text = strsep(&rest, "\t\n"), k++) {
            if (head && strcmp(text, name) == 0) column = k;
            if (!head && k == column) {
                double value = strtod(text, NULL);
                fclose(f);
                return value;
            }
        }
    }
    if (f) fclose(f);
    return 0;
}

/* How many bars the labels of human_label1.txt have together: "i4A4B8". */
static int label_bars(const char *folder, int number) {
    char path[512], text[512] = "";
    snprintf(path, sizeof path, "%s/%03d/human_label1.txt", folder, number);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    int bars = 0;
    if (fgets(text, sizeof text, f))
        for (char *c = text; *c > ' ';) bars += (int)strtol(c + 1, &c, 10);
    fclose(f);
    return bars;
}

typedef struct tune {
    int count, start[NOTES], pitch[NOTES], shift[NOTES];
} tune;

static void read_tune(const char *folder, int number, tune *t) {
    char path[512];
    int  pitch, length, at = 0;
    t->count = 0;
    snprintf(path, sizeof path, "%s/%03d/melody.txt", folder, number);
    FILE *f = fopen(path, "r");
    /* NOLINTNEXTLINE(cert-err34-c): annotations, not input */
    while (f && fscanf(f, "%d %d", &pitch, &length) == 2) {
        if (pitch > 0 && t->count < NOTES) {
            t->start[t->count] = at;
            t->pitch[t->count++] = pitch;
        }
        at += length;
    }
    if (f) fclose(f);
}

/* The shift of each note of the tune against the performance, in sixteenths: few changes, most notes found. Returns the
 * share of notes found. */
static double align(tune *t, const ct_midi *m, double phase) {
    static uint8_t heard[128][TICKS];
    static int     votes[2 * TICKS];
    static double  best[NOTES][SHIFTS];
    static uint8_t back[NOTES][SHIFTS];
    memset(heard, 0, sizeof heard);
    memset(votes, 0, sizeof votes);
    for (size_t i = 0; i < m->note_count; i++) {
        if (strcmp(m->tracks[m->notes[i].track].name, "MELODY") != 0) continue;
        long at = lround(((double)m->notes[i].start - phase) * 4 / m->ppq) + BEFORE;
        if (at < 0 || at >= TICKS) continue;
        heard[m->notes[i].pitch][at] = 1;
        for (int k = 0; k < t->count; k++) votes[at - t->start[k] + TICKS] += t->pitch[k] == m->notes[i].pitch;
    }
    int shift[SHIFTS], top = 0;
    for (int s = 0; s < SHIFTS; s++) {
        for (int v = 0; v < 2 * TICKS; v++)
            if (votes[v] > votes[top]) top = v;
        shift[s] = top - TICKS;
        votes[top] = 0;
    }
    for (int k = 0; k < t->count; k++) {
        int lead = 0;
        for (int s = 1; k && s < SHIFTS; s++)
            if (best[k - 1][s] > best[k - 1][lead]) lead = s;
        for (int s = 0; s < SHIFTS; s++) {
            int  at = t->start[k] + shift[s];
            bool jump = k && best[k - 1][lead] - JUMP > best[k - 1][s];
            back[k][s] = (uint8_t)(jump ? lead : s);
            best[k][s] = (k ? best[k - 1][back[k][s]] - (jump ? JUMP : 0) : 0) +
                         (at >= 0 && at < TICKS && heard[t->pitch[k]][at]);
        }
    }
    int    s = 0;
    double found = 0;
    for (int i = 1; i < SHIFTS; i++)
        if (best[t->count - 1][i] > best[t->count - 1][s]) s = i;
    for (int k = t->count - 1; k >= 0; s = back[k--][s]) {
        int at = t->start[k] + shift[s];
        t->shift[k] = shift[s] - BEFORE;
        found += at >= 0 && at < TICKS && heard[t->pitch[k]][at];
    }
    return found / t->count;
}

/* The beats on which the bars of the score begin. */
static void find_lines(song *s, const tune *t, int bars, double beat_0) {
    for (int bar = 0, k = 0; bar < bars && bar < LINES; bar++) {
        while (k + 1 < t->count && abs(t->start[k + 1] - 16 * bar) < abs(t->start[k] - 16 * bar)) k++;
        s->lines[s->line_count++] = (int32_t)floor((16 * bar + t->shift[k]) / 4.0 - beat_0 + 0.5);
    }
}

static void allow(song *s) {
    s->allowed = CT_NEW(&s->arena, uint8_t, (size_t)s->beats);
    if (!s->allowed) check(CT_ENOMEM);
    int32_t first = s->lines[0], last = s->lines[s->line_count - 1];
    for (int32_t b = 0; b < s->beats; b++)
        s->allowed[b] = (uint8_t)(b < first ? 1 << ((b - first) % 4 + 4) % 4 : b < last ? 15 : 1 << (b - last) % 4);
    for (int i = 0; i + 1 < s->line_count; i++)
        for (int32_t b = s->lines[i]; s->lines[i + 1] - s->lines[i] == 4 && b < s->lines[i + 1]; b++)
            if (b >= 0 && b < s->beats) s->allowed[b] = (uint8_t)(1 << (b - s->lines[i]));
}

static void load(const char *folder, int number) {
    static uint8_t bytes[1 << 20];
    static tune    t;
    char           path[512];
    song          *s = &songs[song_count];
    ct_midi        m;
    snprintf(path, sizeof path, "%s/%03d/%03d.mid", folder, number, number);
    FILE *f = fopen(path, "rb");
    if (!f) return;
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    if ((int)field(folder, "index.tsv", number, "beats_per_measure") == 3) return;
    if (field(folder, "structure_alignment.tsv", number, "scale") != 1) return;
    check(ct_midi_read(bytes, size, &s->arena, &m));
    double phase = ct_grid_phase(m.notes, m.note_count, m.ppq, NULL), first = INFINITY, last = 0;
    for (size_t i = 0; i < m.note_count; i++) {
        first = fmin(first, (double)m.notes[i].start);
        last = fmax(last, fmin((double)m.notes[i].end, (double)m.notes[i].start + 8.0 * m.ppq));
    }
    double origin = phase + floor((first - phase) / m.ppq + 0.1) * m.ppq;
    double truth = field(folder, "index.tsv", number, "beat_phase_ticks");
    s->number = number;
    s->line_count = 0;
    s->beats = (int32_t)ceil((last - origin) / m.ppq);
    read_tune(folder, number, &t);
    if (align(&t, &m, truth) < 0.9) {
        ct_arena_free(&s->arena);
        return;
    }
    find_lines(s, &t, label_bars(folder, number), (origin - truth) / m.ppq);
    allow(s);
    check(ct_pulse_cues(&m, origin, m.ppq, s->beats, &s->arena, &s->pulse));
    song_count++;
}

/* ---- the model: which of its four places the bar line has in a window of 32 beats */
typedef struct model {
    float weights[4][CUES];
} model;

typedef struct window {
    double cues[4][CUES]; /* means over the beats of each place, less those of all, times the root of how many bars */
    int    first;         /* the place where bars begin */
    int    fold;
} window;

static window windows[SONGS * 64];
static size_t window_count;

static int fold_of(const song *s) {
    return s->number / 2 % 2;
}

static void add_window(const song *s, int32_t begin, int32_t end) {
    window *w = &windows[window_count];
    int     phase = -1;
    for (int32_t b = begin; b < end; b++)
        for (int p = 0; p < 4; p++) {
            if (s->allowed[b] == 15) return;
            if (s->allowed[b] != 1 << p) continue;
            int here = ((b - begin - p) % 4 + 4) % 4;
            if (phase >= 0 && here != phase) return;
            phase = here;
        }
    *w = (window){.first = phase, .fold = fold_of(s)};
    double bars = (end - begin) / 4.0;
    for (int k = 0; k < CUES; k++) {
        double all = 0;
        int    n[4] = {0};
        for (int32_t b = begin; b < end; b++) n[(b - begin) % 4]++;
        for (int32_t b = begin; b < end; b++)
            w->cues[(b - begin) % 4][k] += (double)s->pulse.rows[b][k] / n[(b - begin) % 4];
        for (int p = 0; p < 4; p++) all += w->cues[p][k] / 4;
        for (int p = 0; p < 4; p++) w->cues[p][k] = (w->cues[p][k] - all) * sqrt(bars);
    }
    window_count++;
}

static void cut_windows(void) {
    for (size_t i = 0; i < song_count; i++)
        for (int32_t b = 0; b + WINDOW / 2 < songs[i].beats; b += WINDOW)
            add_window(&songs[i], b, b + WINDOW < songs[i].beats ? b + WINDOW : songs[i].beats);
}

/* Adds the gradient of the window's log loss. */
static void learn(const window *w, const double *at, double *gradient) {
    double fits[4], top = -INFINITY, all = 0;
    for (int r = 0; r < 4; r++) {
        fits[r] = 0;
        for (int p = 0; p < 4; p++)
            for (int k = 0; k < CUES; k++) fits[r] += at[p * CUES + k] * w->cues[(p + r) % 4][k];
        top = fmax(top, fits[r]);
    }
    for (int r = 0; r < 4; r++) all += exp(fits[r] - top);
    for (int r = 0; r < 4; r++) {
        double error = exp(fits[r] - top) / all - (r == w->first);
        for (int p = 0; p < 4; p++)
            for (int k = 0; k < CUES; k++) gradient[p * CUES + k] += error * w->cues[(p + r) % 4][k];
    }
}

/* Fit on the songs that are not of `fold` (-1: all): Adam, with weights held small. */
static void fit(int fold, model *m) {
    double at[PARAMETERS] = {0}, mean[PARAMETERS] = {0}, square[PARAMETERS] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        double gradient[PARAMETERS] = {0}, used = 0;
        for (size_t i = 0; i < window_count; i++) {
            if (windows[i].fold == fold) continue;
            learn(&windows[i], at, gradient);
            used++;
        }
        for (int i = 0; i < PARAMETERS; i++) {
            double g = gradient[i] / used + DECAY * at[i];
            mean[i] = 0.9 * mean[i] + 0.1 * g;
            square[i] = 0.99 * square[i] + 0.01 * g * g;
            at[i] -= 0.02 * (1 - (double)round / ROUNDS) * mean[i] / (1 - pow(0.9, round + 1)) /
                     (sqrt(square[i] / (1 - pow(0.99, round + 1))) + 1e-8);
        }
    }
    for (int i = 0; i < PARAMETERS; i++) m->weights[i / CUES][i % CUES] = (float)(at[i] / sqrt(WINDOW / 4.0));
}

/* ---- how well it does */
typedef struct tally {
    double right, found, wanted, middle, regular, cut;
} tally;

static void score(song *s, const model *m, const float *price, tally *t) {
    ct_arena    arena = {0};
    ct_barlines lines;
    check(ct_barline_find(&s->pulse, s->beats, 4, m->weights, price, &arena, &lines));
    int32_t first = s->lines[0], last = s->lines[s->line_count - 1];
    bool    regular = true, cut = false;
    int     right = 0, found = 0;
    for (int i = 0; i < s->line_count; i++) {
        regular = regular && (s->lines[i] - first) % 4 == 0;
        right += s->lines[i] >= 0 && s->lines[i] < s->beats && lines.position[s->lines[i]] == 0;
    }
    for (int32_t b = first < 0 ? 0 : first; b < last + 4 && b < s->beats; b++) {
        found += lines.position[b] == 0;
        cut = cut || (b > first && lines.position[b] == 0 && lines.position[b - 1] < 3);
    }
    tally  *to = &t[!regular];
    int32_t middle = s->beats / 2;
    to->right += 2.0 * right / (found + s->line_count);
    to->regular++;
    to->cut += cut;
    to->middle += regular && lines.position[middle] == ((middle - first) % 4 + 4) % 4;
    if (getenv("VERBOSE") && price[0] == 5 && 2.0 * right / (found + s->line_count) < 0.9)
        fprintf(stderr, "# %03d %s F %.2f\n", s->number, regular ? "" : "irregular",
                2.0 * right / (found + s->line_count));
    ct_arena_free(&arena);
}

static void folds(void) {
    static model m[2];
    for (int f = 0; f < 2; f++) fit(f, &m[f]);
    for (int price = 3; price <= 12; price += price < 8 ? 1 : 4) {
        tally t[2] = {{0}};
        float prices[2] = {(float)price, 2 * (float)price};
        for (size_t k = 0; k < song_count; k++) score(&songs[k], &m[fold_of(&songs[k])], prices, t);
        printf("price %d: regular F %.4f middle %.4f cut %.0f of %.0f; irregular F %.4f of %.0f; all F %.4f\n", price,
               t[0].right / t[0].regular, t[0].middle / t[0].regular, t[0].cut, t[0].regular, t[1].right / t[1].regular,
               t[1].regular, (t[0].right + t[1].right) / (t[0].regular + t[1].regular));
    }
}

int main(int argc, char **argv) {
    static model m;
    if (argc < 2) {
        fprintf(stderr, "usage: fit_metre POP909 [folds] > core/music/barline_weights.c\n");
        return 2;
    }
    for (int number = 1; number < 600; number += 2) load(argv[1], number);
    if (!song_count) {
        fprintf(stderr, "%s: no songs\n", argv[1]);
        return 1;
    }
    cut_windows();
    if (argc > 2) {
        folds();
        return 0;
    }
    fit(-1, &m);
    printf("/* barline_weights.c -- the weights of barline.h, in the order of pulse.h's cues.\n"
           " *\n"
           " * Fitted on %zu odd songs of POP909 by tests/tools/fit_metre: make fit-barline\n"
           " */\n#include \"core/music/barline.h\"\n\n/* clang-format off */\n",
           song_count);
    printf("const float ct_barline_weights[4][CT_PULSE_CUES] = {\n");
    for (int p = 0; p < 4; p++) {
        printf("    {");
        for (int k = 0; k < CUES; k++) printf("%s%.4ff", k ? k % 10 ? ", " : ",\n     " : "", (double)m.weights[p][k]);
        printf("},\n");
    }
    printf("};\n/* clang-format on */\n");
    return 0;
}
