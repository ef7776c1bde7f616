/* nccl.cpp -- a double of NCCL behind NVIDIA's own header; see talks.h. */
#include "hall.h"
#include "runtime.h"
#include "streams.h"
#include "talks.h"

#include "kernels/bf16.h"

#include <nccl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <memory>

enum kind { ALL_REDUCE, REDUCE, BROADCAST, REDUCE_SCATTER, ALL_GATHER };
static const char *const names[] = {"ncclAllReduce", "ncclReduce", "ncclBroadcast", "ncclReduceScatter",
                                    "ncclAllGather"};
struct call_head { /* what has to be the same on all ranks */
    int32_t  kind, type, root;
    uint32_t parts; /* of its group */
    uint64_t count;
};
struct part { /* of a group */
    call_head   head;
    const void *from;
    void       *to;
};

/* What pieces of work share with the communicator, which they may outlive. */
struct talk {
    hall       *there;
    int         rank, size;
    bool        over; /* aborted: nothing is sent or awaited any more */
    uint64_t    begun;
    int         pending; /* on a stream, not done */
    std::string mismatch;
    ~talk() {
        if (there) hall_leave(there);
    }
};
enum stage { ENTERING, READY, PUTTING, FINALIZING, FINALIZED };
struct ncclComm {
    std::shared_ptr<talk> talks;
    hall_key              key;
    std::string           place;
    stage                 at;
    ncclResult_t          error;
    uint64_t              answers; /* "in progress" so often still */
    std::vector<part>     parts;   /* that are being put */
    cudaStream_t          stream;
    site                  where;
};

static std::vector<ncclComm_t> comms;
static talk_counters           counters;
static char                    said[512];
static bool                    deaf, broken;

struct group { /* that this thread has begun */
    int               depth;
    ncclComm_t        comm;
    cudaStream_t      stream;
    std::vector<part> parts;
    ncclResult_t      failed;
};
static thread_local group the_group;

talk_counters talk_count(void) {
    std::lock_guard<std::recursive_mutex> held(the_lock);
    counters.communicators = (int)comms.size();
    return counters;
}

/* ---- errors */
static ncclResult_t because(ncclResult_t result, const char *format, ...) __attribute__((format(printf, 2, 3)));
static ncclResult_t because(ncclResult_t result, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(said, sizeof said, format, values);
    va_end(values);
    return result;
}
/* What the manual forbids. */
static ncclResult_t wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
static ncclResult_t wrong(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(said, sizeof said, format, values);
    va_end(values);
    report_call("call", "%s", said);
    return ncclInvalidArgument;
}
#define CALL call entered(__func__, __builtin_return_address(0))

const char *ncclGetErrorString(ncclResult_t result) {
    static const char *const texts[] = {"no error",
                                        "unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
                                        "unhandled system error (run with NCCL_DEBUG=INFO for details)",
                                        "internal error - please report this issue to the NCCL developers",
                                        "invalid argument (run with NCCL_DEBUG=WARN for details)",
                                        "invalid usage (run with NCCL_DEBUG=WARN for details)",
                                        "remote process exited or there was a network error",
                                        "NCCL operation in progress"};
    return result >= 0 && result < ncclNumResults ? texts[result] : "unknown result code";
}
const char *ncclGetLastError(ncclComm_t) {
    return said;
}
ncclResult_t ncclGetVersion(int *version) {
    if (!version) return ncclInvalidArgument;
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}

/* ---- communicators */
static bool known(ncclComm_t comm) {
    return std::find(comms.begin(), comms.end(), comm) != comms.end();
}
ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    hall_key key;
    CALL;
    if (!id) return ncclInvalidArgument;
    if (!hall_found(&key)) return because(ncclSystemError, "no shared memory");
    memset(id, 0, sizeof *id);
    memcpy(id, &key, sizeof key);
    return ncclSuccess;
}

