/* pop909.c -- see pop909.h. */
#include "core/music/pop909.h"

#include "core/file.h"
#include "core/music/chord_symbol.h"
#include "core/music/time_map.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double RELIABLE = 0.9;

/* ---- reading: lines of numbers and words */
enum { FILE_MAX = 1 << 20, WORDS = 4 };

typedef struct lines {
    const char *path;
    char       *next;
    int         number;
    int         words; /* of the line read last */
    char       *word[WORDS];
} lines;

static ct_status open_lines(const char *folder, const char *name, ct_arena *arena, lines *out, size_t *most) {
    ct_bytes bytes;
    *out = (lines){.path = *name ? ct_arena_printf(arena, "%s/%s", folder, name) : folder};
    if (!out->path) return CT_ENOMEM;
    CT_TRY(ct_file_read(out->path, FILE_MAX, arena, &bytes));
    out->next = (char *)bytes.at;
    *most = 1;
    for (size_t i = 0; i < bytes.count; i++) *most += bytes.at[i] == '\n';
    return CT_OK;
}

/* The next line that has words, cut into them; false at the end. */
static bool next_line(lines *l) {
    for (l->words = 0; *l->next && !l->words;) {
        char *line = l->next, *end = line + strcspn(line, "\n"), *rest = NULL;
        l->next = *end ? end + 1 : end;
        *end = 0;
        l->number++;
        for (char *w = strtok_r(line, " \t\r", &rest); w; w = strtok_r(NULL, " \t\r", &rest)) {
            if (l->words < WORDS) l->word[l->words] = w;
            l->words++;
        }
    }
    return l->words > 0;
}

static ct_status wrong(const lines *l, const char *expected) {
    return ct_fail(CT_EFAIL, "%s:%d: expected %s", l->path, l->number, expected);
}

static bool is_number(const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

ct_status ct_pop909_read_spans(const char *path, ct_arena *arena, ct_pop909_spans *out) {
    lines  l;
    size_t most;
    CT_TRY(open_lines(path, "", arena, &l, &most));
    *out = (ct_pop909_spans){.at = CT_NEW(arena, ct_pop909_span, most)};
    if (!out->at) return CT_ENOMEM;
    double until = -INFINITY;
    while (next_line(&l)) {
        ct_pop909_span *s = &out->at[out->count++];
        bool            fine = l.words == 3 && is_number(l.word[0], &s->begin) && is_number(l.word[1], &s->end);
        if (!fine || s->begin < until || s->end < s->begin) return wrong(&l, "seconds, later seconds, a label");
        s->label = l.word[2];
        until = s->begin;
    }
    return CT_OK;
}

static ct_status read_named_spans(const char *folder, const char *name, ct_arena *arena, ct_pop909_spans *out) {
    const char *path = ct_arena_printf(arena, "%s/%s", folder, name);
    return path ? ct_pop909_read_spans(path, arena, out) : CT_ENOMEM;
}

/* Bars of three have a short bar every three beats, others every two. */
static bool are_triple(const bool *first, size_t count) {
    size_t threes = 0, twos = 0, last = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (!first[i]) continue;
        threes += last != SIZE_MAX && i - last == 3;
        twos += last != SIZE_MAX && i - last == 2;
        last = i;
    }
    return threes > twos;
}

static ct_status read_beats(const char *folder, ct_arena *arena, ct_pop909 *out) {
    lines  l;
    size_t most;
    CT_TRY(open_lines(folder, "beat_midi.txt", arena, &l, &most));
    out->beats = CT_NEW(arena, double, most);
    out->down = CT_NEW(arena, bool, most);
    bool *half = CT_NEW(arena, bool, most);
    if (!out->beats || !out->down || !half) return CT_ENOMEM;
    while (next_line(&l)) {
        double seconds, two, four;
        size_t n = out->beat_count;
        if (l.words != 3 || !is_number(l.word[0], &seconds) || !is_number(l.word[1], &two) ||
            !is_number(l.word[2], &four) || (n && seconds <= out->beats[n - 1]))
            return wrong(&l, "rising seconds and two marks of 0 or 1");
        out->beats[n] = seconds;
        half[n] = two > 0;
        out->down[n] = four > 0;
        out->beat_count++;
    }
    if (out->beat_count < 2) return ct_fail(CT_EFAIL, "%s: no beats", l.path);
    out->triple = are_triple(half, out->beat_count);
    if (out->triple) out->down = half;
    return CT_OK;
}

