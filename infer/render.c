/* render.c -- see render.h. */
#include "infer/render.h"

#include <stdlib.h>

enum { LOWEST_FROM = 48, LOWEST_TO = 62, MIDDLE = 60, BASS_FROM = 36 }; /* MIDI pitches */
enum { CHORD_VELOCITY = 60, DOWNBEAT_VELOCITY = 68, BASS_VELOCITY = 76 };

static const struct {
    const char *name;
    uint8_t     channel, program;
} parts[CT_RENDER_TRACKS] = {{"", 0, 0}, {"melody", 0, 73}, {"chords", 1, 0}, {"bass", 2, 32}};

typedef struct band {
    const ct_piece *piece;
    const ct_sheet *sheet;
    ct_arena       *arena;
    ct_midi         midi;
    size_t          notes, markers; /* room in the arrays */
    int64_t        *bar_ticks;      /* where each bar begins */
} band;

static int ticks_per_step(int metre) {
    return CT_RENDER_PPQ / 2 * ct_metre_at(metre)->eighths_per_beat / CT_STEPS_PER_BEAT;
}

/* `step` may be the end of the last bar. */
static int64_t tick_of(const band *b, int32_t step) {
    int32_t       bar = ct_piece_bar_at(b->piece, step);
    const ct_bar *at = &b->piece->bars[bar];
    return b->bar_ticks[bar] + (int64_t)(step - at->start) * ticks_per_step(at->metre);
}

static bool bar_line(const band *b, int32_t step) {
    return b->piece->bars[ct_piece_bar_at(b->piece, step)].start == step;
}

static ct_status put_note(band *b, int part, int32_t start, int32_t end, int pitch, int velocity) {
    ct_midi *m = &b->midi;
    if (!CT_PUSH(b->arena, m->notes, m->note_count, b->notes)) return CT_ENOMEM;
    m->notes[m->note_count++] =
        (ct_midi_note){tick_of(b, start), tick_of(b, end),   (uint16_t)part,     parts[part].channel,
                       (uint8_t)pitch,    (uint8_t)velocity, parts[part].program};
    return CT_OK;
}

/* ---- tempos, metres, keys */

static int key_sharps(int key) {
    static const int8_t major[12] = {0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5};
    static const int8_t minor[12] = {-3, 4, -1, -6, 1, -4, 3, -2, 5, 0, -5, 2};
    return key < 12 ? major[key] : minor[key - 12];
}

static ct_status write_bars(band *b) {
    const ct_piece *p = b->piece;
    ct_midi        *m = &b->midi;
    size_t          bars = (size_t)p->bar_count;
    double          tempo_before = 0;
    m->tempos.at = CT_NEW(b->arena, ct_midi_event, bars);
    m->metres.at = CT_NEW(b->arena, ct_midi_event, bars);
    m->keys.at = CT_NEW(b->arena, ct_midi_event, bars);
    b->bar_ticks = CT_NEW(b->arena, int64_t, bars);
    if (!m->tempos.at || !m->metres.at || !m->keys.at || !b->bar_ticks) return CT_ENOMEM;
    int64_t tick = 0;
    for (int32_t i = 0; i < p->bar_count; i++) {
        const ct_bar   *bar = &p->bars[i];
        const ct_metre *metre = ct_metre_at(bar->metre);
        double          tempo = bar->tempo * metre->eighths_per_beat / 2;
        b->bar_ticks[i] = tick;
        if (i == 0 || tempo != tempo_before)
            m->tempos.at[m->tempos.count++] = (ct_midi_event){.tick = tick, .value = tempo, .text = ""};
        if (i == 0 || bar->metre != bar[-1].metre)
            m->metres.at[m->metres.count++] =
                (ct_midi_event){.tick = tick, .a = metre->numerator, .b = metre->denominator, .text = ""};
        if (i == 0 || bar->key != bar[-1].key)
            m->keys.at[m->keys.count++] =
                (ct_midi_event){.tick = tick, .a = (int16_t)key_sharps(bar->key), .b = bar->key >= 12, .text = ""};
        tempo_before = tempo;
        tick += (int64_t)ct_metre_steps(bar->metre) * ticks_per_step(bar->metre);
    }
    return CT_OK;
}

