/* chord_songs.h -- songs with their chords, for fit_chords: what was heard on each beat, and what is written.
 *
 * POP909's odd songs with chord_midi.txt (rows of seconds and symbol), Nottingham's tunes with the chords of their
 * second track: three or four notes that start together, named from the lowest; those that have no name there (another
 * bass) are left open. Only the longest reach needed is kept: labels from the first labelled beat to the first open one
 * after it.
 */
#ifndef CT_TOOLS_CHORD_SONGS_H
#define CT_TOOLS_CHORD_SONGS_H

#include "core/music/chord.h"
#include "core/music/metre.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SONGS_MAX = 900, BEATS_MAX = 4000, CHORDS_MAX = 4096, OPEN = -1 };

typedef struct song {
    ct_arena       arena;
    ct_chord_view *views;
    int16_t       *labels;  /* state by beat, OPEN */
    double        *seconds; /* beats + 1 */
    int32_t        beats, first, labelled;
    int            half; /* of the songs: 0, 1 */
    bool           tune; /* of Nottingham */
} song;

typedef struct written {
    double begin, end;
    int    state;
} written;

static void check(ct_status status) {
    if (status == CT_OK) return;
    fprintf(stderr, "%s\n", ct_message());
    exit(1);
}

/* ---- symbols */
static int state_of_symbol(const char *symbol) {
    static const char STEP[] = "C D EF G A B";
    char              name[64];
    if (symbol[0] == 'N' || symbol[0] == 'X') return CT_CHORD_NONE;
    const char *at = strchr(STEP, symbol[0]), *colon = strchr(symbol, ':');
    if (!at) return OPEN;
    int root = ((int)(at - STEP) + (symbol[1] == '#') - (symbol[1] == 'b') + 12) % 12;
    snprintf(name, sizeof name, "%s", colon ? colon + 1 : "maj");
    name[strcspn(name, "/")] = 0;
    if (strncmp(name, "sus4(b7", 7) == 0)
        snprintf(name, sizeof name, "sus4(b7)");
    else
        name[strcspn(name, "(")] = 0;
    for (int q = 0; q < CT_CHORD_QUALITIES; q++)
        if (strcmp(name, ct_quality_name(q)) == 0) return root * CT_CHORD_QUALITIES + q;
    return OPEN;
}

static int read_symbols(const char *path, written *out) {
    char  symbol[64];
    int   n = 0;
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    /* NOLINTNEXTLINE(cert-err34-c): annotations, not input */
    while (n < CHORDS_MAX && fscanf(f, "%lf %lf %63s", &out[n].begin, &out[n].end, symbol) == 3)
        out[n++].state = state_of_symbol(symbol);
    fclose(f);
    return n;
}

/* The chords that the last track plays, in beats. */
static int played_chords(const ct_midi *m, const ct_grid_note *notes, size_t count, written *out) {
    int    n = 0;
    size_t last = 0;
    for (size_t i = 0; i < count; i++) last = notes[i].part / 16 > last ? notes[i].part / 16 : last;
    if (m->track_count < 2 || last == notes[0].part / 16) {
        bool alone = true;
        for (size_t i = 0; i < count; i++) alone &= notes[i].part / 16 == last;
        if (alone) return 0;
    }
    for (size_t i = 0, end; i < count && n < CHORDS_MAX; i = end) {
        unsigned mask = 0;
        int      lowest = 128;
        double   until = 0;
        for (end = i; end < count && notes[end].start <= notes[i].start; end++) {
            if (notes[end].part / 16 != last) continue;
            lowest = notes[end].pitch < lowest ? notes[end].pitch : lowest;
            until = fmax(until, notes[end].end);
        }
        for (size_t k = i; k < end; k++)
            if (notes[k].part / 16 == last) mask |= 1u << (notes[k].pitch - lowest) % 12;
        if (!mask) continue;
        out[n] = (written){notes[i].start, until, OPEN};
        for (int q = CT_CHORD_QUALITIES - 1; q >= 0; q--)
            if (ct_quality_mask(q) == mask && q != CT_SUS2 && q != CT_SUS4)
                out[n].state = lowest % 12 * CT_CHORD_QUALITIES + q;
        n++;
    }
    return n;
}

