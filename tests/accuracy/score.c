/* score.c -- see score.h. */
#include "score.h"

#include "draw.h"
#include "mir.h"
#include "table.h"

#include "core/file.h"
#include "core/music/analyse.h"
#include "core/music/metre.h"
#include "core/music/pop909.h"
#include "core/music/time_map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXCERPTS = 3, EXCERPT_BEATS = 32, LAGS = 13 };
static const double SHAKE = 0.08, ALIGNED = 0.9;

static void must(ct_status status) { /* annotations and data, which are as they are */
    if (status == CT_OK) return;
    fprintf(stderr, "accuracy: %s\n", ct_message());
    exit(1);
}

static void *need(void *memory) {
    if (memory) return memory;
    fprintf(stderr, "accuracy: out of memory\n");
    exit(1);
}

/* ---- what is known of a song */
typedef struct truth {
    ct_pop909       notes;
    ct_pop909_spans audio; /* chord_audio.txt */
    double          phase; /* ticks */
    double          bar_1; /* tick of the hand-corrected bar 1 */
    double          matched, scale;
    bool            triple;
} truth;

/* A field of the row of `song` in a table with a head. */
static double table_field(const char *path, const char *song, const char *column, ct_arena *arena) {
    ct_bytes bytes;
    must(ct_file_read(path, 0, arena, &bytes));
    char  *rest = (char *)bytes.at, *line = strsep(&rest, "\n"), *field;
    int    wanted = 0;
    size_t n = strlen(song);
    while ((field = strsep(&line, "\t")) && strcmp(field, column) != 0) wanted++;
    while (field && (line = strsep(&rest, "\n"))) {
        if (strncmp(line, song, n) != 0 || line[n] != '\t') continue;
        for (int i = 0; i <= wanted; i++) field = strsep(&line, "\t");
        return field ? strtod(field, NULL) : 0;
    }
    must(ct_fail(CT_EFAIL, "%s: no %s of song %s", path, column, song));
    return 0;
}

static void read_truth(const char *pop909, const char *song, ct_arena *arena, truth *t) {
    const char *index = need(ct_arena_printf(arena, "%s/index.tsv", pop909));
    const char *aligned = need(ct_arena_printf(arena, "%s/structure_alignment.tsv", pop909));
    const char *folder = need(ct_arena_printf(arena, "%s/%s", pop909, song));
    must(ct_pop909_read(folder, arena, &t->notes));
    must(ct_pop909_read_spans(need(ct_arena_printf(arena, "%s/chord_audio.txt", folder)), arena, &t->audio));
    t->phase = table_field(index, song, "beat_phase_ticks", arena);
    t->triple = table_field(index, song, "beats_per_measure", arena) == 3;
    t->matched = table_field(aligned, song, "matched", arena);
    t->scale = table_field(aligned, song, "scale", arena);
    t->bar_1 = t->phase + table_field(aligned, song, "shift16", arena) * table_field(aligned, song, "ppq", arena) / 4;
}

/* ---- files made of a file */
/* All tracks one, without names, channels and instruments; drums apart. */
static ct_midi merged(const ct_midi *midi, ct_arena *arena) {
    ct_midi m = *midi;
    m.notes = need(CT_NEW(arena, ct_midi_note, midi->note_count));
    m.tracks = need(CT_NEW(arena, ct_midi_track, 1));
    m.tracks[0].name = "";
    m.track_count = 1;
    for (size_t i = 0; i < midi->note_count; i++) {
        m.notes[i] = midi->notes[i];
        m.notes[i].track = 0;
        if (m.notes[i].channel != 9) m.notes[i].channel = m.notes[i].program = 0;
    }
    return m;
}

static ct_midi between(const ct_midi *midi, double begin, double end, ct_arena *arena) {
    ct_midi m = *midi;
    m.notes = need(CT_NEW(arena, ct_midi_note, midi->note_count));
    m.note_count = 0;
    for (size_t i = 0; i < midi->note_count; i++)
        if ((double)midi->notes[i].start >= begin && (double)midi->notes[i].start < end)
            m.notes[m.note_count++] = midi->notes[i];
    return m;
}

