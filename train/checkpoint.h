/* checkpoint.h -- what a run leaves to go on from, and what others use.
 *
 *   RUN/checkpoints/last-00001200/   model.safetensors + state.safetensors (moments, memory, counters)
 *   RUN/checkpoints/best-00000900/   model.safetensors of the lowest validation loss
 *
 * A folder is written aside, synced and renamed; the older one of its kind goes
 * only after that. So whatever is killed whenever, one whole checkpoint is there.
 *
 * Nothing is owned.
 * Fails: CT_EFAIL with path and reason; a checkpoint of another shape is refused, naming the tensor.
 */
#ifndef CT_TRAIN_CHECKPOINT_H
#define CT_TRAIN_CHECKPOINT_H

#include "models/network.h"

typedef struct ct_counters { /* where a run stands; saved bit for bit */
    int64_t step;            /* updates tried, skipped ones included */
    int64_t update;          /* updates made */
    int64_t micro;           /* batches read */
    int64_t skipped, skipped_in_a_row;
    int64_t waited; /* validations since the best */
    double  best;   /* lowest validation loss; infinite before the first */
    double  window_loss, window_open, window_targets, window_open_targets; /* sums since the last metrics line */
    int64_t window_tokens;
} ct_counters;

/* Write last-STEP and remove older ones. */
CT_NODISCARD ct_status ct_checkpoint_save(const char *run, const ct_network *network, const ct_counters *counters);
/* Write best-STEP and remove older ones. */
CT_NODISCARD ct_status ct_checkpoint_save_best(const char *run, const ct_network *network, const ct_counters *counters);
/* Weights, moments, memory and counters into a network of the same shape. */
CT_NODISCARD ct_status ct_checkpoint_load(const char *checkpoint, ct_network *network, ct_counters *counters);

#endif
