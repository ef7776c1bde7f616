/* fit_chords.c -- fits the weights of chord_model.h and prints them as C (core/music/chord_weights.c).
 *
 *   fit_chords POP909 NOTTINGHAM > core/music/chord_weights.c
 *   fit_chords POP909 NOTTINGHAM check
 *
 * Songs: the odd ones of POP909 001..599, all tracks merged, with chord_midi.txt; every other tune of Nottingham
 * (sorted by name, from the first), with the chords its second track plays. The likelihood of the whole rows of chords
 * is raised by Adam, four songs a step in an order drawn by a fixed generator: the same bytes on every run of the same
 * build. `check` fits on half of them and scores the other half, both ways round, and prints how often chords of each
 * confidence are right.
 */
#include "core/music/chord.h"
#include "core/music/metre.h"
#include "tests/tools/chord_songs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EPOCHS = 12,
    BATCH = 4,
    LEFT_OUT = 25, /* in a hundred */
    STATES = CT_CHORD_STATES,
    NONE = CT_CHORD_NONE,
    QUALITIES = CT_CHORD_QUALITIES
};
static const double RATE = 0.008, DECAY = 0.4, TUNE_WEIGHT = 0.3;
static const float  NEGLIGIBLE = 1e-3f, UNHEARD = 1e-9f;

static uint64_t drawn;

static uint32_t next_random(void) {
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(drawn >> 33);
}

/* ---- the likelihood of a row of chords and its slope */
typedef struct link {
    ct_chord_view   heard;
    ct_chord_scores scores;
    float           likely[STATES], change;                            /* as factors */
    float arrive[STATES], before[STATES], after[STATES], both[STATES]; /* mass that moves here; of the paths */
} link;

static link  links[BEATS_MAX];
static float factors[STATES][STATES], turned[STATES][STATES]; /* of moves, by where from and by where to */
static float wanted[STATES][STATES];                          /* how much more of each is wanted, over its factor */

/* What is heard of a beat: rows are left out at random, so that no chord hangs on a few of them. */
static void leave_out(const ct_chord_view *view, ct_chord_view *heard) {
    *heard = *view;
    for (int row = 0; row < CT_CHORD_ROWS; row++) {
        float by = (int)(next_random() % 100) < LEFT_OUT ? 0 : 100.0f / (100 - LEFT_OUT);
        for (int i = 0; i < 12; i++) heard->rows[row][i] *= by;
    }
}

static void look(const ct_chord_weights *w, const ct_chord_view *views, int32_t count) {
    for (int32_t t = 0; t < count; t++) {
        link *l = &links[t];
        leave_out(&views[t], &l->heard);
        ct_chord_score(w, &l->heard, &l->scores);
        float top = l->scores.state[0];
        for (int s = 1; s < STATES; s++) top = fmaxf(top, l->scores.state[s]);
        for (int s = 0; s < STATES; s++) l->likely[s] = expf(l->scores.state[s] - top) + 1e-30f;
        l->change = expf(l->scores.change);
    }
}

/* to += by * row */
static void add_row(float *to, const float *row, float by) {
    for (int s = 0; s < STATES; s++) to[s] += by * row[s];
}

static void scale(float *row) {
    float sum = 0;
    for (int s = 0; s < STATES; s++) sum += row[s];
    for (int s = 0; s < STATES; s++) row[s] /= sum;
}

static void both_ways(int32_t count) {
    for (int32_t t = 0; t < count; t++) {
        link *l = &links[t], *p = l - 1;
        memset(l->arrive, 0, sizeof l->arrive);
        for (int a = 0; t && a < STATES; a++)
            if (p->before[a] > UNHEARD) add_row(l->arrive, factors[a], p->before[a]);
        for (int s = 0; s < STATES; s++)
            l->before[s] = l->likely[s] * (t ? l->change * l->arrive[s] + p->before[s] : 1);
        scale(l->before);
    }
    for (int32_t t = count - 1; t >= 0; t--) {
        link *l = &links[t], *n = l + 1;
        float ahead[STATES], moving[STATES] = {0};
        for (int s = 0; s < STATES; s++) ahead[s] = t < count - 1 ? n->likely[s] * n->after[s] : 1;
        scale(ahead);
        for (int s = 0; t < count - 1 && s < STATES; s++)
            if (ahead[s] > UNHEARD) add_row(moving, turned[s], ahead[s]);
        for (int s = 0; s < STATES; s++) {
            l->after[s] = ahead[s] + (t < count - 1 ? n->change * moving[s] : 0);
            l->both[s] = l->before[s] * l->after[s];
        }
        scale(l->both);
    }
}