static ct_midi only_track(const ct_midi *midi, const char *name, ct_arena *arena) {
    ct_midi m = *midi;
    m.notes = need(CT_NEW(arena, ct_midi_note, midi->note_count));
    m.note_count = 0;
    for (size_t i = 0; i < midi->note_count; i++)
        if (strcmp(midi->tracks[midi->notes[i].track].name, name) == 0) m.notes[m.note_count++] = midi->notes[i];
    return m;
}

static double uniform(uint64_t *state) {
    return ((double)(draw(state) >> 11) + 0.5) / 9007199254740992.0;
}

static int by_start(const void *a, const void *b) {
    const ct_midi_note *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return x->pitch - y->pitch;
}

static ct_midi shaken(const ct_midi *midi, uint64_t seed, ct_arena *arena) {
    ct_midi m = *midi;
    m.notes = need(CT_NEW(arena, ct_midi_note, midi->note_count));
    for (size_t i = 0; i < midi->note_count; i++) {
        double normal = sqrt(-2 * log(uniform(&seed))) * cos(6.283185307179586 * uniform(&seed));
        m.notes[i] = midi->notes[i];
        m.notes[i].start += llround(normal * SHAKE * midi->ppq);
        if (m.notes[i].start < 0) m.notes[i].start = 0;
        if (m.notes[i].end <= m.notes[i].start) m.notes[i].end = m.notes[i].start + 1;
    }
    qsort(m.notes, m.note_count, sizeof *m.notes, by_start);
    return m;
}

/* ---- time */
static bool phase_right(double phase, double ticks_per_beat, const truth *t, int ppq) {
    double off = fmod(phase - t->phase, ppq) / ppq;
    if (off < 0) off += 1;
    return fmin(off, 1 - off) <= 1.0 / 16 && fabs(ticks_per_beat - ppq) < ppq / 100.0;
}

static void score_phase(enum metric metric, const ct_midi *midi, const truth *t, ct_arena *arena) {
    ct_grid         grid;
    ct_metre_report report;
    if (midi->note_count < 8) return;
    bool found = ct_metre_grid(midi, 1000, arena, &grid, &report) == CT_OK;
    table_add(metric, found && phase_right(grid.phase, grid.ticks_per_beat, t, midi->ppq), 1);
}

static void score_phases(const ct_midi *midi, const ct_midi *one, const truth *t, uint64_t seed, ct_arena *arena) {
    double first = (double)one->notes[0].start, last = (double)one->notes[one->note_count - 1].start;
    double length = (double)EXCERPT_BEATS * midi->ppq;
    score_phase(GRID, one, t, arena);
    for (int i = 0; i < EXCERPTS; i++) {
        double  begin = first + uniform(&seed) * fmax(last - first - length, 1);
        ct_midi part = between(one, begin, begin + length, arena);
        score_phase(GRID_EXCERPT, &part, t, arena);
    }
    ct_midi loose = shaken(one, seed, arena), melody = only_track(midi, "MELODY", arena);
    score_phase(GRID_SHAKEN, &loose, t, arena);
    score_phase(GRID_MELODY, &melody, t, arena);
}

static size_t trimmed(double *events, size_t n) { /* those after five seconds, as is the custom for beats */
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (events[i] >= 5) events[kept++] = events[i];
    return kept;
}

static void score_events(enum metric metric, double *reference, size_t n, double *estimate, size_t m) {
    const double WINDOW = 0.07;
    n = trimmed(reference, n);
    m = trimmed(estimate, m);
    table_add(metric, 2 * (double)mir_matched(reference, n, estimate, m, WINDOW), (double)(n + m));
}

static int bars_of(const ct_pop909 *notes) {
    int bars = 0;
    for (size_t i = 0; i < notes->phrase_count; i++) bars += notes->phrases[i].bars;
    return bars;
}

