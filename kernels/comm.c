/* comm.c -- the queue of calls, the thread that works it off, and what comm.h offers; see there and comm_link.h. */
#include "kernels/comm.h"

#include "core/log.h"
#include "core/trace.h"
#include "core/version.h"
#include "kernels/comm_link.h"
#include "kernels/flight.h"
#include "kernels/library.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A call of the library that the thread is stuck in gets so many seconds beyond the time limit. */
static const double GRACE = 2;
/* Seconds that ending the others may take. */
static const double PATIENCE = 5;

typedef enum stage { OPENING, OPEN, CLOSING, CLOSED } stage;

struct ct_comm_works {
    ct_link_opener  opener;
    ct_world        world;
    double          timeout;
    pthread_t       thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t  asked, answered;
    stage           stage;
    bool            abort, aborted, stuck;
    double          left;     /* when the thread gave the link up */
    char            self[96]; /* "rank 1 of 4 on host: ", once it is */
    ct_call         queue[CT_COMM_QUEUE];
    int64_t         begun, ended, good; /* calls; those that ended well come first */
    int64_t         sent;               /* bytes of arrays */
    ct_status       failed;             /* CT_OK: not yet */
    char            message[2048];
    ct_link        *link;
    ct_caller       caller; /* the thread's */
    char (*hosts)[64];
    ct_comm_part *parts; /* [size] */
    int64_t      *sizes; /* [size] */
};

static int64_t milliseconds(void) {
    return (int64_t)(ct_seconds() * 1000);
}

/* ---- what links say when something goes wrong */
const char *ct_rank_list(const bool *in, int size, char *text, size_t room) {
    size_t used = 0;
    *text = 0;
    for (int from = 0, to; from < size; from = to + 1) {
        to = from;
        if (!in[from]) continue;
        while (to + 1 < size && in[to + 1]) to++;
        if (used + 32 > room) {
            snprintf(text + used, room - used, ", ...");
            break;
        }
        used += (size_t)snprintf(text + used, room - used, to > from ? "%s%d-%d" : "%s%d", used ? ", " : "", from, to);
    }
    return text;
}

/* " (host)", or nothing */
static const char *host_of(const ct_link *link, int rank, char *text, size_t room) {
    snprintf(text, room, link->hosts ? " (%s)" : "%s", link->hosts ? link->hosts[rank] : "");
    return text;
}

ct_status ct_link_alive(ct_link *link) {
    __atomic_store_n(&link->alive, milliseconds(), __ATOMIC_RELAXED);
    return __atomic_load_n(&link->ending, __ATOMIC_RELAXED) ? ct_fail(CT_EFAIL, "this rank has failed") : CT_OK;
}

ct_status ct_link_late(const ct_link *link, const bool *missing, double seconds) {
    char ranks[256], host[80] = "";
    int  count = 0, last = 0;
    for (int i = 0; i < link->size; i++) {
        if (missing[i]) last = i;
        count += missing[i];
    }
    if (count == 1) host_of(link, last, host, sizeof host);
    return ct_fail(CT_EFAIL, "nothing from rank%s %s%s for %.1f s (dist.timeout; hint: dead, hung, or still busy?)",
                   count == 1 ? "" : "s", ct_rank_list(missing, link->size, ranks, sizeof ranks), host, seconds);
}

ct_status ct_link_strange(const ct_link *link, int rank, size_t bytes, size_t found) {
    char host[80], sizes[80] = "";
    if (bytes != found && found != SIZE_MAX) snprintf(sizes, sizeof sizes, ": %zu bytes instead of %zu", found, bytes);
    return ct_fail(CT_EFAIL, "rank %d%s makes another call%s (hint: do all ranks have the same config and data?)", rank,
                   host_of(link, rank, host, sizeof host), sizes);
}

ct_status ct_link_gone(const ct_link *link, int rank, const char *why) {
    char host[80];
    return ct_fail(CT_EFAIL, "rank %d%s has ended: %s (hint: its own messages)", rank,
                   host_of(link, rank, host, sizeof host), why);
}

/* ---- the thread */
static void keep_failure(ct_comm_works *w, ct_status status) {
    if (w->failed != CT_OK) return;
    w->failed = status;
    snprintf(w->message, sizeof w->message, "%s", ct_message());
}