/* Probability of a change at beat t > 0; the moves go into `wanted`, times weight. */
static float expect_moves(int32_t t, float weight) {
    const link *l = &links[t], *p = l - 1;
    float       ahead[STATES], stays = 0, moves = 0;
    for (int s = 0; s < STATES; s++) {
        ahead[s] = l->likely[s] * l->after[s];
        stays += p->before[s] * ahead[s];
        moves += l->arrive[s] * ahead[s] * l->change;
    }
    float by = weight * l->change / (stays + moves);
    for (int a = 0; a < STATES; a++)
        if (p->before[a] > NEGLIGIBLE) add_row(wanted[a], ahead, by * p->before[a]);
    return moves / (stays + moves);
}

/* ---- the slope by the weights */
static void slope_of_root(const ct_chord_weights *w, ct_chord_weights *g, const ct_chord_view *v, int root,
                          const float *hidden, const float *off) {
    float back[CT_CHORD_HIDDEN] = {0}, most = 0;
    for (int q = 0; q < QUALITIES; q++) most = fmaxf(most, fabsf(off[q]));
    if (most < NEGLIGIBLE) return;
    for (int k = 0; k < CT_CHORD_HIDDEN; k++) {
        if (hidden[k] <= 0) continue;
        for (int q = 0; q < QUALITIES; q++) {
            back[k] += off[q] * w->quality[k][q];
            g->quality[k][q] += off[q] * hidden[k];
        }
        g->hidden_bias[k] += back[k];
    }
    for (int q = 0; q < QUALITIES; q++) g->quality_bias[q] += off[q];
    for (int row = 0; row < CT_CHORD_ROWS; row++)
        for (int i = 0; i < 12; i++) {
            float  x = v->rows[row][(root + i) % 12];
            float *to_hidden = g->hidden[row * 12 + i], *direct = g->direct[row * 12 + i];
            if (x == 0) continue;
            for (int k = 0; k < CT_CHORD_HIDDEN; k++) to_hidden[k] += x * back[k];
            for (int q = 0; q < QUALITIES; q++) direct[q] += x * off[q];
        }
}

static void slope_of_signs(const ct_chord_weights *w, ct_chord_weights *g, const ct_chord_view *v, const float *hidden,
                           const float off[2]) {
    float back[CT_CHORD_SIGNS_HIDDEN] = {0};
    for (int k = 0; k < CT_CHORD_SIGNS_HIDDEN; k++) {
        for (int i = 0; i < 2; i++) {
            g->sign_out[k][i] += off[i] * hidden[k];
            if (hidden[k] > 0) back[k] += off[i] * w->sign_out[k][i];
        }
        g->sign_hidden_bias[k] += back[k];
    }
    for (int i = 0; i < 2; i++) g->sign_bias[i] += off[i];
    for (int s = 0; s < CT_CHORD_SIGNS; s++) {
        for (int i = 0; i < 2; i++) g->sign_direct[s][i] += off[i] * v->signs[s];
        for (int k = 0; k < CT_CHORD_SIGNS_HIDDEN; k++) g->sign_hidden[s][k] += back[k] * v->signs[s];
    }
}

static void add_move(ct_chord_weights *g, int a, int b, float by) {
    if (b == NONE)
        g->to_none[a % QUALITIES] += by;
    else if (a == NONE)
        g->from_none += by;
    else
        g->move[a % QUALITIES][(b / QUALITIES - a / QUALITIES + 12) % 12][b % QUALITIES] += by;
}

/* Add the slope of -log likelihood of a song, times weight. */
static void add_slope(const ct_chord_weights *w, ct_chord_weights *g, const song *s, float weight) {
    const ct_chord_view *views = s->views + s->first;
    const int16_t       *labels = s->labels + s->first;
    look(w, views, s->labelled);
    both_ways(s->labelled);
    for (int32_t t = 0; t < s->labelled; t++) {
        link *l = &links[t];
        float off[STATES] = {0}, signs[2] = {0};
        add_row(off, l->both, weight);
        off[labels[t]] -= weight;
        bool moves = t && labels[t] != labels[t - 1];
        if (t) signs[0] = weight * (expect_moves(t, weight) - (float)moves);
        if (moves) add_move(g, labels[t - 1], labels[t], -weight);
        signs[1] = off[NONE];
        for (int r = 0; r < 12; r++) slope_of_root(w, g, &l->heard, r, l->scores.hidden[r], off + r * QUALITIES);
        slope_of_signs(w, g, &views[t], l->scores.sign_hidden, signs);
    }
}

/* ---- fitting */
static void scatter(float *at, size_t count, float width) {
    for (size_t i = 0; i < count; i++) at[i] = ((float)(next_random() % 20001) / 10000 - 1) * width;
}

static void start(ct_chord_weights *w) {
    const float RARE = -4;
    drawn = 909;
    *w = (ct_chord_weights){.from_none = RARE};
    scatter(&w->hidden[0][0], sizeof w->hidden / sizeof(float), 0.15f);
    scatter(&w->quality[0][0], sizeof w->quality / sizeof(float), 0.1f);
    scatter(&w->sign_hidden[0][0], sizeof w->sign_hidden / sizeof(float), 0.3f);
    scatter(&w->sign_out[0][0], sizeof w->sign_out / sizeof(float), 0.2f);
    for (size_t i = 0; i < sizeof w->move / sizeof(float); i++) (&w->move[0][0][0])[i] = RARE;
    for (int q = 0; q < QUALITIES; q++) w->to_none[q] = RARE;
}