/* ---- markers */

static ct_status put_marker(band *b, int32_t step, const char *text) {
    ct_midi_list *list = &b->midi.markers;
    if (!text || !CT_PUSH(b->arena, list->at, list->count, b->markers)) return CT_ENOMEM;
    list->at[list->count++] = (ct_midi_event){.tick = tick_of(b, step), .text = text};
    return CT_OK;
}

/* Sections and chords in the order of time, a section before the chord that begins with it. */
static ct_status write_markers(band *b) {
    const ct_sheet *s = b->sheet;
    int32_t         section = 0, chord = 0;
    while (section < s->section_count || chord < s->chord_count) {
        int32_t section_step = section < s->section_count ? s->bars[s->sections[section].first].start : INT32_MAX;
        int32_t chord_step = chord < s->chord_count ? s->chords[chord].step : INT32_MAX;
        if (section_step <= chord_step) {
            const char *name = s->sections[section++].name;
            if (name[0]) CT_TRY(put_marker(b, section_step, ct_arena_printf(b->arena, "[%s]", name)));
        } else {
            CT_TRY(put_marker(b, chord_step, s->chords[chord++].symbol.text));
        }
    }
    return put_marker(b, ct_piece_steps(b->piece), "||");
}

/* ---- chords and bass */

typedef struct voicing {
    int pitches[12];
    int count;
} voicing;

/* The tones upwards from `lowest`, within its octave. */
static voicing stack_up(unsigned tones, int lowest) {
    voicing v = {.count = 0};
    for (int pitch = lowest; pitch < lowest + 12; pitch++)
        if (tones >> pitch % 12 & 1) v.pitches[v.count++] = pitch;
    return v;
}

/* Semitones from each pitch of one voicing to the nearest of the other. */
static int way(const voicing *from, const voicing *to) {
    int sum = 0;
    for (int i = 0; i < from->count; i++) {
        int nearest = 127;
        for (int j = 0; j < to->count; j++) {
            int distance = abs(from->pitches[i] - to->pitches[j]);
            if (distance < nearest) nearest = distance;
        }
        sum += nearest;
    }
    return sum;
}

/* How far the middle of a voicing lies from middle C, in semitones. */
static int off_middle(const voicing *v) {
    return abs(v->pitches[0] + v->pitches[v->count - 1] - 2 * MIDDLE) / 2;
}

/* The close position that moves least, both ways, from the voicing before; the nearest to middle C among equals, and
 * for the first chord. */
static voicing voice(unsigned tones, const voicing *before) {
    voicing best = {.count = 0};
    int     best_move = 0;
    for (int lowest = LOWEST_FROM; lowest <= LOWEST_TO; lowest++) {
        if (!(tones >> lowest % 12 & 1)) continue;
        voicing v = stack_up(tones, lowest);
        int     move = before->count ? way(before, &v) + way(&v, before) : 0;
        if (best.count && (move > best_move || (move == best_move && off_middle(&v) >= off_middle(&best)))) continue;
        best = v;
        best_move = move;
    }
    return best;
}

static bool any_rhythm(const ct_piece *piece) {
    for (int32_t i = 0; i < piece->beat_count; i++)
        if (piece->rhythm[i]) return true;
    return false;
}

/* The first step after `step` and before `end` where the chord is struck again, else `end`. */
static int32_t next_strike(const band *b, bool rhythm, int32_t step, int32_t end) {
    for (step++; step < end; step++) {
        unsigned mask = ct_rhythm_mask(b->piece->rhythm[step / CT_STEPS_PER_BEAT]);
        if (rhythm ? mask >> step % CT_STEPS_PER_BEAT & 1 : bar_line(b, step)) break;
    }
    return step < end ? step : end;
}

