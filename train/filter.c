/* filter.c -- see filter.h. */
#include "train/filter.h"

#include "core/config.h"

#include <math.h>
#include <string.h>

enum { DRUMS = 9 };

typedef struct ct_view {
    const ct_midi     *midi;
    const ct_piece    *piece;
    const ct_analysis *info;
} ct_view;

/* ---- measures */
/* A song without a melody is one for the backbone alone: it lacks none. */
static double notes(const ct_view *v) {
    return v->piece->melody_count ? (double)v->piece->melody_count : (double)INFINITY;
}
static double bars(const ct_view *v) {
    return v->piece->bar_count;
}
static double minutes(const ct_view *v) {
    double sum = 0;
    for (int32_t i = 0; i < v->piece->bar_count; i++)
        sum += ct_metre_at(v->piece->bars[i].metre)->beats / v->piece->bars[i].tempo;
    return sum;
}
/* Different pitches of the melody. */
static double pitches(const ct_view *v) {
    bool seen[128] = {false};
    int  count = 0;
    for (int32_t i = 0; i < v->piece->melody_count; i++) seen[v->piece->melody[i].pitch & 127] = true;
    for (int i = 0; i < 128; i++) count += seen[i];
    return count;
}
/* Share of the bars in which a melody note starts. */
static double melody(const ct_view *v) {
    int32_t count = 0, last = -1;
    for (int32_t i = 0; i < v->piece->melody_count; i++) {
        int32_t bar = ct_piece_bar_at(v->piece, v->piece->melody[i].start);
        count += bar != last;
        last = bar;
    }
    return (double)count / v->piece->bar_count;
}
/* Share of the time that has a chord. */
static double harmony(const ct_view *v) {
    int32_t steps = ct_piece_steps(v->piece), with = 0;
    for (int32_t i = 0; i < v->piece->change_count; i++) {
        const ct_change *c = &v->piece->changes[i];
        int32_t          end = i + 1 < v->piece->change_count ? c[1].step : steps;
        if (c->chord.root != CT_NO_CHORD) with += end - c->step;
    }
    return (double)with / steps;
}
/* Different chords, by root and quality. */
static double chords(const ct_view *v) {
    bool seen[12][CT_QUALITY_COUNT] = {{false}};
    int  count = 0;
    for (int32_t i = 0; i < v->piece->change_count; i++) {
        ct_chord c = v->piece->changes[i].chord;
        if (c.root == CT_NO_CHORD || seen[c.root][c.quality]) continue;
        seen[c.root][c.quality] = true;
        count++;
    }
    return count;
}
/* Share of the onsets within 1/32 beat of a sixteenth or a triplet of the grid, drums apart. By chance: 3/8. */
static double grid(const ct_view *v) {
    static const double places[] = {0, 1.0 / 4, 1.0 / 3, 1.0 / 2, 2.0 / 3, 3.0 / 4, 1};
    int64_t             count = 0, near = 0;
    int32_t             bar = 0;
    for (size_t i = 0; i < v->midi->note_count; i++) {
        const ct_midi_note *n = &v->midi->notes[i];
        if (n->channel == DRUMS) continue;
        while (bar + 1 < v->piece->bar_count && v->info->bar_ticks[bar + 1] <= (double)n->start) bar++;
        double begin = v->info->bar_ticks[bar], length = v->info->bar_ticks[bar + 1] - begin;
        double beat = ((double)n->start - begin) / length * ct_metre_at(v->piece->bars[bar].metre)->beats, far = 1;
        for (size_t k = 0; k < CT_COUNT(places); k++) far = fmin(far, fabs(beat - floor(beat) - places[k]));
        near += far <= 1.0 / 32;
        count++;
    }
    return count ? (double)near / (double)count : 0;
}
/* Beats a minute over the whole song. */
static double tempo(const ct_view *v) {
    return v->piece->beat_count / minutes(v);
}

/* ---- the table */
typedef struct ct_filter {
    const char *key, *reason;
    double (*measure)(const ct_view *);
    bool   most, whole; /* an upper limit; the limit is an int64_t */
    size_t limit;
} ct_filter;