/* Bar lines: of a song whose labels are aligned, those of the labels. */
static void score_bars(const truth *t, int ppq, const ct_time_map *map, const ct_piece *p, const ct_analysis *info,
                       ct_arena *arena) {
    int32_t four = 0, on = 0, bars = bars_of(&t->notes), per_bar = t->triple ? 3 : 4;
    for (int32_t i = 0; i < p->bar_count; i++) four += ct_metre_at(p->bars[i].metre)->beats % 3 != 0;
    bool triple = 2 * four < p->bar_count;
    table_add(METRE, triple == t->triple, 1);
    if (t->triple) table_add(TRIPLE, triple, 1);
    double *beats = need(CT_NEW(arena, double, (size_t)p->beat_count + 1)), *reference = t->notes.beats;
    for (int32_t b = 0; b < p->beat_count; b++)
        beats[b] = ct_time_seconds(map, ct_analysis_tick(info, p, b * CT_STEPS_PER_BEAT));
    score_events(BEAT_F, reference, t->notes.beat_count, beats, (size_t)p->beat_count);
    if (t->matched < ALIGNED || t->scale != 1) return;
    double *lines = need(CT_NEW(arena, double, (size_t)bars)),
           *ours = need(CT_NEW(arena, double, (size_t)p->bar_count));
    for (int32_t i = 0; i < p->bar_count; i++) ours[i] = ct_time_seconds(map, info->bar_ticks[i]);
    for (int32_t k = 0; k < bars; k++) {
        double tick = t->bar_1 + (double)k * per_bar * ppq;
        lines[k] = ct_time_seconds(map, tick);
        for (int32_t i = 0; i < p->bar_count; i++) {
            if (fabs(info->bar_ticks[i] - tick) > ppq / 4.0) continue;
            on++;
            break;
        }
    }
    if (!t->triple) table_add(DOWNBEAT, 2 * on > bars, 1);
    score_events(DOWNBEAT_F, lines, (size_t)bars, ours, (size_t)p->bar_count);
}

/* ---- chords */
static mir_span *spans_of(const ct_pop909_spans *labels, ct_arena *arena) {
    mir_span *out = need(CT_NEW(arena, mir_span, labels->count));
    for (size_t i = 0; i < labels->count; i++) {
        out[i] = (mir_span){.begin = labels->at[i].begin, .end = labels->at[i].end};
        must(mir_chord_parse(labels->at[i].label, &out[i].chord));
    }
    return out;
}

static mir_span *heard_spans(const ct_time_map *map, const ct_piece *p, const ct_analysis *info, ct_arena *arena) {
    mir_span *out = need(CT_NEW(arena, mir_span, (size_t)p->change_count));
    for (int32_t i = 0; i < p->change_count; i++) {
        int32_t end = i + 1 < p->change_count ? p->changes[i + 1].step : ct_piece_steps(p);
        out[i].begin = ct_time_seconds(map, ct_analysis_tick(info, p, p->changes[i].step));
        out[i].end = i + 1 < p->change_count ? ct_time_seconds(map, ct_analysis_tick(info, p, end))
                                             : ct_time_seconds(map, info->bar_ticks[p->bar_count]);
        out[i].chord = mir_chord_of(p->changes[i].chord);
    }
    return out;
}

typedef struct spans {
    mir_span *at;
    size_t    count;
} spans;

static spans moved(spans s, double by, ct_arena *arena) {
    spans out = {need(CT_NEW(arena, mir_span, s.count)), s.count};
    for (size_t i = 0; i < s.count; i++) out.at[i] = (mir_span){s.at[i].begin + by, s.at[i].end + by, s.at[i].chord};
    return out;
}

