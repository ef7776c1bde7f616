/* score_pop909.c -- how well the analysis does on POP909.
 *
 *   score_pop909 FOLDER FIRST LAST [step]
 *
 * Only the MIDI file of each song is analysed; annotations are read for scoring alone. One line per metric: name,
 * value, how many songs (chords, key: weighted by time inside a song; chords and melody: pooled over songs).
 * Chords follow mir_eval's rules for root, majmin and sevenths on frames of 50 ms, against chord_midi.txt.
 */
#include "core/music/analyse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT = 512, ROWS = 4096 };
#define FRAME 0.05

typedef struct sum {
    double right, total;
    int    songs;
} sum;
enum {
    GRID,
    ROOT,
    MAJMIN,
    SEVENTHS,
    KEY,
    KEY_EXACT,
    TRACK,
    MELODY_P,
    MELODY_R,
    DOWNBEAT,
    METRE,
    BOUNDARY_P,
    BOUNDARY_R,
    METRICS
};
static sum scores[METRICS];

static void score(int metric, double right, double total) {
    scores[metric].right += right;
    scores[metric].total += total;
    scores[metric].songs++;
}

/* One song's line in index.tsv and structure_alignment.tsv. */
typedef struct truth {
    int    beats_per_measure, shift16;
    double phase, matched, scale;
} truth;

static int split(char *line, char **fields, int most) {
    int n = 0;
    for (char *f; n < most && (f = strsep(&line, "\t\n"));) fields[n++] = f;
    return n;
}

/* The row of `song` in a table, split into fields; and of its head. */
static bool find_row(const char *path, const char *song, char *text, char *head, char **fields, char **names, int *n) {
    FILE *f = fopen(path, "r");
    bool  found = false;
    if (!f) return false;
    if (fgets(head, ROWS, f)) *n = split(head, names, 40);
    while (!found && fgets(text, ROWS, f))
        if (strncmp(text, song, strlen(song)) == 0 && text[strlen(song)] == '\t') found = split(text, fields, 40) >= 2;
    fclose(f);
    return found;
}

static double field(char **fields, char **names, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return strtod(fields[i], NULL);
    return 0;
}

static bool read_truth(const char *folder, const char *song, truth *t) {
    char path[TEXT], text[ROWS], head[ROWS], *fields[40] = {0}, *names[40] = {0};
    int  n = 0;
    snprintf(path, sizeof path, "%s/index.tsv", folder);
    if (!find_row(path, song, text, head, fields, names, &n)) return false;
    t->phase = field(fields, names, n, "beat_phase_ticks");
    t->beats_per_measure = (int)field(fields, names, n, "beats_per_measure");
    snprintf(path, sizeof path, "%s/structure_alignment.tsv", folder);
    if (!find_row(path, song, text, head, fields, names, &n)) return false;
    t->matched = field(fields, names, n, "matched");
    t->scale = field(fields, names, n, "scale");
    t->shift16 = (int)field(fields, names, n, "shift16");
    return true;
}

/* ---- spans of time with a symbol */
typedef struct span {
    double   begin, end;
    ct_chord chord;
    int      key;
} span;

static int pitch_class_of(const char *name) {
    static const char STEP[] = "C D EF G A B";
    const char       *at = strchr(STEP, name[0]);
    if (!at || name[0] == ' ') return -1;
    return ((int)(at - STEP) + (name[1] == '#') - (name[1] == 'b') + 12) % 12;
}

static ct_chord chord_of(const char *symbol) {
    char     name[64];
    ct_chord c = {.root = CT_NO_CHORD};
    if (symbol[0] == 'N' || symbol[0] == 'X') return c;
    c.root = (uint8_t)pitch_class_of(symbol);
    const char *colon = strchr(symbol, ':');
    snprintf(name, sizeof name, "%s", colon ? colon + 1 : "maj");
    name[strcspn(name, "/")] = 0;
    if (strcmp(name, "sus4(b7,9)") == 0)
        snprintf(name, sizeof name, "sus4(b7)");
    else if (strcmp(name, "sus4(b7)") != 0)
        name[strcspn(name, "(")] = 0;
    for (int q = 0; q < CT_QUALITY_COUNT; q++)
        if (strcmp(name, ct_quality_name(q)) == 0) c.quality = (uint8_t)q;
    return c;
}

