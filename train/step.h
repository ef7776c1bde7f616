/* step.h -- one training step: batches from the loader, forward and backward over the plan, AdamW.
 *
 * A stepper holds all that a step touches: loader, model, network, counters. After
 * it is open a step allocates nothing. A step whose loss or gradient is not finite
 * changes nothing and is counted; too many in a row are an error. Sums of losses leave
 * out a batch whose loss is not finite: all of it, whichever rank found that.
 *
 * On a GPU a step only puts its work on the queue. What came of it is read up to
 * CT_SLOTS batches later, or when ct_stepper_settle waits for it.
 *
 * Owner: the stepper, until ct_stepper_close; config and dataset must outlive it.
 * Fails: opening: CT_EUSAGE for shapes, CT_EFAIL for a dataset without rows of the stage, CT_ENOMEM. A step: CT_EFAIL.
 */
#ifndef CT_TRAIN_STEP_H
#define CT_TRAIN_STEP_H

#include "train/checkpoint.h"
#include "train/train.h"

typedef struct ct_pending { /* a batch whose losses are on the way */
    int64_t  step, targets, open_targets, tokens;
    bool     last; /* of its step */
    uint8_t *open; /* [tokens] */
} ct_pending;

typedef struct ct_part { /* what this rank's lines of one batch add to the sums of a window */
    double loss, open, targets, open_targets, tokens;
} ct_part;
enum { CT_PARTS = 32 };

typedef struct ct_stepper {
    const ct_device       *device;
    const ct_train_config *config;
    const ct_dataset      *dataset;
    ct_loader              loader;
    ct_model               model;
    ct_network             network;
    ct_comm               *comm;            /* ranks that share each batch; NULL: this one alone */
    ct_counters            at;              /* step and micro as begun, the rest as far as it is known */
    ct_part                parts[CT_PARTS]; /* of several ranks: batches that are still to be added up by all */
    int                    part_count;
    ct_arena               arena; /* of pending */
    ct_outlet              outlet;
    ct_pending             pending[CT_SLOTS];
} ct_stepper;

/* Room for harmonic segments in a plan without a dataset. They are about four rows long; the most in any window of
 * POP909 is one in 2.2 rows. */
enum { CT_ROWS_A_SEGMENT = 2 };

/* On paper: no weights, no arrays, and no loader if the dataset has no songs; to be measured, not to be run. */
CT_NODISCARD ct_status ct_stepper_open(const ct_train_config *config, const ct_dataset *dataset, bool paper,
                                       ct_stepper *out);
/* One of the ranks that share each batch; comm NULL: the only one. CT_EUSAGE where lines of a batch can't be shared
 * evenly. All ranks call the functions below alike. */
CT_NODISCARD ct_status ct_stepper_open_among(const ct_train_config *config, const ct_dataset *dataset, ct_comm *comm,
                                             ct_stepper *out);
CT_NODISCARD ct_status ct_stepper_step(ct_stepper *stepper);
/* Wait until all counters are those of the last step. */
CT_NODISCARD ct_status ct_stepper_settle(ct_stepper *stepper);
void                   ct_stepper_close(ct_stepper *stepper);

/* Learning rate of update `step` (1 ...): linear warm-up, then cosine from the peak down to final_share of it at
 * `steps`. */
double ct_learning_rate(const ct_train_config *config, int64_t step);

#endif