/* chord_audio, moved by at most 0.6 s to where its roots agree best with those of chord_midi. */
static spans best_lag(spans midi, spans audio, ct_arena *arena) {
    const int middle = LAGS / 2;
    spans     best = audio;
    double    top = -1;
    for (int i = 0; i < LAGS; i++) {
        double total;
        spans  s = moved(audio, 0.1 * (i - middle), arena);
        double right = mir_chord_seconds(MIR_ROOT, midi.at, midi.count, s.at, s.count, &total);
        if (right <= top + 1e-9) continue;
        top = right;
        best = s;
    }
    return best;
}

/* `a` cut where b changes: with keep_agreed, what both agree on in root and third and is a chord, and X elsewhere;
 * otherwise b's chords within the time of a. */
static spans crossed(spans a, spans b, bool keep_agreed, ct_arena *arena) {
    const mir_chord unknown = {-1, -1, MIR_UNKNOWN};
    spans           out = {need(CT_NEW(arena, mir_span, 2 * (a.count + b.count) + 1)), 0};
    size_t          k = 0;
    for (size_t i = 0; i < a.count; i++) {
        double at = a.at[i].begin;
        while (at < a.at[i].end) {
            while (k < b.count && b.at[k].end <= at) k++;
            bool      inside = k < b.count && b.at[k].begin <= at;
            double    next = fmin(a.at[i].end, k == b.count ? INFINITY : inside ? b.at[k].end : b.at[k].begin);
            mir_chord x = a.at[i].chord, y = inside ? b.at[k].chord : unknown;
            bool      agreed = x.root >= 0 && mir_chord_compare(MIR_THIRDS, x, y) == 1;
            out.at[out.count++] = (mir_span){at, next, !keep_agreed ? y : agreed ? x : unknown};
            at = next;
        }
    }
    return out;
}

static void add_chords(enum metric metric, enum mir_comparison how, spans reference, spans heard) {
    double total, right = mir_chord_seconds(how, reference.at, reference.count, heard.at, heard.count, &total);
    table_add(metric, right, total);
}

/* The chord of our sixteen qualities nearest to a span's: N for X. */
static ct_chord plain(mir_chord c) {
    ct_chord out = {.root = CT_NO_CHORD};
    if (c.root < 0) return out;
    out.root = (uint8_t)c.root;
    out.quality = (uint8_t)ct_quality_nearest(c.tones);
    return out;
}

static void confuse(spans reference, spans heard) {
    size_t k = 0;
    for (size_t i = 0; i < reference.count; i++) {
        double at = reference.at[i].begin;
        while (at < reference.at[i].end) {
            while (k < heard.count && heard.at[k].end <= at) k++;
            bool      inside = k < heard.count && heard.at[k].begin <= at;
            double    next = fmin(reference.at[i].end, k == heard.count ? INFINITY
                                                       : inside         ? heard.at[k].end
                                                                        : heard.at[k].begin);
            mir_chord none = {-1, -1, 0};
            table_confuse(plain(reference.at[i].chord), plain(inside ? heard.at[k].chord : none), next - at);
            at = next;
        }
    }
}

static void score_chords(const truth *t, spans heard, ct_arena *arena) {
    spans midi = {spans_of(&t->notes.chords, arena), t->notes.chords.count};
    spans audio = {spans_of(&t->audio, arena), t->audio.count};
    audio = best_lag(midi, audio, arena);
    spans sure = crossed(midi, audio, true, arena), by_audio = crossed(midi, audio, false, arena);
    add_chords(ROOT, MIR_ROOT, midi, heard);
    add_chords(MAJMIN, MIR_MAJMIN, midi, heard);
    add_chords(SEVENTHS, MIR_SEVENTHS, midi, heard);
    add_chords(FULL, MIR_TETRADS_INV, midi, heard);
    add_chords(ROOT_SURE, MIR_ROOT, sure, heard);
    add_chords(MAJMIN_SURE, MIR_MAJMIN, sure, heard);
    add_chords(SEVENTHS_SURE, MIR_SEVENTHS, sure, heard);
    add_chords(ROOT_AUDIO, MIR_ROOT, by_audio, heard);
    add_chords(MAJMIN_AUDIO, MIR_MAJMIN, by_audio, heard);
    confuse(midi, heard);
}