static ct_status read_phrases(const char *folder, ct_arena *arena, ct_pop909 *out) {
    lines  l;
    size_t most;
    CT_TRY(open_lines(folder, "human_label1.txt", arena, &l, &most));
    if (!next_line(&l)) return ct_fail(CT_EFAIL, "%s: empty", l.path);
    out->phrases = CT_NEW(arena, ct_pop909_phrase, strlen(l.word[0]));
    if (!out->phrases) return CT_ENOMEM;
    for (char *at = l.word[0]; *at;) {
        char *end;
        long  bars = strtol(at + 1, &end, 10);
        if (!isalpha((unsigned char)*at) || end == at + 1 || bars < 1 || bars > 999)
            return wrong(&l, "letters with numbers of bars, such as i4A8B8");
        out->phrases[out->phrase_count++] = (ct_pop909_phrase){*at, (int32_t)bars};
        at = end;
    }
    return CT_OK;
}

static ct_status read_melody(const char *folder, ct_arena *arena, ct_pop909 *out) {
    lines  l;
    size_t most;
    CT_TRY(open_lines(folder, "melody.txt", arena, &l, &most));
    out->melody = CT_NEW(arena, struct ct_pop909_tone, most);
    if (!out->melody) return CT_ENOMEM;
    while (next_line(&l)) {
        double pitch, length;
        if (l.words != 2 || !is_number(l.word[0], &pitch) || !is_number(l.word[1], &length) || pitch < 0 ||
            pitch > 127 || length < 0 || length > 1e5)
            return wrong(&l, "a pitch and a number of sixteenths");
        out->melody[out->melody_count++] = (struct ct_pop909_tone){(int)pitch, (int)length};
    }
    return CT_OK;
}

ct_status ct_pop909_read(const char *folder, ct_arena *arena, ct_pop909 *out) {
    *out = (ct_pop909){0};
    CT_TRY(read_beats(folder, arena, out));
    CT_TRY(read_named_spans(folder, "chord_midi.txt", arena, &out->chords));
    CT_TRY(read_named_spans(folder, "key_audio.txt", arena, &out->keys));
    CT_TRY(read_phrases(folder, arena, out));
    return read_melody(folder, arena, out);
}

/* ---- where bar 1 lies */
static int track_called(const ct_midi *midi, const char *name) {
    for (size_t t = 0; t < midi->track_count; t++)
        if (strcmp(midi->tracks[t].name, name) == 0) return (int)t;
    return -1;
}

static double wrapped(double x, double period) {
    double r = fmod(x, period);
    return r < 0 ? r + period : r;
}

/* The beats lie a quarter apart, but start anywhere. */
static ct_status beat_phase(const ct_pop909 *song, const ct_midi *midi, ct_arena *arena, double *phase) {
    ct_time_map map;
    CT_TRY(ct_time_map_make(midi, arena, &map));
    *phase = wrapped(ct_time_tick(&map, song->beats[0]), midi->ppq);
    return CT_OK;
}

ct_status ct_pop909_origin(const ct_pop909 *song, const ct_midi *midi, ct_arena *arena, double *tick, double *matched) {
    enum { REACH = 1 << 13 }; /* sixteenths */
    double   phase, cell = midi->ppq / 4.0;
    int32_t *hits = CT_NEW(arena, int32_t, 2 * REACH), tones = 0, best = REACH;
    int64_t  at = 0;
    int      track = track_called(midi, "MELODY");
    if (!hits) return CT_ENOMEM;
    CT_TRY(beat_phase(song, midi, arena, &phase));
    for (size_t i = 0; i < song->melody_count; at += song->melody[i++].sixteenths) {
        int64_t last = INT64_MIN;
        if (!song->melody[i].pitch) continue;
        tones++;
        for (size_t k = 0; k < midi->note_count; k++) {
            const ct_midi_note *n = &midi->notes[k];
            if (n->pitch != song->melody[i].pitch || (track >= 0 && n->track != track)) continue;
            int64_t shift = (int64_t)floor(((double)n->start - phase) / cell + 0.5) - at;
            if (shift != last && shift > -REACH && shift < REACH) hits[shift + REACH]++;
            last = shift;
        }
    }
    for (int32_t s = 0; s < 2 * REACH; s++)
        if (hits[s] > hits[best]) best = s;
    *matched = tones ? (double)hits[best] / tones : 0;
    *tick = phase + (best - REACH) * cell;
    return CT_OK;
}

