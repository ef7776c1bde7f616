/* nccl.c -- NCCL: finding it, the communicator of the ranks' GPUs, and collectives (nccl.h, NVIDIA's, is included here
 * alone). See nccl.h.
 *
 * In a graph. What is known (NCCL's manual, "Using NCCL with CUDA Graphs", "Creating a Communicator with options", and
 * "Asynchronous errors"): collectives may be captured; a communicator that does not block enqueues from a thread of
 * its own, so nothing may be put on the stream until ncclCommGetAsyncError says that it is done; a capture in mode
 * thread-local leaves other threads their calls, memory for connections included; capturing and launching are
 * collective themselves: every rank does them with the same calls. ncclCommGetAsyncError reads a state and makes no
 * call of CUDA, so the thread that captures may poll it.
 * Connections are made when ranks meet, and not at the first use of an algorithm, which might be in a capture:
 * NCCL_RUNTIME_CONNECT=0, unless the user has set it.
 */
#include "kernels/cuda/nccl.h"

#include "core/log.h"
#include "kernels/flight.h"

#include <dlfcn.h>
#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OLDEST = 21400 /* 2.14: the first that need not block */ };

#define CALLS(CALL)                                                                                                    \
    CALL(ncclGetVersion)                                                                                               \
    CALL(ncclGetErrorString)                                                                                           \
    CALL(ncclGetLastError)                                                                                             \
    CALL(ncclGetUniqueId)                                                                                              \
    CALL(ncclCommInitRankConfig)                                                                                       \
    CALL(ncclCommGetAsyncError)                                                                                        \
    CALL(ncclCommFinalize)                                                                                             \
    CALL(ncclCommDestroy)                                                                                              \
    CALL(ncclCommAbort)                                                                                                \
    CALL(ncclGroupStart)                                                                                               \
    CALL(ncclGroupEnd)                                                                                                 \
    CALL(ncclAllReduce)                                                                                                \
    CALL(ncclReduceScatter)                                                                                            \
    CALL(ncclAllGather)                                                                                                \
    CALL(ncclReduce)                                                                                                   \
    CALL(ncclBroadcast)

#define MEMBER(name) __typeof__(&name) name;
static struct { CALLS(MEMBER) } calls;
static bool       loaded;
static char       name[32] = "NCCL";
static ct_comm   *ranks; /* NULL: closed */
static ncclComm_t comm;  /* NULL: not there, or aborted */
static ct_status  failed;
static char       message[1024]; /* of the failure */

/* ---- failures. The first is kept, and ends it all. */
static ct_status keep(ct_status status) {
    failed = status;
    snprintf(message, sizeof message, "%s", ct_message());
    if (comm) (void)calls.ncclCommAbort(comm); /* what the device waits for will not come */
    comm = NULL;
    return status;
}

static ct_status again(void) {
    return ct_fail(failed, "%s", message);
}

static const char *hint_of(ncclResult_t result) {
    switch ((int)result) {
    case ncclRemoteError:
        return "another rank has ended: its own messages";
    case ncclUnhandledCudaError:
        return "nvidia-smi; a kernel before it may have failed: CANTUS_CUDA_SYNC=1 names it";
    case ncclInvalidArgument:
    case ncclInvalidUsage:
        return "do all ranks have the same config and data?";
    default:
        return "NCCL_DEBUG=INFO tells more; NCCL_SOCKET_IFNAME names the network to use";
    }
}

static ct_status refused(const char *call, ncclResult_t result) {
    char said[400] = "";
    snprintf(said, sizeof said, "%s", calls.ncclGetLastError(comm));
    said[strcspn(said, "\n")] = 0;
    return keep(ct_fail(CT_EFAIL, "%s: %s: %s%s%s (hint: %s)", name, call, calls.ncclGetErrorString(result),
                        *said ? ": " : "", said, hint_of(result)));
}

ct_status ct_cuda_nccl_alive(const char *call, double seconds) {
    ncclResult_t state = ncclSuccess;
    ct_flight_waits();
    if (failed != CT_OK) return again();
    const ncclResult_t asked = comm ? calls.ncclCommGetAsyncError(comm, &state) : ncclSuccess;
    if (asked != ncclSuccess) state = asked;
    if (state != ncclSuccess && state != ncclInProgress) return refused(call, state);
    const ct_status host = ct_comm_check(ranks);
    if (host != CT_OK) return keep(host);
    if (seconds <= ranks->timeout) return CT_OK;
    return keep(ct_fail(CT_EFAIL,
                        "%s: %s: nothing from other ranks for %.1f s (dist.timeout; hint: is one dead, hung, or still "
                        "busy? NCCL_DEBUG=INFO tells more)",
                        name, call, seconds));
}

/* Until it is no longer in progress. */
static ct_status settle(const char *call, ncclResult_t result) {
    const double          since = ct_seconds();
    const struct timespec moment = {.tv_nsec = 20000};
    while (result == ncclInProgress) {
        const ncclResult_t asked = calls.ncclCommGetAsyncError(comm, &result);
        if (asked != ncclSuccess) result = asked;
        if (result != ncclInProgress) break;
        CT_TRY(ct_cuda_nccl_alive(call, ct_seconds() - since));
        nanosleep(&moment, NULL);
    }
    return result == ncclSuccess ? CT_OK : refused(call, result);
}
#define TRY_NCCL(call, ...) CT_TRY(settle(#call, calls.call(__VA_ARGS__)))

/* ---- the library */
static bool find(void *library, const char *call, void *to) {
    void *symbol = dlsym(library, call);
    memcpy(to, &symbol, sizeof symbol);
    return symbol;
}

