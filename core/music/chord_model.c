/* chord_model.c -- see chord_model.h. */
#include "core/music/chord_model.h"

#include <math.h>
#include <string.h>

enum { STATES = CT_CHORD_STATES, NONE = CT_CHORD_NONE, QUALITIES = CT_CHORD_QUALITIES };
static const float NONE_OF_TONES = 3; /* price of no chord where there is harmony: by music of many styles */
static const float UNHEARD = 1e-6f;   /* states less likely have no say in where their neighbours go */
static const float HOPELESS = -12;    /* scores further below the best of a beat count as this */

/* ---- one beat */
static void score_root(const ct_chord_weights *w, const ct_chord_view *view, int root, float *hidden, float *out) {
    memcpy(hidden, w->hidden_bias, sizeof w->hidden_bias);
    memcpy(out, w->quality_bias, sizeof w->quality_bias);
    for (int row = 0; row < CT_CHORD_ROWS; row++) {
        for (int i = 0; i < 12; i++) {
            float        x = view->rows[row][(root + i) % 12];
            const float *to_hidden = w->hidden[row * 12 + i], *direct = w->direct[row * 12 + i];
            if (x == 0) continue;
            for (int k = 0; k < CT_CHORD_HIDDEN; k++) hidden[k] += x * to_hidden[k];
            for (int q = 0; q < QUALITIES; q++) out[q] += x * direct[q];
        }
    }
    for (int k = 0; k < CT_CHORD_HIDDEN; k++) {
        hidden[k] = fmaxf(hidden[k], 0);
        for (int q = 0; q < QUALITIES; q++) out[q] += hidden[k] * w->quality[k][q];
    }
}

void ct_chord_score(const ct_chord_weights *w, const ct_chord_view *view, ct_chord_scores *out) {
    float sign[2] = {w->sign_bias[0], w->sign_bias[1]};
    for (int root = 0; root < 12; root++) {
        /* cppcheck-suppress uninitvar ; this fills it */
        score_root(w, view, root, out->hidden[root], out->state + root * QUALITIES);
    }
    memcpy(out->sign_hidden, w->sign_hidden_bias, sizeof out->sign_hidden);
    for (int i = 0; i < CT_CHORD_SIGNS; i++) {
        for (int k = 0; k < CT_CHORD_SIGNS_HIDDEN; k++) out->sign_hidden[k] += view->signs[i] * w->sign_hidden[i][k];
        for (int k = 0; k < 2; k++) sign[k] += view->signs[i] * w->sign_direct[i][k];
    }
    for (int k = 0; k < CT_CHORD_SIGNS_HIDDEN; k++) {
        out->sign_hidden[k] = fmaxf(out->sign_hidden[k], 0);
        for (int i = 0; i < 2; i++) sign[i] += out->sign_hidden[k] * w->sign_out[k][i];
    }
    out->change = fminf(fmaxf(sign[0], -20), 20);
    out->state[NONE] = sign[1];
}

float ct_chord_move(const ct_chord_weights *w, int a, int b) {
    if (b == NONE) return w->to_none[a % QUALITIES];
    if (a == NONE) return w->from_none;
    return w->move[a % QUALITIES][(b / QUALITIES - a / QUALITIES + 12) % 12][b % QUALITIES];
}

ct_status ct_chord_fitted(ct_arena *arena, const ct_chord_weights **out) {
    ct_chord_weights *w = CT_NEW(arena, ct_chord_weights, 1);
    if (!w) return CT_ENOMEM;
    float *at = &w->hidden[0][0];
    for (int i = 0; i < CT_CHORD_WEIGHTS; i++) at[i] = (float)ct_chord_table[i] / CT_CHORD_UNIT;
    *out = w;
    return CT_OK;
}

/* ---- the chain */
typedef struct chain {
    float *likely; /* of each state by what its beat shows, 1 for the best; beats * STATES */
    float *change; /* by beat, as a factor */
    float  move[STATES][STATES], turned[STATES][STATES]; /* factors, by where from and by where to; staying: 0 */
} chain;

/* POP909 calls what stands between its chords none; in music of other kinds two tones that sound have a harmony. */
static bool has_harmony(const ct_chord_view *view) {
    const float HEARD = 0.25f; /* a sixteenth of the beat: rows hold roots */
    int         tones = 0;
    for (int i = 0; i < 12; i++) tones += view->rows[0][i] >= HEARD;
    return tones >= 2;
}

static void prepare(chain *c, const ct_chord_weights *weights, const ct_chord_view *views, int32_t beats) {
    for (int a = 0; a < STATES; a++)
        for (int b = 0; b < STATES; b++)
            c->move[a][b] = c->turned[b][a] = a == b ? 0 : expf(ct_chord_move(weights, a, b));
    for (int32_t t = 0; t < beats; t++) {
        float          *likely = c->likely + (size_t)t * STATES;
        ct_chord_scores scores;
        ct_chord_score(weights, &views[t], &scores);
        if (has_harmony(&views[t])) scores.state[NONE] -= NONE_OF_TONES;
        float top = scores.state[0];
        for (int s = 1; s < STATES; s++) top = fmaxf(top, scores.state[s]);
        for (int s = 0; s < STATES; s++) likely[s] = expf(fmaxf(scores.state[s] - top, HOPELESS));
        c->change[t] = expf(scores.change);
    }
}

static void normalise(float *row) {
    float sum = 0;
    for (int s = 0; s < STATES; s++) sum += row[s];
    for (int s = 0; s < STATES; s++) row[s] /= sum;
}

/* to = from + change * (what moves from `from`) */
static void pass_on(const float *from, const float (*move)[STATES], float change, float *to) {
    memcpy(to, from, STATES * sizeof *to);
    for (int a = 0; a < STATES; a++) {
        float mass = from[a] * change;
        if (from[a] < UNHEARD) continue;
        for (int b = 0; b < STATES; b++) to[b] += mass * move[a][b];
    }
}

static void multiply(float *row, const float *by) {
    for (int s = 0; s < STATES; s++) row[s] *= by[s];
    normalise(row);
}

static void forward(const chain *c, int32_t beats, float *rows) {
    for (int32_t t = 0; t < beats; t++) {
        float *row = rows + (size_t)t * STATES;
        for (int s = 0; !t && s < STATES; s++) row[s] = 1;
        if (t) pass_on(row - STATES, c->move, c->change[t], row);
        multiply(row, c->likely + (size_t)t * STATES);
    }
}

/* Multiplies what comes after each beat into its row. */
static void backward(const chain *c, int32_t beats, float *rows) {
    float after[STATES], next[STATES];
    for (int s = 0; s < STATES; s++) after[s] = 1;
    for (int32_t t = beats - 2; t >= 0; t--) {
        memcpy(next, after, sizeof next);
        multiply(next, c->likely + (size_t)(t + 1) * STATES);
        pass_on(next, c->turned, c->change[t + 1], after);
        multiply(rows + (size_t)t * STATES, after);
    }
}

ct_status ct_chord_posterior(const ct_chord_weights *weights, const ct_chord_view *views, int32_t beats,
                             ct_arena *arena, float **out) {
    chain *c = CT_NEW(arena, chain, 1);
    *out = CT_NEW(arena, float, (size_t)beats *STATES);
    if (!c || !*out) return CT_ENOMEM;
    c->likely = CT_NEW(arena, float, (size_t)beats *STATES);
    c->change = CT_NEW(arena, float, (size_t)beats);
    if (!c->likely || !c->change) return CT_ENOMEM;
    prepare(c, weights, views, beats);
    forward(c, beats, *out);
    backward(c, beats, *out);
    return CT_OK;
}
