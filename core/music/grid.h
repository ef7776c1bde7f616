/* grid.h -- beats and bars in ticks, and the notes of a file laid on them.
 *
 * A grid is a row of bars, each with a metre and the tick at which it starts;
 * inside a bar time runs evenly. Ticks of the grid are doubles: its phase is
 * found from the music and need not be whole. Positions are counted in beats
 * from the start of bar 0, or in steps of a twelfth of a beat.
 *
 * Owner: the arena given. Fails: CT_ENOMEM only. Pure functions, no state.
 */
#ifndef CT_MUSIC_GRID_H
#define CT_MUSIC_GRID_H

#include "core/music/midi.h"
#include "core/music/piece.h"

typedef struct ct_grid_bar {
    double  tick;  /* where it starts */
    int32_t beat;  /* beats before it */
    uint8_t metre; /* number in theory.h's table */
} ct_grid_bar;

typedef struct ct_grid {
    ct_grid_bar *bars; /* bar_count + 1: the last one is where the music ends */
    int32_t      bar_count, beat_count;
    double       phase;          /* of the beat: 0 <= phase < ticks_per_beat */
    double       ticks_per_beat; /* in the first bar */
    double       swing;          /* where in a beat of two eighths the second begins; 0: not swung (swing.h) */
} ct_grid;

/* A note of the file on the grid. */
typedef struct ct_grid_note {
    double   start, end;     /* beats */
    int32_t  step, step_end; /* quantised, step_end > step */
    uint32_t index;          /* of the note in the file */
    uint16_t part;           /* notes of one track and channel are a part; see melody.h */
    uint8_t  pitch, velocity, program;
} ct_grid_note;

/* The ticks between which the music lies; a note counts for eight quarters at most, so that one left hanging does not
 * stretch it. */
void ct_grid_bounds(const ct_midi *midi, double *first, double *last);

/* The phase in ticks (0 <= phase < period) at which beats of `period` ticks carry most of the music: onsets weighted by
 * length (up to two periods), low notes doubled, gathered in 96 bins, matched with a bell of 1/48 period, then refined
 * by the mean of what lies within 1/24 period, or 1/8 where the playing is loose. *agreement (may be NULL): the match
 * at phase 0 over the best one. */
double ct_grid_phase(const ct_midi_note *notes, size_t count, double period, double *agreement);

/* The same match at one phase: weights of the onsets under the bell, over all weights. */
double ct_grid_gathering(const ct_midi_note *notes, size_t count, double period, double phase);

/* Share of onsets within 1/32 beat of the grid that divides the beat by `division`. By chance: division / 16. */
double ct_grid_nearness(const ct_midi_note *notes, size_t count, double period, double phase, int division);

/* How strongly onsets gather at any phase of the beat, its half, third or quarter: the longest of the four mean vectors
 * of exp(2 pi i d onset / period), d = 1..4. 1: all alike; free playing has 0.03 or less, POP909's loosest song 0.145,
 * Gaussian jitter of 0.08 beats on sixteenths about 0.13 even if all sixteenths were used alike. */
double ct_grid_pull(const ct_midi_note *notes, size_t count, double period);

/* The bar that holds a tick: the first one before, the last one after the music. */
const ct_grid_bar *ct_grid_bar_at(const ct_grid *grid, double tick);

/* From ticks to beats and back. Before bar 0 and after the last bar time runs on as in the bar next to it. */
double ct_grid_beat(const ct_grid *grid, double tick);
double ct_grid_tick(const ct_grid *grid, double beat);

/* The notes of the file but for drums, by start then pitch, swung eighths at two thirds of their beats. Those after the
 * end of the grid are left out. */
CT_NODISCARD ct_status ct_grid_notes(const ct_grid *grid, const ct_midi *midi, ct_arena *arena, ct_grid_note **out,
                                     size_t *count);

#endif
