/* checkpoints.h -- where the checkpoints of a run folder lie, and which of them can be believed.
 *
 *   RUN/checkpoints/last-0000001200/   what a run goes on from
 *   RUN/checkpoints/best-0000000900/   the model with the lowest validation loss
 *
 * train/checkpoint.h writes them; training and generation both look for them here.
 * Names sort by step. Format 2 has a manifest (manifest.h) and is checked by it;
 * format 1 had none: its files must be whole safetensors files, no more is known.
 *
 * Nothing is owned but manifests, which are the caller's. Fails: CT_EFAIL naming file and reason.
 */
#ifndef CT_MODELS_CHECKPOINTS_H
#define CT_MODELS_CHECKPOINTS_H

#include "models/manifest.h"

/* Metadata of a checkpoint's safetensors files, from format 2 on. */
#define CT_CHECKPOINT_MARK "checkpoint"
/* How many ranks have written the state; none: one. */
#define CT_CHECKPOINT_RANKS "ranks"

/* Names of whole checkpoints of a kind ("last" or "best") below `folder`, oldest first. */
CT_NODISCARD ct_status ct_checkpoint_list(const char *folder, const char *kind, ct_arena *arena, char ***names,
                                          size_t *count);
/* The step in such a name. */
int64_t                ct_checkpoint_step(const char *name);
/* Is the checkpoint at `path` whole? manifest NULL: it is not asked for; *manifest NULL: format 1. */
CT_NODISCARD ct_status ct_checkpoint_verify(const char *path, ct_json **manifest);
/* Path of the newest valid checkpoint of a kind in a run folder, "" when there is none of that kind; those passed over
 * are warned of. CT_EFAIL when there are some and none is valid. */
CT_NODISCARD ct_status ct_checkpoint_newest(const char *run, const char *kind, char *path, size_t size,
                                            ct_json **manifest);
/* The model file that `name` stands for: a file itself, or the best (else the last) checkpoint of a run folder. */
CT_NODISCARD ct_status ct_model_find(const char *name, char *path, size_t size);

#endif