/* ---- songs */
static double seconds_of(const ct_midi *m, double tick) {
    double seconds = 0, at = 0, now = 120;
    for (size_t i = 0; i < m->tempos.count && (double)m->tempos.at[i].tick < tick; i++) {
        seconds += ((double)m->tempos.at[i].tick - at) / m->ppq * 60 / now;
        at = (double)m->tempos.at[i].tick;
        now = m->tempos.at[i].value;
    }
    return seconds + (tick - at) / m->ppq * 60 / now;
}

/* The chord that holds longest in begin..end. */
static int label_of(const written *chords, int n, double begin, double end) {
    double most = 0;
    int    best = OPEN;
    for (int i = 0; i < n; i++) {
        double shared = fmin(chords[i].end, end) - fmax(chords[i].begin, begin);
        if (shared <= most) continue;
        most = shared;
        best = chords[i].state;
    }
    return best;
}

static void find_labelled(song *s) {
    while (s->first < s->beats && s->labels[s->first] == OPEN) s->first++;
    while (s->first + s->labelled < s->beats && s->labelled < BEATS_MAX && s->labels[s->first + s->labelled] != OPEN)
        s->labelled++;
}

/* Hear a file; symbols: the path of its chords in seconds, NULL where its last track plays them. */
static bool load_song(const char *path, const char *symbols, song *s) {
    static uint8_t  bytes[1 << 21];
    static written  chords[CHORDS_MAX];
    ct_midi         midi;
    ct_grid         grid;
    ct_metre_report report;
    ct_grid_note   *notes;
    size_t          count;
    FILE           *f = fopen(path, "rb");
    if (!f) return false;
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    check(ct_midi_read(bytes, size, &s->arena, &midi));
    if (ct_metre_grid(&midi, 1000, &s->arena, &grid, &report) != CT_OK) return false;
    check(ct_grid_notes(&grid, &midi, &s->arena, &notes, &count));
    check(ct_chord_views(&grid, notes, count, &s->arena, &s->views));
    s->beats = grid.beat_count;
    s->tune = !symbols;
    s->labels = CT_NEW(&s->arena, int16_t, (size_t)s->beats);
    s->seconds = CT_NEW(&s->arena, double, (size_t)s->beats + 1);
    if (!s->labels || !s->seconds) check(CT_ENOMEM);
    for (int32_t t = 0; t <= s->beats; t++) s->seconds[t] = seconds_of(&midi, ct_grid_tick(&grid, t));
    int n = symbols ? read_symbols(symbols, chords) : played_chords(&midi, notes, count, chords);
    for (int32_t t = 0; t < s->beats; t++) {
        const double *at = &s->seconds[t];
        s->labels[t] = (int16_t)(symbols ? label_of(chords, n, at[0], at[1]) : label_of(chords, n, t, t + 1));
    }
    find_labelled(s);
    return n > 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp((const char *)a, (const char *)b);
}

static size_t load_songs(const char *pop909, const char *nottingham, song *out) {
    static char    names[2000][64];
    char           path[600], symbols[600];
    size_t         n = 0, files = 0;
    DIR           *folder;
    struct dirent *entry;
    for (int number = 1; number < 600; number += 2) {
        snprintf(path, sizeof path, "%s/%03d/%03d.mid", pop909, number, number);
        snprintf(symbols, sizeof symbols, "%s/%03d/chord_midi.txt", pop909, number);
        out[n].half = number / 2 % 2;
        n += load_song(path, symbols, &out[n]);
    }
    snprintf(path, sizeof path, "%s/midi", nottingham);
    if (!(folder = opendir(path))) return n;
    while ((entry = readdir(folder)) && files < 2000)
        if (strstr(entry->d_name, ".mid")) snprintf(names[files++], sizeof names[0], "%s", entry->d_name);
    closedir(folder);
    qsort(names, files, sizeof names[0], by_name);
    for (size_t i = 0; i < files && n < SONGS_MAX; i += 2) {
        snprintf(path, sizeof path, "%s/midi/%s", nottingham, names[i]);
        out[n].half = (int)(i / 2 % 2);
        n += load_song(path, NULL, &out[n]);
    }
    return n;
}

