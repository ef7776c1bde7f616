/* annotations.c -- see annotations.h. */
#include "core/music/annotations.h"

#include <math.h>
#include <string.h>

enum { KEYS = 24 };

/* ---- bars */
ct_status ct_annotated_grid(const ct_annotations *a, const ct_midi *midi, int32_t bar_limit, ct_arena *arena,
                            ct_grid *out) {
    double  first, last;
    int32_t beats = ct_metre_at(a->metre)->beats;
    double  bar = beats * a->beat_ticks;
    ct_grid_bounds(midi, &first, &last);
    double begin = a->bar + floor((first - a->bar) / bar + 1e-6) * bar, count = ceil((last - begin) / bar - 1e-6);
    if (count > bar_limit)
        return ct_fail(CT_EFAIL, "too long: more than %d bars (hint: raise the limit, or cut the file)", bar_limit);
    *out = (ct_grid){.bar_count = (int32_t)count, .ticks_per_beat = a->beat_ticks};
    out->beat_count = beats * out->bar_count;
    out->phase = fmod(begin, a->beat_ticks);
    if (out->phase < 0) out->phase += a->beat_ticks;
    out->bars = CT_NEW(arena, ct_grid_bar, (size_t)out->bar_count + 1);
    if (!out->bars) return CT_ENOMEM;
    for (int32_t i = 0; i <= out->bar_count; i++)
        out->bars[i] = (ct_grid_bar){begin + i * bar, i * beats, (uint8_t)a->metre};
    return CT_OK;
}

/* ---- chords and keys */
void ct_annotated_chords(const ct_annotations *a, const ct_grid *grid, ct_chord *out) {
    size_t next = 0;
    for (int32_t b = 0; b < grid->beat_count; b++) {
        double middle = ct_grid_tick(grid, b + 0.5);
        while (next < a->chord_count && a->chords[next].tick <= middle) next++;
        out[b] = next ? a->chords[next - 1].chord : (ct_chord){.root = CT_NO_CHORD};
    }
}

void ct_annotated_keys(const ct_annotations *a, const ct_grid *grid, int *main_key, uint8_t *out) {
    int32_t held[KEYS] = {0};
    size_t  next = 1;
    *main_key = a->keys[0].key;
    for (int32_t i = 0; i < grid->bar_count; i++) {
        double middle = (grid->bars[i].tick + grid->bars[i + 1].tick) / 2;
        while (next < a->key_count && a->keys[next].tick <= middle) next++;
        out[i] = a->keys[next - 1].key;
        if (++held[out[i]] > held[*main_key]) *main_key = out[i];
    }
}

/* ---- sections */
typedef struct cutter {
    ct_section *at;
    int32_t     count;
    uint8_t     letter[CT_SECTION_LETTERS]; /* what each annotated letter is called: by first appearance */
    int         letters;
} cutter;

static uint8_t renamed(cutter *c, uint8_t label) {
    if (label >= CT_SECTION_LETTERS) return label;
    if (c->letter[label] == CT_SECTION_COUNT) c->letter[label] = (uint8_t)c->letters++;
    return c->letter[label];
}

/* Intro and outro of more than 32 bars go on as interludes. */
static void add_section(cutter *c, uint8_t label, int32_t first, int32_t bars) {
    uint8_t name = renamed(c, label);
    while (bars > 0) {
        int32_t take = bars < CT_SECTION_BARS_MAX ? bars : CT_SECTION_BARS_MAX;
        bool    goes_on = name == CT_SECTION_OUTRO && take < bars;
        c->at[c->count++] = (ct_section){goes_on ? CT_SECTION_INTERLUDE : name, first, take};
        if (name == CT_SECTION_INTRO) name = CT_SECTION_INTERLUDE;
        first += take;
        bars -= take;
    }
}

/* The annotated section over the middle of a bar, -1: before the first. Neighbours that are both intro or both outro
 * are one. */
static int32_t section_of(const ct_annotations *a, const ct_grid *grid, int32_t bar) {
    double  middle = (grid->bars[bar].tick + grid->bars[bar + 1].tick) / 2;
    int32_t n = -1, count = (int32_t)a->section_count;
    while (n + 1 < count && a->sections[n + 1].tick <= middle) n++;
    if (n == 0 && a->sections[0].label == CT_SECTION_INTRO) return -1;
    if (n > 0 && a->sections[n].label == CT_SECTION_OUTRO && a->sections[n - 1].label == CT_SECTION_OUTRO) n--;
    return n;
}

ct_status ct_annotated_sections(const ct_annotations *a, const ct_grid *grid, bool pickup, ct_arena *arena,
                                ct_piece *piece) {
    cutter c = {.at = CT_NEW(arena, ct_section, (size_t)grid->bar_count)};
    if (!c.at) return CT_ENOMEM;
    memset(c.letter, CT_SECTION_COUNT, sizeof c.letter);
    int32_t bar = pickup && grid->bar_count > 1 ? 1 : 0;
    if (bar) c.at[c.count++] = (ct_section){CT_SECTION_PICKUP, 0, 1};
    for (int32_t end; bar < grid->bar_count; bar = end) {
        int32_t n = section_of(a, grid, bar);
        for (end = bar + 1; end < grid->bar_count && section_of(a, grid, end) == n;) end++;
        uint8_t label = n < 0 ? CT_SECTION_INTRO : a->sections[n].label;
        if (label == CT_SECTION_OUTRO && end < grid->bar_count) label = CT_SECTION_INTERLUDE;
        add_section(&c, label, bar, end - bar);
    }
    piece->sections = c.at;
    piece->section_count = c.count;
    return CT_OK;
}
