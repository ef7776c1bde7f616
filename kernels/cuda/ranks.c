/* ranks.c -- see ranks.h. */
#include "kernels/cuda/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ct_status ct_cuda_rank_gpu(const ct_comm *comm, int visible, int *number) {
    *number = 0;
    if (!comm || visible == 1) return CT_OK;
    *number = comm->local_rank;
    if (comm->local_rank < visible) return CT_OK;
    return ct_fail(CT_EFAIL,
                   "the driver shows %d GPUs to %d ranks of %s, none to local rank %d (hint: a rank for each GPU; "
                   "CUDA_VISIBLE_DEVICES)",
                   visible, comm->local_size, comm->host, comm->local_rank);
}

typedef struct place {
    char host[64], bus[32];
} place;

ct_status ct_cuda_ranks_apart(ct_comm *comm, const char *bus) {
    place mine = {0}, *all = calloc((size_t)comm->size, sizeof *all);
    if (!all) return ct_fail(CT_ENOMEM, "out of memory: %d ranks", comm->size);
    memcpy(mine.host, comm->host, sizeof mine.host);
    snprintf(mine.bus, sizeof mine.bus, "%s", bus);
    ct_status status = ct_comm_all_gather(comm, &mine, sizeof mine, all);
    for (int b = 1; b < comm->size && status == CT_OK; b++)
        for (int a = 0; a < b && status == CT_OK; a++)
            if (!memcmp(&all[a], &all[b], sizeof *all))
                status =
                    ct_fail(CT_EFAIL,
                            "ranks %d and %d have the same GPU, %s on %s (hint: a rank for each GPU; does each see "
                            "its own, or all of them, by CUDA_VISIBLE_DEVICES?)",
                            a, b, all[b].bus, all[b].host);
    free(all);
    return status;
}

/* ---- a trial */
enum { TRIAL = 64 }; /* elements of a share */

/* What a rank has in element i: sums of it are exact. */
static float value(int rank, int64_t i) {
    return (float)(1 + (rank * 3 + i) % 7);
}

/* What is there afterwards. */
static float expected(const ct_comm *comm, ct_collective what, int64_t count, int64_t i) {
    float sum = 0;
    for (int rank = 0; rank < comm->size; rank++) {
        int64_t first, length;
        ct_comm_share(count, 0, rank, comm->size, &first, &length);
        const bool theirs = i >= first && i < first + length;
        if (what == CT_ALL_GATHER && theirs) return value(rank, i);
        if (what == CT_REDUCE_SCATTER && theirs && rank != comm->rank) return value(comm->rank, i);
        sum += value(rank, i);
    }
    return sum;
}

static ct_status try_one(const ct_comm *comm, const ct_device *device, ct_collective what, int64_t count, float *host,
                         void *there) {
    static const char *const names[] = {"all_reduce", "reduce_scatter", "all_gather"};
    const size_t             bytes = (size_t)count * sizeof *host;
    const ct_shared          array = {.data = there, .count = count, .dtype = CT_F32};
    for (int64_t i = 0; i < count; i++) host[i] = value(comm->rank, i);
    CT_TRY(device->transfer(there, host, bytes));
    CT_TRY(device->collective(what, &array));
    CT_TRY(device->transfer(host, there, bytes));
    for (int64_t i = 0; i < count; i++) {
        const float right = expected(comm, what, count, i);
        if (host[i] < right || host[i] > right || host[i] != host[i])
            return ct_fail(CT_EFAIL,
                           "a trial %s of %d ranks is wrong: element %d is %g, not %g (hint: a broken way "
                           "between GPUs; NCCL_P2P_DISABLE=1 goes around PCI, NCCL_DEBUG=INFO tells of ways)",
                           names[what], comm->size, (int)i, (double)host[i], (double)right);
    }
    return CT_OK;
}

ct_status ct_cuda_ranks_try(const ct_comm *comm, const ct_device *device) {
    const int64_t equal = (int64_t)TRIAL * comm->size, most = equal + 1;
    float        *host = calloc((size_t)most, sizeof *host);
    void         *there = NULL;
    if (!host) return ct_fail(CT_ENOMEM, "out of memory: %d ranks", comm->size);
    ct_status status = device->alloc((size_t)most * sizeof *host, &there);
    for (int64_t count = equal; count <= most && status == CT_OK; count++)
        for (int what = CT_ALL_REDUCE; what <= CT_ALL_GATHER && status == CT_OK; what++)
            status = try_one(comm, device, (ct_collective)what, count, host, there);
    if (there) device->release(there);
    free(host);
    return status;
}