static size_t read_spans(const char *folder, const char *song, const char *what, bool keys, span *out) {
    char   path[TEXT], symbol[64];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s/%s", folder, song, what);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    /* NOLINTNEXTLINE(cert-err34-c): annotations, not input */
    while (n < ROWS && fscanf(f, "%lf %lf %63s", &out[n].begin, &out[n].end, symbol) == 3) {
        if (keys)
            out[n].key = pitch_class_of(symbol) + 12 * (strstr(symbol, ":min") != NULL);
        else
            out[n].chord = chord_of(symbol);
        n++;
    }
    fclose(f);
    return n;
}

/* ---- seconds of a tick */
static double seconds_of(const ct_midi *m, double tick) {
    double seconds = 0, at = 0, now = 120;
    for (size_t i = 0; i < m->tempos.count && (double)m->tempos.at[i].tick < tick; i++) {
        seconds += ((double)m->tempos.at[i].tick - at) / m->ppq * 60 / now;
        at = (double)m->tempos.at[i].tick;
        now = m->tempos.at[i].value;
    }
    return seconds + (tick - at) / m->ppq * 60 / now;
}

/* ---- metrics */
static int majmin_of(ct_chord c) {
    switch (c.quality) {
    case CT_MAJ:
    case CT_MAJ7:
    case CT_DOM7:
    case CT_MAJ6:
        return 1;
    case CT_MIN:
    case CT_MIN7:
    case CT_MIN6:
    case CT_MINMAJ7:
        return 0;
    default:
        return -1;
    }
}

static int sevenths_of(ct_chord c) {
    switch (c.quality) {
    case CT_MAJ:
        return 0;
    case CT_MIN:
        return 1;
    case CT_MAJ7:
        return 2;
    case CT_DOM7:
        return 3;
    case CT_MIN7:
        return 4;
    default:
        return -1;
    }
}

static void score_chords(const span *ref, size_t n, const ct_midi *m, const ct_piece *p, const ct_analysis *info) {
    double  root = 0, roots = 0, majmin = 0, majmins = 0, sevenths = 0, all = 0;
    size_t  r = 0;
    int32_t c = -1;
    double *at = calloc((size_t)p->change_count + 1, sizeof *at);
    if (!at) return;
    for (int32_t i = 0; i < p->change_count; i++) at[i] = seconds_of(m, ct_analysis_tick(info, p, p->changes[i].step));
    double end = seconds_of(m, info->bar_ticks[p->bar_count]);
    /* NOLINTNEXTLINE(cert-flp30-c): seconds, and no count */
    for (double t = FRAME / 2; n && t < ref[n - 1].end; t += FRAME) {
        while (r + 1 < n && ref[r].end <= t) r++;
        if (t < ref[r].begin) continue;
        while (c + 1 < p->change_count && at[c + 1] <= t) c++;
        ct_chord a = ref[r].chord, b = c >= 0 && t < end ? p->changes[c].chord : (ct_chord){.root = CT_NO_CHORD};
        bool     none = a.root == CT_NO_CHORD, same = a.root == b.root;
        roots++;
        root += same;
        if (none || majmin_of(a) >= 0) {
            majmins++;
            majmin += same && (none || majmin_of(a) == majmin_of(b));
        }
        if (none || sevenths_of(a) >= 0) {
            all++;
            sevenths += same && (none || sevenths_of(a) == sevenths_of(b));
        }
    }
    free(at);
    score(ROOT, root, roots);
    score(MAJMIN, majmin, majmins);
    score(SEVENTHS, sevenths, all);
}

