/* bench.h -- how long the ops of a training step take, each by itself, and the whole step: `cantus bench`.
 *
 * The step is that of the config, on its device and in its precision, over a song that is made up (made_up.h): no
 * dataset is read, and the song is longer than window and memory, so that attention sees all that its flops count.
 * After steps that fill the memory each op is repeated over the arrays as they are (kernels/timing.h), with a learning
 * rate of 0, and without check.against. What an op would write over what it reads goes beside it: the thousandth call
 * computes what the first did. Two ops that the device takes as one are timed as one. Records of one label that differ
 * in their layer alone are timed once, and counted.
 *
 * Owner: the bench, until ct_bench_free; the config must outlive it. Fails: CT_EUSAGE for an op that the step has not,
 * or a peer that there can't be; CT_EFAIL with the device, the peer or results that differ from its; CT_ESTOP.
 */
#ifndef CT_TRAIN_BENCH_H
#define CT_TRAIN_BENCH_H

#include "core/json.h"
#include "kernels/timing.h"
#include "train/bench_peer.h"
#include "train/gpu.h"
#include "train/step.h"

typedef struct ct_bench_row {
    ct_record   record, next; /* the latter of a pair */
    bool        pair;
    const char *list, *kind;         /* "backward"; "linear", or "linear + gelu" */
    int64_t     calls;               /* of a step */
    double      flops, bytes, least; /* of a call; seconds at least by the card's data sheet, 0: unknown */
    ct_timing   taken;
} ct_bench_row;

typedef struct ct_bench_sum { /* of a step */
    const char *kind;
    int64_t     calls;
    double      seconds, flops, bytes, least;
} ct_bench_sum;

typedef enum ct_bench_way { CT_BENCH_EAGER, CT_BENCH_GRAPH, CT_BENCH_WAYS } ct_bench_way;

typedef struct ct_bench {
    ct_train_config config; /* its learning rate is 0 */
    ct_arena        arena;
    ct_dataset      songs;
    ct_stepper      stepper;
    const ct_gpu   *card; /* whose data sheet counts; NULL: unknown, or the CPU */
    ct_bench_row   *rows;
    size_t          row_count;
    ct_bench_sum   *kinds, all;
    size_t          kind_count;
    int64_t         tokens;              /* of a step */
    double          flops, least;        /* of a step */
    ct_timing       step[CT_BENCH_WAYS]; /* no calls: not timed */
    ct_bench_peer   peer;                /* by: NULL: not asked for */
    void           *beside;              /* what ops write that would write over what they read */
} ct_bench;

/* What to time: ops by name, each with its gradient; `step`: the whole step; none: all of it. */
typedef struct ct_bench_choice {
    const char *const *words;
    size_t             count;
    double             round; /* seconds that a round of calls should last; of steps: thirty times as long */
} ct_bench_choice;

/* Is it the name of an op, of the step or of another, or "step"? */
bool                   ct_bench_word(const char *word);
/* The one that an unknown word may have been meant to be; NULL: none is near. */
const char            *ct_bench_nearest(const char *word);
CT_NODISCARD ct_status ct_bench_run(const ct_train_config *config, const ct_bench_choice *choice, ct_bench *out);
void                   ct_bench_free(ct_bench *bench);

/* bench_tell.c: to stdout; fields: train/README.md. */
void     ct_bench_print(const ct_bench *bench);
ct_json *ct_bench_json(const ct_bench *bench);

#endif
