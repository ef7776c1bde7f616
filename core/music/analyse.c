/* analyse.c -- the parts of the analysis in their order; see analyse.h. */
#include "core/music/analyse.h"

#include "core/music/chord.h"
#include "core/music/grid.h"
#include "core/music/key.h"
#include "core/music/melody.h"
#include "core/music/metre.h"
#include "core/music/rhythm.h"
#include "core/music/section.h"
#include "core/music/swing.h"
#include "core/music/tempo.h"
#include "core/music/texture.h"

#include <math.h>

enum { WARNINGS_MAX = 16, DRUMS = 9 };

ct_analyse_options ct_analyse_defaults(void) {
    return (ct_analyse_options){
        .use_names = true, .merged = false, .notes_min = 8, .notes_max = 200000, .bars_max = 1000};
}

static void warn(ct_analysis *info, const char *text) {
    if (info->warning_count < WARNINGS_MAX) info->warnings[info->warning_count++] = text;
}

/* Can the file be used at all? */
static ct_status check_file(const ct_midi *midi, const ct_analyse_options *o) {
    int64_t pitched = 0;
    for (size_t i = 0; i < midi->note_count; i++) pitched += midi->notes[i].channel != DRUMS;
    if (!midi->note_count) return ct_fail(CT_EFAIL, "no notes");
    if (!pitched) return ct_fail(CT_EFAIL, "drums only");
    if (pitched < o->notes_min)
        return ct_fail(CT_EFAIL, "too short: %lld notes, at least %d", (long long)pitched, o->notes_min);
    if (pitched > o->notes_max)
        return ct_fail(CT_EFAIL, "too long: %lld notes, at most %d", (long long)pitched, o->notes_max);
    return CT_OK;
}

static ct_status fill_bars(const ct_grid *grid, const ct_midi *midi, const uint8_t *keys, ct_arena *arena,
                           ct_piece *out, ct_analysis *info) {
    size_t  n = (size_t)grid->bar_count;
    double *tempos = CT_NEW(arena, double, n), *ticks = CT_NEW(arena, double, n + 1);
    out->bars = CT_NEW(arena, ct_bar, n);
    if (!tempos || !ticks || !out->bars) return CT_ENOMEM;
    CT_TRY(ct_tempo_bars(grid, midi, arena, tempos));
    for (size_t i = 0; i < n; i++) {
        const ct_grid_bar *b = &grid->bars[i];
        out->bars[i] = (ct_bar){b->beat * CT_STEPS_PER_BEAT, b->metre, keys[i], tempos[i]};
    }
    for (size_t i = 0; i <= n; i++) ticks[i] = grid->bars[i].tick;
    out->bar_count = grid->bar_count;
    out->beat_count = grid->beat_count;
    info->bar_ticks = ticks;
    return CT_OK;
}

static ct_status fill_changes(const ct_chord *beats, const float *sure, int32_t count, ct_arena *arena, ct_piece *out,
                              ct_analysis *info) {
    float *confidence = CT_NEW(arena, float, (size_t)count);
    out->changes = CT_NEW(arena, ct_change, (size_t)count);
    if (!out->changes || !confidence) return CT_ENOMEM;
    for (int32_t b = 0; b < count; b++) {
        if (b && ct_chord_same(beats[b], beats[b - 1])) continue;
        confidence[out->change_count] = sure[b];
        out->changes[out->change_count++] = (ct_change){.step = b * CT_STEPS_PER_BEAT, .chord = beats[b]};
    }
    info->chord_confidence = confidence;
    return CT_OK;
}

/* A first bar whose music starts in its second half, before more of it. */
static bool begins_with_pickup(const ct_grid *grid, const ct_grid_note *notes, size_t count) {
    return grid->bar_count > 1 && count > 0 && notes[0].start >= 0.49 * grid->bars[1].beat;
}

static ct_status fill_melody(const ct_grid *grid, const ct_midi *midi, const ct_grid_note *notes, size_t count,
                             const ct_analyse_options *o, ct_arena *arena, ct_piece *out, ct_analysis *info) {
    ct_melody_choice choice;
    CT_TRY(ct_melody_choose(midi, notes, count, grid->beat_count, o->use_names, o->merged, arena, &choice));
    CT_TRY(ct_melody_voice(notes, count, choice.notes, grid->beat_count * CT_STEPS_PER_BEAT, arena, &out->melody,
                           &out->melody_count));
    uint8_t  *is_melody = CT_NEW(arena, uint8_t, midi->note_count);
    uint16_t *masks = CT_NEW(arena, uint16_t, (size_t)grid->beat_count);
    uint8_t  *texture = CT_NEW(arena, uint8_t, (size_t)grid->bar_count);
    out->rhythm = CT_NEW(arena, uint8_t, (size_t)grid->beat_count);
    if (!is_melody || !masks || !texture || !out->rhythm) return CT_ENOMEM;
    for (size_t i = 0; i < count; i++) is_melody[notes[i].index] = choice.notes[i];
    ct_rhythm_beats(notes, count, choice.notes, grid->beat_count, masks, out->rhythm);
    ct_texture_bars(grid, notes, count, choice.notes, texture);
    info->is_melody = is_melody;
    info->texture = texture;
    info->melody_track = choice.track;
    info->melody_confidence = choice.confidence;
    if (!out->melody_count)
        warn(info, "no melody found");
    else if (choice.track < 0 && midi->track_count > 1)
        warn(info, "melody chosen from merged tracks");
    else if (choice.track < 0)
        warn(info, "melody chosen from a single track");
    else if (!choice.named)
        warn(info, "melody track chosen by its texture");
    return CT_OK;
}