static ncclResult_t in_progress(void) {
    counters.in_progress++;
    return ncclInProgress;
}
static void begin_answers(ncclComm_t comm, stage at) {
    comm->at = at;
    comm->answers = queue_draw(4);
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int size, ncclUniqueId id, int rank, ncclConfig_t *config) {
    int  device;
    char place[32];
    CALL;
    const site  where = call_site();
    const char *how = getenv("CANTUS_STANDIN_NCCL");
    deaf = how && !strcmp(how, "deaf");
    broken = how && !strcmp(how, "broken");
    if (!out || !config) return wrong("no communicator or no config");
    if (config->magic != 0xcafebeef || config->blocking != 0)
        return wrong("a config that is none, or that blocks: not doubled");
    if (entered.broken != cudaSuccess || cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetPCIBusId(place, sizeof place, device) != cudaSuccess)
        return because(ncclUnhandledCudaError, "Cuda failure '%s'", cudaGetErrorString(cudaPeekAtLastError()));
    if (capture_refuses() != cudaSuccess) return because(ncclUnhandledCudaError, "a stream is captured");
    ncclComm_t comm = new ncclComm{std::make_shared<talk>(), {}, place, ENTERING, ncclSuccess, 0, {}, nullptr, where};
    *comm->talks = {nullptr, rank, size, false, 0, 0, ""};
    memcpy(&comm->key, &id, sizeof comm->key);
    comms.push_back(comm);
    *out = comm;
    begin_answers(comm, ENTERING);
    return in_progress();
}

/* Is it there, without anything in progress? */
static ncclResult_t refuse_unready(ncclComm_t comm) {
    if (!comm) return because(ncclInvalidArgument, "comm argument is NULL");
    if (!known(comm)) return wrong("%p is no communicator", static_cast<void *>(comm));
    if (comm->error != ncclSuccess) return comm->error;
    if (comm->at == READY) return ncclSuccess;
    return wrong("before the communicator's last call is done, or after it was finalized");
}

static ncclResult_t fails(ncclComm_t comm, ncclResult_t error) {
    return comm->error = error;
}

/* ---- what a piece of work does */
static size_t size_of(int type) {
    return type == ncclFloat64 ? 8 : type == ncclBfloat16 ? 2 : type == ncclFloat32 ? 4 : 0;
}
static uint64_t sent_count(const call_head &h, int rank, int size) {
    if (h.kind == BROADCAST) return rank == h.root ? h.count : 0;
    return h.kind == REDUCE_SCATTER ? h.count * (uint64_t)size : h.count;
}
static uint64_t got_count(const call_head &h, int rank, int size) {
    if (h.kind == REDUCE) return rank == h.root ? h.count : 0;
    return h.kind == ALL_GATHER ? h.count * (uint64_t)size : h.count;
}

template <class T, class Add>
static void sum_of(const std::vector<const char *> &from, uint64_t skip, uint64_t count, T *to, Add add) {
    enum { STRETCH = 96 }; /* elements that begin with the same rank */
    const size_t ranks = from.size();
    for (uint64_t i = 0; i < count; i++) {
        T      sum = {}, next;
        size_t first = (size_t)((skip + i) / STRETCH + 1) % ranks;
        for (size_t k = 0; k < ranks; k++) {
            memcpy(&next, from[(first + k) % ranks] + (skip + i) * sizeof(T), sizeof next);
            sum = k ? add(sum, next) : next;
        }
        to[i] = sum;
    }
}
static void add_up(const call_head &h, const std::vector<const char *> &from, uint64_t skip, void *to) {
    if (h.type == ncclFloat64)
        sum_of(from, skip, h.count, static_cast<double *>(to), [](double a, double b) { return a + b; });
    else if (h.type == ncclFloat32)
        sum_of(from, skip, h.count, static_cast<float *>(to), [](float a, float b) { return a + b; });
    else
        sum_of(from, skip, h.count, static_cast<uint16_t *>(to),
               [](uint16_t a, uint16_t b) { return ct_bf16_round(ct_bf16_float(a) + ct_bf16_float(b)); });
}

