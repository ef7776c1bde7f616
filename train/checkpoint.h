/* checkpoint.h -- what a run leaves to go on from, and what others use.
 *
 *   RUN/checkpoints/last-0000001200/   model.safetensors, state.safetensors (moments, memory, counters), manifest.json;
 *                  of several ranks also state-00001.safetensors ...: lines of the memory, moments, that a rank alone
 * has RUN/checkpoints/best-0000000900/   model.safetensors, manifest.json: the lowest validation loss
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

/* Where tensors of the state are in a snapshot. Stretches: what the moments are of, as ct_stretch; lines: the first of
 * the memory's, and how many. */
enum {
    CT_STATE_STRETCHES = CT_COUNTERS,
    CT_STATE_LINES,
    CT_STATE_MOMENT,
    CT_STATE_VARIANCE,
    CT_STATE_MEMORY,
    CT_STATE_TENSORS = CT_STATE_MEMORY + CT_MEMORY_PARTS
};

typedef enum ct_checkpoint_kind { CT_LAST, CT_BEST } ct_checkpoint_kind;

typedef struct ct_snapshot { /* what is saved: where it lies. Not to be moved: the state points into it */
    ct_model        model;   /* shares all but the parameters with the network's */
    ct_counters     counters;
    int64_t         lines[2];
    ct_tensor_entry state[CT_STATE_TENSORS]; /* name NULL: this rank does not save it */
} ct_snapshot;

/* Of several ranks each writes a file of what it alone has; the first waits for the others' before the checkpoint is
 * whole. */
typedef struct ct_checkpoint_ranks {
    int    rank, size;
    bool  *parts;   /* [size] which have something */
    double timeout; /* seconds that the first waits for one */
    bool  *ending;  /* atomic: it waits no longer */
} ct_checkpoint_ranks;

typedef struct ct_checkpoint_place {
    const char                *run;
    int64_t                    keep, keep_every; /* 0: no others */
    const ct_json             *facts;            /* more for the manifest */
    double                     timeout;          /* of several ranks: dist.timeout */
    const ct_checkpoint_ranks *ranks;            /* NULL: there is one */
} ct_checkpoint_place;

/* The network itself, with counters as they are now. On a device apart its tensors point to where only
 * ct_network_copy can read: to be copied first (train/saver.h). */
void ct_snapshot_of(const ct_network *network, const ct_counters *counters, ct_snapshot *out);
/* Has this rank nothing to save but what others have too? */
bool ct_snapshot_is_empty(const ct_snapshot *snapshot);
/* Does this tensor of the state lie where ops run? */
bool ct_snapshot_is_of_device(int tensor);

enum { CT_STATE_FILE = 40 };
void                   ct_checkpoint_state_file(int rank, char name[CT_STATE_FILE]);
/* Of several ranks the first makes the folder of a last-STEP, before any of them writes. */
CT_NODISCARD ct_status ct_checkpoint_begin(const ct_checkpoint_place *place, ct_checkpoint_kind kind, int64_t step);
/* Write it as the checkpoint of its step, and remove what need not be kept. */
CT_NODISCARD ct_status ct_checkpoint_write(const ct_snapshot *snapshot, ct_checkpoint_kind kind,
                                           const ct_checkpoint_place *place);
/* Weights, moments, memory and counters of a last-STEP into a network of the same shape, whatever number of ranks has
 * written it, sharded or not: all of what this rank has, or on failure nothing. */
CT_NODISCARD ct_status ct_checkpoint_load(const char *checkpoint, ct_network *network, ct_counters *counters);
/* The run goes on from before `step`: checkpoints of a kind from there on are set aside (NAME.undone); the next one
 * that is written removes them. */
CT_NODISCARD ct_status ct_checkpoint_undo(const char *run, ct_checkpoint_kind kind, int64_t step);

#endif
