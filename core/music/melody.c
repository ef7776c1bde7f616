/* melody.c -- the part that carries the melody, or none; see melody.h. */
#include "core/music/melody.h"

#include "core/music/melody_net.h"

#include <math.h>
#include <stdlib.h>

enum {
    PARTS = 1 << 12,
    NOTES_MIN = 8,
    BRIEF = 64,
    SINGING = 67,
    BASS_PROGRAM = 32,
    BASS_PROGRAM_END = 40,
    NOISE_PROGRAM = 112
};

/* How one part plays. */
typedef struct part {
    double  sounding, covered, until; /* beats: lengths of the notes, time with a note, end of the last one */
    double  pitches, p;               /* sums: pitches, probabilities */
    int64_t notes, steps, moves;      /* notes; intervals of one or two semitones; intervals */
    int64_t beats;                    /* beats with an onset */
    int32_t last_beat;
    uint8_t last_pitch, program;
} part;

static void measure(const ct_grid_note *notes, size_t count, const float *probability, part *parts) {
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
        p->p += (double)probability[i];
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
    double score = 10 * p->p / (double)p->notes - 4 * fmax(thick - 1.05, 0) + 3 * present + stepwise -
                   0.5 * fabs(mean - SINGING) / 6;
    if (p->program >= BASS_PROGRAM && p->program < BASS_PROGRAM_END) score -= 4;
    if (p->program >= NOISE_PROGRAM) score -= 2;
    return score;
}

/* How surely the chosen notes are a melody: their mean probability, less where they are in few of the beats that have
 * notes. A name speaks for them. */
static float confidence_of(const ct_grid_note *notes, size_t count, const float *probability,
                           const ct_melody_choice *c) {
    const double PRESENT = 0.15;
    double       sum = 0, chosen = 0, beats = 0, beats_all = 0;
    int64_t      beat = -1, beat_all = -1;
    for (size_t i = 0; i < count; i++) {
        beats_all += (int64_t)notes[i].start != beat_all;
        beat_all = (int64_t)notes[i].start;
        if (!c->notes[i]) continue;
        sum += (double)probability[i];
        chosen++;
        beats += (int64_t)notes[i].start != beat;
        beat = (int64_t)notes[i].start;
    }
    if (chosen <= 0) return 0;
    double sure = sum / chosen * fmin(1, beats / beats_all / PRESENT);
    return (float)(c->named ? fmax(sure, 0.9) : sure);
}

/* Can a part be what its name says? Not if it plays chords or the bass. */
static bool sings(const part *p) {
    return p->sounding <= 2.4 * p->covered && p->pitches >= 48 * (double)p->notes;
}

static int choose_part(const ct_midi *midi, const part *parts, int32_t beats, bool use_names, bool *named) {
    double top = -INFINITY;
    int    best = -1, count = 0;
    *named = false;
    for (int i = 0; i < PARTS; i++) {
        if (parts[i].notes < NOTES_MIN) continue;
        const char *name = midi->tracks[i / 16].name;
        int         says = use_names && sings(&parts[i]) ? ct_melody_name_says(name) : 0;
        double      score = likeness(&parts[i], beats) + (says > 0 ? 100 : 1) * says;
        count++;
        if (score <= top) continue;
        top = score;
        best = i;
        *named = says > 0;
    }
    return count > 1 || *named ? best : -1;
}

/* Take what is marked, if it is sure enough; else no note. */
static bool take(const ct_grid_note *notes, size_t count, const float *probability, double enough,
                 ct_melody_choice *out) {
    out->confidence = confidence_of(notes, count, probability, out);
    if ((double)out->confidence >= enough) return true;
    for (size_t i = 0; i < count; i++) out->notes[i] = 0;
    return false;
}

ct_status ct_melody_choose(const ct_midi *midi, const ct_grid_note *notes, size_t count, int32_t beats, bool use_names,
                           bool merged, ct_arena *arena, ct_melody_choice *out) {
    /* Less than 0.02 for what plays in POP909 without its melody, more than 0.5 with it. A line through parts none of
     * which is a melody has to be surer. In a brief piece all is near its beginning or end, where songs seldom sing. */
    const double ENOUGH = beats < BRIEF ? 0.03 : 0.15, ACROSS_PARTS = 0.5;
    *out = (ct_melody_choice){.track = -1, .notes = CT_NEW(arena, uint8_t, count)};
    part  *parts = CT_NEW(arena, part, PARTS);
    float *probability = CT_NEW(arena, float, count);
    if (!out->notes || !parts || !probability) return CT_ENOMEM;
    CT_TRY(ct_melody_probabilities(notes, count, probability));
    measure(notes, count, probability, parts);
    int best = merged ? -1 : choose_part(midi, parts, beats, use_names, &out->named);
    for (size_t i = 0; i < count; i++) out->notes[i] = notes[i].part == best;
    if (best >= 0 && take(notes, count, probability, ENOUGH, out)) {
        out->track = best / 16;
        return CT_OK;
    }
    CT_TRY(ct_melody_draw(notes, count, probability, arena, out->notes));
    take(notes, count, probability, best < 0 ? ENOUGH : ACROSS_PARTS, out);
    return CT_OK;
}
