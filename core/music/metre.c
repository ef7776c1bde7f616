/* metre.c -- see metre.h. */
#include "core/music/metre.h"

#include "core/music/barline.h"
#include "core/music/phase.h"
#include "core/music/swing.h"
#include "core/music/tempo.h"
#include "core/music/track.h"

#include <math.h>
#include <string.h>

enum { DRUMS = 9, PATTERN_MAX = 16, UNITS_MAX = 12, CONTRADICTED_BEATS = 48 };
static const double CLEARLY = 0.5;       /* by how much other downbeats must stand out to move those of the file */
static const double CONTRADICTED = 0.35; /* by how much three must stand out more than four, or four than three */
/* By how much beats of three eighths must stand out more than those of two: more where the bars of them don't stand
 * out themselves. */
static const double DOTTED = 0.2, DOTTED_ALONE = 0.33, DOTTED_BARS = 1;

static const double SURE = 0.4; /* see ct_track: beats of random notes have 0.04, of a song played with rubato 0.8 */
static const double PULL_MIN = 0.07;             /* see ct_grid_pull */
static const double SLOWEST = 40, FASTEST = 208; /* beats a minute */

/* ---- from the file's events */
/* A written bar as a row of our metres: 5/4 is 3/4 and 2/4. Returns how many, 0 when it can't be written. */
static int write_bar(int numerator, int denominator, uint8_t *pattern) {
    int found = ct_metre_find(numerator, denominator), n = 0;
    if (denominator == 8 && (numerator == 4 || numerator == 8)) return write_bar(numerator / 2, 4, pattern);
    if (denominator == 8 && numerator == 3) found = CT_6_8;
    if (found >= 0) {
        pattern[0] = (uint8_t)found;
        return 1;
    }
    if (denominator == 2) return write_bar(2 * numerator, 4, pattern);
    if (denominator != 4 || numerator < 2 || numerator > 2 * PATTERN_MAX) return 0;
    for (int left = numerator; left > 0;) {
        int take = left == 5 || left == 6 || left == 3 || left == 9 ? 3 : left == 2 ? 2 : 4;
        pattern[n++] = (uint8_t)ct_metre_find(take, 4);
        left -= take;
    }
    return n;
}

static double bar_ticks(int metre, double quarter) {
    const ct_metre *m = ct_metre_at(metre);
    return m->beats * m->eighths_per_beat * quarter / 2.0;
}

typedef struct layer {
    const ct_midi *midi;
    ct_arena      *arena;
    ct_grid       *grid;
    int32_t        limit;
    double         first, last; /* the music lies between these ticks */
    double         quarter;     /* ticks of what is taken for one: the file's, or half or twice that */
} layer;

/* Append a bar of `length` ticks; those before the music are forgotten. */
static ct_status lay(layer *l, double *tick, int metre, double length) {
    ct_grid *g = l->grid;
    double   end = *tick + length;
    if (end > l->first + 1e-6 * l->quarter) {
        if (g->bar_count >= l->limit)
            return ct_fail(CT_EFAIL, "too long: more than %d bars (hint: raise the limit, or cut the file)", l->limit);
        g->bars[g->bar_count] = (ct_grid_bar){*tick, g->beat_count, (uint8_t)metre};
        g->beat_count += ct_metre_at(metre)->beats;
        g->bars[++g->bar_count] = (ct_grid_bar){end, g->beat_count, (uint8_t)metre};
    }
    *tick = end;
    return CT_OK;
}

/* Bars of `pattern` from *tick on, until `until` or the end of the music is reached or passed. */
static ct_status lay_pattern(layer *l, double *tick, double until, const uint8_t *pattern, int count) {
    double whole = 0, stop = fmin(until, l->last);
    for (int i = 0; i < count; i++) whole += bar_ticks(pattern[i], l->quarter);
    double silent = floor((fmin(l->first, stop) - *tick) / whole);
    if (silent > 0) *tick += silent * whole;
    for (int i = 0; *tick < stop - l->quarter / 4.0; i = (i + 1) % count) {
        int    metre = pattern[i];
        double length = bar_ticks(metre, l->quarter), left = fmin(until - *tick, length);
        if (left < length - l->quarter / 4.0) {
            int cut = ct_metre_find((int)lround(left / l->quarter), 4);
            if (cut >= 0) length = bar_ticks(metre = cut, l->quarter);
        }
        CT_TRY(lay(l, tick, metre, length));
    }
    return CT_OK;
}

