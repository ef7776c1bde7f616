/* reduce.h -- gradients of all ranks added up while the backward pass goes on, and parameters that ranks share out.
 *
 * The gradients lie one after the other, as the tensors do. They are cut into buckets, and a bucket is sent off as soon
 * as the last op of the backward pass that adds to it has run: those of the last layers first. Buckets, and the order
 * that they are sent in, follow from the list of ops and the tensors alone, so they are the same on each rank.
 *
 * Sharded (ZeRO-1; Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models"),
 * each rank gets the sums of its share of every bucket, updates these parameters, and hands them to the others. Shares
 * are whole blocks of CT_NORM_BLOCK: the norm is then added up from the same sums as without.
 *
 * In bf16 the gradients are rounded before they are sent, and the sums are made floats again.
 *
 * Owner: the arena that it was made in, but for a device's events: ct_reducer_close. Fails: CT_ENOMEM; running: what an
 * op, the device or the communicator says.
 */
#ifndef CT_MODELS_REDUCE_H
#define CT_MODELS_REDUCE_H

#include "kernels/comm.h"
#include "models/model.h"
#include "models/record.h"

/* Numbers [first, first + count) of the parameters, whose moments lie from `kept` on. */
typedef struct ct_stretch {
    int64_t first, count, kept;
} ct_stretch;

typedef struct ct_bucket {
    int64_t first, count; /* numbers of the gradients */
    size_t  after;        /* so many records have run when it is whole */
} ct_bucket;

typedef struct ct_reducer_options {
    ct_comm         *comm; /* NULL: on paper */
    int              ranks;
    const ct_device *device;
    const ct_model  *model;     /* its tensors */
    void            *gradients; /* [parameter_count] wide */
    ct_dtype         dtype;     /* of ops */
    size_t           bytes;     /* that a bucket takes at least, but for the one that is left over */
    bool             shard, bf16;
    uint16_t        *narrow; /* of bf16: [parameter_count] to send instead */
} ct_reducer_options;

typedef struct ct_reducer {
    ct_reducer_options o;  /* o.comm NULL: there is one rank, and nothing to do */
    ct_bucket         *at; /* by `after` */
    int                count;
    ct_dtype           sent;          /* of gradients on their way */
    ct_record_list     narrow, widen; /* of each bucket; of what this rank updates */
    int64_t            ticket;        /* of the last one that was sent off by the host */
    ct_event          *ready, *done;  /* of a device apart */
} ct_reducer;

/* open: not on paper. */
CT_NODISCARD ct_status ct_reducer_make(const ct_reducer_options *options, const ct_record_list *backward, bool open,
                                       ct_arena *arena, ct_reducer *out);
void                   ct_reducer_close(ct_reducer *reducer);
/* What this rank updates, in order of the buckets; room: as many as there are buckets. How many they are. */
int                    ct_reducer_stretches(const ct_reducer *reducer, ct_stretch *out);
/* Bytes that a rank sends in an update: each bucket summed; sharded, also what the norm and the new parameters, of this
 * type, take. */
int64_t                ct_reducer_bytes(const ct_reducer *reducer, ct_dtype parameters, int rank);
/* Run the list, buckets being sent off on the way. */
CT_NODISCARD ct_status ct_reducer_run(ct_reducer *reducer, const ct_record_list *backward, const ct_backend *backend,
                                      ct_check *check);
/* Until all have been added up: ops from here on find the sums. */
CT_NODISCARD ct_status ct_reducer_wait(ct_reducer *reducer, const ct_backend *backend, ct_check *check);
/* Sharded: values of all ranks added up; of an array of all parameters, each rank's part handed to all. */
CT_NODISCARD ct_status ct_reducer_add(ct_reducer *reducer, double *values, int64_t count);
CT_NODISCARD ct_status ct_reducer_gather(ct_reducer *reducer, void *parameters, ct_dtype dtype);

#endif