/* A program may have it built in: that of the tests has a double. */
static ct_status load(void **library) {
    const char *asked = getenv("CANTUS_NCCL_LIBRARY");
    const bool  named = asked && *asked;
    *library = RTLD_DEFAULT;
    if (!named && dlsym(RTLD_DEFAULT, "ncclGetVersion")) return CT_OK;
    *library = dlopen(named ? asked : "libnccl.so.2", RTLD_NOW | RTLD_LOCAL); /* stays loaded */
    return *library ? CT_OK
                    : ct_fail(CT_EFAIL,
                              "NCCL, by which GPUs of several ranks talk, can't be loaded: %s (hint: package libnccl2; "
                              "CANTUS_NCCL_LIBRARY names it)",
                              dlerror());
}

ct_status ct_cuda_nccl_find(const char **by) {
    *by = name;
    if (loaded) return CT_OK;
    void *library;
    int   version = 0;
    CT_TRY(load(&library));
#define FIND(call) all = find(library, #call, &calls.call) && all;
    bool all = true;
    CALLS(FIND)
#undef FIND
    if (!all) return ct_fail(CT_EFAIL, "NCCL lacks a call (hint: 2.14 or later; CANTUS_NCCL_LIBRARY names another)");
    (void)calls.ncclGetVersion(&version);
    snprintf(name, sizeof name, "NCCL %d.%d.%d", version / 10000, version / 100 % 100, version % 100);
    if (version < OLDEST)
        return ct_fail(CT_EFAIL, "NCCL of version number %d: 2.14 or later is needed (hint: CANTUS_NCCL_LIBRARY)",
                       version);
    loaded = true;
    return CT_OK;
}

/* ---- meeting and parting */
static ct_status meet(void) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclUniqueId id = {0};
    config.blocking = 0;
    setenv("NCCL_RUNTIME_CONNECT", "0", 0);
    if (ranks->rank == 0) TRY_NCCL(ncclGetUniqueId, &id);
    CT_TRY(ct_comm_broadcast(ranks, &id, sizeof id));
    TRY_NCCL(ncclCommInitRankConfig, &comm, ranks->size, id, ranks->rank, &config);
    return CT_OK;
}

ct_status ct_cuda_nccl_open(ct_comm *with) {
    const char *by;
    CT_ASSERT(!ranks && with->size > 1);
    CT_TRY(ct_cuda_nccl_find(&by));
    ranks = with;
    failed = CT_OK;
    const ct_status status = meet();
    return status == CT_OK || failed != CT_OK ? status : keep(status);
}

bool ct_cuda_nccl_is_open(void) {
    return ranks;
}

void ct_cuda_nccl_close(void) {
    if (comm && settle("ncclCommFinalize", calls.ncclCommFinalize(comm)) == CT_OK) (void)calls.ncclCommDestroy(comm);
    comm = NULL;
    ranks = NULL;
    failed = CT_OK;
}

/* ---- collectives: equal shares by one call, others by one a share, in a group */
static ncclDataType_t type_of(ct_dtype dtype) {
    return dtype == CT_F64 ? ncclFloat64 : dtype == CT_BF16 ? ncclBfloat16 : ncclFloat32;
}

static ncclResult_t put_share(bool sum, char *at, size_t count, ncclDataType_t type, int rank,
                              struct CUstream_st *stream) {
    if (!count) return ncclSuccess;
    return sum ? calls.ncclReduce(at, at, count, type, ncclSum, rank, comm, stream)
               : calls.ncclBroadcast(at, at, count, type, rank, comm, stream);
}

static ct_status put_shares(bool sum, const ct_shared *a, struct CUstream_st *stream) {
    ncclResult_t result = calls.ncclGroupStart();
    for (int rank = 0; rank < ranks->size && (result == ncclSuccess || result == ncclInProgress); rank++) {
        int64_t first, length;
        ct_comm_share(a->count, a->unit, rank, ranks->size, &first, &length);
        result = put_share(sum, (char *)a->data + (size_t)first * ct_dtype_size(a->dtype), (size_t)length,
                           type_of(a->dtype), rank, stream);
    }
    const ncclResult_t ended = calls.ncclGroupEnd();
    if (result != ncclSuccess && result != ncclInProgress) return refused(sum ? "ncclReduce" : "ncclBroadcast", result);
    return settle(sum ? "ncclReduce of each share" : "ncclBroadcast of each share", ended);
}

ct_status ct_cuda_nccl_put(ct_collective what, const ct_shared *a, struct CUstream_st *stream) {
    int64_t first, length, least, none;
    CT_ASSERT(ranks && what <= CT_ALL_GATHER && a->count >= 0 && (a->data || !a->count) && a->dtype <= CT_BF16);
    if (failed != CT_OK) return again();
    if (!a->count) return CT_OK;
    ct_comm_share(a->count, a->unit, ranks->rank, ranks->size, &first, &length);
    ct_comm_share(a->count, a->unit, ranks->size - 1, ranks->size, &none, &least);
    const bool           equal = least * ranks->size == a->count; /* rank 0 has the most, the last the fewest */
    const ncclDataType_t type = type_of(a->dtype);
    char                *share = (char *)a->data + (size_t)first * ct_dtype_size(a->dtype);
    if (what == CT_ALL_REDUCE)
        TRY_NCCL(ncclAllReduce, a->data, a->data, (size_t)a->count, type, ncclSum, comm, stream);
    else if (!equal)
        CT_TRY(put_shares(what == CT_REDUCE_SCATTER, a, stream));
    else if (what == CT_REDUCE_SCATTER)
        TRY_NCCL(ncclReduceScatter, a->data, share, (size_t)length, type, ncclSum, comm, stream);
    else
        TRY_NCCL(ncclAllGather, share, a->data, (size_t)length, type, comm, stream);
    return CT_OK;
}