typedef struct signature {
    double  tick;
    int     count;
    uint8_t pattern[PATTERN_MAX];
} signature;

/* The signatures in force, one a tick, 4/4 from the start if the first comes later. Returns their number, 0 when one
 * of them can't be written. A first bar shorter than a bar of what follows is a pickup: the second signature then
 * begins one bar before its place. */
static size_t read_signatures(const ct_midi_list *events, int ppq, signature *out) {
    size_t n = 0;
    for (size_t i = 0; i < events->count; i++) {
        const ct_midi_event *e = &events->at[i];
        if (i + 1 < events->count && e[1].tick == e->tick) continue;
        signature s = {.tick = (double)e->tick};
        s.count = write_bar(e->a, e->b, s.pattern);
        if (i + 1 < events->count && n == 0 && e->tick == 0) {
            signature next = {.tick = (double)e[1].tick};
            next.count = write_bar(e[1].a, e[1].b, next.pattern);
            if (next.count && next.tick < bar_ticks(next.pattern[0], ppq) - 1 && (e[1].a != e->a || e[1].b != e->b)) {
                next.tick -= bar_ticks(next.pattern[0], ppq);
                out[n++] = next;
                i++;
                continue;
            }
        }
        if (!s.count) return 0;
        if (n == 0 && s.tick > 0) {
            out[n] = (signature){.count = 1};
            out[n++].pattern[0] = CT_4_4;
        }
        out[n++] = s;
    }
    return n;
}

/* ---- beats that a metronome has: 40 to 208 a minute */
/* A half has twelve steps, so that a sixteenth has one and a half: do more than a few onsets need them? */
static bool needs_quarters(const ct_midi *midi, double phase) {
    size_t odd = 0;
    for (size_t i = 0; i < midi->note_count; i++) {
        double quarter = fmod(((double)midi->notes[i].start - phase) / midi->ppq + 1, 1);
        odd += midi->notes[i].channel != DRUMS && fabs(fabs(quarter - 0.5) - 0.25) < 1.0 / 32;
    }
    return 33 * odd > midi->note_count;
}

/* 2/2 that needs its quarters is written as 4/4. */
static void avoid_halves(signature *s, size_t count, const ct_midi *midi) {
    if (!needs_quarters(midi, 0)) return;
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < s[i].count; k++)
            if (s[i].pattern[k] == CT_2_2) s[i].pattern[k] = CT_4_4;
}

/* Slower quarters are two beats each, where all bars are 2/4 (then 4/4), 3/4 or 4/4 (then two bars). */
static void halve_quarters(layer *l, signature *s, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (s[i].count != 1 || s[i].pattern[0] > CT_4_4) return;
    for (size_t i = 0; i < count; i++)
        if (s[i].pattern[0] == CT_2_4) s[i].pattern[0] = CT_4_4;
    l->quarter /= 2;
}

/* Faster quarters are half a beat each: bars of four have two beats, where the notes don't need more. */
static void join_quarters(ct_grid *grid) {
    int32_t beats = 0;
    for (int32_t i = 0; i <= grid->bar_count; i++) {
        ct_grid_bar *bar = &grid->bars[i];
        if (bar->metre == CT_4_4) bar->metre = CT_2_2;
        bar->beat = beats;
        if (i < grid->bar_count) beats += ct_metre_at(bar->metre)->beats;
    }
    grid->beat_count = beats;
}

static ct_status lay_signatures(layer *l, const signature *s, size_t count) {
    double tick = s[0].tick;
    for (size_t i = 0; i < count; i++)
        CT_TRY(lay_pattern(l, &tick, i + 1 < count ? s[i + 1].tick : INFINITY, s[i].pattern, s[i].count));
    return CT_OK;
}

/* ---- from the music */
/* Does the music of a file that says 2/4, 3/4 or 4/4 clearly go in three where the file says two or four, or the other
 * way round? */