static const char *song_title(const ct_midi *midi) {
    return midi->track_count > 1 && *midi->tracks[0].name ? midi->tracks[0].name : "";
}

static ct_status lay_bars(const ct_midi *midi, const ct_analyse_options *options, const ct_annotations *known,
                          ct_arena *arena, ct_grid *grid, ct_analysis *info) {
    ct_metre_report metre;
    if (known->beat_ticks > 0) return ct_annotated_grid(known, midi, options->bars_max, arena, grid);
    CT_TRY(ct_metre_grid(midi, options->bars_max, arena, grid, &metre));
    if (metre.events_refused)
        warn(info, "time signatures do not fit the notes: bars found from the music");
    else if (!metre.from_events)
        warn(info, "no time signature: bars found from the music");
    if (metre.moved) warn(info, "bar lines moved to where the music puts them (upbeat)");
    if (metre.tracked) warn(info, "notes follow no grid: beats followed through the playing");
    if (metre.near < 0.45) warn(info, "loose timing: fewer than 45 % of onsets lie near the grid");
    return CT_OK;
}

static ct_status find_keys(const ct_grid *grid, const ct_grid_note *notes, size_t count, const ct_chord *chords,
                           const ct_annotations *known, ct_arena *arena, ct_analysis *info, uint8_t *out) {
    if (!known->key_count)
        return ct_key_bars(grid, notes, count, chords, arena, &info->key, &info->key_confidence, out);
    ct_annotated_keys(known, grid, &info->key, out);
    info->key_confidence = 1;
    return CT_OK;
}

static ct_status find_chords(const ct_grid *grid, const ct_grid_note *notes, size_t count, const ct_annotations *known,
                             ct_arena *arena, ct_chord *out, float *sure) {
    if (!known->chord_count) return ct_chord_beats(grid, notes, count, arena, out, sure);
    ct_annotated_chords(known, grid, out);
    for (int32_t b = 0; b < grid->beat_count; b++) sure[b] = 1;
    return CT_OK;
}

ct_status ct_analyse(const ct_midi *midi, const ct_analyse_options *options, ct_arena *arena, ct_piece *out,
                     ct_analysis *info) {
    *out = (ct_piece){.title = ""};
    *info = (ct_analysis){.melody_track = -1, .warnings = CT_NEW(arena, const char *, WARNINGS_MAX)};
    if (!info->warnings) return CT_ENOMEM;
    CT_TRY(check_file(midi, options));
    static const ct_annotations nothing;
    const ct_annotations       *known = options->annotations ? options->annotations : &nothing;
    ct_grid                     grid;
    CT_TRY(lay_bars(midi, options, known, arena, &grid, info));
    if (!midi->tempos.count) warn(info, "no tempo event: 120 assumed");
    info->phase = grid.phase;
    info->ticks_per_beat = grid.ticks_per_beat;

    ct_grid_note *notes;
    size_t        count;
    info->swing = grid.swing = ct_swing_find(&grid, midi);
    CT_TRY(ct_grid_notes(&grid, midi, arena, &notes, &count));
    uint8_t  *keys = CT_NEW(arena, uint8_t, (size_t)grid.bar_count);
    ct_chord *chords = CT_NEW(arena, ct_chord, (size_t)grid.beat_count);
    float    *sure = CT_NEW(arena, float, (size_t)grid.beat_count);
    if (!keys || !chords || !sure) return CT_ENOMEM;
    CT_TRY(find_chords(&grid, notes, count, known, arena, chords, sure));
    CT_TRY(find_keys(&grid, notes, count, chords, known, arena, info, keys));
    CT_TRY(fill_bars(&grid, midi, keys, arena, out, info));
    CT_TRY(fill_changes(chords, sure, grid.beat_count, arena, out, info));
    CT_TRY(fill_melody(&grid, midi, notes, count, options, arena, out, info));
    bool pickup = begins_with_pickup(&grid, notes, count);
    if (known->section_count)
        CT_TRY(ct_annotated_sections(known, &grid, pickup, arena, out));
    else
        CT_TRY(ct_section_find(out, pickup, arena));
    out->title = ct_arena_printf(arena, "%s", song_title(midi));
    return out->title ? ct_context(ct_piece_check(out), "analysis") : CT_ENOMEM;
}

double ct_analysis_tick(const ct_analysis *info, const ct_piece *piece, int32_t step) {
    int32_t bar = ct_piece_bar_at(piece, step);
    double  begin = info->bar_ticks[bar], length = info->bar_ticks[bar + 1] - begin;
    return begin + length * (step - piece->bars[bar].start) / ct_metre_steps(piece->bars[bar].metre);
}
