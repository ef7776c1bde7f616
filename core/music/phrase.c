/* phrase.c -- see phrase.h. */
#include "core/music/phrase.h"

#include <math.h>
#include <stdlib.h>

enum { BEATS_MAX = 8, SPAN = 4, REST_MAX = 8 };

/* What a bar holds, beat by beat. */
typedef struct bar_view {
    int      beats, notes, onsets_around, tonic;
    double   pitches;
    uint8_t  chord[BEATS_MAX]; /* root * 2 + minor third, 24: none */
    uint8_t  rhythm[BEATS_MAX];
    uint16_t onsets[BEATS_MAX]; /* of the melody, in steps */
    int8_t   pitch[BEATS_MAX];  /* class of the first melody note of the beat, -1: none */
} bar_view;

static int bits(unsigned mask) {
    int n = 0;
    for (; mask; mask &= mask - 1) n++;
    return n;
}

static void look(const ct_piece *p, bar_view *views) {
    int32_t beat = 0, note = 0;
    for (int32_t i = 0; i < p->bar_count; i++) {
        bar_view *v = &views[i];
        v->beats = ct_metre_at(p->bars[i].metre)->beats;
        v->tonic = p->bars[i].key % 12;
        for (int k = 0; k < v->beats; k++, beat++) {
            int32_t  step = p->bars[i].start + k * CT_STEPS_PER_BEAT;
            ct_chord c = p->changes[ct_piece_change_at(p, step + CT_STEPS_PER_BEAT / 2)].chord;
            bool     minor = (ct_quality_mask(c.quality) >> 3 & 1) != 0;
            v->chord[k] = (uint8_t)(c.root == CT_NO_CHORD ? 24 : c.root * 2 + minor);
            v->rhythm[k] = p->rhythm[beat];
            v->onsets_around += bits(ct_rhythm_mask(p->rhythm[beat]));
            v->pitch[k] = -1;
            for (; note < p->melody_count && p->melody[note].start < step + CT_STEPS_PER_BEAT; note++) {
                v->onsets[k] |= (uint16_t)(1 << (p->melody[note].start - step));
                if (v->pitch[k] < 0) v->pitch[k] = (int8_t)(p->melody[note].pitch % 12);
                v->notes++;
                v->pitches += p->melody[note].pitch;
            }
        }
    }
}

/* 0..1: half from the chords, the rest from melody and rhythm; b is heard `up` semitones lower. */
static float likeness_at(const bar_view *a, const bar_view *b, int up) {
    float sum = 0;
    for (int k = 0; k < a->beats; k++) {
        int chord = b->chord[k] < 24 ? (b->chord[k] + 24 - 2 * up) % 24 : 24;
        int pitch = b->pitch[k] < 0 ? -1 : (b->pitch[k] + 12 - up) % 12;
        sum += 0.5f * (float)(a->chord[k] == chord);
        sum += 0.25f * (float)(a->pitch[k] == pitch);
        sum += 0.15f * (float)(a->onsets[k] == b->onsets[k]);
        sum += 0.1f * (float)(a->rhythm[k] == b->rhythm[k]);
    }
    return sum / (float)a->beats;
}

/* As they stand, or each from its key's tonic. */
static float likeness(const bar_view *a, const bar_view *b) {
    if (a->beats != b->beats || !a->notes != !b->notes) return 0;
    float same = likeness_at(a, b, 0);
    return a->tonic == b->tonic ? same : fmaxf(same, likeness_at(a, b, (b->tonic - a->tonic + 12) % 12));
}

static void compare(const bar_view *views, ct_phrases *f) {
    size_t n = (size_t)f->bars;
    for (size_t a = n; a-- > 0;)
        for (size_t b = n; b-- > 0;) {
            float next = a + 1 < n && b + 1 < n ? f->alike[(a + 1) * n + b + 1] : 0;
            f->alike[a * n + b] = next + likeness(&views[a], &views[b]);
        }
}

float ct_phrase_likeness(const ct_phrases *f, int32_t a, int32_t b, int32_t bars) {
    size_t  n = (size_t)f->bars;
    int32_t end_a = a + bars, end_b = b + bars;
    float   rest = end_a < f->bars && end_b < f->bars ? f->alike[(size_t)end_a * n + (size_t)end_b] : 0;
    return (f->alike[(size_t)a * n + (size_t)b] - rest) / (float)bars;
}