static ct_status write_chord(band *b, const voicing *v, bool rhythm, int32_t start, int32_t end) {
    while (start < end) {
        int32_t next = next_strike(b, rhythm, start, end);
        int     velocity = bar_line(b, start) ? DOWNBEAT_VELOCITY : CHORD_VELOCITY;
        for (int i = 0; i < v->count; i++) CT_TRY(put_note(b, CT_RENDER_CHORDS, start, next, v->pitches[i], velocity));
        start = next;
    }
    return CT_OK;
}

static ct_status write_bass(band *b, int pitch, int32_t start, int32_t end) {
    while (start < end) {
        int32_t next = next_strike(b, false, start, end);
        CT_TRY(put_note(b, CT_RENDER_BASS, start, next, pitch, BASS_VELOCITY));
        start = next;
    }
    return CT_OK;
}

static ct_status write_harmony(band *b) {
    const ct_sheet *s = b->sheet;
    bool            rhythm = any_rhythm(b->piece);
    voicing         now = {.count = 0};
    for (int32_t i = 0; i < s->chord_count; i++) {
        const ct_symbol *symbol = &s->chords[i].symbol;
        int32_t          start = s->chords[i].step;
        int32_t          end = i + 1 < s->chord_count ? s->chords[i + 1].step : ct_piece_steps(b->piece);
        if (symbol->chord.root == CT_NO_CHORD) continue;
        unsigned tones = (unsigned)symbol->tones << symbol->chord.root;
        now = voice((tones | tones >> 12) & 0xfff, &now);
        CT_TRY(write_chord(b, &now, rhythm, start, end));
        CT_TRY(write_bass(b, BASS_FROM + (symbol->chord.root + symbol->chord.bass) % 12, start, end));
    }
    return CT_OK;
}

/* ---- the whole */

static int by_start(const void *x, const void *y) {
    const ct_midi_note *a = x, *b = y;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    if (a->pitch != b->pitch) return a->pitch < b->pitch ? -1 : 1;
    return (a->track > b->track) - (a->track < b->track);
}

ct_status ct_render(const ct_piece *piece, const ct_sheet *sheet, ct_arena *arena, ct_midi *out) {
    ct_sheet own = {0};
    band     b = {.piece = piece, .sheet = sheet ? sheet : &own, .arena = arena, .midi = {.ppq = CT_RENDER_PPQ}};
    if (!sheet) CT_TRY(ct_sheet_from_piece(piece, arena, &own));
    if (ct_sheet_steps(b.sheet) != ct_piece_steps(piece))
        return ct_fail(CT_EFAIL, "the sheet is %d steps long, the piece %d", ct_sheet_steps(b.sheet),
                       ct_piece_steps(piece));
    CT_TRY(write_bars(&b));
    CT_TRY(write_markers(&b));
    for (int32_t i = 0; i < piece->melody_count; i++) {
        const ct_note *n = &piece->melody[i];
        CT_TRY(put_note(&b, CT_RENDER_MELODY, n->start, n->end, n->pitch, n->velocity));
    }
    CT_TRY(write_harmony(&b));
    if (b.midi.note_count) qsort(b.midi.notes, b.midi.note_count, sizeof *b.midi.notes, by_start);
    b.midi.tracks = CT_NEW(arena, ct_midi_track, CT_RENDER_TRACKS);
    if (!b.midi.tracks) return CT_ENOMEM;
    for (int i = 0; i < CT_RENDER_TRACKS; i++) b.midi.tracks[i].name = i ? parts[i].name : b.sheet->title;
    b.midi.track_count = CT_RENDER_TRACKS;
    b.midi.repairs = "";
    *out = b.midi;
    return CT_OK;
}