/* ---- scores: seconds right of those scored, by mir_eval's rules */
enum { ROOT, MAJMIN, SEVENTHS, SCORES, THIRD };

static int class_of(int state, int score) {
    static const int8_t MAJMIN_OF[CT_CHORD_QUALITIES] = {0, 1, -1, -1, 0, 1, 0, -1, -1, 1, 0, 1, -1, -1, -1};
    static const int8_t THIRD_OF[CT_CHORD_QUALITIES] = {0, 1, 2, 3, 0, 1, 0, 2, 2, 1, 0, 1, 4, 4, 4};
    static const int8_t SEVENTH_OF[CT_CHORD_QUALITIES] = {0, 1, -1, -1, 2, 3, 4, -1, -1, -1, -1, -1, -1, -1, -1};
    if (score == ROOT || state == CT_CHORD_NONE) return 0;
    const int8_t *classes = score == MAJMIN ? MAJMIN_OF : score == THIRD ? THIRD_OF : SEVENTH_OF;
    return classes[state % CT_CHORD_QUALITIES];
}

static bool same_class(int a, int b, int score) {
    return a / CT_CHORD_QUALITIES == b / CT_CHORD_QUALITIES && class_of(a, score) == class_of(b, score);
}

/* ---- how the fit does on songs that it has not seen */
enum { BINS = 10 };

static void score_unseen(const ct_chord_weights *w, const song *s, double (*right)[2], double (*sure)[3]) {
    ct_arena arena = {0};
    float   *likely;
    uint8_t *states = CT_NEW(&arena, uint8_t, (size_t)s->beats);
    if (!states) check(CT_ENOMEM);
    check(ct_chord_posterior(w, s->views, s->beats, &arena, &likely));
    check(ct_chord_choose(likely, s->beats, &arena, states));
    for (int32_t t = 0; t < s->beats; t++) {
        int    want = s->labels[t], got = states[t];
        double time = s->seconds[t + 1] - s->seconds[t],
               p = (double)ct_chord_sure(likely + (size_t)t * CT_CHORD_STATES, got);
        if (want == OPEN) continue;
        for (int k = 0; k < SCORES; k++) {
            if (class_of(want, k) < 0) continue;
            right[k][0] += same_class(want, got, k) ? time : 0;
            right[k][1] += time;
        }
        double *bin = sure[(int)fmin(p * BINS, BINS - 1)];
        bin[0] += p * time;
        bin[1] += same_class(want, got, THIRD) ? time : 0;
        bin[2] += time;
    }
    ct_arena_free(&arena);
}

static void check_halves(const song *songs, size_t count,
                         void (*fit_)(ct_chord_weights *w, const song *songs, size_t count, int half)) {
    static ct_chord_weights w;
    double                  right[2][SCORES][2] = {{{0}}}, sure[2][BINS][3] = {{{0}}};
    for (int half = 0; half < 2; half++) {
        fit_(&w, songs, count, half);
        for (size_t i = 0; i < count; i++)
            if (songs[i].half != half) score_unseen(&w, &songs[i], right[songs[i].tune], sure[songs[i].tune]);
    }
    for (int tune = 0; tune < 2; tune++) {
        printf("%s root %.4f majmin %.4f sevenths %.4f\n", tune ? "Nottingham" : "POP909",
               right[tune][ROOT][0] / right[tune][ROOT][1], right[tune][MAJMIN][0] / right[tune][MAJMIN][1],
               right[tune][SEVENTHS][0] / right[tune][SEVENTHS][1]);
        for (int b = 0; b < BINS; b++) {
            const double *bin = sure[tune][b];
            if (bin[2] > 0)
                printf("  said %.2f, right %.2f, %.2f of the time\n", bin[0] / bin[2], bin[1] / bin[2],
                       bin[2] / right[tune][ROOT][1]);
        }
    }
}

#endif
