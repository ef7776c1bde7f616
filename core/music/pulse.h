/* pulse.h -- what makes a beat sound like the first of a bar, in numbers.
 *
 * One row of cues for each beat of a pulse laid over the notes: bass notes and
 * long notes that begin there, new harmony, loudness, silence before and after,
 * changes of texture, and places from which music is heard again. Each cue is
 * standardised over the beats, so that files of any kind compare.
 *
 * Owner: the arena given. Fails: CT_ENOMEM only. Linear in the notes; beats times CT_PULSE_LAGS for repetition.
 */
#ifndef CT_MUSIC_PULSE_H
#define CT_MUSIC_PULSE_H

#include "core/music/midi.h"

enum {
    CT_PULSE_LOW,     /* length of low notes that begin on the beat */
    CT_PULSE_BASS,    /* the lowest pitch class is another one than before */
    CT_PULSE_FLUX_1,  /* harmony: this beat against the last */
    CT_PULSE_FLUX_2,  /* two beats against two */
    CT_PULSE_FLUX_4,  /* four against four */
    CT_PULSE_EARLY,   /* the same as FLUX_1 half a beat before: anticipations */
    CT_PULSE_MASS,    /* length of all that begins on the beat */
    CT_PULSE_COUNT,   /* how many notes that is */
    CT_PULSE_LOUD,    /* the loudest of them against the beats around */
    CT_PULSE_LONG,    /* the longest of them */
    CT_PULSE_TIED,    /* length of what begins within the beat before and is held over */
    CT_PULSE_ENDS,    /* long notes that end here */
    CT_PULSE_DEEP,    /* how low the lowest that begins is */
    CT_PULSE_DENSER,  /* onsets of this beat less those of the last */
    CT_PULSE_EMPTY,   /* nothing begins on the beat */
    CT_PULSE_BREATH,  /* silence of the upper notes before */
    CT_PULSE_REST,    /* silence after what begins here */
    CT_PULSE_TEXTURE, /* onsets by register: eight beats against eight */
    CT_PULSE_AGAIN,   /* what begins here has been or will be heard elsewhere, what came before not so */
    CT_PULSE_FIRST,   /* the music begins here */
    CT_PULSE_CUES
};
enum { CT_PULSE_LAGS = 256, CT_PULSE_NEAR_LAGS = 25 };

typedef float ct_pulse_row[CT_PULSE_CUES];

typedef struct ct_pulse {
    ct_pulse_row *rows;                      /* one a beat */
    double        alike[CT_PULSE_NEAR_LAGS]; /* mean likeness of beats that many beats apart, 0..1 */
} ct_pulse;

/* Beat b of 0..beats-1 lies at tick origin + b * period. */
CT_NODISCARD ct_status ct_pulse_cues(const ct_midi *midi, double origin, double period, int32_t beats, ct_arena *arena,
                                     ct_pulse *out);

#endif
