/* checkpoint.h -- what a run leaves to go on from, and what others use.
 *
 *   RUN/checkpoints/last-0000001200/   model.safetensors + state.safetensors (moments, memory, counters) +
 * manifest.json RUN/checkpoints/best-0000000900/   model.safetensors + manifest.json: the lowest validation loss
 *
 * A folder is written aside, its manifest last, synced and renamed; older ones go
 * only after that. So whatever is killed whenever, a whole checkpoint is there.
 * Kept are the newest `keep` last ones, those at multiples of `keep_every`, the
 * newest best, and for each last one the best that was known then.
 *
 * A checkpoint holds a run as a step left it, before report and validation: those
 * are done again when the run goes on from it, so that a stop need not wait for them.
 *
 * Owner: a snapshot points into what it was taken of; nothing else is owned.
 * Fails: CT_EFAIL with path and reason; a checkpoint of another shape is refused, naming the tensor.
 */
#ifndef CT_TRAIN_CHECKPOINT_H
#define CT_TRAIN_CHECKPOINT_H

#include "core/json.h"
#include "models/network.h"
#include "train/counters.h"

enum { CT_STATE_TENSORS = CT_COUNTERS + CT_MEMORY_PARTS + 2 };

typedef enum ct_checkpoint_kind { CT_LAST, CT_BEST } ct_checkpoint_kind;

typedef struct ct_snapshot { /* what is saved: where it lies. Not to be moved: the state points to the counters */
    ct_model        model;   /* shares all but the parameters with the network's */
    ct_counters     counters;
    ct_tensor_entry state[CT_STATE_TENSORS];
} ct_snapshot;

typedef struct ct_checkpoint_place {
    const char    *run;
    int64_t        keep, keep_every; /* 0: no others */
    const ct_json *facts;            /* more for the manifest */
} ct_checkpoint_place;

/* The network itself, with counters as they are now. On a device apart its tensors point to where only
 * ct_network_copy can read: to be copied first (train/saver.h). */
void ct_snapshot_of(const ct_network *network, const ct_counters *counters, ct_snapshot *out);
/* Does this tensor of the state lie where ops run? */
bool ct_snapshot_is_of_device(int tensor);

/* What a checkpoint holds is the same whatever the number of ranks: a tensor with something for each line of the batch
 * has all lines. It is `pieces` of `all` bytes, and of each `own` from `at` on belong to this rank's network. Of
 * another tensor all is own. */
typedef struct ct_share {
    int64_t pieces;
    size_t  all, own, at;
} ct_share;
/* As ct_snapshot_of, for all lines: shapes and bytes; where only a part lies here, data is NULL. */
void                   ct_snapshot_of_all(const ct_network *network, const ct_counters *counters, ct_snapshot *out);
ct_share               ct_snapshot_share(const ct_network *network, int tensor, size_t bytes);
/* Write it as the checkpoint of its step, and remove what need not be kept. */
CT_NODISCARD ct_status ct_checkpoint_write(const ct_snapshot *snapshot, ct_checkpoint_kind kind,
                                           const ct_checkpoint_place *place);
/* Weights, moments, memory and counters of a last-STEP into a network of the same shape: all of it, or on failure
 * nothing. */
CT_NODISCARD ct_status ct_checkpoint_load(const char *checkpoint, ct_network *network, ct_counters *counters);
/* The run goes on from before `step`: checkpoints of a kind from there on are set aside (NAME.undone); the next one
 * that is written removes them. */
CT_NODISCARD ct_status ct_checkpoint_undo(const char *run, ct_checkpoint_kind kind, int64_t step);

#endif
