/* phase.h -- which sixteenth of a beat the beat begins on.
 *
 * ct_grid_phase (grid.h) finds where notes gather; in a tune alone, or in a short
 * excerpt, that may be an off-beat. Here notes are counted by their place among
 * the sixteenths of a bar, in several ways: by length, by the time to the next
 * and from the last, bass, chords, ends before a rest, peaks of pitch and
 * loudness. Fitted weights (phase_weights.c, tests/tools/fit_phase, odd songs of
 * POP909) compare the sixteen places where a bar could begin.
 *
 * Owner: nothing is kept. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_PHASE_H
#define CT_MUSIC_PHASE_H

#include "core/music/midi.h"

enum {
    CT_PHASE_LENGTH,   /* lengths of notes, low ones doubled */
    CT_PHASE_ONSETS,   /* moments at which notes begin */
    CT_PHASE_NEXT,     /* four: those by the time to the next, up to .3, .6, 1.2 beats, more */
    CT_PHASE_LAST = 6, /* four: by the time since the last */
    CT_PHASE_END = 10, /* ends before a rest */
    CT_PHASE_BASS,
    CT_PHASE_CHORD, /* three notes and more */
    CT_PHASE_PEAK,  /* higher than the moments before and after */
    CT_PHASE_LOUD,  /* louder */
    CT_PHASE_CUES
};
enum { CT_PHASE_PLACES = 16 };

typedef struct ct_phase_table {
    float places[CT_PHASE_CUES][CT_PHASE_PLACES];
    float thickness; /* notes a moment, less one, at most three */
} ct_phase_table;

typedef struct ct_phase_model {
    float weights[CT_PHASE_CUES][CT_PHASE_PLACES];
    float gathered; /* for the log of how well notes gather at the beat (ct_grid_gathering) */
} ct_phase_model;

extern const ct_phase_model ct_phase_fitted;

/* Counts by place, less their mean, over the root of how many; sixteenths are counted from `phase`. Notes by start;
 * `drums` are left out. */
CT_NODISCARD ct_status ct_phase_cues(const ct_midi_note *notes, size_t count, double period, double phase,
                                     ct_arena *arena, ct_phase_table *out);

/* How likely (log, up to a constant) bars begin at place `first`; gathered: of its beat, the log. */
double ct_phase_fit(const ct_phase_model *model, const ct_phase_table *table, int first, double gathered);

/* Which of four beats, a sixteenth apart, is right; `gathered` holds the log of ct_grid_gathering for each. The first
 * is the one where notes gather most, and stays unless another is better by `hold` times the thickness: where many
 * notes sound together, gathering is seldom wrong. */
int ct_phase_best(const ct_phase_model *model, const ct_phase_table *table, const double gathered[4], double hold);

/* The best of phase, phase + 1/4, + 2/4 and + 3/4 of a period, where `phase` is ct_grid_phase's. It stays where it lies
 * at tick 0, as people who write notes have it, and where drums play, which gather on beats. */
CT_NODISCARD ct_status ct_phase_choose(const ct_midi_note *notes, size_t count, double period, ct_arena *arena,
                                       double *phase);

#endif