#define LEAST(name, whole, measure, reason)                                                                            \
    { "filter.least_" #name, reason, measure, false, whole, offsetof(ct_filter_limits, least_##name) }
#define MOST(name, whole, measure, reason)                                                                             \
    { "filter.most_" #name, reason, measure, true, whole, offsetof(ct_filter_limits, most_##name) }
static const ct_filter filters[] = {
    LEAST(notes, true, notes, "too few melody notes"),
    LEAST(bars, true, bars, "too few bars"),
    MOST(bars, true, bars, "too many bars"),
    MOST(minutes, false, minutes, "too many minutes"),
    LEAST(pitches, true, pitches, "too few different pitches in the melody"),
    LEAST(melody, false, melody, "melody in too few bars"),
    LEAST(harmony, false, harmony, "no chord found for too much of the time"),
    LEAST(chords, true, chords, "too few different chords"),
    LEAST(grid, false, grid, "too few onsets near the grid"),
    LEAST(tempo, false, tempo, "too slow"),
    MOST(tempo, false, tempo, "too fast"),
};
static const char *const METRE_KEY = "filter.metres", *const METRE_REASON = "a metre not asked for";

static double limit_of(const ct_filter *f, const ct_filter_limits *limits) {
    const char *at = (const char *)limits + f->limit;
    int64_t     whole;
    double      real;
    memcpy(&whole, at, sizeof whole);
    memcpy(&real, at, sizeof real);
    return f->whole ? (double)whole : real;
}

/* The next word of a list, its length in *length; NULL at the end. */
static const char *word(const char *list, size_t *length) {
    list += strspn(list, " ,");
    *length = strcspn(list, " ,");
    return *length ? list : NULL;
}

static bool listed(const char *list, const char *name) {
    size_t n = 0;
    for (const char *w = list; (w = word(w, &n)); w += n)
        if (strlen(name) == n && !strncmp(name, w, n)) return true;
    return false;
}

ct_status ct_filter_check(const ct_filter_limits *limits) {
    size_t n = 0;
    for (const char *w = limits->metres; (w = word(w, &n)); w += n) {
        int m = 0;
        while (m < CT_METRE_COUNT && (strlen(ct_metre_at(m)->name) != n || strncmp(ct_metre_at(m)->name, w, n) != 0))
            m++;
        if (m == CT_METRE_COUNT)
            return ct_fail(CT_EUSAGE, "%s: expected metres such as \"4/4 3/4 6/8\", found \"%.*s\"",
                           ct_config_where(METRE_KEY), (int)n, w);
    }
    if (limits->most_bars && limits->most_bars < limits->least_bars)
        return ct_fail(CT_EUSAGE, "%s: %lld, but filter.least_bars is %lld", ct_config_where("filter.most_bars"),
                       (long long)limits->most_bars, (long long)limits->least_bars);
    if (limits->most_tempo > 0 && limits->most_tempo < limits->least_tempo)
        return ct_fail(CT_EUSAGE, "%s: %g, but filter.least_tempo is %g", ct_config_where("filter.most_tempo"),
                       limits->most_tempo, limits->least_tempo);
    return CT_OK;
}

ct_status ct_filter_song(const ct_filter_limits *limits, const ct_midi *midi, const ct_piece *piece,
                         const ct_analysis *info) {
    const ct_view view = {midi, piece, info};
    for (const ct_filter *f = filters; f < filters + CT_COUNT(filters); f++) {
        double limit = limit_of(f, limits);
        if (limit <= 0) continue;
        double value = f->measure(&view);
        if (f->most ? value > limit : value < limit)
            return ct_fail(CT_EFAIL, "%s: %.4g, %s is %g", f->reason, value, f->key, limit);
    }
    for (int32_t i = 0; i < piece->bar_count && *limits->metres; i++) {
        const char *name = ct_metre_at(piece->bars[i].metre)->name;
        if (!listed(limits->metres, name))
            return ct_fail(CT_EFAIL, "%s: %s, %s is %s", METRE_REASON, name, METRE_KEY, limits->metres);
    }
    return CT_OK;
}

ct_json *ct_filter_json(const ct_filter_limits *limits) {
    ct_json *object = ct_json_new_object();
    for (const ct_filter *f = filters; f < filters + CT_COUNT(filters); f++) {
        double limit = limit_of(f, limits);
        ct_json_set(object, strchr(f->key, '.') + 1,
                    f->whole ? ct_json_new_integer((int64_t)limit) : ct_json_new_real(limit));
    }
    ct_json_set(object, strchr(METRE_KEY, '.') + 1, ct_json_new_text(limits->metres));
    return object;
}

const char *ct_filter_key(const char *reason, size_t length) {
    for (const ct_filter *f = filters; f < filters + CT_COUNT(filters); f++)
        if (strlen(f->reason) == length && !strncmp(f->reason, reason, length)) return f->key;
    return strlen(METRE_REASON) == length && !strncmp(METRE_REASON, reason, length) ? METRE_KEY : NULL;
}
