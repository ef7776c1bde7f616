/* train.h -- the training loop of one stage.
 *
 * One call trains a model from a config: batches from the loader, forward and
 * backward over the network's plan, gradient accumulation, clipping, AdamW with
 * warm-up and cosine decay; validation, early stopping, best and last
 * checkpoints, resume, fine-tuning from a checkpoint, a line of metrics per
 * interval. A step whose loss or gradient is not finite changes nothing and is
 * counted; too many in a row end the run with the last good checkpoint intact.
 *
 * Owner: everything is made and freed inside.
 * Fails: CT_EUSAGE for config, CT_EFAIL for data and files, CT_ESTOP after a signal (a checkpoint is saved first).
 */
#ifndef CT_TRAIN_TRAIN_H
#define CT_TRAIN_TRAIN_H

#include "kernels/comm.h"
#include "models/network.h"

typedef enum ct_sent_as { CT_SENT_FP32, CT_SENT_BF16 } ct_sent_as;

typedef struct ct_train_config {
    const char      *data;
    double           unknown;
    bool             transpose;
    ct_model_config  model;
    ct_device_choice on;
    ct_dist_choice   dist;
    int64_t          bucket;  /* KiB */
    int              sent_as; /* gradients between ranks: ct_sent_as */
    bool             shard;
    const char      *out, *init;
    int              resume; /* never, auto */
    int64_t seed, steps, batch, accumulate, warmup, log_every, valid_every, save_every, keep, keep_every, patience,
        valid_songs, most_skipped, order, count_songs;
    int64_t trace; /* step, 0: none */
    bool    background, faults;
    int     gpu;  /* of cantus plan, and of bench where the card is unknown */
    int     net;  /* of cantus plan */
    int64_t gpus; /* of cantus plan, 0: one */
    int     peer; /* of cantus bench: none, cuDNN */
    double  minutes, learning_rate, final_share, clip;
    ct_adam adam;
} ct_train_config;

extern const ct_schema ct_train_schema;

CT_NODISCARD ct_status ct_train(const ct_train_config *config, const char *const *words, size_t word_count);
/* Everything that can be found out before the first step, without making anything: config, dataset, run folder, the
 * checkpoint or model that it would start from; prints the plan (train/plan.h). */
CT_NODISCARD ct_status ct_train_dry_run(const ct_train_config *config);

#endif
