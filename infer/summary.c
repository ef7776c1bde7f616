/* summary.c -- see summary.h. */
#include "infer/summary.h"

#include <stdlib.h>
#include <string.h>

/* ---- tempo: over beats, so that short bars don't weigh more */
typedef struct weighed {
    double tempo;
    int    beats;
} weighed;

static int by_tempo(const void *a, const void *b) {
    double x = ((const weighed *)a)->tempo, y = ((const weighed *)b)->tempo;
    return (x > y) - (x < y);
}

static ct_status find_tempo(const ct_piece *p, ct_arena *arena, ct_summary *out) {
    weighed *bars = CT_NEW(arena, weighed, (size_t)p->bar_count);
    int32_t  half = 0, i = 0;
    if (!bars) return CT_ENOMEM;
    for (int32_t b = 0; b < p->bar_count; b++)
        bars[b] = (weighed){p->bars[b].tempo, ct_metre_at(p->bars[b].metre)->beats};
    qsort(bars, (size_t)p->bar_count, sizeof *bars, by_tempo);
    while (i + 1 < p->bar_count && 2 * (half += bars[i].beats) < p->beat_count) i++;
    out->tempo = bars[i].tempo;
    out->slowest = bars[0].tempo;
    out->fastest = bars[p->bar_count - 1].tempo;
    return CT_OK;
}

/* ---- spans of bars */
static int metre_of(const ct_bar *bar) {
    return bar->metre;
}
static int key_of(const ct_bar *bar) {
    return bar->key;
}

static ct_status find_spans(const ct_piece *p, int (*of)(const ct_bar *), ct_arena *arena, ct_bar_span **out,
                            int32_t *count) {
    int32_t number = ct_piece_has_pickup(p) ? 0 : 1, n = 0;
    *out = CT_NEW(arena, ct_bar_span, (size_t)p->bar_count);
    if (!*out) return CT_ENOMEM;
    for (int32_t b = 0; b < p->bar_count; b++) {
        int value = of(&p->bars[b]);
        if (!n || (*out)[n - 1].value != value) (*out)[n++] = (ct_bar_span){b + number, 0, value};
        (*out)[n - 1].bars++;
    }
    *count = n;
    return CT_OK;
}

/* ---- form, chords, melody */
static const char *name_section(const ct_section *s, char text[32]) {
    static const char *const NAMES[] = {"intro", "outro", "interlude", "pickup"};
    if (s->label < CT_SECTION_LETTERS)
        snprintf(text, 32, "%c %d", 'A' + s->label, s->bars);
    else
        snprintf(text, 32, s->label == CT_SECTION_PICKUP ? "%s" : "%s %d", NAMES[s->label - CT_SECTION_LETTERS],
                 s->bars);
    return text;
}

static ct_status tell_form(const ct_piece *p, ct_arena *arena, const char **out) {
    char   text[32];
    size_t room = (size_t)p->section_count * sizeof text + 1;
    char  *form = CT_NEW(arena, char, room), *at = form;
    if (!form) return CT_ENOMEM;
    for (int32_t i = 0; i < p->section_count; i++)
        at += snprintf(at, room - (size_t)(at - form), "%s%s", i ? " " : "", name_section(&p->sections[i], text));
    *out = form;
    return CT_OK;
}

static void find_chords(const ct_piece *p, ct_summary *out) {
    bool seen[12][CT_QUALITY_COUNT] = {{false}};
    for (int32_t i = 0; i < p->change_count; i++) {
        ct_chord c = p->changes[i].chord;
        if (c.root == CT_NO_CHORD || seen[c.root][c.quality]) continue;
        seen[c.root][c.quality] = true;
        out->chords++;
    }
    out->changes_per_bar = (double)p->change_count / p->bar_count;
}

static void find_melody(const ct_piece *p, ct_summary *out) {
    int32_t count[128] = {0}, below = 0, bars = 0, last = -1;
    for (int32_t i = 0; i < p->melody_count; i++) {
        int32_t bar = ct_piece_bar_at(p, p->melody[i].start);
        count[p->melody[i].pitch]++;
        bars += bar != last;
        last = bar;
    }
    out->lowest = out->highest = out->middle = -1;
    for (int pitch = 0; pitch < 128; pitch++) {
        if (!count[pitch]) continue;
        if (out->lowest < 0) out->lowest = pitch;
        out->highest = pitch;
        if (2 * below <= p->melody_count) out->middle = pitch;
        below += count[pitch];
    }
    out->sung = (double)bars / p->bar_count;
}

