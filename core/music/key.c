/* key.c -- see key.h. */
#include "core/music/key.h"

#include <math.h>

enum { KEYS = 24, HOLD_BARS = 8, REACH = 4 };

/* Albrecht and Shanahan 2013, tonic first: major, minor. */
static const double PROFILE[2][12] = {
    {.238, .006, .111, .006, .137, .094, .016, .214, .009, .080, .008, .081},
    {.220, .006, .104, .123, .019, .103, .012, .214, .062, .022, .061, .052},
};

/* Pearson correlation of the weights with the profile of `key`. */
static double correlation(const double w[12], int key) {
    const double *p = PROFILE[key / 12];
    double        mean_w = 0, mean_p = 0, wp = 0, ww = 0, pp = 0;
    for (int i = 0; i < 12; i++) {
        mean_w += w[i] / 12;
        mean_p += p[i] / 12;
    }
    for (int i = 0; i < 12; i++) {
        double a = w[i] - mean_w, b = p[(i + 12 - key % 12) % 12] - mean_p;
        wp += a * b;
        ww += a * a;
        pp += b * b;
    }
    return ww > 0 ? wp / sqrt(ww * pp) : 0;
}

int ct_key_of(const double weights[12]) {
    int    best = 0;
    double top = -2;
    for (int key = 0; key < KEYS; key++) {
        double c = correlation(weights, key);
        if (c <= top) continue;
        top = c;
        best = key;
    }
    return best;
}

static double weight(const ct_grid_note *n) {
    return fmin(n->end - n->start, 4); /* beats */
}

/* Weights of the notes, by bar of their start and pitch class. */
static void weigh(const ct_grid *grid, const ct_grid_note *notes, size_t count, double (*bars)[12]) {
    int32_t bar = 0;
    for (size_t i = 0; i < count; i++) {
        const ct_grid_note *n = &notes[i];
        while (bar + 1 < grid->bar_count && n->start >= grid->bars[bar + 1].beat) bar++;
        bars[bar][n->pitch % 12] += weight(n);
    }
}

/* How well each key fits the nine bars around each bar; `overall` is the mean over the bars. */
static void fit_keys(const double (*bars)[12], int32_t count, double (*fit)[KEYS], double *overall) {
    for (int key = 0; key < KEYS; key++) overall[key] = 0;
    for (int32_t b = 0; b < count; b++) {
        double window[12] = {0};
        for (int32_t k = b - REACH; k <= b + REACH; k++)
            for (int i = 0; k >= 0 && k < count && i < 12; i++) window[i] += bars[k][i];
        for (int key = 0; key < KEYS; key++) overall[key] += (fit[b][key] = correlation(window, key)) / count;
    }
}

/* The best row of keys: each bar earns its fit, keys other than the overall one a little less, each change pays
 * CHANGE. */
static ct_status follow(const double (*fit)[KEYS], int32_t count, int overall, ct_arena *arena, uint8_t *out) {
    const double CHANGE = 3.0, AWAY = 0.05;
    uint8_t(*from)[KEYS] = ct_arena_alloc(arena, (size_t)count, sizeof *from);
    if (!from) return CT_ENOMEM;
    double best[KEYS] = {0};
    for (int32_t b = 0; b < count; b++) {
        int top = 0;
        for (int key = 1; key < KEYS; key++)
            if (best[key] > best[top]) top = key;
        double jump = best[top] - CHANGE;
        for (int key = 0; key < KEYS; key++) {
            bool jumps = b && jump > best[key];
            from[b][key] = (uint8_t)(jumps ? top : key);
            best[key] = (jumps ? jump : best[key]) + fit[b][key] - (key == overall ? 0 : AWAY);
        }
    }
    int key = 0;
    for (int k = 1; k < KEYS; k++)
        if (best[k] > best[key]) key = k;
    for (int32_t b = count - 1; b >= 0; b--) {
        out[b] = (uint8_t)key;
        key = from[b][key];
    }
    return CT_OK;
}

static int most_held(const uint8_t *keys, int32_t count) {
    int32_t held[KEYS] = {0};
    int     best = 0;
    for (int32_t b = 0; b < count; b++) held[keys[b]]++;
    for (int key = 1; key < KEYS; key++)
        if (held[key] > held[best]) best = key;
    return best;
}

static int best_of(const double *fit) {
    int best = 0;
    for (int key = 1; key < KEYS; key++)
        if (fit[key] > fit[best]) best = key;
    return best;
}

static int relative_of(int key) {
    return key < 12 ? (key + 9) % 12 + 12 : (key - 12 + 3) % 12;
}

