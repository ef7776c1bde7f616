/* made_up.h -- a dataset that is in no file: what this program's own rows look like, and a song of them that nobody
 * wrote.
 *
 * For plans and measurements where there is no dataset. A song's values are drawn at random, each within its column;
 * chords change every fourth row, as in music, and every second row in the last sixteenth of the song, for a plan has
 * to have room for the most that there is. It begins with a chord and has no grammar: nothing can be learned from it.
 *
 * Owner: the arena that is passed in. Fails: CT_ENOMEM.
 */
#ifndef CT_TRAIN_MADE_UP_H
#define CT_TRAIN_MADE_UP_H

#include "core/data/dataset.h"

/* The stage as `prepare` writes it, without songs. */
CT_NODISCARD ct_status ct_made_up_stage(int stage, ct_arena *arena, ct_stage_data *out);
/* A dataset of one song of so many rows of the stage, for training, in its own arena (ct_arena_free; there is nothing
 * to close). */
CT_NODISCARD ct_status ct_made_up_song(int stage, int64_t rows, ct_dataset *out);

#endif
