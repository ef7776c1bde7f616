/* melody_notes.h -- what makes a note look like melody, in numbers.
 *
 * A row of features a note. The first ones say how it lies in the music: above or
 * inside what sounds with it, long or short, loud or soft, in what line of notes
 * near in pitch, on which part of the beat, and how often it comes back. The rest
 * say what a first opinion of all notes makes of it: does it lie where the line
 * lies, is it as loud and as long as the line's notes, what stands beside it.
 *
 * Owner: arrays lie in the arena given, notes must outlive them. Fails: CT_ENOMEM only.
 * Linear in the notes: each looks at no more than WINDOW_NOTES neighbours on either side.
 */
#ifndef CT_MUSIC_MELODY_NOTES_H
#define CT_MUSIC_MELODY_NOTES_H

#include "core/music/grid.h"

/* How many values each group of features has; they stand in a row in this order. */
enum {
    CT_MELODY_PLACE = 35, /* melody_notes.c: among its neighbours */
    CT_MELODY_LINE = 37,  /* melody_figure.c: in a line of notes near in pitch; repetition, beat, song */
    CT_MELODY_OWN = CT_MELODY_PLACE + CT_MELODY_LINE,
    CT_MELODY_AGAINST = 33, /* melody_context.c: against the line that the last round saw */
    CT_MELODY_LIKE = 50,    /* melody_likeness.c: as its notes are, and those of its figure */
    CT_MELODY_PHRASE = 36,  /* melody_phrase.c: the phrase around it, against the song's others */
    CT_MELODY_ALL = CT_MELODY_OWN + CT_MELODY_AGAINST + CT_MELODY_LIKE + CT_MELODY_PHRASE
};

/* The notes that start together: [begin, end). */
typedef struct ct_melody_cluster {
    size_t begin, end, top, bottom; /* top, bottom: highest and lowest note */
    double loudness;                /* mean velocity */
} ct_melody_cluster;

enum { CT_MELODY_NONE = -1 };

typedef struct ct_melody_song {
    const ct_grid_note *notes;  /* by start; no doubles */
    const uint8_t      *copies; /* how often each of them is there */
    size_t              count;
    ct_melody_cluster  *clusters;
    size_t              cluster_count;
    uint32_t           *cluster_of;
    int32_t            *before, *after; /* of each note: the one nearest in pitch and time, CT_MELODY_NONE */
    uint32_t           *figure;         /* notes of one figure (pitch, and steps to both neighbours) have one number */
    uint32_t            figures;
    float (*rows)[CT_MELODY_ALL];
} ct_melody_song;

/* Notes within a sixteenth of a beat start together. */
#define CT_MELODY_TOGETHER (1.0 / 16)

/* Find clusters, neighbours and figures; fill the first CT_MELODY_OWN of each row. */
CT_NODISCARD ct_status ct_melody_features(const ct_grid_note *notes, const uint8_t *copies, size_t count,
                                          ct_arena *arena, ct_melody_song *out);
/* Fill the rest of the rows from an opinion of every note: that it is melody, that it is of another line. */
CT_NODISCARD ct_status ct_melody_context(ct_melody_song *song, const float *probability, const float *other,
                                         ct_arena *arena);

/* Make one note of those that repeat a pitch within a sixteenth of a beat: as loud and long as any of them. of[i] is
 * the number of the one that stands for note i, copies[k] how many the k-th stands for (255: or more); returns how many
 * are left. All have room for `count`. */
size_t ct_melody_singles(const ct_grid_note *notes, size_t count, ct_grid_note *out, uint32_t *of, uint8_t *copies);

/* ---- the parts of ct_melody_features and ct_melody_context */
CT_NODISCARD ct_status ct_melody_figures(ct_melody_song *song, ct_arena *arena);
CT_NODISCARD ct_status ct_melody_phrases(ct_melody_song *song, const float *probability, size_t ratios,
                                         ct_arena *arena);
CT_NODISCARD ct_status ct_melody_likeness(ct_melody_song *song, const float *melody, const float *other,
                                          ct_arena *arena);

#endif