/* ---- keys: bar by bar */
static void score_keys(const truth *t, const ct_time_map *map, const ct_piece *p, const ct_analysis *info) {
    double right = 0, total = 0;
    for (size_t i = 0; i < t->notes.keys.count; i++) {
        const ct_pop909_span *s = &t->notes.keys.at[i];
        int                   reference = ct_key_parse(s->label, strlen(s->label));
        total += s->end - s->begin;
        for (int32_t b = 0; b < p->bar_count; b++) {
            double begin = b ? ct_time_seconds(map, info->bar_ticks[b]) : s->begin;
            double end = b + 1 < p->bar_count ? ct_time_seconds(map, info->bar_ticks[b + 1]) : s->end;
            double both = fmin(end, s->end) - fmax(begin, s->begin);
            if (both > 0) right += both * mir_key_score(reference, p->bars[b].key, true);
        }
    }
    table_add(KEY, right / total, 1);
    if (t->notes.keys.count > 1) table_add(KEY_SEVERAL, right / total, 1);
}

/* ---- melody */
enum { PICKED = 1, WANTED = 2, BRIDGE = 4 };

/* Notes of one pitch that start within a sixteenth of a beat count once. */
static void score_melody(const ct_midi *midi, const ct_analysis *info, ct_arena *arena) {
    uint8_t *marks = need(CT_NEW(arena, uint8_t, midi->note_count));
    double   right = 0, picked = 0, wanted = 0, bridge = 0, agreed = 0, groups = 0;
    int64_t  of[128];
    for (int i = 0; i < 128; i++) of[i] = -1;
    for (size_t i = 0; i < midi->note_count; i++) {
        const ct_midi_note *n = &midi->notes[i];
        const char         *name = midi->tracks[n->track].name;
        int64_t             g = of[n->pitch];
        if (g < 0 || n->start - midi->notes[g].start > midi->ppq / 16) g = of[n->pitch] = (int64_t)i;
        marks[g] |= (uint8_t)((info->is_melody[i] ? PICKED : 0) | (strcmp(name, "MELODY") == 0 ? WANTED : 0) |
                              (strcmp(name, "BRIDGE") == 0 ? BRIDGE : 0) | 8);
    }
    for (size_t i = 0; i < midi->note_count; i++) {
        bool is_picked = marks[i] & PICKED, is_wanted = marks[i] & WANTED;
        right += is_picked && is_wanted;
        picked += is_picked;
        wanted += is_wanted;
        bridge += is_picked && !is_wanted && (marks[i] & BRIDGE);
        agreed += marks[i] && is_picked == is_wanted;
        groups += marks[i] != 0;
    }
    table_add(MELODY, 2 * right, picked + wanted);
    table_add(MELODY_BRIDGE, 2 * right, picked - bridge + wanted);
    table_add(MELODY_RIGHT, agreed, groups);
}

/* ---- phrases: boundaries inside the song, in bars of the labels */
static void add_boundaries(enum metric metric, const double *reference, size_t n, const double *estimate, size_t m) {
    table_add(metric, 2 * (double)mir_matched(reference, n, estimate, m, 1), (double)(n + m));
}

static void score_phrases(const truth *t, int ppq, const ct_piece *p, const ct_analysis *info, ct_arena *arena) {
    if (t->matched < ALIGNED || t->scale != 1) return;
    double  bar = (t->triple ? 3.0 : 4.0) * ppq;
    double *reference = need(CT_NEW(arena, double, t->notes.phrase_count));
    double *ours = need(CT_NEW(arena, double, (size_t)p->bar_count)), at = 0;
    size_t  n = 0, m = 0;
    for (size_t i = 0; i + 1 < t->notes.phrase_count; i++) reference[n++] = at += t->notes.phrases[i].bars;
    int32_t first = ct_piece_has_pickup(p) ? 1 : 0;
    for (int32_t i = first + 1; i < p->section_count; i++)
        ours[m++] = (info->bar_ticks[p->sections[i].first] - t->bar_1) / bar;
    add_boundaries(PHRASES, reference, n, ours, m);
    m = 0;
    for (int32_t b = first + 8; b < p->bar_count; b += 8) ours[m++] = (info->bar_ticks[b] - t->bar_1) / bar;
    add_boundaries(EVERY_8, reference, n, ours, m);
}