/* MIREX: 1 the same, .5 a fifth apart, .3 relative, .2 parallel. */
static double mirex(int ref, int est) {
    int a = ref % 12, b = est % 12, m = ref / 12, n = est / 12, apart = (b - a + 12) % 12;
    if (apart == 0) return m == n ? 1 : 0.2;
    if (m == n) return apart == 7 || apart == 5 ? 0.5 : 0;
    return (m == 0 && apart == 9) || (m == 1 && apart == 3) ? 0.3 : 0;
}

static void score_key(const span *ref, size_t n, int key) {
    double sum_ = 0, total = 0, longest = 0;
    int    main_key = -1;
    for (size_t i = 0; i < n; i++) {
        double length = ref[i].end - ref[i].begin;
        sum_ += length * mirex(ref[i].key, key);
        total += length;
        if (length > longest) {
            longest = length;
            main_key = ref[i].key;
        }
    }
    if (total <= 0) return;
    score(KEY, sum_ / total, 1);
    score(KEY_EXACT, main_key == key, 1);
}

static bool is_melody_track(const ct_midi *m, int track) {
    return track >= 0 && strcmp(m->tracks[track].name, "MELODY") == 0;
}

/* Notes that sound the same pitch within a sixteenth of a beat count once. */
static void score_melody(const ct_midi *m, const ct_analysis *info) {
    double  right = 0, picked = 0, wanted = 0;
    int64_t group[128];
    bool   *pick = calloc(m->note_count, sizeof *pick), *want = calloc(m->note_count, sizeof *want);
    if (!pick || !want) abort();
    for (int i = 0; i < 128; i++) group[i] = -1;
    for (size_t i = 0; i < m->note_count; i++) {
        const ct_midi_note *n = &m->notes[i];
        int64_t             g = group[n->pitch];
        if (g < 0 || n->start - m->notes[g].start > m->ppq / 16) g = group[n->pitch] = (int64_t)i;
        pick[g] |= info->is_melody[i] != 0;
        want[g] |= is_melody_track(m, n->track);
    }
    for (size_t i = 0; i < m->note_count; i++) {
        right += pick[i] && want[i];
        picked += pick[i];
        wanted += want[i];
    }
    free(pick);
    free(want);
    score(MELODY_P, right, picked);
    score(MELODY_R, right, wanted);
}

static void score_bars(const truth *t, const ct_midi *m, const ct_piece *p, const ct_analysis *info) {
    double off = fmod(info->phase - t->phase, m->ppq) / m->ppq;
    if (off < 0) off += 1;
    bool on_grid = fmin(off, 1 - off) <= 1.0 / 16 && fabs(info->ticks_per_beat - m->ppq) < 1;
    if (!on_grid) printf("# grid off by %.2f beats\n", off);
    score(GRID, on_grid, 1);
    int middle = p->bar_count / 2;
    score(METRE, ct_metre_at(p->bars[middle].metre)->beats == (t->beats_per_measure == 3 ? 3 : 4), 1);
    if (t->matched < 0.9 || t->scale != 1 || t->beats_per_measure == 3) return;
    double first = t->phase + t->shift16 * m->ppq / 4.0;
    double beats = floor((info->bar_ticks[middle] - first) / m->ppq + 0.5);
    score(DOWNBEAT, fmod(fmod(beats, 4) + 4, 4) == 0, 1);
}

