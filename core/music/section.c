/* section.c -- see section.h. */
#include "core/music/section.h"

#include <math.h>
#include <stdlib.h>

enum { BEATS_MAX = 8 };

/* What a bar holds, beat by beat. */
typedef struct bar_view {
    int      beats;
    bool     sings;            /* a melody note starts in it */
    uint8_t  chord[BEATS_MAX]; /* root * 2 + minor third, 24: none */
    uint8_t  rhythm[BEATS_MAX];
    uint16_t onsets[BEATS_MAX]; /* of the melody, in steps */
    int8_t   pitch[BEATS_MAX];  /* class of the first melody note of the beat, -1: none */
} bar_view;

typedef struct finder {
    const ct_piece *piece;
    bar_view       *views;
    float          *alike;    /* [a * n + b]: sum of likeness down the diagonal, bars a.. and b.. to the end */
    int32_t         n, first; /* bars; the first one after a pickup */
} finder;

static void look(const ct_piece *p, bar_view *views) {
    int32_t beat = 0, note = 0;
    for (int32_t i = 0; i < p->bar_count; i++) {
        bar_view *v = &views[i];
        v->beats = ct_metre_at(p->bars[i].metre)->beats;
        for (int k = 0; k < v->beats; k++, beat++) {
            int32_t  step = p->bars[i].start + k * CT_STEPS_PER_BEAT;
            ct_chord c = p->changes[ct_piece_change_at(p, step + CT_STEPS_PER_BEAT / 2)].chord;
            bool     minor = (ct_quality_mask(c.quality) >> 3 & 1) != 0;
            v->chord[k] = (uint8_t)(c.root == CT_NO_CHORD ? 24 : c.root * 2 + minor);
            v->rhythm[k] = p->rhythm[beat];
            v->pitch[k] = -1;
            for (; note < p->melody_count && p->melody[note].start < step + CT_STEPS_PER_BEAT; note++) {
                v->onsets[k] |= (uint16_t)(1 << (p->melody[note].start - step));
                if (v->pitch[k] < 0) v->pitch[k] = (int8_t)(p->melody[note].pitch % 12);
                v->sings = true;
            }
        }
    }
}

/* 0..1: half from the chords, the rest from melody and rhythm. */
static float likeness(const bar_view *a, const bar_view *b) {
    if (a->beats != b->beats || a->sings != b->sings) return 0;
    float sum = 0;
    for (int k = 0; k < a->beats; k++) {
        sum += 0.5f * (float)(a->chord[k] == b->chord[k]);
        sum += 0.25f * (float)(a->pitch[k] == b->pitch[k]);
        sum += 0.15f * (float)(a->onsets[k] == b->onsets[k]);
        sum += 0.1f * (float)(a->rhythm[k] == b->rhythm[k]);
    }
    return sum / (float)a->beats;
}

static void compare(finder *f) {
    for (int32_t a = f->n - 1; a >= 0; a--)
        for (int32_t b = f->n - 1; b >= 0; b--) {
            float next = a + 1 < f->n && b + 1 < f->n ? f->alike[(size_t)(a + 1) * (size_t)f->n + (size_t)b + 1] : 0;
            f->alike[(size_t)a * (size_t)f->n + (size_t)b] = next + likeness(&f->views[a], &f->views[b]);
        }
}

/* Mean likeness of the `bars` bars from a and from b. */
static float phrase_likeness(const finder *f, int32_t a, int32_t b, int32_t bars) {
    int32_t end_a = a + bars, end_b = b + bars;
    float   rest = end_a < f->n && end_b < f->n ? f->alike[(size_t)end_a * (size_t)f->n + (size_t)end_b] : 0;
    return (f->alike[(size_t)a * (size_t)f->n + (size_t)b] - rest) / (float)bars;
}

/* What a phrase of `bars` bars from a is worth: how well it comes back, and how usual its length is. */
static float worth(const finder *f, int32_t a, int32_t bars) {
    float best = 0;
    for (int32_t b = f->first; b + bars <= f->n; b++)
        if (abs(a - b) >= bars) best = fmaxf(best, phrase_likeness(f, a, b, bars));
    int32_t sings = 0;
    for (int32_t i = a; i < a + bars; i++) sings += f->views[i].sings;
    float mixed = fminf((float)sings, (float)(bars - sings)) / (float)bars;
    float usual = bars == 8 ? 2.2f : bars == 4 ? 0.8f : bars == 16 ? 2.0f : bars % 2 ? -1.5f : -0.6f;
    return 1.5f * (float)bars * (best - mixed) + usual;
}

