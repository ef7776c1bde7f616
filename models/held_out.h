/* held_out.h -- held-out loss of a network: every song of a split, as it stands, each token counted once.
 *
 * With memory, songs are read as streams (each line of the batch its own songs, the
 * memory emptied before); without, a song longer than the window is read in windows
 * that overlap by half, so that every token has a context like the one it will have
 * when the model writes. No dropout, no transposition; all columns known, or one
 * group of them (rhythm, section, key, next chord, bars left) unknown throughout.
 *
 * The ranks that a network shares its batches with share the songs, and all of them
 * have all scores in the end; each calls this, and none stops on the way by itself.
 *
 * A second opinion: log p by cuDNN on a GPU that has it, and the loss of our op
 * checked against each. Training does without: its numbers are then the same
 * whatever is installed beside it.
 *
 * Owner: the caller. The network's memory is put back afterwards.
 * Fails: CT_ENOMEM; CT_ESTOP within a batch of a wish to stop; CT_EFAIL where the
 * two opinions differ by more than rounding, or the device fails.
 */
#ifndef CT_MODELS_HELD_OUT_H
#define CT_MODELS_HELD_OUT_H

#include "models/network.h"
#include "models/score.h"

typedef struct ct_held_out {
    const ct_dataset *dataset;
    int               stage;
    ct_split          split;
    int64_t           songs;   /* at most so many of the split, 0: all */
    unsigned          unknown; /* bit g: the columns of ct_group g are made unknown */
    bool              second;  /* ask for a second opinion, where the device has one */
} ct_held_out;

/* Scores of the songs, in the order of the split; they lie in the arena. */
CT_NODISCARD ct_status ct_held_out_network(const ct_held_out *what, ct_network *network, ct_arena *arena,
                                           ct_scores *out);
/* Songs of the split to be scored: indices into the dataset, in the arena. */
CT_NODISCARD ct_status ct_held_out_songs(const ct_held_out *what, ct_arena *arena, int64_t **songs, int64_t *count);

#endif
