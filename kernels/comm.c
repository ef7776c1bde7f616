/* comm.c -- see comm.h. One rank alone. */
#include "kernels/comm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool ct_comm_expected(void) {
    return false;
}

ct_status ct_comm_open(const ct_dist_choice *choice, ct_comm **out) {
    *out = NULL;
    CT_ASSERT(choice->timeout > 0);
    ct_comm *comm = calloc(1, sizeof *comm);
    if (!comm) return ct_fail(CT_ENOMEM, "out of memory: the communicator");
    *comm = (ct_comm){.size = 1, .local_size = 1, .by = "self"};
    gethostname(comm->host, sizeof comm->host - 1);
    *out = comm;
    return CT_OK;
}

ct_status ct_comm_close(ct_comm *comm) {
    free(comm);
    return CT_OK;
}

void ct_comm_abort(ct_comm *comm, const char *message) {
    (void)comm;
    (void)message;
}

ct_status ct_comm_tell(ct_comm *comm, const char *device) {
    (void)comm;
    (void)device;
    return CT_OK;
}

/* ---- values of the host */
ct_status ct_comm_reduce(ct_comm *comm, ct_reduction how, double *values, int64_t count) {
    CT_ASSERT(comm->size == 1 && how <= CT_REDUCE_MIN && (values || !count));
    return CT_OK;
}

ct_status ct_comm_reduce_int(ct_comm *comm, ct_reduction how, int64_t *values, int64_t count) {
    CT_ASSERT(comm->size == 1 && how <= CT_REDUCE_MIN && (values || !count));
    return CT_OK;
}

ct_status ct_comm_barrier(ct_comm *comm) {
    CT_ASSERT(comm->size == 1);
    return CT_OK;
}

ct_status ct_comm_broadcast(ct_comm *comm, void *data, size_t bytes) {
    CT_ASSERT(comm->size == 1 && (data || !bytes));
    return CT_OK;
}

ct_status ct_comm_gather(ct_comm *comm, const void *mine, size_t bytes, void *all) {
    CT_ASSERT(comm->size == 1);
    if (bytes) memmove(all, mine, bytes);
    return CT_OK;
}

ct_status ct_comm_all_gather(ct_comm *comm, const void *mine, size_t bytes, void *all) {
    return ct_comm_gather(comm, mine, bytes, all);
}

ct_status ct_comm_gather_parts(ct_comm *comm, const void *mine, size_t bytes, ct_arena *arena, ct_comm_part *parts) {
    CT_ASSERT(comm->size == 1);
    parts[0] = (ct_comm_part){ct_arena_alloc(arena, bytes, 1), bytes};
    if (!parts[0].data) return CT_ENOMEM;
    if (bytes) memcpy(parts[0].data, mine, bytes);
    return CT_OK;
}

ct_status ct_comm_all_gather_parts(ct_comm *comm, const void *mine, size_t bytes, ct_arena *arena,
                                   ct_comm_part *parts) {
    return ct_comm_gather_parts(comm, mine, bytes, arena, parts);
}

/* ---- arrays of gradients and parameters */
ct_status ct_comm_begin(ct_comm *comm, ct_collective what, void *array, int64_t count, ct_dtype dtype,
                        int64_t *ticket) {
    CT_ASSERT(comm->size == 1 && what <= CT_ALL_GATHER && (array || !count) && dtype <= CT_BF16);
    *ticket = 0;
    return CT_OK;
}

ct_status ct_comm_wait(ct_comm *comm, int64_t ticket) {
    CT_ASSERT(comm->size == 1 && ticket == 0);
    return CT_OK;
}