static ct_status is_contradicted(layer *l, int metre, double phase, bool *out) {
    double   ppq = l->quarter, origin = phase + floor((l->first - phase) / ppq + 0.1) * ppq;
    int32_t  beats = (int32_t)fmin(fmax(ceil((l->last - origin) / ppq), 1), 4.0 * l->limit);
    ct_pulse pulse;
    *out = false;
    if (beats < CONTRADICTED_BEATS || (metre != CT_2_4 && metre != CT_3_4 && metre != CT_4_4)) return CT_OK;
    CT_TRY(ct_pulse_cues(l->midi, origin, ppq, beats, l->arena, &pulse));
    double three = ct_barline_best(&pulse, beats, 3), four = ct_barline_best(&pulse, beats, 4);
    *out = (metre == CT_3_4 ? four - three : three - four) > CONTRADICTED;
    return CT_OK;
}

/* A file with one metre throughout often starts with its upbeat where the first bar should start. Its beats may then
 * lie a few sixteenths later (phase), its bar lines a few beats, or eighths in 6/8, 9/8 and 12/8. The music moves them
 * when it says so clearly. */
static ct_status lay_one_metre(layer *l, const signature *s, double phase, int *moved) {
    const ct_metre *m = ct_metre_at(s->pattern[0]);
    bool            compound = m->eighths_per_beat == 3;
    int             units = compound ? m->numerator : m->beats; /* what bar lines move by */
    double          unit = (compound ? 1 : m->eighths_per_beat) * l->quarter / 2.0, by_phase[UNITS_MAX] = {0};
    CT_ASSERT(units > 0);
    if (compound) phase = 0;
    double   origin = phase + floor((l->first - phase) / unit + 0.1) * unit;
    int32_t  count = (int32_t)fmin(fmax(ceil((l->last - origin) / unit), 1), (double)units * l->limit);
    ct_pulse pulse;
    CT_TRY(ct_pulse_cues(l->midi, origin, unit, count, l->arena, &pulse));
    int best = 0, written = 0;
    for (int j = 0; j < units; j++) {
        by_phase[j] = ct_barline_stand_out(&pulse, count, units, j);
        if (by_phase[j] > by_phase[best]) best = j;
    }
    if (phase == 0) {
        int into = (int)lround(fmod((origin - s->tick) / unit, units) + units) % units;
        written = (units - into) % units;
    }
    bool clear = phase != 0 || by_phase[best] > by_phase[written] + CLEARLY;
    int  first = clear && count >= 4 * units ? best : written;
    *moved = (first - written + units) % units;
    double tick = origin + (first ? first - units : 0) * unit;
    return lay_pattern(l, &tick, INFINITY, s->pattern, 1);
}

/* Do beats of three eighths stand out more than beats of two? Then bars of 6/8 or 9/8 are laid. */
static ct_status lay_dotted(layer *l, double phase, bool *laid) {
    double   eighth = l->quarter / 2, origin = phase + floor((l->first - phase) / eighth + 0.1) * eighth;
    int32_t  count = (int32_t)fmin(fmax(ceil((l->last - origin) / eighth), 1), 8.0 * l->limit);
    ct_pulse pulse;
    *laid = false;
    if (count < CONTRADICTED_BEATS) return CT_OK;
    CT_TRY(ct_pulse_cues(l->midi, origin, eighth, count, l->arena, &pulse));
    double more = ct_barline_best(&pulse, count, 3) - ct_barline_best(&pulse, count, 2);
    double six = ct_barline_best(&pulse, count, 6), nine = ct_barline_best(&pulse, count, 9);
    if (more < (fmax(six, nine) > DOTTED_BARS ? DOTTED : DOTTED_ALONE)) return CT_OK;
    int     units = nine > six + DOTTED ? 9 : 6, first = 0;
    uint8_t metre = units == 9 ? CT_9_8 : CT_6_8;
    for (int j = 1; j < units; j++)
        if (ct_barline_stand_out(&pulse, count, units, j) > ct_barline_stand_out(&pulse, count, units, first))
            first = j;
    double tick = origin + (first ? first - units : 0) * eighth;
    *laid = true;
    return lay_pattern(l, &tick, INFINITY, &metre, 1);
}

