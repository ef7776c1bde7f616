/* fit_phrase.c -- fits the weights of phrase.h and prints them as C (core/music/phrase_weights.c).
 *
 *   fit_phrase POP909 > core/music/phrase_weights.c
 *   fit_phrase POP909 folds             how well weights fitted on one half of the songs do on the other
 *
 * The odd songs 1..599 whose labels are aligned, analysed with all tracks merged; phrases begin where human_label1
 * says. A logistic regression over bar lines and a table of lengths. The same bytes on every run of the same build.
 */
#include "core/music/analyse.h"
#include "core/music/phrase.h"
#include "core/music/pop909.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SONGS = 300, ROUNDS = 400, PARAMETERS = CT_PHRASE_CUES + 1, PHRASES = 128 };
static const double DECAY = 0.002;

typedef struct song {
    ct_arena arena;
    int      number, pickup, truth_count, length[PHRASES];
    double   truth[PHRASES], scale; /* boundaries inside the song in our bars, and bars of the labels in one of ours */
    ct_phrases phrases;
    uint8_t   *begins; /* a phrase begins with the bar */
} song;

static song   songs[SONGS];
static size_t song_count;

typedef struct fitted {
    float weights[CT_PHRASE_CUES], length[CT_PHRASE_LENGTHS], bias;
} fitted;

static void check(ct_status status) {
    if (status == CT_OK) return;
    fprintf(stderr, "%s\n", ct_message());
    exit(1);
}

static int fold_of(const song *s) {
    return s->number / 2 % 2;
}

/* The place of a tick in bars of the piece. */
static double bar_at(const ct_analysis *info, int32_t bars, double tick) {
    int32_t i = 0;
    while (i + 1 < bars && info->bar_ticks[i + 1] <= tick) i++;
    return i + (tick - info->bar_ticks[i]) / (info->bar_ticks[i + 1] - info->bar_ticks[i]);
}

static void load(const char *root, int number) {
    static uint8_t bytes[1 << 20];
    char           path[512];
    song          *s = &songs[song_count];
    snprintf(path, sizeof path, "%s/%03d/%03d.mid", root, number, number);
    FILE *f = fopen(path, "rb");
    if (!f) return;
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    ct_midi            m;
    ct_piece           piece;
    ct_analysis        info;
    ct_pop909          notes;
    double             at, matched;
    ct_analyse_options o = ct_analyse_defaults();
    o.use_names = false;
    o.merged = true;
    check(ct_midi_read(bytes, size, &s->arena, &m));
    snprintf(path, sizeof path, "%s/%03d", root, number);
    check(ct_pop909_read(path, &s->arena, &notes));
    check(ct_pop909_origin(&notes, &m, &s->arena, &at, &matched));
    if (matched < 0.9 || ct_analyse(&m, &o, &s->arena, &piece, &info) != CT_OK) {
        ct_arena_free(&s->arena);
        return;
    }
    check(ct_phrase_cues(&piece, &s->arena, &s->phrases));
    s->number = number;
    s->pickup = ct_piece_has_pickup(&piece);
    s->begins = CT_NEW(&s->arena, uint8_t, (size_t)piece.bar_count + 2);
    if (!s->begins) check(CT_ENOMEM);
    double bar = (notes.triple ? 3 : 4) * (double)m.ppq;
    for (size_t i = 0; i < notes.phrase_count && i < PHRASES; i++) {
        s->length[i] = notes.phrases[i].bars;
        at += bar * notes.phrases[i].bars;
        if (i + 1 == notes.phrase_count) break;
        double place = bar_at(&info, piece.bar_count, at);
        s->truth[s->truth_count++] = place;
        if (place >= 0 && place < piece.bar_count) s->begins[(int)floor(place + 0.5)] = 1;
    }
    song_count++;
}

/* ---- fitting */
static void fit(int fold, fitted *m) {
    double at[PARAMETERS] = {0}, mean[PARAMETERS] = {0}, square[PARAMETERS] = {0}, lengths[CT_PHRASE_LENGTHS], all = 0;
    for (int k = 0; k < CT_PHRASE_LENGTHS; k++) lengths[k] = 2;
    for (size_t i = 0; i < song_count; i++)
        for (int k = 0; k <= songs[i].truth_count && fold_of(&songs[i]) != fold; k++)
            if (songs[i].length[k] > 0 && songs[i].length[k] < CT_PHRASE_LENGTHS) lengths[songs[i].length[k]]++;
    for (int k = 1; k < CT_PHRASE_LENGTHS; k++) all += lengths[k];
    for (int k = 1; k < CT_PHRASE_LENGTHS; k++) m->length[k] = (float)log(lengths[k] / all * (CT_PHRASE_LENGTHS - 1));
    m->length[0] = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double gradient[PARAMETERS] = {0}, used = 0;
        for (size_t i = 0; i < song_count; i++) {
            const song *s = &songs[i];
            if (fold_of(s) == fold) continue;
            for (int32_t b = s->pickup + 1; b < s->phrases.bars; b++) {
                double sum = at[CT_PHRASE_CUES];
                for (int k = 0; k < CT_PHRASE_CUES; k++) sum += at[k] * (double)s->phrases.rows[b][k];
                double error = 1 / (1 + exp(-sum)) - s->begins[b];
                for (int k = 0; k < CT_PHRASE_CUES; k++) gradient[k] += error * (double)s->phrases.rows[b][k];
                gradient[CT_PHRASE_CUES] += error;
                used++;
            }
        }
        for (int i = 0; i < PARAMETERS; i++) {
            double g = gradient[i] / used + (i < CT_PHRASE_CUES ? DECAY * at[i] : 0);
            mean[i] = 0.9 * mean[i] + 0.1 * g;
            square[i] = 0.99 * square[i] + 0.01 * g * g;
            at[i] -= 0.03 * (1 - (double)round / ROUNDS) * mean[i] / (1 - pow(0.9, round + 1)) /
                     (sqrt(square[i] / (1 - pow(0.99, round + 1))) + 1e-8);
        }
    }
    for (int k = 0; k < CT_PHRASE_CUES; k++) m->weights[k] = (float)at[k];
    m->bias = (float)at[CT_PHRASE_CUES];
}