struct piece { /* of work: a group's calls */
    std::shared_ptr<talk> talks;
    std::vector<part>     parts;
    site                  where;
    std::vector<char>     message;
    uint64_t              number;
    bool                  sent;
};
static size_t heads_of(const piece &p) {
    return p.parts.size() * sizeof(call_head);
}
/* Its contribution, as it is now: the heads, and then the data of each part. */
static void collect(piece *p) {
    p->number = p->talks->begun++;
    for (const part &q : p->parts) {
        const char *head = reinterpret_cast<const char *>(&q.head);
        p->message.insert(p->message.end(), head, head + sizeof q.head);
    }
    for (const part &q : p->parts) {
        const size_t bytes = sent_count(q.head, p->talks->rank, p->talks->size) * size_of(q.head.type);
        standin_reads(q.from, bytes);
        const char *from = static_cast<const char *>(q.from);
        if (bytes) p->message.insert(p->message.end(), from, from + bytes);
    }
    if (broken && p->talks->rank == 1 && p->message.size() > heads_of(*p) + 8) p->message[heads_of(*p) + 3] ^= 1;
    if (p->message.size() > HALL_ROOM)
        report("not doubled", p->where, "NCCL: %zu bytes at once", p->message.size()), p->message.resize(heads_of(*p));
}
static std::string text_of(const call_head *h, size_t parts) {
    return std::to_string(parts) + " calls, the first " + names[h->kind] + " of " + std::to_string(h->count) +
           " of type " + std::to_string(h->type);
}
/* Do all ranks make this call? If not, NCCL hangs, or worse. */
static bool alike(const piece &p, int rank, const char *theirs, size_t bytes) {
    if (bytes >= heads_of(p) && !memcmp(theirs, p.message.data(), heads_of(p))) return true;
    if (p.talks->mismatch.empty()) {
        const call_head *head = reinterpret_cast<const call_head *>(theirs);
        p.talks->mismatch = "rank " + std::to_string(rank) + " makes other calls: ";
        if (bytes >= sizeof *head) p.talks->mismatch += text_of(head, 1);
        report("call", p.where, "NCCL: this rank makes %s; %s", text_of(&p.parts[0].head, p.parts.size()).c_str(),
               p.talks->mismatch.c_str());
    }
    return false;
}
static bool others_hold(piece *p) {
    talk  &t = *p->talks;
    bool   all = true;
    size_t bytes;
    if (t.over) return false;
    if (!t.mismatch.empty()) return true;
    if (!p->sent) p->sent = hall_publish(t.there, p->number, p->message);
    for (int rank = 0; rank < t.size && all; rank++) {
        const char *theirs = hall_message(t.there, rank, p->number, &bytes);
        all = theirs && alike(*p, rank, theirs, bytes);
    }
    return !all || !p->sent;
}
static void finish(piece *p) {
    talk &t = *p->talks;
    t.pending--;
    if (t.over) return;
    size_t                    bytes;
    std::vector<const char *> from;
    from.reserve((size_t)t.size);
    for (int rank = 0; rank < t.size; rank++)
        from.push_back(hall_message(t.there, rank, p->number, &bytes) + heads_of(*p));
    for (const part &q : p->parts) {
        const call_head &h = q.head;
        const size_t     element = size_of(h.type), got = got_count(h, t.rank, t.size) * element;
        const uint64_t   own = h.count * (uint64_t)t.rank;
        if (h.kind == BROADCAST && got) memcpy(q.to, from[(size_t)h.root], got);
        if (h.kind == ALL_GATHER)
            for (int rank = 0; rank < t.size; rank++)
                memcpy(static_cast<char *>(q.to) + h.count * element * (uint64_t)rank, from[(size_t)rank],
                       h.count * element);
        if (h.kind == ALL_REDUCE || (h.kind == REDUCE && got) || h.kind == REDUCE_SCATTER)
            add_up(h, from, h.kind == REDUCE_SCATTER ? own : 0, q.to);
        standin_writes(q.to, got);
        for (int rank = 0; rank < t.size; rank++) from[(size_t)rank] += sent_count(h, rank, t.size) * element;
    }
    hall_read(t.there, p->number);
    counters.done++;
}

