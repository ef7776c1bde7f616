/* chord_model.c -- see chord_model.h. */
#include "core/music/chord_model.h"

#include <math.h>
#include <string.h>

enum { STATES = CT_CHORD_STATES, NONE = CT_CHORD_NONE, QUALITIES = CT_CHORD_QUALITIES };
static const float NONE_OF_TONES = 3; /* price of no chord where there is harmony: by music of many styles */
static const float HOPELESS = 12;     /* states that score so much less than the best of a beat are left out */

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
typedef struct link {
    uint8_t states[STATES]; /* those worth looking at */
    int     count;
    float   change, likely[STATES]; /* both as factors */
} link;

typedef struct chain {
    const ct_chord_weights *weights;
    link                   *links;
    int32_t                 beats;
    float                   move[QUALITIES][12][QUALITIES], to_none[QUALITIES], from_none; /* as factors */
} chain;

/* POP909 calls what stands between its chords none; in music of other kinds two tones that sound have a harmony. */
static bool has_harmony(const ct_chord_view *view) {
    const float HEARD = 0.25f; /* a sixteenth of the beat: rows hold roots */
    int         tones = 0;
    for (int i = 0; i < 12; i++) tones += view->rows[0][i] >= HEARD;
    return tones >= 2;
}

static void prepare(chain *c, const ct_chord_view *views) {
    for (int a = 0; a < QUALITIES; a++) {
        for (int d = 0; d < 12; d++)
            for (int b = 0; b < QUALITIES; b++) c->move[a][d][b] = expf(c->weights->move[a][d][b]);
        c->to_none[a] = expf(c->weights->to_none[a]);
    }
    c->from_none = expf(c->weights->from_none);
    for (int32_t t = 0; t < c->beats; t++) {
        link           *l = &c->links[t];
        ct_chord_scores scores;
        ct_chord_score(c->weights, &views[t], &scores);
        if (has_harmony(&views[t])) scores.state[NONE] -= NONE_OF_TONES;
        float top = scores.state[0];
        for (int s = 1; s < STATES; s++) top = fmaxf(top, scores.state[s]);
        for (int s = 0; s < STATES; s++) {
            l->likely[s] = scores.state[s] < top - HOPELESS ? 0 : expf(scores.state[s] - top);
            if (l->likely[s] > 0) l->states[l->count++] = (uint8_t)s;
        }
        l->change = expf(scores.change);
    }
}

/* The factor of a move between different states, or of staying. */
static float factor(const chain *c, int a, int b, float change) {
    if (a == b) return 1;
    if (b == NONE) return change * c->to_none[a % QUALITIES];
    if (a == NONE) return change * c->from_none;
    int interval = b / QUALITIES - a / QUALITIES;
    return change * c->move[a % QUALITIES][interval < 0 ? interval + 12 : interval][b % QUALITIES];
}

static void normalise(const link *l, float *row) {
    float sum = 0;
    for (int i = 0; i < l->count; i++) sum += row[l->states[i]];
    for (int i = 0; i < l->count; i++) row[l->states[i]] /= sum;
}

static void forward(const chain *c, float (*row)[STATES]) {
    for (int32_t t = 0; t < c->beats; t++) {
        const link *l = &c->links[t], *before = l - 1;
        for (int i = 0; i < l->count; i++) {
            int   b = l->states[i];
            float sum = t ? 0 : 1;
            for (int k = 0; t && k < before->count; k++)
                sum += row[t - 1][before->states[k]] * factor(c, before->states[k], b, l->change);
            row[t][b] = sum * l->likely[b];
        }
        normalise(l, row[t]);
    }
}

/* Multiplies what comes after each beat into `row`. */
static ct_status backward(const chain *c, ct_arena *arena, float (*row)[STATES]) {
    float *after = CT_NEW(arena, float, STATES), *next = CT_NEW(arena, float, STATES);
    if (!after || !next) return CT_ENOMEM;
    for (int s = 0; s < STATES; s++) after[s] = 1;
    for (int32_t t = c->beats - 2; t >= 0; t--) {
        const link *l = &c->links[t], *then = l + 1;
        for (int k = 0; k < then->count; k++)
            next[then->states[k]] = after[then->states[k]] * then->likely[then->states[k]];
        for (int i = 0; i < l->count; i++) {
            int a = l->states[i];
            after[a] = 0;
            for (int k = 0; k < then->count; k++)
                after[a] += next[then->states[k]] * factor(c, a, then->states[k], then->change);
        }
        normalise(l, after);
        for (int i = 0; i < l->count; i++) row[t][l->states[i]] *= after[l->states[i]];
        normalise(l, row[t]);
    }
    return CT_OK;
}

ct_status ct_chord_posterior(const ct_chord_weights *weights, const ct_chord_view *views, int32_t beats,
                             ct_arena *arena, float **out) {
    chain *c = CT_NEW(arena, chain, 1);
    float *rows = *out = CT_NEW(arena, float, (size_t)beats *STATES);
    if (!c || !rows) return CT_ENOMEM;
    c->weights = weights;
    c->beats = beats;
    c->links = CT_NEW(arena, link, (size_t)beats);
    if (!c->links) return CT_ENOMEM;
    prepare(c, views);
    forward(c, (float(*)[STATES])rows);
    return backward(c, arena, (float(*)[STATES])rows);
}
