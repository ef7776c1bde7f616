/* tracing.h -- `train.trace: N`: step N of a run, to be looked at in chrome://tracing or Perfetto.
 *
 * What core/trace.h collects between the beginning of the step and what is done before it is validated, checkpoints
 * included: ops with flops and bytes, what ranks say to each other, batches, filling, waiting. Written to
 * RUN/trace.json, by the first of several ranks for the first CT_TRACED_RANKS of them, a process each. The step does
 * what any other does. On a GPU it is put there op by op, and so takes longer; times of ops are the queue's.
 *
 * Owner: the tracing, until closed; the stepper must outlive it. Everything is made when it is opened, so that a step
 * allocates nothing. Fails: CT_EUSAGE for a step that there will not be; CT_ENOMEM; what ranks, device or file say.
 */
#ifndef CT_TRAIN_TRACING_H
#define CT_TRAIN_TRACING_H

#include "kernels/queue_clock.h"
#include "train/saver.h"
#include "train/step.h"

enum { CT_TRACED_RANKS = 64 };

typedef struct ct_tracing {
    const ct_train_config *config;
    const ct_stepper      *stepper;
    ct_queue_clock         clock;
    bool                   on;
    double                 origin; /* when it began: on all ranks at once */
} ct_tracing;

CT_NODISCARD ct_status ct_tracing_open(const ct_train_config *config, const ct_stepper *stepper, ct_tracing *out);
/* Before a step: it may be the one. */
CT_NODISCARD ct_status ct_tracing_begin(ct_tracing *tracing);
/* After it and its checkpoint, which is waited for: if it was the one, it is written. All ranks call it. */
CT_NODISCARD ct_status ct_tracing_end(ct_tracing *tracing, ct_saver *saver);
/* While the device is open. */
void                   ct_tracing_close(ct_tracing *tracing);

#endif