static void find_textures(const uint8_t *texture, int32_t bars, ct_summary *out) {
    for (int32_t b = 0; b < bars; b++) out->texture_bars[texture[b]]++;
    for (int t = 0; t < CT_TEXTURE_COUNT; t++) {
        int at = out->texture_count;
        if (!out->texture_bars[t]) continue;
        for (; at && out->texture_bars[out->textures[at - 1]] < out->texture_bars[t]; at--)
            out->textures[at] = out->textures[at - 1];
        out->textures[at] = t;
        out->texture_count++;
    }
}

/* The bars of the least sure changes; one that is likelier right than not is no doubt. */
static void find_doubts(const ct_piece *p, const float *sure, ct_summary *out) {
    int32_t number = ct_piece_has_pickup(p) ? 0 : 1;
    float   worst[CT_SUMMARY_DOUBTS] = {0};
    for (int32_t i = 0; i < p->change_count; i++) {
        int32_t bar = ct_piece_bar_at(p, p->changes[i].step) + number, at = out->doubts;
        if (sure[i] >= 0.5f || (at && out->doubtful[at - 1] == bar)) continue;
        if (at == CT_SUMMARY_DOUBTS) { /* in place of the surest */
            int surest = 0;
            for (int k = 1; k < at; k++)
                if (worst[k] > worst[surest]) surest = k;
            if (worst[surest] <= sure[i]) continue;
            for (at--; surest < at; surest++) {
                worst[surest] = worst[surest + 1];
                out->doubtful[surest] = out->doubtful[surest + 1];
            }
        }
        worst[at] = sure[i];
        out->doubtful[at] = bar;
        out->doubts = at + 1;
    }
}

static void find_confidence(const ct_piece *p, const ct_analysis *info, ct_summary *out) {
    double sum = 0, steps = ct_piece_steps(p);
    for (int32_t i = 0; i < p->change_count; i++) {
        double until = i + 1 < p->change_count ? p->changes[i + 1].step : steps;
        sum += (double)info->chord_confidence[i] * (until - p->changes[i].step);
    }
    out->chords_sure = sum / steps;
    out->key_sure = (double)info->key_confidence;
    find_doubts(p, info->chord_confidence, out);
}

ct_status ct_summary_make(const ct_piece *piece, const ct_analysis *info, ct_arena *arena, ct_summary *out) {
    *out = (ct_summary){0};
    CT_TRY(find_tempo(piece, arena, out));
    out->swing = info->swing != 0 ? info->swing : 0.5;
    CT_TRY(find_spans(piece, metre_of, arena, &out->metres, &out->metre_count));
    CT_TRY(find_spans(piece, key_of, arena, &out->keys, &out->key_count));
    CT_TRY(tell_form(piece, arena, &out->form));
    find_chords(piece, out);
    find_melody(piece, out);
    find_textures(info->texture, piece->bar_count, out);
    find_confidence(piece, info, out);
    return CT_OK;
}

/* ---- as remarks */
enum { SPANS_SHOWN = 12 };

static void print_spans(const char *what, const ct_bar_span *spans, int32_t count, const char *(*name)(int),
                        FILE *out) {
    fprintf(out, "# %-7s %s", what, name(spans[0].value));
    for (int32_t i = 1; i < count && i < SPANS_SHOWN; i++)
        fprintf(out, ", %s from bar %d", name(spans[i].value), spans[i].first);
    if (count > SPANS_SHOWN) fprintf(out, ", and %d changes more", count - SPANS_SHOWN);
}

static const char *metre_name(int metre) {
    return ct_metre_at(metre)->name;
}

/* "Bb4": the octave of middle C is 4. */
static const char *pitch_name(int pitch, int key, char text[8]) {
    snprintf(text, 8, "%s%d", ct_pitch_class_name(pitch % 12, key), pitch / 12 - 1);
    return text;
}