static ct_status prepare(ct_comm_works *w, ct_link **link) {
    CT_TRY(w->opener(&w->world, w->timeout, link));
    const size_t n = (size_t)(*link)->size, scratch = ct_call_scratch((*link)->size);
    w->caller = (ct_caller){.link = *link, .parcels = calloc(n, sizeof *w->caller.parcels)};
    w->caller.scratch = calloc(2, scratch);
    w->hosts = calloc(n, sizeof *w->hosts);
    w->parts = calloc(n, sizeof *w->parts);
    w->sizes = calloc(n, sizeof *w->sizes);
    if (!w->caller.parcels || !w->caller.scratch || !w->hosts || !w->parts || !w->sizes)
        return ct_fail(CT_ENOMEM, "out of memory: %zu KiB to talk with %zu ranks", scratch >> 9, n);
    w->caller.sum = w->caller.scratch + scratch;
    return CT_OK;
}

static void turn_to(ct_comm_works *w, stage next) {
    w->stage = next;
    pthread_cond_broadcast(&w->answered);
}

/* The lock is held but while a call runs. */
static void work_off(ct_comm_works *w, ct_link *link) {
    for (;;) {
        while (w->ended == w->begun && w->stage != CLOSING && !w->abort) pthread_cond_wait(&w->asked, &w->lock);
        if (w->abort) {
            pthread_mutex_unlock(&w->lock);
            link->abort(link);
            pthread_mutex_lock(&w->lock);
            w->aborted = true;
            pthread_cond_broadcast(&w->answered);
            return;
        }
        if (w->ended == w->begun) return;
        const int64_t number = w->ended;
        const ct_call call = w->queue[number % CT_COMM_QUEUE];
        (void)!ct_link_alive(link);
        pthread_mutex_unlock(&w->lock);
        ct_flight_call_begun(number);
        const int64_t   since = ct_trace_begin(CT_TRACE_TALK);
        const ct_status status = ct_call_run(&w->caller, &call, number);
        ct_trace_end(since, &(ct_trace_event){.row = CT_TRACE_TALK,
                                              .name = ct_call_verb(&call),
                                              .number = number + 1,
                                              .bytes = (double)ct_call_bytes(&call)});
        ct_flight_call_ended(number, status == CT_OK);
        pthread_mutex_lock(&w->lock);
        w->ended++;
        w->sent = w->caller.sent;
        if (status == CT_OK && w->failed == CT_OK) w->good = w->ended;
        if (status != CT_OK) {
            keep_failure(w, status);
            w->ended = w->begun;
        }
        pthread_cond_broadcast(&w->answered);
    }
}

static void *work(void *argument) {
    ct_comm_works  *w = argument;
    const ct_call   last = {.verb = CT_VERB_BARRIER};
    ct_link        *link = NULL;
    const ct_status status = prepare(w, &link);
    pthread_mutex_lock(&w->lock);
    w->link = link;
    if (status != CT_OK) keep_failure(w, status);
    if (w->stage == OPENING) turn_to(w, OPEN);
    if (status == CT_OK) work_off(w, link);
    while (w->stage != CLOSING) pthread_cond_wait(&w->asked, &w->lock);
    const bool    well = w->failed == CT_OK && !w->abort;
    const int64_t number = w->begun;
    pthread_mutex_unlock(&w->lock);
    ct_status closed = well && link->size > 1 ? ct_call_run(&w->caller, &last, number) : CT_OK;
    pthread_mutex_lock(&w->lock);
    if (closed != CT_OK) keep_failure(w, closed);
    w->link = NULL;
    w->left = ct_seconds();
    pthread_mutex_unlock(&w->lock);
    if (link) closed = link->close(link, well && closed == CT_OK);
    pthread_mutex_lock(&w->lock);
    if (closed != CT_OK) keep_failure(w, closed);
    turn_to(w, CLOSED);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- its callers */
static void wait_a_moment(ct_comm_works *w) {
    struct timespec until;
    ct_flight_waits();
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&w->answered, &w->lock, &until);
}

