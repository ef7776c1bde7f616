/* table.h -- scores by song, and what is printed of them.
 *
 * Each metric keeps of each song what was right and what there was: a score is
 * the one sum over the other, its interval what 95 of 100 drawings of as many
 * songs give (a fixed generator: the same bytes each time).
 *
 * Owner: one table a process. Fails: by abort where memory ends.
 */
#ifndef CT_ACCURACY_TABLE_H
#define CT_ACCURACY_TABLE_H

#include "core/music/theory.h"

#include <stdio.h>

/* name, what it is, floor, aim; 0: none set */
#define METRICS(X)                                                                                                     \
    X(GRID, "grid phase, whole songs", 0.995, 1)                                                                       \
    X(GRID_EXCERPT, "grid phase, 32 beats", 0.96, 0.99)                                                                \
    X(GRID_SHAKEN, "grid phase, onsets shaken by sd 0.08 beat", 0.97, 0.995)                                           \
    X(GRID_MELODY, "grid phase, track MELODY alone", 0.85, 0.9)                                                        \
    X(DOWNBEAT, "downbeat of 4, songs with aligned bar lines", 0.93, 0.98)                                             \
    X(METRE, "3 against 4 beats", 0.95, 0.99)                                                                          \
    X(TRIPLE, "songs of 3 beats found", 0, 0)                                                                          \
    X(BEAT_F, "beats, F-measure within 70 ms", 0, 0)                                                                   \
    X(DOWNBEAT_F, "downbeats, F-measure within 70 ms", 0, 0)                                                           \
    X(MAJMIN_SURE, "chords, majmin, sure", 0.95, 0.985)                                                                \
    X(MAJMIN, "chords, majmin, all", 0.9, 0.94)                                                                        \
    X(ROOT_SURE, "chords, root, sure", 0.97, 0.99)                                                                     \
    X(ROOT, "chords, root, all", 0.92, 0.95)                                                                           \
    X(SEVENTHS_SURE, "chords, sevenths, sure", 0.9, 0.95)                                                              \
    X(SEVENTHS, "chords, sevenths, all", 0.85, 0.9)                                                                    \
    X(FULL, "chords, all tones and bass (tetrads_inv), all", 0, 0)                                                     \
    X(ROOT_AUDIO, "against chord_audio, root", 0.83, 0.87)                                                             \
    X(MAJMIN_AUDIO, "against chord_audio, majmin", 0.79, 0.85)                                                         \
    X(KEY, "key, MIREX weights over time", 0.88, 0.93)                                                                 \
    X(KEY_SEVERAL, "key, songs with several", 0.79, 0.85)                                                              \
    X(MELODY, "melody notes, F1", 0.8, 0.9)                                                                            \
    X(MELODY_BRIDGE, "melody notes, F1, BRIDGE ignored", 0.88, 0.96)                                                   \
    X(MELODY_RIGHT, "notes rightly called melody or not", 0, 0)                                                        \
    X(TRACK, "melody track among unnamed tracks", 0.97, 1)                                                             \
    X(PHRASES, "phrase boundaries within one bar, F1", 0.5, 0.7)                                                       \
    X(EVERY_8, "phrase boundaries every 8 bars, F1 (baseline)", 0, 0)                                                  \
    X(NOTTINGHAM, "Nottingham, chords, majmin", 0.98, 0.995)                                                           \
    X(TUNE_METRE, "Nottingham, time signatures removed: two or four beats, three, six or nine eighths", 0, 0)
#define X(id, name, floor, aim) id,
enum metric { METRICS(X) METRIC_COUNT };
#undef X

/* What follows is of this song. */
void table_song(const char *name);
void table_add(enum metric metric, double right, double total);
/* Seconds of a chord heard as another. */
void table_confuse(ct_chord reference, ct_chord estimate, double seconds);
void table_print(FILE *out);

#endif
