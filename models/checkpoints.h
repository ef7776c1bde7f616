/* checkpoints.h -- where the checkpoints of a run folder lie: RUN/checkpoints/last-0000001200, best-0000000900.
 *
 * train/checkpoint.h writes them; training and generation both look for them here.
 * Names sort by step. Nothing is owned; looking fails with CT_EFAIL naming the folder.
 */
#ifndef CT_MODELS_CHECKPOINTS_H
#define CT_MODELS_CHECKPOINTS_H

#include "core/arena.h"

/* Names of whole checkpoints of a kind ("last" or "best") below `folder`, oldest first. */
CT_NODISCARD ct_status ct_checkpoint_list(const char *folder, const char *kind, ct_arena *arena, char ***names,
                                          size_t *count);
/* Path of the newest checkpoint of a kind in a run folder; false when there is none. */
bool                   ct_checkpoint_find(const char *run, const char *kind, char *path, size_t size);
/* The model file that `name` stands for: a file itself, or the best (else the last) checkpoint of a run folder. */
CT_NODISCARD ct_status ct_model_find(const char *name, char *path, size_t size);

#endif