/* Has the thread not come back from a call of its library for so long? */
static bool is_stuck(ct_comm_works *w, double since) {
    double last = w->left > since ? w->left : since;
    if (w->link) {
        const double alive = (double)__atomic_load_n(&w->link->alive, __ATOMIC_RELAXED) / 1000;
        if (alive > last) last = alive;
    }
    const double seconds = ct_seconds() - last;
    if (w->stuck || seconds <= w->timeout + GRACE) return w->stuck;
    w->stuck = true;
    if (w->failed == CT_OK)
        snprintf(w->message, sizeof w->message,
                 "the library has not come back for %.1f s (dist.timeout; hint: are all ranks there?)", seconds);
    if (w->failed == CT_OK) w->failed = CT_EFAIL;
    return true;
}

static ct_status failure(const ct_comm_works *w) {
    return ct_fail(w->failed, "%s%s", w->self, w->message);
}

/* The lock is held. */
static void wait_for_stage(ct_comm_works *w, stage wanted) {
    const double since = ct_seconds();
    while (w->stage < wanted && !is_stuck(w, since)) wait_a_moment(w);
}

static ct_status make_works(const ct_world *world, double timeout, ct_link_opener opener, ct_comm_works **out) {
    ct_comm_works     *w = calloc(1, sizeof *w);
    pthread_condattr_t monotonic;
    sigset_t           all, before;
    if (!w) return ct_fail(CT_ENOMEM, "out of memory: the communicator");
    w->world = *world;
    w->timeout = timeout;
    w->opener = opener;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->asked, &monotonic);
    pthread_cond_init(&w->answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sigfillset(&all); /* signals are for other threads than this and those that its library starts */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error) *out = w;
    if (!error) return CT_OK;
    free(w);
    return ct_fail(CT_EFAIL, "can't start a thread: %s", strerror(error));
}

/* A thread that is stuck keeps what it has. */
static ct_status end_works(ct_comm_works *w) {
    pthread_mutex_lock(&w->lock);
    const bool failed = w->failed != CT_OK;
    w->stage = CLOSING;
    pthread_cond_broadcast(&w->asked);
    if (!w->stuck) wait_for_stage(w, CLOSED);
    const bool      closed = w->stage == CLOSED;
    const ct_status status = failed || w->failed == CT_OK ? CT_OK : failure(w); /* a message is told once */
    pthread_mutex_unlock(&w->lock);
    if (!closed) return status;
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->asked);
    pthread_cond_destroy(&w->answered);
    free(w->caller.parcels);
    free(w->caller.scratch);
    free(w->hosts);
    free(w->parts);
    free(w->sizes);
    free(w);
    return status;
}