typedef struct adam {
    double mean[CT_CHORD_WEIGHTS], square[CT_CHORD_WEIGHTS];
    int    steps;
} adam;

static void descend(ct_chord_weights *w, const ct_chord_weights *g, adam *a, double rate) {
    float       *x = &w->hidden[0][0];
    const float *slope = &g->hidden[0][0];
    a->steps++;
    double mean = 1 - pow(0.9, a->steps), square = 1 - pow(0.99, a->steps);
    for (int i = 0; i < CT_CHORD_WEIGHTS; i++) {
        double s = (double)slope[i];
        a->mean[i] = 0.9 * a->mean[i] + 0.1 * s;
        a->square[i] = 0.99 * a->square[i] + 0.01 * s * s;
        x[i] -= (float)(rate * (a->mean[i] / mean / (sqrt(a->square[i] / square) + 1e-5) + DECAY * (double)x[i]));
    }
}

static void fill_factors(const ct_chord_weights *w) {
    for (int a = 0; a < STATES; a++)
        for (int b = 0; b < STATES; b++) factors[a][b] = turned[b][a] = a == b ? 0 : expf(ct_chord_move(w, a, b));
}

/* half: 0 or 1 takes that half of the songs, -1 all. */
static void fit(ct_chord_weights *w, const song *songs, size_t count, int half) {
    static adam             state;
    static ct_chord_weights g;
    static size_t           order[SONGS_MAX];
    size_t                  n = 0, done = 0;
    for (size_t i = 0; i < count; i++)
        if ((half < 0 || songs[i].half == half) && songs[i].labelled >= 8) order[n++] = i;
    start(w);
    memset(&state, 0, sizeof state);
    double steps = (double)n / BATCH * EPOCHS;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        for (size_t i = n; i-- > 1;) {
            size_t k = next_random() % (i + 1), swap = order[i];
            order[i] = order[k];
            order[k] = swap;
        }
        for (size_t i = 0; i + BATCH <= n; i += BATCH, done++) {
            memset(&g, 0, sizeof g);
            memset(wanted, 0, sizeof wanted);
            fill_factors(w);
            for (size_t k = i; k < i + BATCH; k++)
                add_slope(w, &g, &songs[order[k]], songs[order[k]].tune ? (float)TUNE_WEIGHT : 1);
            for (int a = 0; a < STATES; a++)
                for (int b = 0; b < STATES; b++) add_move(&g, a, b, wanted[a][b] * factors[a][b]);
            descend(w, &g, &state, RATE * fmin(1 - (double)done / steps, (double)(done + 1) / 50));
        }
        fprintf(stderr, "epoch %d of %d\n", epoch + 1, EPOCHS);
    }
}

/* ---- what comes out */
static void print(const ct_chord_weights *w, size_t count, size_t tunes) {
    const float *x = &w->hidden[0][0];
    printf(
        "/* chord_weights.c -- the weights of chord_model.h in units of 1/%d, in the order of its struct.\n"
        " * Made by tests/tools/fit_chords from %zu songs of POP909 (odd numbers) and %zu tunes of Nottingham; don't "
        "edit.\n */\n#include \"core/music/chord_model.h\"\n\n"
        "const int16_t ct_chord_table[CT_CHORD_WEIGHTS] = {\n",
        CT_CHORD_UNIT, count - tunes, tunes);
    for (int i = 0, width = 0; i < CT_CHORD_WEIGHTS; i++) {
        char text[16];
        int  n = snprintf(text, sizeof text, "%ld,", lroundf(fmaxf(fminf(x[i], 127), -127) * CT_CHORD_UNIT));
        bool wraps = width && width + 1 + n > 116;
        printf("%s%s%s", wraps ? "\n" : "", wraps || !width ? "    " : " ", text);
        width = wraps || !width ? n : width + 1 + n;
    }
    printf("\n};\n");
}

#ifndef FIT_CHORDS_PART
int main(int argc, char **argv) {
    static song             songs[SONGS_MAX];
    static ct_chord_weights w;
    if (argc < 3) {
        fprintf(stderr, "usage: fit_chords POP909 NOTTINGHAM [check] > core/music/chord_weights.c\n");
        return 2;
    }
    size_t tunes = 0, count = load_songs(argv[1], argv[2], songs);
    for (size_t i = 0; i < count; i++) tunes += songs[i].tune;
    if (!count) {
        fprintf(stderr, "%s: no songs\n", argv[1]);
        return 1;
    }
    if (argc > 3)
        check_halves(songs, count, fit);
    else {
        fit(&w, songs, count, -1);
        print(&w, count, tunes);
    }
    return 0;
}
#endif