static uint8_t compound(uint8_t metre) { /* of as many beats */
    return metre == CT_2_4 ? CT_6_8 : metre == CT_3_4 ? CT_9_8 : CT_12_8;
}

/* Bars of the music's own: of dotted quarters where those stand out, else three or four quarters, and one of two or
 * three where the music says so. Beats divided by three throughout, and not swung, are dotted quarters, though each
 * lasts a quarter of the file. */
static ct_status lay_by_music(layer *l, double phase) {
    double      ppq = l->quarter, origin = phase + floor((l->first - phase) / ppq + 0.1) * ppq;
    int32_t     beats = (int32_t)fmin(fmax(ceil((l->last - origin) / ppq), 1), 4.0 * l->limit);
    bool        dotted;
    ct_pulse    pulse;
    ct_barlines lines;
    CT_TRY(lay_dotted(l, phase, &dotted));
    if (dotted) return CT_OK;
    CT_TRY(ct_pulse_cues(l->midi, origin, ppq, beats, l->arena, &pulse));
    CT_TRY(ct_barline_find(&pulse, beats, 0, ct_barline_weights, ct_barline_price, l->arena, &lines));
    static const uint8_t METRE[] = {CT_2_4, CT_3_4, CT_4_4};
    int32_t              begin = -lines.position[0];
    double               tick = origin + begin * ppq;
    for (int32_t b = 1; b <= beats; b++) {
        if (b < beats && lines.position[b]) continue;
        int length = b < beats ? b - begin : lines.per_bar;
        CT_ASSERT(length >= 2 && length <= 4);
        CT_TRY(lay(l, &tick, METRE[length - 2], length * ppq));
        begin = b;
    }
    while (tick < l->last - ppq / 4)
        CT_TRY(lay(l, &tick, METRE[lines.per_bar - 2], lines.per_bar * ppq)); /* past what a grid may hold */
    double triplets = ct_grid_nearness(l->midi->notes, l->midi->note_count, ppq, phase, 3);
    double sixteenths = ct_grid_nearness(l->midi->notes, l->midi->note_count, ppq, phase, 4);
    if (triplets > 0.6 && triplets > sixteenths + 0.2 && ct_swing_find(l->grid, l->midi) == 0)
        for (int32_t i = 0; i <= l->grid->bar_count; i++) l->grid->bars[i].metre = compound(l->grid->bars[i].metre);
    return CT_OK;
}

/* ---- together */
/* Bars of a performance without a grid: its beats are made even, bars laid over them, and their lines put back where
 * the beats are. */
static ct_status lay_tracked(layer *l, const ct_track *track, ct_metre_report *report) {
    const double  BEFORE = 8; /* beats, so that no tick is negative */
    const int     PPQ = 480;
    const ct_midi played = *l->midi;
    ct_midi       even = played;
    even.ppq = PPQ;
    even.notes = CT_NEW(l->arena, ct_midi_note, played.note_count);
    if (!even.notes) return CT_ENOMEM;
    for (size_t i = 0; i < played.note_count; i++) {
        ct_midi_note *n = &even.notes[i];
        *n = played.notes[i];
        n->start = llround((fmax(ct_track_beat(track, (double)n->start), -BEFORE) + BEFORE) * PPQ);
        n->end = llround((ct_track_beat(track, (double)n->end) + BEFORE) * PPQ);
        if (n->end <= n->start) n->end = n->start + 1;
    }
    layer evenly = *l;
    evenly.midi = &even;
    evenly.quarter = PPQ;
    ct_grid_bounds(&even, &evenly.first, &evenly.last);
    CT_TRY(lay_by_music(&evenly, 0));
    for (int32_t i = 0; i <= l->grid->bar_count; i++)
        l->grid->bars[i].tick = ct_track_tick(track, l->grid->bars[i].tick / PPQ - BEFORE);
    report->tracked = true;
    report->from_events = false;
    report->near = fmax(ct_grid_nearness(even.notes, even.note_count, PPQ, 0, 4),
                        ct_grid_nearness(even.notes, even.note_count, PPQ, 0, 3));
    return CT_OK;
}