/* ---- together */
static bool analyse(const ct_midi *midi, ct_arena *arena, ct_piece *piece, ct_analysis *info, const char *name) {
    ct_analyse_options options = ct_analyse_defaults();
    options.use_names = false;
    if (ct_analyse(midi, &options, arena, piece, info) == CT_OK) return true;
    fprintf(stderr, "%s: %s\n", name, ct_message());
    return false;
}

static void score_merged(const truth *t, const ct_midi *midi, const ct_midi *one, const char *song, ct_arena *arena) {
    static const enum metric OF_TIME[] = {METRE, MAJMIN, ROOT, SEVENTHS, KEY, MELODY};
    ct_piece                 piece;
    ct_analysis              info;
    ct_time_map              map;
    if (!analyse(one, arena, &piece, &info, song)) {
        for (size_t i = 0; i < CT_COUNT(OF_TIME); i++) table_add(OF_TIME[i], 0, 1);
        return;
    }
    must(ct_time_map_make(midi, arena, &map));
    spans heard = {heard_spans(&map, &piece, &info, arena), (size_t)piece.change_count};
    score_bars(t, midi->ppq, &map, &piece, &info, arena);
    score_chords(t, heard, arena);
    score_keys(t, &map, &piece, &info);
    score_melody(midi, &info, arena);
    score_phrases(t, midi->ppq, &piece, &info, arena);
}

static void score_track(const ct_midi *midi, const char *song, ct_arena *arena) {
    ct_piece    piece;
    ct_analysis info;
    bool        right = analyse(midi, arena, &piece, &info, song) && info.melody_track >= 0;
    table_add(TRACK, right && strcmp(midi->tracks[info.melody_track].name, "MELODY") == 0, 1);
}

void accuracy_song(const char *data, int number) {
    ct_arena    arena = {0};
    ct_bytes    bytes;
    ct_midi     midi;
    truth       t = {0};
    const char *pop909 = need(ct_arena_printf(&arena, "%s/pop909", data));
    const char *song = need(ct_arena_printf(&arena, "%03d", number));
    must(ct_file_read(need(ct_arena_printf(&arena, "%s/%s/%s.mid", pop909, song, song)), 0, &arena, &bytes));
    must(ct_midi_read(bytes.at, bytes.count, &arena, &midi));
    read_truth(pop909, song, &arena, &t);
    table_song(song);
    ct_midi one = merged(&midi, &arena);
    score_phases(&midi, &one, &t, (uint64_t)number, &arena);
    score_merged(&t, &midi, &one, song, &arena);
    score_track(&midi, song, &arena);
    ct_arena_free(&arena);
}

/* ---- Nottingham: the second track holds the chords, in root position */
static mir_chord chord_of_tones(const bool *sounds) {
    static const int KNOWN[] = {CT_MAJ, CT_MIN, CT_DOM7, CT_MAJ7, CT_MIN7, CT_DIM, CT_AUG, CT_DIM7, CT_MAJ6};
    for (int low = 0; low < 128; low++) {
        uint16_t tones = 0;
        if (!sounds[low]) continue;
        for (int p = 0; p < 128; p++)
            if (sounds[p]) tones |= (uint16_t)(1 << (p - low + 120) % 12);
        for (size_t k = 0; k < CT_COUNT(KNOWN); k++)
            if (tones == ct_quality_mask(KNOWN[k])) return (mir_chord){low % 12, 0, tones};
    }
    return (mir_chord){-1, -1, MIR_UNKNOWN};
}