/* ---- cues */
static void repetition(const ct_phrases *f, int32_t i, float *row) {
    for (int32_t other = SPAN; other + SPAN <= f->bars && i >= SPAN && i + SPAN <= f->bars; other++) {
        if (abs(other - i) < SPAN) continue;
        float after = ct_phrase_likeness(f, i, other, SPAN),
              before = ct_phrase_likeness(f, i - SPAN, other - SPAN, SPAN);
        if (after > 0.5f && after > before) {
            row[CT_PHRASE_AGAIN] += (after - before) * (after - 0.5f);
            row[CT_PHRASE_AGAIN_TOP] = fmaxf(row[CT_PHRASE_AGAIN_TOP], (after - before) * after);
        }
        if (before > 0.5f && before > after) row[CT_PHRASE_ENDED] += (before - after) * (before - 0.5f);
    }
    if (i >= SPAN && i + SPAN <= f->bars) row[CT_PHRASE_NEW] = 1 - ct_phrase_likeness(f, i - SPAN, i, SPAN);
}

/* The tune around the bar line at `line`: `next` is its first note that starts there or later. */
static void breathing(const ct_piece *p, int32_t line, int32_t bar_before, int32_t next, float *row) {
    const double   BEAT = CT_STEPS_PER_BEAT;
    const ct_note *last = next > 0 ? &p->melody[next - 1] : NULL,
                  *first = next < p->melody_count ? &p->melody[next] : NULL;
    double rest = REST_MAX;
    if (last && first) rest = (first->start - fmin(last->end, line)) / BEAT;
    row[CT_PHRASE_BREATH] = (float)fmin(rest, REST_MAX);
    row[CT_PHRASE_LONG] = last && last->end > line - 6 ? (float)fmin((last->end - last->start) / BEAT, REST_MAX) : 0;
    row[CT_PHRASE_EMPTY] = last ? (float)fmin((double)(line - last->start) / (line - bar_before), 2) : 2;
    /* a tune that starts before the line: the longest rest among the notes of the last beat and a half */
    for (int32_t k = next - 1; k >= 0 && line - p->melody[k].start <= 1.5 * BEAT; k--) {
        double before = k ? (p->melody[k].start - p->melody[k - 1].end) / BEAT : REST_MAX;
        row[CT_PHRASE_UPBEAT] = fmaxf(row[CT_PHRASE_UPBEAT], (float)fmin(before, REST_MAX));
    }
}

static double mean_pitch(const bar_view *views, int32_t from, int32_t to) {
    double sum = 0, n = 0;
    for (int32_t i = from; i < to; i++) {
        sum += views[i].pitches;
        n += views[i].notes;
    }
    return n > 0 ? sum / n : 0;
}

static void texture(const bar_view *views, int32_t n, int32_t i, float *row) {
    int32_t from = i < 2 ? 0 : i - 2, to = i + 2 > n ? n : i + 2;
    double  notes[2] = {0}, onsets[2] = {0};
    for (int32_t k = from; k < to; k++) {
        notes[k >= i] += (views[k].notes > 0) / (k < i ? (double)(i - from) : (double)(to - i));
        onsets[k >= i] += views[k].onsets_around / (k < i ? (double)(i - from) : (double)(to - i));
    }
    row[CT_PHRASE_STARTS] = (float)fmax(notes[1] - notes[0], 0);
    row[CT_PHRASE_STOPS] = (float)fmax(notes[0] - notes[1], 0);
    row[CT_PHRASE_DENSER] = (float)(fabs(onsets[1] - onsets[0]) / (onsets[0] + onsets[1] + 1));
    double before = mean_pitch(views, from, i), after = mean_pitch(views, i, to);
    row[CT_PHRASE_REGISTER] = before > 0 && after > 0 ? (float)fmin(fabs(before - after), 12) : 0;
}

static void harmony(const ct_piece *p, const bar_view *now, const bar_view *before, int32_t i, float *row) {
    int tonic = p->bars[i].key % 12, minor = p->bars[i].key / 12, home = 2 * tonic + minor;
    int last = before->chord[before->beats - 1];
    int same = 0;
    for (int k = 0; k < before->beats && k < now->beats; k++) same += now->rhythm[k] == before->rhythm[k];
    row[CT_PHRASE_RHYTHM] = 1 - (float)same / (float)before->beats;
    row[CT_PHRASE_HELD] = last < 24 && before->chord[0] == last;
    row[CT_PHRASE_TONIC] = now->chord[0] == home;
    row[CT_PHRASE_CLOSED] = before->chord[0] == home;
    row[CT_PHRASE_OPEN] = last < 24 && last / 2 == (tonic + 7) % 12;
    row[CT_PHRASE_METRE] =
        before->beats < now->beats || (i > 1 && before->beats < ct_metre_at(p->bars[i - 2].metre)->beats);
}

