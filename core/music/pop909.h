/* pop909.h -- the annotations that come with POP909 and with its structure labels.
 *
 * Beside NNN.mid lie beat_midi.txt, chord_midi.txt and key_audio.txt (POP909,
 * Wang et al. 2020), human_label1.txt and melody.txt (hierarchical structure
 * analysis, Dai et al. 2020). Phrases and the hand-corrected bar lines are counted
 * from a bar 1 of their own: melody.txt, laid over the track MELODY, says where
 * that lies in the file.
 *
 * Owner: the arena given. Fails: CT_EFAIL with the file and line when one is
 * missing or can't be read.
 */
#ifndef CT_MUSIC_POP909_H
#define CT_MUSIC_POP909_H

#include "core/music/annotations.h"

typedef struct ct_pop909_span {
    double      begin, end; /* seconds */
    const char *label;      /* a chord "B:maj7/3", "N", or a key "Gb:maj" */
} ct_pop909_span;

typedef struct ct_pop909_spans {
    ct_pop909_span *at;
    size_t          count;
} ct_pop909_spans;

typedef struct ct_pop909_phrase {
    char    letter; /* upper case: with melody; lower case: without (i intro, o outro, b bridge, x other) */
    int32_t bars;
} ct_pop909_phrase;

typedef struct ct_pop909 {
    double           *beats; /* seconds */
    bool             *down;  /* a bar begins: a weak estimate (datasets.md) */
    size_t            beat_count;
    bool              triple; /* three beats a bar, else four */
    ct_pop909_spans   chords, keys;
    ct_pop909_phrase *phrases;
    size_t            phrase_count;
    struct ct_pop909_tone {
        int pitch, sixteenths; /* 0: a rest */
    } * melody;
    size_t melody_count;
} ct_pop909;

/* All files of the song's folder ("pop909/001"). */
CT_NODISCARD ct_status ct_pop909_read(const char *folder, ct_arena *arena, ct_pop909 *out);

/* Rows of "begin end label" of one file. */
CT_NODISCARD ct_status ct_pop909_read_spans(const char *path, ct_arena *arena, ct_pop909_spans *out);

/* The tick of bar 1 of phrases and melody: the shift by sixteenths from the grid of the beats at which most notes of
 * melody.txt meet a note of MELODY of that pitch; *matched is their share (labels can be relied on from 0.9). */
CT_NODISCARD ct_status ct_pop909_origin(const ct_pop909 *song, const ct_midi *midi, ct_arena *arena, double *tick,
                                        double *matched);

/* What the analysis takes from the annotations instead of finding it. Sections only where nine tenths of melody.txt
 * match. */
CT_NODISCARD ct_status ct_pop909_annotate(const ct_pop909 *song, const ct_midi *midi, ct_arena *arena,
                                          ct_annotations *out);

#endif
