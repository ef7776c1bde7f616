/* reduce.h -- gradients of all ranks added up while the backward pass goes on.
 *
 * The gradients lie one after the other, as the tensors do. They are cut into buckets of neighbouring tensors, and a
 * bucket is sent off as soon as the last op of the backward pass that adds to it has run: those of the last layers
 * first. Buckets, and the order that they are sent in, follow from the list of ops and the tensors alone, so they are
 * the same on each rank.
 *
 * Owner: the arena that it was made in. Fails: CT_ENOMEM; running: what an op or the communicator says.
 */
#ifndef CT_MODELS_REDUCE_H
#define CT_MODELS_REDUCE_H

#include "kernels/comm.h"
#include "models/model.h"
#include "models/record.h"

typedef struct ct_bucket {
    int64_t first, count; /* numbers of the gradients */
    size_t  after;        /* so many records have run when it is whole */
} ct_bucket;

typedef struct ct_reducer {
    ct_comm   *comm;
    char      *gradients;
    ct_dtype   dtype; /* of them */
    ct_bucket *at;    /* by `after` */
    int        count;
    int64_t    ticket; /* of the last one that was sent off */
} ct_reducer;

typedef struct ct_reducer_options {
    ct_comm        *comm;
    const ct_model *model;     /* its tensors, and their numbers' type */
    void           *gradients; /* [parameter_count] */
    size_t          bytes;     /* that a bucket takes at least, but for the one that is left over */
} ct_reducer_options;
CT_NODISCARD ct_status ct_reducer_make(const ct_reducer_options *options, const ct_record_list *backward,
                                       ct_arena *arena, ct_reducer *out);
/* Run the list, buckets being sent off on the way. */
CT_NODISCARD ct_status ct_reducer_run(ct_reducer *reducer, const ct_record_list *backward, const ct_backend *backend,
                                      ct_check *check);
/* Until all have been added up. */
CT_NODISCARD ct_status ct_reducer_wait(ct_reducer *reducer);

#endif
