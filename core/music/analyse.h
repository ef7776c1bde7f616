/* analyse.h -- from a MIDI file to a piece on the grid.
 *
 * Bars and beats (metre.h, grid.h), key (key.h), chords (chord.h), melody
 * (melody.h), rhythm and texture of the rest (rhythm.h, texture.h) and sections (section.h), in
 * this order, each found or taken from annotations; what comes out passes ct_piece_check. The same file and options
 * give the same piece, whatever the machine's load.
 *
 * Owner: piece and report lie in the arena given; the file must outlive neither.
 * Fails: CT_EFAIL with a short reason when the file can't be used ("no notes",
 *        "drums only", "too long: ...", "notes follow no grid: ..."); CT_ENOMEM.
 */
#ifndef CT_MUSIC_ANALYSE_H
#define CT_MUSIC_ANALYSE_H

#include "core/music/annotations.h"

typedef struct ct_analyse_options {
    bool                  use_names; /* a track called MELODY, Vocal, Lead ... is the melody */
    bool                  merged;    /* take all tracks as one */
    int32_t               notes_min; /* fewer notes (drums apart): refused */
    int32_t               notes_max;
    int32_t               bars_max;
    const ct_annotations *annotations; /* what is known already; NULL: nothing */
} ct_analyse_options;

/* use_names, not merged, 8 to 200,000 notes, 1,000 bars. */
ct_analyse_options ct_analyse_defaults(void);

typedef struct ct_analysis {
    const char   **warnings;
    size_t         warning_count;
    double         phase;             /* ticks: beats of the first metre lie at phase + k * ticks_per_beat */
    double         ticks_per_beat;    /* in the first bar */
    double         swing;             /* where in the beat its second half begins, 0: not swung (swing.h) */
    const double  *bar_ticks;         /* where each bar starts, and where the last ends: bar_count + 1 */
    int            melody_track;      /* the file's track, -1: chosen from all notes together, or none */
    float          melody_confidence; /* 0..1, of what was chosen; too little of it, and there is no melody */
    const uint8_t *is_melody;         /* 1 for each note of the file chosen as melody */
    const uint8_t *texture;           /* of the accompaniment of each bar (texture.h) */
    int            key;               /* the main key, 0..23 */
    float          key_confidence;    /* how likely it is right, 0..1 */
    const float   *chord_confidence;  /* for each chord change: how likely root and third are right, 0..1 */
} ct_analysis;

CT_NODISCARD ct_status ct_analyse(const ct_midi *midi, const ct_analyse_options *options, ct_arena *arena,
                                  ct_piece *out, ct_analysis *info);

/* The tick at which `step` of an analysed piece lies in its file. */
double ct_analysis_tick(const ct_analysis *info, const ct_piece *piece, int32_t step);

#endif
