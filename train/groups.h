/* groups.h -- near-duplicates among many songs: which songs share a melody, through others too.
 *
 * Two songs belong together when their share (core/music/similar.h) is above a
 * bound; groups are what is connected. Pairs are found through an index from grams
 * to songs: the work is the pairs of songs that have a gram in common, not all
 * pairs, and none is missed. (Bands of MinHash values would miss: two songs of one
 * length that share 0.2 have a Jaccard index of 0.11, which 64 bands of 2 find with
 * probability 1 - (1 - 0.11^2)^64 = 0.55; and sketches are hardly longer than 128
 * such values.) A gram that more than a twentieth of the songs have, and more than
 * 1,000, is a commonplace and left out of the index, which bounds the work.
 *
 * Owner: the result lies in the arena given; the index, at most 16 bytes a gram (2.5 kB a song, 400 MB for 170,000), is
 *        freed. One thread; the same result whatever the machine.
 * Fails: CT_ENOMEM; CT_ESTOP after a signal.
 */
#ifndef CT_TRAIN_GROUPS_H
#define CT_TRAIN_GROUPS_H

#include "core/music/similar.h"

typedef struct ct_groups {
    uint32_t *first; /* the first song of each song's group: itself when it is alone or the first */
    uint32_t *like;  /* the song it shares most with, itself when there is none above the bound; ties: the first one */
    double   *share; /* with that song; 0 when there is none */
    uint32_t *kept;  /* itself when it is like no song before it that is kept, else the first such song */
    size_t    count; /* groups of two songs and more */
    size_t    songs; /* in them */
} ct_groups;

/* `bound`: 0..1; pairs above it belong together. */
CT_NODISCARD ct_status ct_groups_find(const ct_sketch *sketches, size_t count, double bound, ct_arena *arena,
                                      ct_groups *out);

#endif