/* Starts of the phrases of human_label1.txt ("i4A4B8...": letters and bars) against ours, within a quarter of a bar. */
static void score_sections(const char *folder, const char *song, const truth *t, const ct_midi *m, const ct_piece *p,
                           const ct_analysis *info) {
    char path[TEXT], label[TEXT] = "";
    snprintf(path, sizeof path, "%s/%s/human_label1.txt", folder, song);
    FILE *f = fopen(path, "r");
    if (!f || t->matched < 0.9 || t->scale != 1 || t->beats_per_measure == 3 || !fgets(label, sizeof label, f)) {
        if (f) fclose(f);
        return;
    }
    fclose(f);
    double bar = 4.0 * m->ppq, at = t->phase + t->shift16 * m->ppq / 4.0, right = 0, wanted = 0;
    for (const char *c = label; *c > ' ';) {
        bool hit = false;
        for (int32_t i = 0; i < p->section_count && wanted > 0; i++)
            hit |= fabs(info->bar_ticks[p->sections[i].first] - at) < bar / 4;
        right += hit;
        wanted++;
        at += bar * (double)strtol(c + 1, (char **)&c, 10);
    }
    score(BOUNDARY_P, right, p->section_count - 1 - ct_piece_has_pickup(p));
    score(BOUNDARY_R, right, wanted - 1);
}

static bool read_file(const char *path, uint8_t **bytes, size_t *count) {
    FILE  *f = fopen(path, "rb");
    size_t room = 1 << 22;
    if (!f) return false;
    *bytes = malloc(room);
    *count = *bytes ? fread(*bytes, 1, room, f) : 0;
    fclose(f);
    return *bytes != NULL;
}

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double spent;
static int    files;

static void score_song(const char *folder, int number) {
    char     path[TEXT], song[16];
    uint8_t *bytes = NULL;
    size_t   count;
    truth    t;
    snprintf(song, sizeof song, "%03d", number);
    snprintf(path, sizeof path, "%s/%s/%s.mid", folder, song, song);
    if (!read_file(path, &bytes, &count) || !read_truth(folder, song, &t)) {
        free(bytes);
        return;
    }
    ct_arena           arena = {0};
    ct_midi            midi;
    ct_piece           piece;
    ct_analysis        info;
    ct_analyse_options o = ct_analyse_defaults();
    static span        ref[ROWS];
    o.use_names = false;
    double    begin = seconds_now();
    ct_status status = ct_midi_read(bytes, count, &arena, &midi);
    if (status == CT_OK) status = ct_analyse(&midi, &o, &arena, &piece, &info);
    spent += seconds_now() - begin;
    files++;
    if (status != CT_OK)
        printf("# %s: %s\n", song, ct_message());
    else {
        score_bars(&t, &midi, &piece, &info);
        score_sections(folder, song, &t, &midi, &piece, &info);
        score_chords(ref, read_spans(folder, song, "chord_midi.txt", false, ref), &midi, &piece, &info);
        score_key(ref, read_spans(folder, song, "key_audio.txt", true, ref), info.key);
        score(TRACK, is_melody_track(&midi, info.melody_track), 1);
        o.merged = true;
        if (ct_analyse(&midi, &o, &arena, &piece, &info) == CT_OK) score_melody(&midi, &info);
    }
    ct_arena_free(&arena);
    free(bytes);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: score_pop909 FOLDER FIRST LAST [STEP]\n");
        return 2;
    }
    int step = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 1;
    for (int i = (int)strtol(argv[2], NULL, 10); i <= strtol(argv[3], NULL, 10); i += step > 0 ? step : 1)
        score_song(argv[1], i);
    static const char *const NAME[METRICS] = {"grid",      "root",       "majmin",    "sevenths", "key",
                                              "key_exact", "track",      "melody_p",  "melody_r", "downbeat",
                                              "metre",     "boundary_p", "boundary_r"};
    double                   value[METRICS];
    for (int i = 0; i < METRICS; i++) {
        value[i] = scores[i].total > 0 ? scores[i].right / scores[i].total : 0;
        printf("%s %.4f %d\n", NAME[i], value[i], scores[i].songs);
    }
    double p = value[MELODY_P], r = value[MELODY_R];
    printf("melody_f1 %.4f %d\n", p + r > 0 ? 2 * p * r / (p + r) : 0, scores[MELODY_P].songs);
    printf("files_per_second %.1f %d\n", spent > 0 ? files / spent : 0, files);
    return 0;
}
