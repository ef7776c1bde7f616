/* held_out.h -- held-out loss of a model: every song of a split, as it stands, each token counted once.
 *
 * With memory, songs are read as streams (each line of the batch its own songs, the
 * memory emptied before); without, a song longer than the window is read in windows
 * that overlap by half, so that every token has a context like the one it will have
 * when the model writes. No dropout, no transposition, all columns known.
 *
 * Owner: the caller. The network's memory is put back afterwards.
 * Fails: CT_ENOMEM. A wish to stop is not heard: the validation of a step belongs to the step, so that a run that goes
 * on from there is the undisturbed one (train.valid_songs bounds how long it takes).
 */
#ifndef CT_MODELS_HELD_OUT_H
#define CT_MODELS_HELD_OUT_H

#include "models/network.h"

enum { CT_KINDS_MOST = 32 };
typedef struct ct_kind_loss { /* tokens of one kind: the word before the first "_" of their names */
    char   name[24];
    double sum, count, open_sum, open_count;
} ct_kind_loss;

typedef struct ct_validation {
    double       all, open; /* nats a token: all targets; those the grammar left open */
    int64_t      targets, open_targets;
    ct_kind_loss kinds[CT_KINDS_MOST];
    int          kind_count;
} ct_validation;

/* `songs`: at most so many of the split (0: all). */
CT_NODISCARD ct_status ct_validate(ct_network *network, const ct_dataset *dataset, int stage, ct_split split,
                                   int64_t songs, ct_validation *out);

#endif