static void standardise(ct_phrase_row *rows, int32_t n) {
    for (int k = 0; k < CT_PHRASE_CUES; k++) {
        double sum = 0, squares = 0;
        for (int32_t i = 0; i < n; i++) sum += (double)rows[i][k];
        for (int32_t i = 0; i < n; i++) squares += pow((double)rows[i][k] - sum / n, 2);
        double spread = sqrt(squares / n) + 1e-3;
        for (int32_t i = 0; i < n; i++) rows[i][k] = (float)fmax(-4, fmin(4, ((double)rows[i][k] - sum / n) / spread));
    }
}

ct_status ct_phrase_cues(const ct_piece *p, ct_arena *arena, ct_phrases *out) {
    size_t    n = (size_t)p->bar_count;
    bar_view *views = CT_NEW(arena, bar_view, n);
    *out = (ct_phrases){.bars = p->bar_count, .sings = CT_NEW(arena, uint8_t, n), .alike = CT_NEW(arena, float, n *n)};
    out->rows = ct_arena_alloc(arena, n, sizeof *out->rows);
    if (!views || !out->sings || !out->alike || !out->rows) return CT_ENOMEM;
    look(p, views);
    compare(views, out);
    for (int32_t i = 0, next = 0; i < p->bar_count; i++) {
        out->sings[i] = views[i].notes > 0;
        while (next < p->melody_count && p->melody[next].start < p->bars[i].start) next++;
        if (i == 0) continue;
        repetition(out, i, out->rows[i]);
        breathing(p, p->bars[i].start, p->bars[i - 1].start, next, out->rows[i]);
        texture(views, p->bar_count, i, out->rows[i]);
        harmony(p, &views[i], &views[i - 1], i, out->rows[i]);
    }
    standardise(out->rows, p->bar_count);
    return CT_OK;
}

/* ---- cutting */
/* How well the bars from a come back elsewhere, less what mixes bars with and without melody. */
static float comes_back(const ct_phrases *f, int32_t first, int32_t a, int32_t bars) {
    float best = 0;
    for (int32_t b = first; b + bars <= f->bars; b++)
        if (abs(a - b) >= bars) best = fmaxf(best, ct_phrase_likeness(f, a, b, bars));
    int32_t sings = 0;
    for (int32_t i = a; i < a + bars; i++) sings += f->sings[i];
    return best * (float)bars - fminf((float)sings, (float)(bars - sings));
}

ct_phrase_model ct_phrase_fitted(void) {
    /* the bias allows for what the lengths and repetition add: chosen by fit_phrase's folds, like the two shares */
    return (ct_phrase_model){ct_phrase_weights, ct_phrase_length, ct_phrase_bias - 0.75f, 0.8f, 0.5f};
}

ct_status ct_phrase_cut(const ct_phrases *f, int32_t first, const ct_phrase_model *m, ct_arena *arena, int32_t *lengths,
                        int32_t *count) {
    float   *best = CT_NEW(arena, float, (size_t)f->bars + 1);
    int32_t *back = CT_NEW(arena, int32_t, (size_t)f->bars + 1);
    if (!best || !back) return CT_ENOMEM;
    for (int32_t end = first + 1; end <= f->bars; end++) {
        float begins = 0;
        for (int k = 0; k < CT_PHRASE_CUES && end < f->bars; k++) begins += m->weights[k] * f->rows[end][k];
        best[end] = -INFINITY;
        for (int32_t bars = 1; bars < CT_PHRASE_LENGTHS && end - bars >= first; bars++) {
            float value = best[end - bars] + begins + m->bias + m->length_share * m->length[bars];
            if (m->again > 0) value += m->again * comes_back(f, first, end - bars, bars);
            if (value <= best[end]) continue;
            best[end] = value;
            back[end] = bars;
        }
    }
    *count = 0;
    for (int32_t end = f->bars; end > first; end -= back[end]) lengths[(*count)++] = back[end];
    for (int32_t i = 0; i < *count / 2; i++) {
        int32_t swap = lengths[i];
        lengths[i] = lengths[*count - 1 - i];
        lengths[*count - 1 - i] = swap;
    }
    return CT_OK;
}
