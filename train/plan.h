/* plan.h -- what a training run takes, without running it: parameters, memory by kind, flops by op, time.
 *
 * The plan is the one that training makes, drawn up on paper (core/arena.h): the same
 * records, the same bytes, no memory behind them, so that a cluster's run is planned on
 * a laptop. Without the dataset, this program's own columns are taken, and one
 * harmonic segment in two rows: that is an estimate, and is called so.
 *
 * Owner: the plan, until ct_plan_free; the config must outlive it.
 * Fails: CT_EUSAGE for shapes, CT_EFAIL for a dataset that can't be read, CT_ENOMEM.
 */
#ifndef CT_TRAIN_PLAN_H
#define CT_TRAIN_PLAN_H

#include "core/json.h"
#include "train/saver.h"
#include "train/scaling.h"
#include "train/step.h"

typedef struct ct_plan {
    const ct_train_config *config;
    ct_arena               arena;
    ct_dataset             dataset;
    bool                   assumed; /* no dataset was there */
    ct_stepper             stepper;
    size_t                 parameters, tables, loader;
    size_t                 staging;           /* the copy that checkpoints are written from */
    size_t                 checking;          /* copies of what checked ops read and leave */
    size_t                 validating;        /* more, while validating: the Transformer-XL memory set aside */
    size_t                 bytes;             /* of everything but `validating` */
    double                 forward, backward; /* flops of one batch */
    int64_t                tokens;            /* rows a step */
    ct_gpu_plan            on_gpu;            /* where the config names one */
    ct_scaling             on_gpus;           /* where it says how many */
    double                 pass;              /* steps for one pass over the training songs; 0: unknown */
} ct_plan;

/* need_data: the dataset must be there. */
CT_NODISCARD ct_status ct_plan_make(const ct_train_config *config, bool need_data, ct_plan *out);
/* To stdout; `records`: every op record too. peak: measured flop/s, 0: no time is told. */
void                   ct_plan_print(const ct_plan *plan, bool records, double peak);
/* Fields: train/README.md. */
ct_json               *ct_plan_json(const ct_plan *plan, bool records, double peak);
void                   ct_plan_free(ct_plan *plan);

#endif