/* Notes that follow no grid: their beats are followed, or the reason given. */
static ct_status lay_loose(layer *l, ct_metre_report *report) {
    ct_track track;
    CT_TRY(ct_track_beats(l->midi, l->arena, &track));
    if (track.ticks && track.sure >= SURE) return lay_tracked(l, &track, report);
    return ct_fail(CT_EFAIL,
                   "notes follow no grid: only %.0f %% of onsets lie near it, and no beat can be followed (hint: a "
                   "recording that was not played to a click has to be quantised first)",
                   100 * report->near);
}

ct_status ct_metre_grid(const ct_midi *midi, int32_t bar_limit, ct_arena *arena, ct_grid *out,
                        ct_metre_report *report) {
    *out = (ct_grid){0};
    *report = (ct_metre_report){0};
    layer l = {.midi = midi, .arena = arena, .grid = out, .limit = bar_limit, .quarter = midi->ppq};
    out->bars = CT_NEW(arena, ct_grid_bar, (size_t)bar_limit + 1);
    if (!out->bars) return CT_ENOMEM;
    ct_grid_bounds(midi, &l.first, &l.last);
    signature *s = CT_NEW(arena, signature, midi->metres.count + 1);
    if (!s) return CT_ENOMEM;
    double agreement, tempo, period = l.quarter, phase = 0;
    bool   contradicted = false;
    size_t count = read_signatures(&midi->metres, midi->ppq, s);
    CT_TRY(ct_tempo_mean(midi, l.first, l.last, arena, &tempo));
    avoid_halves(s, count, midi);
    if (tempo < SLOWEST) halve_quarters(&l, s, count);
    if (count) {
        period = ct_metre_at(s[0].pattern[0])->eighths_per_beat * l.quarter / 2;
        phase = ct_grid_phase(midi->notes, midi->note_count, period, &agreement);
        if (agreement <= 0.7 && fabs(period - l.quarter) < 1e-9)
            CT_TRY(ct_phase_choose(midi->notes, midi->note_count, period, arena, &phase));
        double sixteenths = phase / l.quarter * 4, odd = fabs(sixteenths - floor(sixteenths + 0.5));
        bool   upbeat = count == 1 && s[0].count == 1 && s[0].pattern[0] != CT_2_4 && odd < 0.03;
        report->from_events = agreement > 0.7 || upbeat;
        if (agreement > 0.7) phase = 0;
    }
    if (report->from_events && count == 1 && s[0].count == 1)
        CT_TRY(is_contradicted(&l, s[0].pattern[0], phase, &contradicted));
    if (contradicted) report->from_events = false;
    report->events_refused = midi->metres.count && !report->from_events;
    if (!report->from_events) {
        if (tempo < SLOWEST) l.quarter = midi->ppq / 2.0;
        if (tempo > FASTEST) {
            phase = ct_grid_phase(midi->notes, midi->note_count, l.quarter, NULL);
            if (!needs_quarters(midi, phase)) l.quarter *= 2;
        }
        phase = ct_grid_phase(midi->notes, midi->note_count, period = l.quarter, NULL);
        CT_TRY(ct_phase_choose(midi->notes, midi->note_count, period, arena, &phase));
    }
    double fours = ct_grid_nearness(midi->notes, midi->note_count, period, phase, 4);
    double threes = ct_grid_nearness(midi->notes, midi->note_count, period, phase, 3);
    report->near = fmax(fours, threes);
    if (ct_grid_pull(midi->notes, midi->note_count, period) < PULL_MIN)
        CT_TRY(lay_loose(&l, report));
    else if (report->from_events && count == 1 && s[0].count == 1)
        CT_TRY(lay_one_metre(&l, s, phase, &report->moved));
    else if (report->from_events)
        CT_TRY(lay_signatures(&l, s, count));
    else
        CT_TRY(lay_by_music(&l, phase));
    if (out->bar_count == 0) return ct_fail(CT_EFAIL, "no bar lies under the notes");
    if (report->from_events && tempo > FASTEST && !needs_quarters(midi, phase)) join_quarters(out);
    out->ticks_per_beat = (out->bars[1].tick - out->bars[0].tick) / ct_metre_at(out->bars[0].metre)->beats;
    out->phase = fmod(out->bars[0].tick, out->ticks_per_beat);
    if (out->phase < 0) out->phase += out->ticks_per_beat;
    return CT_OK;
}
