/* A lead sheet read back from the markers of a MIDI file. */
#include <math.h>
#include <string.h>

#include "core/music/leadsheet.h"
#include "core/music/leadsheet_private.h"

/* The last event of a list at or before `tick`; NULL when there is none. *at remembers, for rising ticks. */
static const ct_midi_event *in_force(const ct_midi_list *list, int64_t tick, size_t *at) {
    while (*at < list->count && list->at[*at].tick <= tick) ++*at;
    return *at ? &list->at[*at - 1] : NULL;
}

static bool is_end(const ct_midi_event *marker) {
    return marker->text && strcmp(marker->text, "||") == 0;
}

/* The name between brackets; 0 bytes when the marker is no section. */
static size_t section_name(const ct_midi_event *marker, const char **name) {
    size_t n = marker->text ? strlen(marker->text) : 0;
    if (n < 3 || marker->text[0] != '[' || marker->text[n - 1] != ']') return 0;
    *name = marker->text + 1;
    return n - 2;
}

/* Where the music ends: at the end marker, or else behind everything. */
static int64_t last_tick(const ct_midi *midi) {
    int64_t last = 0;
    for (size_t i = 0; i < midi->markers.count; i++) {
        if (is_end(&midi->markers.at[i])) return midi->markers.at[i].tick;
        if (midi->markers.at[i].tick + 1 > last) last = midi->markers.at[i].tick + 1;
    }
    for (size_t i = 0; i < midi->note_count; i++)
        if (midi->notes[i].end > last) last = midi->notes[i].end;
    return last;
}

/* Bars with what is in force at their start, up to `end`. `ticks` gets bar_count + 1 places: where each begins. */
static ct_status read_bars(const ct_midi *midi, int64_t end, ct_arena *arena, ct_sheet *s, double **ticks) {
    size_t metre_at = 0, key_at = 0, tempo_at = 0;
    double tick = 0;
    s->bars = CT_NEW(arena, ct_sheet_bar, CT_SHEET_BARS_MAX);
    *ticks = CT_NEW(arena, double, CT_SHEET_BARS_MAX + 1);
    if (!s->bars || !*ticks) return CT_ENOMEM;
    while (tick < (double)end || s->bar_count == 0) {
        int64_t              now = (int64_t)ceil(tick);
        const ct_midi_event *metre = in_force(&midi->metres, now, &metre_at),
                            *key = in_force(&midi->keys, now, &key_at);
        const ct_midi_event *tempo = in_force(&midi->tempos, now, &tempo_at);
        ct_sheet_bar         bar = {ct_sheet_steps(s), -1, -1, 0};
        if (s->bar_count == CT_SHEET_BARS_MAX) return ct_fail(CT_EFAIL, "more than %d bars", CT_SHEET_BARS_MAX);
        if (metre) {
            bar.metre = (int8_t)ct_metre_find(metre->a, metre->b);
            if (bar.metre < 0)
                return ct_fail(CT_EFAIL,
                               "tick %lld: metre %d/%d is none of 2/4, 3/4, 4/4, 2/2, 6/8, 9/8, 12/8, 5/8, 7/8",
                               (long long)metre->tick, metre->a, metre->b);
        }
        if (key) bar.key = (int8_t)(((7 * key->a + (key->b ? 9 : 0)) % 12 + 12) % 12 + (key->b ? 12 : 0));
        s->bars[s->bar_count] = bar;
        const ct_metre *m = ct_metre_at(ct_sheet_metre(s, s->bar_count));
        if (tempo) s->bars[s->bar_count].tempo = ct_sheet_tempo(tempo->value * 2 / m->eighths_per_beat);
        (*ticks)[s->bar_count++] = tick;
        tick += midi->ppq * 0.5 * m->eighths_per_beat * m->beats;
    }
    (*ticks)[s->bar_count] = tick;
    return CT_OK;
}

static ct_status put_section(ct_arena *arena, ct_sheet *s, size_t *capacity, const char *name, int32_t bar) {
    ct_sheet_section *last = s->section_count ? &s->sections[s->section_count - 1] : NULL;
    if (!name) return CT_ENOMEM;
    if (last && last->first == bar) { /* two names at one bar: the later one */
        last->name = name;
        return CT_OK;
    }
    if (!CT_PUSH(arena, s->sections, s->section_count, *capacity)) return CT_ENOMEM;
    s->sections[s->section_count++] = (ct_sheet_section){name, 0, bar, 0};
    return CT_OK;
}

static ct_status read_markers(const ct_midi *midi, const double *ticks, ct_arena *arena, ct_sheet *s) {
    size_t  sections = 0, chords = 0;
    int32_t bar = 0, last_step = -1;
    s->section_count = s->chord_count = 0;
    CT_TRY(put_section(arena, s, &sections, "", 0));
    for (size_t i = 0; i < midi->markers.count; i++) {
        const ct_midi_event *marker = &midi->markers.at[i];
        const char          *name;
        ct_symbol            symbol;
        double               tick = (double)marker->tick;
        if (!marker->text || is_end(marker) || tick >= ticks[s->bar_count]) continue;
        while (bar + 1 < s->bar_count && ticks[bar + 1] <= tick) bar++;
        size_t bytes = section_name(marker, &name);
        if (bytes) {
            const char *clean = ct_sheet_clean(arena, name, bytes, true);
            if (!clean) return CT_ENOMEM;
            if (clean[0]) CT_TRY(put_section(arena, s, &sections, clean, bar));
            continue;
        }
        if (ct_symbol_parse(marker->text, strlen(marker->text), &symbol, NULL) != CT_OK) continue;
        int     steps = ct_metre_steps(ct_sheet_metre(s, bar));
        int32_t in_bar = (int32_t)floor((tick - ticks[bar]) / (ticks[bar + 1] - ticks[bar]) * steps + 0.5);
        int32_t step = s->bars[bar].start + (in_bar < steps ? in_bar : steps - 1);
        if (step <= last_step) continue; /* a second chord at the same step */
        if (!ct_sheet_put_chord(arena, s, &chords, step, &symbol)) return CT_ENOMEM;
        last_step = step;
    }
    for (int32_t i = 0; i < s->section_count; i++)
        s->sections[i].bars =
            (i + 1 < s->section_count ? s->sections[i + 1].first : s->bar_count) - s->sections[i].first;
    return CT_OK;
}

ct_status ct_sheet_from_midi(const ct_midi *midi, ct_arena *arena, ct_sheet *out) {
    const char *title = midi->track_count && midi->tracks[0].name ? midi->tracks[0].name : "";
    ct_sheet    s = {.title = ct_sheet_clean(arena, title, strlen(title), false)};
    double     *ticks;
    int32_t     at;
    if (!s.title) return CT_ENOMEM;
    if (midi->ppq < 1) return ct_fail(CT_EFAIL, "%d ticks a quarter", midi->ppq);
    CT_TRY(read_bars(midi, last_tick(midi), arena, &s, &ticks));
    CT_TRY(read_markers(midi, ticks, arena, &s));
    if (s.chord_count == 0)
        return ct_fail(CT_EFAIL, "no marker names a chord (hint: cantus writes one at each change)");
    CT_TRY(ct_sheet_label(&s, &at));
    *out = s;
    return CT_OK;
}