/* Puts the parts on the stream, or captures them. */
static cudaError_t put(ncclComm_t comm) {
    for (part &q : comm->parts) q.head.parts = (uint32_t)comm->parts.size();
    const piece as_it_is = {comm->talks, comm->parts, call_site(), {}, 0, false};
    order o = {comm->parts.size() == 1 ? names[comm->parts[0].head.kind] : "a group of NCCL", call_site(), [] {}, {}};
    for (const part &q : comm->parts) {
        const size_t element = size_of(q.head.type);
        const talk  &t = *comm->talks;
        o.touches.push_back(
            {static_cast<const char *>(q.from), sent_count(q.head, t.rank, t.size) * element, false, false});
        o.touches.push_back(
            {static_cast<const char *>(q.to), got_count(q.head, t.rank, t.size) * element, true, false});
    }
    o.prepare = [as_it_is](order *of) {
        auto p = std::make_shared<piece>(as_it_is);
        p->talks->pending++;
        of->first = [p] { collect(p.get()); };
        of->held = [p] { return others_hold(p.get()); };
        of->run = [p] { finish(p.get()); };
    };
    counters.put++;
    comm->parts.clear();
    return stream_add(comm->stream, o);
}

/* ---- progress, when it is asked for */
static ncclResult_t enter(ncclComm_t comm) {
    talk       &t = *comm->talks;
    std::string why;
    if (!t.there) t.there = hall_enter(comm->key, t.rank, t.size, comm->place.c_str(), &why);
    if (!t.there) return fails(comm, because(ncclSystemError, "%s", why.c_str()));
    if (!hall_all_there(t.there)) return in_progress();
    why = hall_shared_place(t.there);
    if (!why.empty()) return fails(comm, because(ncclInvalidUsage, "Duplicate GPU detected: %s", why.c_str()));
    comm->at = READY;
    return ncclSuccess;
}
static ncclResult_t go_on(ncclComm_t comm) {
    if (comm->error != ncclSuccess) return comm->error;
    if (queue_device_error()) return fails(comm, because(ncclUnhandledCudaError, "Cuda failure"));
    const int dead = comm->talks->there && !deaf ? hall_dead(comm->talks->there) : -1;
    if (dead >= 0) return fails(comm, because(ncclRemoteError, "connection closed by rank %d", dead));
    if (comm->at == READY || comm->at == FINALIZED) return ncclSuccess;
    if (comm->answers && comm->answers--) return in_progress();
    if (comm->at == ENTERING) return enter(comm);
    if (comm->at == PUTTING) {
        comm->at = READY;
        if (put(comm) != cudaSuccess) fails(comm, because(ncclUnhandledCudaError, "the stream takes no work"));
        return comm->error;
    }
    if (comm->talks->pending > 0) {
        queue_nudge({});
        return in_progress();
    }
    comm->at = FINALIZED;
    return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    CALL;
    if (!comm || !error) return ncclInvalidArgument;
    if (!known(comm)) return wrong("%p is no communicator", static_cast<void *>(comm));
    *error = go_on(comm);
    return ncclSuccess;
}

/* ---- the end */
static void forget(ncclComm_t comm) {
    comms.erase(std::find(comms.begin(), comms.end(), comm));
    delete comm;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) {
    CALL;
    if (!comm) return ncclSuccess;
    const ncclResult_t unready = refuse_unready(comm);
    if (unready != ncclSuccess) return unready;
    begin_answers(comm, FINALIZING);
    return in_progress();
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    CALL;
    if (!comm) return ncclSuccess;
    if (!known(comm)) return wrong("%p is no communicator", static_cast<void *>(comm));
    if (comm->at != FINALIZED) return wrong("it was not finalized: the call may block");
    forget(comm);
    return ncclSuccess;
}
/* What it has put on streams ends without having done anything. */
ncclResult_t ncclCommAbort(ncclComm_t comm) {
    CALL;
    if (!comm) return ncclSuccess;
    if (!known(comm)) return wrong("%p is no communicator", static_cast<void *>(comm));
    comm->talks->over = true;
    forget(comm);
    return ncclSuccess;
}