/* -1 .. 1: does the music begin on the minor tonic rather than the major one? */
static double begins_minor(const ct_chord *chords, int32_t beats, int major, int minor) {
    int32_t b = 0;
    while (b < beats && chords[b].root == CT_NO_CHORD) b++;
    if (b == beats) return 0;
    bool thirdless = chords[b].quality >= CT_SUS2, low = (ct_quality_mask(chords[b].quality) >> 3 & 1) != 0;
    if (chords[b].root == minor && (low || thirdless)) return 1;
    return chords[b].root == major && !low ? -1 : 0;
}

/* Share of the chords' time that is the major triad or seventh chord on `root`. */
static double dominant_share(const ct_chord *chords, int32_t beats, int root) {
    int32_t all = 0, here = 0;
    for (int32_t b = 0; b < beats; b++) {
        all += chords[b].root != CT_NO_CHORD;
        here += chords[b].root == root && (ct_quality_mask(chords[b].quality) >> 4 & 1);
    }
    return all ? (double)here / all : 0;
}

void ct_key_leanings(int major, const ct_grid_note *notes, size_t count, const ct_chord *chords, int32_t beats,
                     double out[CT_KEY_LEANINGS]) {
    int    minor = relative_of(major);
    double weights[12] = {0};
    for (size_t i = 0; i < count; i++) weights[notes[i].pitch % 12] += weight(&notes[i]);
    out[CT_KEY_LEAN_ALWAYS] = 1;
    out[CT_KEY_LEAN_FIT] = correlation(weights, major) - correlation(weights, minor);
    out[CT_KEY_LEAN_BEGINS] = begins_minor(chords, beats, major, minor % 12);
    out[CT_KEY_LEAN_DOMINANT] = dominant_share(chords, beats, (minor + 7) % 12);
}

/* Log odds of the minor one of two relative keys. */
static double leans_minor(int major, const ct_grid_note *notes, size_t count, const ct_chord *chords, int32_t beats) {
    double leanings[CT_KEY_LEANINGS], odds = 0;
    ct_key_leanings(major, notes, count, chords, beats, leanings);
    for (int i = 0; i < CT_KEY_LEANINGS; i++) odds += (double)ct_key_lean_weights[i] * leanings[i];
    return odds;
}

/* Keys that share their seven notes are not told apart by windows, and short stretches are not believed: such bars take
 * the main key. */
static void settle(uint8_t *keys, int32_t count, int main_key) {
    for (int32_t b = 0, end; b < count; b = end) {
        for (end = b; end < count && keys[end] == keys[b];) end++;
        if (keys[b] == relative_of(main_key) || end - b < HOLD_BARS)
            for (int32_t k = b; k < end; k++) keys[k] = (uint8_t)main_key;
    }
}

/* How likely one of two relative keys is right, by how well the bars fit each pair of them. */
static double pair_likelihood(const double *overall, int key) {
    const double sharpness = (double)ct_key_sharpness;
    double       sum = 0, mine = overall[key] + overall[relative_of(key)];
    for (int major = 0; major < 12; major++)
        sum += exp(sharpness * (overall[major] + overall[relative_of(major)] - mine));
    return 1 / sum;
}

/* The fits of each bar, and their mean over the bars. */
static ct_status fit_bars(const ct_grid *grid, const ct_grid_note *notes, size_t count, ct_arena *arena,
                          double (**fit)[KEYS], double overall[KEYS]) {
    size_t n = (size_t)grid->bar_count;
    double(*bars)[12] = ct_arena_alloc(arena, n, sizeof *bars);
    *fit = ct_arena_alloc(arena, n, sizeof **fit);
    if (!bars || !*fit) return CT_ENOMEM;
    weigh(grid, notes, count, bars);
    fit_keys((const double(*)[12])bars, grid->bar_count, *fit, overall);
    return CT_OK;
}

ct_status ct_key_fits(const ct_grid *grid, const ct_grid_note *notes, size_t count, ct_arena *arena, double out[KEYS]) {
    double(*fit)[KEYS];
    return fit_bars(grid, notes, count, arena, &fit, out);
}

ct_status ct_key_bars(const ct_grid *grid, const ct_grid_note *notes, size_t count, const ct_chord *chords,
                      ct_arena *arena, int *main_key, float *confidence, uint8_t *out) {
    int32_t n = grid->bar_count;
    double(*fit)[KEYS], overall[KEYS];
    CT_TRY(fit_bars(grid, notes, count, arena, &fit, overall));
    CT_TRY(follow((const double(*)[KEYS])fit, n, best_of(overall), arena, out));
    int held = most_held(out, n);
    settle(out, n, held);
    double odds = leans_minor(held < 12 ? held : relative_of(held), notes, count, chords, grid->beat_count);
    *main_key = (odds > 0) == (held >= 12) ? held : relative_of(held);
    for (int32_t b = 0; b < n; b++)
        if (out[b] == held) out[b] = (uint8_t)*main_key;
    *confidence = (float)(pair_likelihood(overall, held) / (1 + exp(-fabs(odds))));
    return CT_OK;
}
