/* scaling.h -- what a step would take on many GPUs that are not here: `cantus plan CONFIG gpu=H100 gpus=256 net=400G`.
 *
 * On paper, and an estimate throughout. Each GPU computes as long as its rooflines say (train/gpu.h): a lower bound.
 * Gradients are added up in the buckets of models/reduce.h: each is on its way from the record on that makes it whole,
 * when the link has done the one before; what is left after the backward pass is waited for. A bucket takes a latency
 * for each hop, and its bytes at the rate of the slowest link of a ring: within nodes of CT_NODE_GPUS as the card's
 * data sheet has it, between nodes each GPU's own network adapter, all adapters of a node being used at once.
 *
 * Two tables: each GPU has train.batch windows, as many GPUs as there are do more; or they share train.batch, and a
 * step gets shorter. Efficiency is the time of one GPU by what n take for it, n times as fast being perfect.
 *
 * Owner: nothing. Fails: as ct_network_make on paper.
 */
#ifndef CT_TRAIN_SCALING_H
#define CT_TRAIN_SCALING_H

#include "core/json.h"
#include "train/gpu.h"

#define CT_NET_WORDS "25G|50G|100G|200G|400G|800G"
enum { CT_NODE_GPUS = 8, CT_SCALING_ROWS = 16 };

typedef struct ct_links { /* of n GPUs */
    double rate;          /* bytes a second and GPU, of the slowest */
    double ring, tree;    /* seconds of latency: a ring's once around; the whole of a sum by trees */
} ct_links;
ct_links ct_scaling_links(const ct_gpu *gpu, int net, int64_t gpus);
/* Seconds of a collective on so many bytes, by the quicker of what NCCL has for it. */
double   ct_scaling_seconds(const ct_links *links, ct_collective what, double bytes, int64_t gpus);

typedef struct ct_scaling_row {
    int64_t gpus, lines; /* windows of each; 0: they can't be shared evenly, and nothing more is known */
    int64_t sent;        /* bytes of rank 0, in a step */
    double  compute;     /* seconds of a step, without what others have to be waited for */
    double  talk;        /* seconds that the link is busy */
    double  hidden;      /* share of these, while the GPU computes */
    double  step, rows;  /* seconds; rows a second of all */
    double  efficiency;
} ct_scaling_row;

typedef struct ct_scaling {
    const ct_gpu  *gpu;
    int            net;                  /* place in CT_NET_WORDS */
    int64_t        gpus, batch, largest; /* the last: windows that fit on one */
    int            buckets;
    double         gradients;                 /* bytes */
    ct_scaling_row each[CT_SCALING_ROWS];     /* train.batch windows on each GPU */
    ct_scaling_row together[CT_SCALING_ROWS]; /* on all */
    int            rows;
} ct_scaling;

/* CT_EUSAGE where the config names no card. rooms: for harmonic segments, as in ct_network_options; largest: as in
 * ct_gpu_plan. */
CT_NODISCARD ct_status ct_scaling_make(const ct_train_config *config, ct_model *model, int64_t queries, int64_t keys,
                                       int64_t largest, ct_scaling *out);
void                   ct_scaling_print(const ct_scaling *scaling);
ct_json               *ct_scaling_json(const ct_scaling *scaling);

#endif
