/* melody.c -- the part that carries the melody, and one voice out of it; see melody.h. */
#include "core/music/melody.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 1 << 12, NOTES_MIN = 8, SINGING = 67, BASS_PROGRAM = 32, BASS_PROGRAM_END = 40, NOISE_PROGRAM = 112 };

/* How one part plays. */
typedef struct part {
    double  sounding, covered, until; /* beats: lengths of the notes, time with a note, end of the last one */
    double  pitches;                  /* sum */
    int64_t notes, steps, moves;      /* notes; intervals of one or two semitones; intervals */
    int64_t beats;                    /* beats with an onset */
    int32_t last_beat;
    uint8_t last_pitch, program;
} part;

static void measure(const ct_grid_note *notes, size_t count, part *parts) {
    for (size_t i = 0; i < count; i++) {
        const ct_grid_note *n = &notes[i];
        part               *p = &parts[n->part % PARTS];
        int32_t             beat = (int32_t)n->start;
        if (!p->notes)
            p->last_beat = -1;
        else {
            p->moves++;
            p->steps += abs(n->pitch - p->last_pitch) <= 2;
        }
        p->beats += beat != p->last_beat;
        p->covered += fmax(0, n->end - fmax(n->start, p->until));
        p->until = fmax(p->until, n->end);
        p->sounding += n->end - n->start;
        p->pitches += n->pitch;
        p->notes++;
        p->last_beat = beat;
        p->last_pitch = n->pitch;
        p->program = n->program;
    }
}

/* How much a part looks like a melody: a thin texture above all, present often, in steps, near G4. */
static double likeness(const part *p, int32_t beats) {
    double thick = p->covered > 0 ? p->sounding / p->covered : 9, mean = p->pitches / (double)p->notes;
    double present = fmin(1.5 * (double)p->beats / beats, 1);
    double stepwise = p->moves ? (double)p->steps / (double)p->moves : 0;
    double score = -4 * fmax(thick - 1.05, 0) + 3 * present + stepwise - 0.5 * fabs(mean - SINGING) / 6;
    if (p->program >= BASS_PROGRAM && p->program < BASS_PROGRAM_END) score -= 4;
    if (p->program >= NOISE_PROGRAM) score -= 2;
    return score;
}

/* What a track's name says: 3 melody, 2 a voice, 1 a lead, 0 nothing. */
static int name_says(const char *name) {
    static const struct {
        const char *word;
        int         says;
    } WORDS[] = {{"melod", 3},  {"vocal", 2}, {"voice", 2}, {"vox", 2},  {"sing", 2},
                 {"gesang", 2}, {"canto", 2}, {"lead", 1},  {"solo", 1}, {"soprano", 1}};
    int says = 0;
    for (size_t i = 0; i < CT_COUNT(WORDS); i++)
        if (strcasestr(name, WORDS[i].word) && WORDS[i].says > says) says = WORDS[i].says;
    return says;
}

static bool is_backing(const char *name) {
    return strcasestr(name, "back") || strcasestr(name, "choir") || strcasestr(name, "accomp");
}

static int choose_part(const ct_midi *midi, const part *parts, int32_t beats, bool use_names, bool *named) {
    double top = -INFINITY;
    int    best = -1, count = 0;
    *named = false;
    for (int i = 0; i < PARTS; i++) {
        if (parts[i].notes < NOTES_MIN) continue;
        const char *name = midi->tracks[i / 16].name;
        int         says = use_names && !is_backing(name) ? name_says(name) : 0;
        double      score = likeness(&parts[i], beats) + 100 * says;
        count++;
        if (score <= top) continue;
        top = score;
        best = i;
        *named = says > 0;
    }
    return count > 1 || *named ? best : -1;
}

ct_status ct_melody_choose(const ct_midi *midi, const ct_grid_note *notes, size_t count, int32_t beats, bool use_names,
                           bool merged, ct_arena *arena, ct_melody_choice *out) {
    *out = (ct_melody_choice){.track = -1, .notes = CT_NEW(arena, uint8_t, count)};
    part *parts = CT_NEW(arena, part, PARTS);
    if (!out->notes || !parts) return CT_ENOMEM;
    measure(notes, count, parts);
    int best = merged ? -1 : choose_part(midi, parts, beats, use_names, &out->named);
    if (best < 0) return ct_melody_draw(notes, count, arena, out->notes);
    out->track = best / 16;
    for (size_t i = 0; i < count; i++) out->notes[i] = notes[i].part == best;
    return CT_OK;
}

ct_status ct_melody_voice(const ct_grid_note *notes, size_t count, const uint8_t *chosen, int32_t steps,
                          ct_arena *arena, ct_note **out, int32_t *out_count) {
    ct_note *voice = *out = CT_NEW(arena, ct_note, count);
    int32_t  n = 0;
    if (!voice) return CT_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const ct_grid_note *g = &notes[i];
        if (!chosen[i]) continue;
        ct_note note = {g->step, g->step_end < steps ? g->step_end : steps, g->pitch, g->velocity ? g->velocity : 1};
        if (n && voice[n - 1].start == note.start) {
            if (note.pitch >= voice[n - 1].pitch) voice[n - 1] = note;
            continue;
        }
        if (n && voice[n - 1].end > note.start) voice[n - 1].end = note.start;
        voice[n++] = note;
    }
    *out_count = n;
    return CT_OK;
}