static spans written_chords(const ct_midi *midi, ct_arena *arena) {
    spans out = {need(CT_NEW(arena, mir_span, midi->note_count)), 0};
    for (size_t i = 0, next; i < midi->note_count; i = next) {
        const ct_midi_note *n = &midi->notes[i];
        bool                sounds[128] = {false}, any = false;
        double              end = 0;
        for (next = i; next < midi->note_count && midi->notes[next].start == n->start; next++) {
            if (midi->notes[next].track == midi->notes[0].track && midi->notes[next].velocity != 90) continue;
            if (midi->notes[next].track == 0) continue;
            sounds[midi->notes[next].pitch] = any = true;
            end = fmax(end, (double)midi->notes[next].end);
        }
        if (!any) continue;
        if (out.count && out.at[out.count - 1].end > (double)n->start) out.at[out.count - 1].end = (double)n->start;
        out.at[out.count++] = (mir_span){(double)n->start, end, chord_of_tones(sounds)};
    }
    return out;
}

/* Two or four beats (0), three (1), dotted ones (2, and 3 of them: 3). */
static int metre_class(int metre) {
    const ct_metre *m = ct_metre_at(metre);
    return (m->eighths_per_beat == 3 ? 2 : 0) + (m->beats == 3);
}

/* The metre of most bars is of the class that the file names; files that name several are left out. */
static void score_metre(const ct_midi *midi, ct_arena *arena) {
    ct_midi              m = *midi;
    ct_grid              grid;
    ct_metre_report      report;
    int                  bars[4] = {0}, best = 0;
    const ct_midi_event *said = midi->metres.at;
    int                  written = midi->metres.count ? ct_metre_find(said->a, said->b) : -1;
    for (size_t i = 1; i < midi->metres.count; i++)
        if (said[i].a != said->a || said[i].b != said->b) written = -1;
    if (written < 0) return;
    m.metres.count = 0;
    bool found = ct_metre_grid(&m, 1000, arena, &grid, &report) == CT_OK;
    for (int32_t i = 0; found && i < grid.bar_count; i++) bars[metre_class(grid.bars[i].metre)]++;
    for (int k = 1; k < 4; k++)
        if (bars[k] > bars[best]) best = k;
    table_add(TUNE_METRE, found && best == metre_class(written), 1);
}

void accuracy_tune(const char *folder, const char *name) {
    ct_arena    arena = {0};
    ct_bytes    bytes;
    ct_midi     midi;
    ct_piece    piece;
    ct_analysis info;
    must(ct_file_read(need(ct_arena_printf(&arena, "%s/%s", folder, name)), 0, &arena, &bytes));
    must(ct_midi_read(bytes.at, bytes.count, &arena, &midi));
    spans written = written_chords(&midi, &arena);
    if (written.count) {
        ct_midi one = merged(&midi, &arena);
        table_song(need(ct_arena_copy(&arena, name, strcspn(name, "."))));
        if (analyse(&one, &arena, &piece, &info, name)) {
            spans heard = {need(CT_NEW(&arena, mir_span, (size_t)piece.change_count)), (size_t)piece.change_count};
            for (int32_t i = 0; i < piece.change_count; i++) {
                bool last = i + 1 == piece.change_count;
                heard.at[i].begin = ct_analysis_tick(&info, &piece, piece.changes[i].step);
                heard.at[i].end =
                    last ? info.bar_ticks[piece.bar_count] : ct_analysis_tick(&info, &piece, piece.changes[i + 1].step);
                heard.at[i].chord = mir_chord_of(piece.changes[i].chord);
            }
            add_chords(NOTTINGHAM, MIR_MAJMIN, written, heard);
            score_metre(&one, &arena);
        } else
            table_add(NOTTINGHAM, 0, 1);
    }
    ct_arena_free(&arena);
}

void accuracy_print(void) {
    table_print(stdout);
}