static ct_status ask(ct_comm *comm, const ct_call *call, int64_t *ticket) {
    ct_comm_works *w = comm->works;
    const double   since = ct_seconds();
    ct_status      status = CT_OK;
    pthread_mutex_lock(&w->lock);
    while (w->begun - w->ended >= CT_COMM_QUEUE && w->failed == CT_OK && !is_stuck(w, since)) wait_a_moment(w);
    if (w->failed != CT_OK)
        status = failure(w);
    else {
        *ticket = w->begun;
        ct_flight_call(w->begun, ct_call_verb(call), ct_call_bytes(call));
        w->queue[w->begun++ % CT_COMM_QUEUE] = *call;
        pthread_cond_signal(&w->asked);
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

ct_status ct_comm_wait(ct_comm *comm, int64_t ticket) {
    if (comm->size == 1) return CT_OK;
    ct_comm_works *w = comm->works;
    const double   since = ct_seconds();
    pthread_mutex_lock(&w->lock);
    CT_ASSERT(ticket >= 0 && ticket < w->begun);
    while (w->ended <= ticket && !is_stuck(w, since)) wait_a_moment(w);
    const ct_status status = ticket < w->good ? CT_OK : failure(w);
    pthread_mutex_unlock(&w->lock);
    return status;
}

static ct_status run(ct_comm *comm, const ct_call *call) {
    int64_t ticket = 0;
    CT_TRY(ask(comm, call, &ticket));
    return ct_comm_wait(comm, ticket);
}

/* ---- opening and closing */
/* entry: a function of it, and where the pointer to that goes */
static ct_status find_mpi(const char *entry, void *function) {
    const ct_library mpi = {"CANTUS_MPI_LIBRARY", "libcantus_mpi.so", entry,
                            "install libopenmpi-dev and openmpi-bin, then make; or dist.bootstrap: tcp", true};
    return ct_library_find(&mpi, function);
}

ct_status ct_comm_mpi(char *text, size_t room) {
    void (*version)(char *, size_t) = NULL;
    CT_TRY(find_mpi("ct_mpi_version", (void *)&version));
    CT_ASSERT(version);
    version(text, room);
    return CT_OK;
}

static ct_status find_opener(const ct_world *world, ct_link_opener *out) {
    static const char entry[] = "ct_mpi_link_open";
    *out = ct_tcp_link_open;
    if (world->bootstrap != CT_BOOT_MPI) return CT_OK;
    if (!world->variable) return ct_context(find_mpi(entry, (void *)out), "dist.bootstrap: mpi");
    return ct_context(find_mpi(entry, (void *)out), "this is one of %d processes (%s), which meet by MPI", world->size,
                      world->variable);
}

typedef struct introduction {
    char host[64], build[64];
} introduction;

/* Where everyone is, and whether all run the same program. */
static ct_status introduce(ct_comm *comm) {
    ct_comm_works *w = comm->works;
    introduction   mine = {0}, *all = calloc((size_t)comm->size, sizeof *all);
    if (!all) return ct_fail(CT_ENOMEM, "out of memory: %d ranks", comm->size);
    memcpy(mine.host, comm->host, sizeof mine.host);
    snprintf(mine.build, sizeof mine.build, "%s (%s)", ct_version, ct_revision);
    ct_status status = ct_comm_all_gather(comm, &mine, sizeof mine, all);
    comm->local_size = 0;
    for (int i = 0; i < comm->size && status == CT_OK; i++) {
        memcpy(w->hosts[i], all[i].host, sizeof w->hosts[i]);
        if (strcmp(all[i].build, all[0].build) != 0)
            status =
                ct_fail(CT_EFAIL, "rank %d on %s is cantus %s, rank 0 on %s is %s (hint: the same program everywhere)",
                        i, all[i].host, all[i].build, all[0].host, all[0].build);
        if (strcmp(all[i].host, mine.host) != 0) continue;
        comm->local_size++;
        if (i < comm->rank) comm->local_rank++;
    }
    if (status == CT_OK) w->link->hosts = (const char(*)[64])w->hosts;
    free(all);
    return status;
}

static ct_status meet(ct_comm *comm, const ct_world *world, double timeout) {
    ct_link_opener opener = NULL;
    CT_TRY(find_opener(world, &opener));
    CT_TRY(make_works(world, timeout, opener, &comm->works));
    ct_comm_works *w = comm->works;
    pthread_mutex_lock(&w->lock);
    wait_for_stage(w, OPEN);
    const ct_status status = w->failed == CT_OK ? CT_OK : failure(w);
    if (status == CT_OK) {
        comm->rank = w->link->rank;
        comm->size = w->link->size;
        comm->by = w->link->name;
    }
    pthread_mutex_unlock(&w->lock);
    CT_TRY(status);
    if (comm->size == 1) return CT_OK;
    CT_TRY(introduce(comm));
    snprintf(w->self, sizeof w->self, "rank %d of %d on %s: ", comm->rank, comm->size, comm->host);
    return CT_OK;
}

ct_status ct_comm_open(const ct_dist_choice *choice, ct_comm **out) {
    ct_world world;
    *out = NULL;
    CT_TRY(ct_world_read(choice, &world));
    ct_comm *comm = calloc(1, sizeof *comm);
    if (!comm) return ct_fail(CT_ENOMEM, "out of memory: the communicator");
    gethostname(comm->host, sizeof comm->host - 1);
    comm->rank = world.rank;
    comm->size = world.size;
    comm->timeout = choice->timeout;
    comm->by = "self";
    comm->local_size = 1;
    ct_status status = CT_OK;
    if (world.size > 1 || (world.bootstrap == CT_BOOT_MPI && !world.variable))
        status =
            ct_context(meet(comm, &world, choice->timeout), "rank %d of %d on %s", world.rank, world.size, comm->host);
    if (status == CT_OK)
        *out = comm;
    else
        (void)!ct_comm_close(comm);
    return status;
}

ct_status ct_comm_close(ct_comm *comm) {
    if (!comm) return CT_OK;
    const ct_status status = comm->works ? end_works(comm->works) : CT_OK;
    free(comm);
    return status;
}

ct_status ct_comm_check(ct_comm *comm) {
    if (comm->size == 1) return CT_OK;
    pthread_mutex_lock(&comm->works->lock);
    const ct_status status = comm->works->failed == CT_OK ? CT_OK : failure(comm->works);
    pthread_mutex_unlock(&comm->works->lock);
    return status;
}

void ct_comm_abort(ct_comm *comm, const char *message) {
    if (comm->size == 1) return;
    ct_comm_works *w = comm->works;
    const double   since = ct_seconds();
    pthread_mutex_lock(&w->lock);
    if (w->failed == CT_OK && !w->abort) {
        ct_log("cantus: %s%s", w->self, message);
        w->failed = CT_EFAIL;
        snprintf(w->message, sizeof w->message, "%s", message);
        __atomic_store_n(&w->link->ending, true, __ATOMIC_RELAXED);
        w->abort = true;
        pthread_cond_broadcast(&w->asked);
        while (!w->aborted && ct_seconds() - since < PATIENCE) wait_a_moment(w);
    }
    pthread_mutex_unlock(&w->lock);
}

/* ---- the table of ranks */
typedef struct placement {
    int64_t pid;
    int     local_rank;
    char    device[180];
} placement;

/* "7", "3-6" */
static const char *range(int from, int to, char *text, size_t room) {
    snprintf(text, room, from == to ? "%d" : "%d-%d", from, to);
    return text;
}

/* Ranks that follow each other on one host and compute on the same, in one line. */
static void print_placements(const ct_comm *comm, const placement *all) {
    char(*hosts)[64] = comm->works->hosts;
    for (int from = 0, to; from < comm->size; from = to + 1) {
        char   ranks[32], locals[32], pids[100];
        size_t used = 0;
        for (to = from; to + 1 < comm->size; to++)
            if (strcmp(hosts[to + 1], hosts[from]) != 0 || strcmp(all[to + 1].device, all[from].device) != 0 ||
                all[to + 1].local_rank != all[to].local_rank + 1)
                break;
        for (int i = from; i <= to && used + 24 < sizeof pids; i++)
            used += (size_t)snprintf(pids + used, sizeof pids - used, " %" PRId64, all[i].pid);
        ct_log("  rank %s: %s, local rank %s, process%s%s, %s", range(from, to, ranks, sizeof ranks), hosts[from],
               range(all[from].local_rank, all[to].local_rank, locals, sizeof locals), pids,
               used + 24 < sizeof pids ? "" : " ...", all[from].device);
    }
}

ct_status ct_comm_tell(ct_comm *comm, const char *device) {
    if (comm->size == 1) return CT_OK;
    placement mine = {.pid = getpid(), .local_rank = comm->local_rank}, *all = NULL;
    snprintf(mine.device, sizeof mine.device, "%s", device);
    if (comm->rank == 0 && !(all = calloc((size_t)comm->size, sizeof *all)))
        return ct_fail(CT_ENOMEM, "out of memory: %d ranks", comm->size);
    const ct_status status = ct_comm_gather(comm, &mine, sizeof mine, all);
    if (status == CT_OK && all) {
        ct_log("%d ranks by %s:", comm->size, comm->by);
        print_placements(comm, all);
    }
    free(all);
    return status;
}

/* ---- values of the host */
static ct_status reduce(ct_comm *comm, ct_reduction how, bool integers, void *values, int64_t count) {
    CT_ASSERT(how <= CT_REDUCE_MIN && count >= 0 && (values || !count));
    const ct_call call = {.verb = CT_VERB_REDUCE, .data = values, .count = count, .how = how, .integers = integers};
    return comm->size == 1 ? CT_OK : run(comm, &call);
}

ct_status ct_comm_reduce(ct_comm *comm, ct_reduction how, double *values, int64_t count) {
    return reduce(comm, how, false, values, count);
}

ct_status ct_comm_reduce_int(ct_comm *comm, ct_reduction how, int64_t *values, int64_t count) {
    return reduce(comm, how, true, values, count);
}

ct_status ct_comm_barrier(ct_comm *comm) {
    const ct_call call = {.verb = CT_VERB_BARRIER};
    return comm->size == 1 ? CT_OK : run(comm, &call);
}

ct_status ct_comm_broadcast(ct_comm *comm, void *data, size_t bytes) {
    CT_ASSERT(bytes <= INT64_MAX && (data || !bytes));
    const ct_call call = {.verb = CT_VERB_BROADCAST, .data = data, .count = (int64_t)bytes};
    return comm->size == 1 ? CT_OK : run(comm, &call);
}

/* parts: where they go; NULL: not here */
static ct_status gather(ct_comm *comm, ct_verb verb, const void *mine, size_t bytes, ct_comm_part *parts) {
    CT_ASSERT(bytes <= INT64_MAX && (mine || !bytes));
    const ct_call call = {.verb = verb, .data = (void *)mine, .count = (int64_t)bytes, .parts = parts};
    if (comm->size > 1) return run(comm, &call);
    if (bytes) memmove(parts[0].data, mine, bytes);
    return CT_OK;
}

static ct_status gather_equal(ct_comm *comm, ct_verb verb, const void *mine, size_t bytes, void *all) {
    ct_comm_part alone = {0}, *parts = comm->size == 1 ? &alone : comm->works->parts;
    if (verb == CT_VERB_GATHER && comm->rank > 0) return gather(comm, verb, mine, bytes, NULL);
    for (int rank = 0; rank < comm->size; rank++)
        parts[rank] = (ct_comm_part){(char *)all + (size_t)rank * bytes, bytes};
    return gather(comm, verb, mine, bytes, parts);
}

ct_status ct_comm_gather(ct_comm *comm, const void *mine, size_t bytes, void *all) {
    return gather_equal(comm, CT_VERB_GATHER, mine, bytes, all);
}

ct_status ct_comm_all_gather(ct_comm *comm, const void *mine, size_t bytes, void *all) {
    return gather_equal(comm, CT_VERB_GATHER_ALL, mine, bytes, all);
}

static ct_status gather_different(ct_comm *comm, ct_verb verb, const void *mine, size_t bytes, ct_arena *arena,
                                  ct_comm_part *parts) {
    const int64_t size = (int64_t)bytes;
    int64_t       alone = 0, *sizes = comm->size == 1 ? &alone : comm->works->sizes;
    const bool    here = verb == CT_VERB_GATHER_ALL || comm->rank == 0;
    CT_TRY(ct_comm_all_gather(comm, &size, sizeof size, sizes));
    for (int rank = 0; rank < comm->size; rank++) {
        parts[rank] = (ct_comm_part){0};
        if (!here) continue;
        parts[rank] = (ct_comm_part){ct_arena_alloc(arena, (size_t)sizes[rank], 1), (size_t)sizes[rank]};
        if (!parts[rank].data) return CT_ENOMEM;
    }
    return gather(comm, verb, mine, bytes, here ? parts : NULL);
}

ct_status ct_comm_gather_parts(ct_comm *comm, const void *mine, size_t bytes, ct_arena *arena, ct_comm_part *parts) {
    return gather_different(comm, CT_VERB_GATHER, mine, bytes, arena, parts);
}

ct_status ct_comm_all_gather_parts(ct_comm *comm, const void *mine, size_t bytes, ct_arena *arena,
                                   ct_comm_part *parts) {
    return gather_different(comm, CT_VERB_GATHER_ALL, mine, bytes, arena, parts);
}

/* ---- arrays of gradients and parameters */
ct_status ct_comm_begin(ct_comm *comm, ct_collective what, const ct_shared *a, int64_t *ticket) {
    CT_ASSERT(what <= CT_ALL_GATHER && a->count >= 0 && (a->data || !a->count) && a->dtype <= CT_BF16);
    const ct_call call = {
        .verb = (ct_verb)what, .data = a->data, .count = a->count, .dtype = a->dtype, .unit = a->unit};
    *ticket = 0;
    return comm->size == 1 ? CT_OK : ask(comm, &call, ticket);
}

int64_t ct_comm_sent(ct_comm *comm) {
    if (comm->size == 1) return 0;
    pthread_mutex_lock(&comm->works->lock);
    const int64_t sent = comm->works->sent;
    pthread_mutex_unlock(&comm->works->lock);
    return sent;
}