/* ---- cutting */
enum { LENGTHS = 18 };
static ct_status cut(finder *f, ct_arena *arena, int32_t *lengths, int32_t *count) {
    float   *best = CT_NEW(arena, float, (size_t)f->n + 1);
    int32_t *back = CT_NEW(arena, int32_t, (size_t)f->n + 1);
    if (!best || !back) return CT_ENOMEM;
    for (int32_t end = f->first + 1; end <= f->n; end++) {
        best[end] = -INFINITY;
        for (int32_t bars = 1; bars < LENGTHS && end - bars >= f->first; bars++) {
            float value = best[end - bars] + worth(f, end - bars, bars);
            if (value <= best[end]) continue;
            best[end] = value;
            back[end] = bars;
        }
    }
    *count = 0;
    for (int32_t end = f->n; end > f->first; end -= back[end]) lengths[(*count)++] = back[end];
    for (int32_t i = 0; i < *count / 2; i++) {
        int32_t swap = lengths[i];
        lengths[i] = lengths[*count - 1 - i];
        lengths[*count - 1 - i] = swap;
    }
    return CT_OK;
}

/* ---- labels */
static bool is_silent(const finder *f, const ct_section *s) {
    int32_t sings = 0;
    for (int32_t i = s->first; i < s->first + s->bars; i++) sings += f->views[i].sings;
    return 5 * sings <= s->bars;
}

/* The letter of the earlier phrase most like this one, or a new one. */
static uint8_t letter_of(const finder *f, const ct_section *sections, int32_t index, int *letters) {
    const ct_section *s = &sections[index];
    float             top = -1;
    uint8_t           best = CT_SECTION_A;
    for (int32_t i = 0; i < index; i++) {
        const ct_section *e = &sections[i];
        if (e->label >= CT_SECTION_LETTERS) continue;
        int32_t bars = e->bars < s->bars ? e->bars : s->bars, longer = e->bars + s->bars - bars;
        float   like = phrase_likeness(f, e->first, s->first, bars) * (0.5f + 0.5f * (float)bars / (float)longer);
        if (like <= top) continue;
        top = like;
        best = e->label;
    }
    if (top >= 0.6f || *letters == CT_SECTION_LETTERS) return best;
    return (uint8_t)(*letters)++;
}

static void label(finder *f, ct_section *sections, int32_t begin, int32_t count) {
    int  letters = 0;
    bool any = false;
    for (int32_t i = begin; i < count; i++) any |= !is_silent(f, &sections[i]);
    for (int32_t i = begin; i < count; i++) {
        if (!any || !is_silent(f, &sections[i]))
            sections[i].label = letter_of(f, sections, i, &letters);
        else if (i == begin)
            sections[i].label = CT_SECTION_INTRO;
        else if (i == count - 1)
            sections[i].label = CT_SECTION_OUTRO;
        else
            sections[i].label = CT_SECTION_INTERLUDE;
    }
}

/* Neighbours without melody become one section where they fit into 32 bars. */
static int32_t join_silent(const finder *f, ct_section *s, int32_t begin, int32_t count) {
    int32_t n = begin;
    for (int32_t i = begin; i < count; i++) {
        bool joins = n > begin && is_silent(f, &s[n - 1]) && is_silent(f, &s[i]) &&
                     s[n - 1].bars + s[i].bars <= CT_SECTION_BARS_MAX;
        if (joins)
            s[n - 1].bars += s[i].bars;
        else
            s[n++] = s[i];
    }
    return n;
}

ct_status ct_section_find(ct_piece *piece, bool pickup, ct_arena *arena) {
    size_t   n = (size_t)piece->bar_count;
    int32_t *lengths = CT_NEW(arena, int32_t, n), cuts = 0;
    finder   f = {.piece = piece, .n = piece->bar_count, .first = pickup && n > 1 ? 1 : 0};
    f.views = CT_NEW(arena, bar_view, n);
    f.alike = CT_NEW(arena, float, n *n);
    ct_section *s = piece->sections = CT_NEW(arena, ct_section, n);
    if (!lengths || !f.views || !f.alike || !s) return CT_ENOMEM;
    look(piece, f.views);
    compare(&f);
    CT_TRY(cut(&f, arena, lengths, &cuts));
    int32_t bar = f.first, count = bar;
    if (f.first) s[0] = (ct_section){CT_SECTION_PICKUP, 0, 1};
    for (int32_t i = 0; i < cuts; i++, count++) {
        s[count] = (ct_section){0, bar, lengths[i]};
        bar += lengths[i];
    }
    piece->section_count = join_silent(&f, s, f.first, count);
    label(&f, s, f.first, piece->section_count);
    return CT_OK;
}