void ct_summary_print(const ct_summary *s, const ct_piece *piece, FILE *out) {
    char a[8], b[8], c[8];
    int  key = piece->bars[piece->bar_count / 2].key;
    fprintf(out, "# tempo   %.4g beats a minute", s->tempo);
    if (s->fastest > 1.02 * s->slowest) fprintf(out, ", bars from %.4g to %.4g", s->slowest, s->fastest);
    fprintf(out, "\n");
    print_spans("metre", s->metres, s->metre_count, metre_name, out);
    if (s->swing > 0.5)
        fprintf(out, ", swung: eighths of %.0f and %.0f %% of a beat", 100 * s->swing, 100 - 100 * s->swing);
    fprintf(out, "\n");
    print_spans("key", s->keys, s->key_count, ct_key_name, out);
    fprintf(out, "; %.0f %% sure\n", 100 * s->key_sure);
    fprintf(out, "# form    %d bars: %s\n", piece->bar_count, s->form);
    fprintf(out, "# chords  %d different, %.1f changes a bar; %.0f %% sure", s->chords, s->changes_per_bar,
            100 * s->chords_sure);
    for (int32_t i = 0; i < s->doubts; i++) fprintf(out, "%s %d", i ? "," : ", least in bars", s->doubtful[i]);
    fprintf(out, "\n");
    for (int i = 0; i < s->texture_count; i++) {
        double share = 100.0 * s->texture_bars[s->textures[i]] / piece->bar_count;
        if (share >= 0.5) fprintf(out, "%s%s %.0f %%", i ? ", " : "# plays   ", ct_texture_name(s->textures[i]), share);
    }
    if (s->texture_count) fprintf(out, " of the bars\n");
    if (s->lowest < 0)
        fprintf(out, "# melody  none\n");
    else
        fprintf(out, "# melody  %d notes, %s to %s, median %s; in %.0f %% of the bars\n", piece->melody_count,
                pitch_name(s->lowest, key, a), pitch_name(s->highest, key, b), pitch_name(s->middle, key, c),
                100 * s->sung);
}

/* ---- as JSON */
static ct_json *spans_json(const ct_bar_span *spans, int32_t count, const char *what, const char *(*name)(int)) {
    ct_json *list = ct_json_new_array();
    for (int32_t i = 0; i < count; i++) {
        ct_json *o = ct_json_new_object();
        ct_json_set(o, what, ct_json_new_text(name(spans[i].value)));
        ct_json_set(o, "first_bar", ct_json_new_integer(spans[i].first));
        ct_json_set(o, "bars", ct_json_new_integer(spans[i].bars));
        ct_json_add(list, o);
    }
    return list;
}

void ct_summary_json(const ct_summary *s, const ct_piece *piece, ct_json *out) {
    ct_json *tempo = ct_json_new_object(), *chords = ct_json_new_object(), *melody = ct_json_new_object();
    ct_json *textures = ct_json_new_array(), *doubtful = ct_json_new_array();
    ct_json_set(tempo, "median", ct_json_new_real(s->tempo));
    ct_json_set(tempo, "slowest_bar", ct_json_new_real(s->slowest));
    ct_json_set(tempo, "fastest_bar", ct_json_new_real(s->fastest));
    ct_json_set(out, "tempo", tempo);
    ct_json_set(out, "swing", ct_json_new_real(s->swing));
    ct_json_set(out, "meters", spans_json(s->metres, s->metre_count, "meter", metre_name));
    ct_json_set(out, "keys", spans_json(s->keys, s->key_count, "key", ct_key_name));
    ct_json_set(out, "form", ct_json_new_text(s->form));
    ct_json_set(chords, "different", ct_json_new_integer(s->chords));
    ct_json_set(chords, "changes_a_bar", ct_json_new_real(s->changes_per_bar));
    ct_json_set(chords, "confidence", ct_json_new_real(s->chords_sure));
    for (int32_t i = 0; i < s->doubts; i++) ct_json_add(doubtful, ct_json_new_integer(s->doubtful[i]));
    ct_json_set(chords, "doubtful_bars", doubtful);
    ct_json_set(out, "chords", chords);
    ct_json_set(out, "key_confidence", ct_json_new_real(s->key_sure));
    for (int i = 0; i < s->texture_count; i++) {
        ct_json *o = ct_json_new_object();
        ct_json_set(o, "texture", ct_json_new_text(ct_texture_name(s->textures[i])));
        ct_json_set(o, "bars", ct_json_new_integer(s->texture_bars[s->textures[i]]));
        ct_json_add(textures, o);
    }
    ct_json_set(out, "textures", textures);
    ct_json_set(melody, "notes", ct_json_new_integer(piece->melody_count));
    if (s->lowest >= 0) {
        ct_json_set(melody, "lowest", ct_json_new_integer(s->lowest));
        ct_json_set(melody, "median", ct_json_new_integer(s->middle));
        ct_json_set(melody, "highest", ct_json_new_integer(s->highest));
    }
    ct_json_set(melody, "share_of_bars", ct_json_new_real(s->sung));
    ct_json_set(out, "melody", melody);
}