/* ---- how well it does */
static int matched(const double *truth, int n, const double *ours, int count) { /* both rise: pairs within one bar */
    int hits = 0;
    for (int i = 0, j = 0; i < n && j < count;) {
        if (fabs(truth[i] - ours[j]) <= 1) {
            hits++;
            i++;
            j++;
        } else if (truth[i] < ours[j]) {
            i++;
        } else {
            j++;
        }
    }
    return hits;
}

static double score(const song *s, const ct_phrase_model *model) {
    ct_arena arena = {0};
    int32_t *lengths = CT_NEW(&arena, int32_t, (size_t)s->phrases.bars), count;
    double  *ours = CT_NEW(&arena, double, (size_t)s->phrases.bars);
    if (!lengths || !ours) check(CT_ENOMEM);
    check(ct_phrase_cut(&s->phrases, s->pickup, model, &arena, lengths, &count));
    double at = s->pickup;
    for (int32_t i = 0; i + 1 < count; i++) ours[i] = at += lengths[i];
    double result = 2.0 * matched(s->truth, s->truth_count, ours, count - 1) / (s->truth_count + count - 1);
    if (getenv("VERBOSE")) fprintf(stderr, "# %03d %.2f %d for %d\n", s->number, result, count - 1, s->truth_count);
    ct_arena_free(&arena);
    return s->truth_count + count - 1 > 0 ? result : 1;
}

static double every(const song *s, int step) {
    double ours[512];
    int    n = 0;
    for (int32_t b = s->pickup + step; b < s->phrases.bars && n < 512; b += step) ours[n++] = b;
    return s->truth_count + n ? 2.0 * matched(s->truth, s->truth_count, ours, n) / (s->truth_count + n) : 1;
}

static void folds(void) {
    static fitted m[2];
    double        four = 0, eight = 0;
    for (int f = 0; f < 2; f++) fit(f, &m[f]);
    for (int k = 0; k < CT_PHRASE_CUES; k++)
        printf("# cue %2d %6.2f %6.2f\n", k, (double)m[0].weights[k], (double)m[1].weights[k]);
    for (size_t i = 0; i < song_count; i++) {
        four += every(&songs[i], 4) / (double)song_count;
        eight += every(&songs[i], 8) / (double)song_count;
    }
    double chosen = 0;
    for (size_t i = 0; i < song_count; i++) {
        ct_phrase_model model = ct_phrase_fitted();
        const fitted   *w = &m[fold_of(&songs[i])];
        model.bias += w->bias - ct_phrase_bias;
        model.weights = w->weights;
        model.length = w->length;
        chosen += score(&songs[i], &model) / (double)song_count;
    }
    printf("every 4: %.4f, every 8: %.4f, as chosen: %.4f of %zu songs\n", four, eight, chosen, song_count);
    for (int again = 0; again < 3; again++)
        for (int share = 0; share < 3; share++) {
            printf("again %.1f share %.1f:", again * 0.5, 0.4 + share * 0.4);
            for (int bias = -3; bias < 2; bias++) {
                double sum = 0;
                for (size_t i = 0; i < song_count; i++) {
                    const fitted   *w = &m[fold_of(&songs[i])];
                    ct_phrase_model model = {w->weights, w->length, w->bias + 0.5F * (float)bias,
                                             0.4F + (float)share * 0.4F, (float)again * 0.5F};
                    sum += score(&songs[i], &model);
                }
                printf(" %.4f", sum / (double)song_count);
            }
            printf("\n");
        }
}

int main(int argc, char **argv) {
    static fitted m;
    if (argc < 2) {
        fprintf(stderr, "usage: fit_phrase POP909 [folds] > core/music/phrase_weights.c\n");
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
    fit(-1, &m);
    printf("/* phrase_weights.c -- the weights of phrase.h, in the order of its cues.\n"
           " *\n"
           " * Fitted on %zu odd songs of POP909 by tests/tools/fit_phrase: make fit-phrase\n"
           " */\n#include \"core/music/phrase.h\"\n\n/* clang-format off */\n",
           song_count);
    printf("const float ct_phrase_bias = %.4ff;\nconst float ct_phrase_weights[CT_PHRASE_CUES] = {\n   ",
           (double)m.bias);
    for (int k = 0; k < CT_PHRASE_CUES; k++) printf("%s%.4ff,", k && k % 9 == 0 ? "\n    " : " ", (double)m.weights[k]);
    printf("\n};\nconst float ct_phrase_length[CT_PHRASE_LENGTHS] = {\n   ");
    for (int k = 0; k < CT_PHRASE_LENGTHS; k++) printf("%s%.3ff,", k == 9 ? "\n    " : " ", (double)m.length[k]);
    printf("\n};\n/* clang-format on */\n");
    return 0;
}