/* ---- calls */
static bool overlap(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    return a_bytes && b_bytes && a < b + b_bytes && b < a + a_bytes;
}
static ncclResult_t check(const part &q, ncclRedOp_t how, ncclComm_t comm) {
    const ncclResult_t unready = refuse_unready(comm);
    if (unready != ncclSuccess) return unready;
    const call_head &h = q.head;
    const talk      &t = *comm->talks;
    const size_t     element = size_of(h.type), sent = sent_count(h, t.rank, t.size) * element,
                 got = got_count(h, t.rank, t.size) * element;
    if (!element || how != ncclSum) return wrong("type %d or operation %d is not doubled", (int)h.type, (int)how);
    if (h.root < 0 || h.root >= t.size) return wrong("root %d of %d", (int)h.root, t.size);
    if (!standin_check_device(q.from, sent, names[h.kind]) || !standin_check_device(q.to, got, names[h.kind]))
        return because(ncclInvalidArgument, "%s: not a device pointer", names[h.kind]);
    const char  *from = static_cast<const char *>(q.from), *to = static_cast<const char *>(q.to);
    const size_t own = h.count * element * (size_t)t.rank;
    const bool   in_place = h.kind == REDUCE_SCATTER ? to == from + own
                            : h.kind == ALL_GATHER   ? from == to + own
                                                     : from == to;
    if (!in_place && overlap(from, sent, to, got)) return wrong("arrays overlap, and it is not in place");
    return ncclSuccess;
}
/* The call stands for itself, or belongs to a group. */
static ncclResult_t add(const part &q, ncclRedOp_t how, ncclComm_t comm, cudaStream_t stream) {
    const ncclResult_t refused = check(q, how, comm);
    group             &g = the_group;
    if (g.depth && g.comm && (g.comm != comm || g.stream != stream))
        return wrong("a group of two communicators or streams is not doubled");
    if (refused != ncclSuccess) {
        if (g.depth) g.failed = refused;
        return refused;
    }
    if (g.depth) {
        g.comm = comm, g.stream = stream;
        g.parts.push_back(q);
        return ncclSuccess;
    }
    comm->parts = {q};
    comm->stream = stream;
    begin_answers(comm, PUTTING);
    return go_on(comm);
}
ncclResult_t ncclGroupStart(void) {
    the_group.depth++;
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd(void) {
    CALL;
    group &g = the_group;
    if (!g.depth) return because(ncclInvalidUsage, "ncclGroupEnd: not in a group call.");
    if (--g.depth) return ncclSuccess;
    const group ended = g;
    g = {};
    if (ended.failed != ncclSuccess) return ended.failed;
    if (ended.parts.empty()) return ncclSuccess;
    ended.comm->parts = ended.parts;
    ended.comm->stream = ended.stream;
    begin_answers(ended.comm, PUTTING);
    return go_on(ended.comm);
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t how,
                           ncclComm_t comm, cudaStream_t stream) {
    CALL;
    return add({{ALL_REDUCE, type, 0, 0, count}, from, to}, how, comm, stream);
}
ncclResult_t ncclReduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t how, int root,
                        ncclComm_t comm, cudaStream_t stream) {
    CALL;
    return add({{REDUCE, type, root, 0, count}, from, to}, how, comm, stream);
}
ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
    CALL;
    return add({{BROADCAST, type, root, 0, count}, from, to}, ncclSum, comm, stream);
}
ncclResult_t ncclReduceScatter(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t how,
                               ncclComm_t comm, cudaStream_t stream) {
    CALL;
    return add({{REDUCE_SCATTER, type, 0, 0, count}, from, to}, how, comm, stream);
}
ncclResult_t ncclAllGather(const void *from, void *to, size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
    CALL;
    return add({{ALL_GATHER, type, 0, 0, count}, from, to}, ncclSum, comm, stream);
}

/* ---- afresh */
void nccl_begin(void) {
    while (!comms.empty()) comms.back()->talks->over = true, forget(comms.back());
    counters = {};
}
int nccl_leaks(void) {
    for (ncclComm_t comm : comms) report("leak", comm->where, "a communicator was neither destroyed nor aborted");
    return (int)comms.size();
}