/* ---- as annotations */
static ct_status take_spans(const ct_pop909 *song, const ct_time_map *map, ct_arena *arena, ct_annotations *out) {
    out->chords = CT_NEW(arena, ct_annotated_chord, song->chords.count);
    out->keys = CT_NEW(arena, ct_annotated_key, song->keys.count);
    if (!out->chords || !out->keys) return CT_ENOMEM;
    for (size_t i = 0; i < song->chords.count; i++) {
        const ct_pop909_span *s = &song->chords.at[i];
        ct_symbol             symbol;
        CT_TRY(ct_symbol_parse(s->label, strlen(s->label), &symbol, NULL));
        out->chords[out->chord_count++] = (ct_annotated_chord){ct_time_tick(map, s->begin), symbol.chord};
    }
    for (size_t i = 0; i < song->keys.count; i++) {
        const ct_pop909_span *s = &song->keys.at[i];
        int                   key = ct_key_parse(s->label, strlen(s->label));
        if (key < 0) return ct_fail(CT_EFAIL, "key \"%s\": expected one such as Gb:maj", s->label);
        out->keys[out->key_count++] = (ct_annotated_key){ct_time_tick(map, s->begin), (uint8_t)key};
    }
    return CT_OK;
}

/* Letters with melody by first appearance; what has none is intro, outro or interlude. */
static uint8_t label_of(const ct_pop909 *song, size_t index, char *letters) {
    char letter = song->phrases[index].letter;
    if (islower((unsigned char)letter))
        return index == 0                        ? CT_SECTION_INTRO
               : index + 1 == song->phrase_count ? CT_SECTION_OUTRO
                                                 : CT_SECTION_INTERLUDE;
    char  *known = strchr(letters, letter);
    size_t n = known ? (size_t)(known - letters) : strlen(letters);
    if (n == CT_SECTION_LETTERS) return CT_SECTION_LETTERS - 1;
    letters[n] = letter;
    return (uint8_t)(CT_SECTION_A + n);
}

static ct_status take_phrases(const ct_pop909 *song, double tick, double bar, ct_arena *arena, ct_annotations *out) {
    char letters[CT_SECTION_LETTERS + 1] = "";
    out->sections = CT_NEW(arena, ct_annotated_section, song->phrase_count + 1);
    if (!out->sections) return CT_ENOMEM;
    for (size_t i = 0; i < song->phrase_count; i++) {
        out->sections[out->section_count++] = (ct_annotated_section){tick, label_of(song, i, letters)};
        tick += song->phrases[i].bars * bar;
    }
    out->sections[out->section_count++] = (ct_annotated_section){tick, CT_SECTION_OUTRO};
    return CT_OK;
}

/* The beat of the bar at which most bars begin. */
static int most_downbeats(const ct_pop909 *song, int per_bar) {
    int count[4] = {0}, best = 0;
    for (size_t i = 0; i < song->beat_count; i++) count[i % (size_t)per_bar] += song->down[i];
    for (int k = 1; k < per_bar; k++)
        if (count[k] > count[best]) best = k;
    return best;
}

ct_status ct_pop909_annotate(const ct_pop909 *song, const ct_midi *midi, ct_arena *arena, ct_annotations *out) {
    int         per_bar = song->triple ? 3 : 4;
    double      phase, origin, matched;
    ct_time_map map;
    *out = (ct_annotations){.beat_ticks = midi->ppq, .metre = song->triple ? CT_3_4 : CT_4_4};
    CT_TRY(ct_time_map_make(midi, arena, &map));
    CT_TRY(beat_phase(song, midi, arena, &phase));
    CT_TRY(take_spans(song, &map, arena, out));
    CT_TRY(ct_pop909_origin(song, midi, arena, &origin, &matched));
    double beats = (origin - phase) / midi->ppq;
    if (matched >= RELIABLE && fabs(beats - floor(beats + 0.5)) < 0.01) {
        out->bar = origin;
        return take_phrases(song, origin, (double)per_bar * midi->ppq, arena, out);
    }
    out->bar = ct_time_tick(&map, song->beats[0]) + most_downbeats(song, per_bar) * (double)midi->ppq;
    return CT_OK;
}
