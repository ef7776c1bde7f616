/* comm_mpi.c -- a link by MPI; see comm_link.h. Built into a library of its own, libcantus_mpi.so.
 *
 * All calls are made by the communicator's thread, which also starts MPI: MPI_THREAD_FUNNELED is enough. No call but
 * MPI_Init and MPI_Finalize waits for anybody: messages are begun, then asked for with pauses in between.
 *
 * Owner: the opener; after a failure MPI is left as it is, for it might wait for ever. Fails: CT_EFAIL with MPI's
 * words.
 */
#include "core/log.h"
#include "kernels/comm_link.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

typedef struct mpi_link {
    ct_link      link;
    MPI_Request *requests; /* [size] that receive, then [size] that send */
    MPI_Status  *statuses;
    int         *ended;
    bool        *missing;
} mpi_link;

static ct_status check(int code, const char *call) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int  length = 0;
    if (code == MPI_SUCCESS) return CT_OK;
    MPI_Error_string(code, text, &length);
    return ct_fail(CT_EFAIL, "%s: %s", call, text);
}

/* Soon at first, then seldom: one message takes some microseconds, and a rank that still computes needs its processor.
 */
static void pause_between(double waited) {
    const struct timespec pause = {0, waited < 0.02 ? 20000 : 500000};
    if (waited < 0.0001)
        sched_yield();
    else
        nanosleep(&pause, NULL);
}

static ct_status begin(mpi_link *m, const ct_parcel *parcels, uint32_t mark) {
    const int size = m->link.size;
    for (int i = 0; i < 2 * size; i++) m->requests[i] = MPI_REQUEST_NULL;
    for (int step = 1; step < size; step++) { /* not all to the same rank first */
        const int        from = (m->link.rank + size - step) % size;
        const ct_parcel *p = &parcels[from];
        if (p->in)
            CT_TRY(check(
                MPI_Irecv(p->in, (int)p->in_bytes, MPI_BYTE, from, MPI_ANY_TAG, MPI_COMM_WORLD, &m->requests[from]),
                "MPI_Irecv"));
    }
    for (int step = 1; step < size; step++) {
        const int        to = (m->link.rank + step) % size;
        const ct_parcel *p = &parcels[to];
        if (p->out)
            CT_TRY(check(
                MPI_Isend(p->out, (int)p->out_bytes, MPI_BYTE, to, (int)mark, MPI_COMM_WORLD, &m->requests[size + to]),
                "MPI_Isend"));
    }
    return CT_OK;
}

/* Is what came what was expected? */
static ct_status examine(const mpi_link *m, const ct_parcel *parcels, uint32_t mark, int ended, bool bad) {
    for (int i = 0; i < ended; i++) {
        const MPI_Status *s = &m->statuses[i];
        const int         rank = m->ended[i];
        const int         error = bad ? s->MPI_ERROR : MPI_SUCCESS;
        int class = MPI_SUCCESS, bytes = 0;
        if (error != MPI_SUCCESS) MPI_Error_class(error, &class);
        if (error != MPI_SUCCESS && class != MPI_ERR_TRUNCATE) CT_TRY(check(error, "MPI_Testsome"));
        if (rank >= m->link.size) continue;
        if (class == MPI_SUCCESS) MPI_Get_count(s, MPI_BYTE, &bytes);
        const size_t found = class == MPI_SUCCESS ? (size_t)bytes : SIZE_MAX;
        if (found != parcels[rank].in_bytes || (uint32_t)s->MPI_TAG != mark)
            return ct_link_strange(&m->link, rank, parcels[rank].in_bytes, found);
    }
    return CT_OK;
}

static ct_status exchange(ct_link *link, const ct_parcel *parcels, uint32_t mark) {
    mpi_link *m = (mpi_link *)link;
    double    since = ct_seconds(), now;
    CT_TRY(begin(m, parcels, mark));
    for (int ended = 0;;) {
        const int code = MPI_Testsome(2 * link->size, m->requests, &ended, m->ended, m->statuses);
        if (ended == MPI_UNDEFINED) return CT_OK; /* none is left */
        if (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS) CT_TRY(check(code, "MPI_Testsome"));
        CT_TRY(examine(m, parcels, mark, ended, code != MPI_SUCCESS));
        CT_TRY(ct_link_alive(link));
        now = ct_seconds();
        if (ended > 0) since = now;
        if (now - since > link->timeout) break;
        if (ended == 0) pause_between(now - since);
    }
    for (int rank = 0; rank < link->size; rank++)
        m->missing[rank] = m->requests[rank] != MPI_REQUEST_NULL || m->requests[link->size + rank] != MPI_REQUEST_NULL;
    return ct_link_late(link, m->missing, now - since);
}

static void end_all(ct_link *link) {
    (void)link;
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static ct_status finish(ct_link *link, bool well) {
    mpi_link *m = (mpi_link *)link;
    ct_status status = well ? check(MPI_Finalize(), "MPI_Finalize") : CT_OK;
    free(m->requests);
    free(m->statuses);
    free(m->ended);
    free(m->missing);
    free(m);
    return status;
}

static ct_status make(int rank, int size, double timeout, ct_link **out) {
    const size_t n = (size_t)size;
    mpi_link    *m = calloc(1, sizeof *m);
    if (!m) return ct_fail(CT_ENOMEM, "out of memory: a link by MPI");
    m->link = (ct_link){.name = "mpi", .rank = rank, .size = size, .timeout = timeout};
    m->link.exchange = exchange;
    m->link.abort = end_all;
    m->link.close = finish;
    m->requests = calloc(2 * n, sizeof *m->requests);
    m->statuses = calloc(2 * n, sizeof *m->statuses);
    m->ended = calloc(2 * n, sizeof *m->ended);
    m->missing = calloc(n, sizeof *m->missing);
    *out = &m->link;
    if (m->requests && m->statuses && m->ended && m->missing) return CT_OK;
    (void)!finish(&m->link, false);
    return ct_fail(CT_ENOMEM, "out of memory: a link by MPI between %d ranks", size);
}

void ct_mpi_version(char *text, size_t room) {
    char words[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int  length = 0;
    MPI_Get_library_version(words, &length);
    snprintf(text, room, "%.*s", (int)strcspn(words, ",\n"), words);
}

ct_status ct_mpi_link_open(const ct_world *world, double timeout, ct_link **out) {
    int provided, rank, size;
    *out = NULL;
    prctl(PR_SET_TIMERSLACK,
          1000UL); /* of this thread: the pauses are as short as they say, not 50 microseconds longer */
    CT_TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread"));
    CT_TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
    CT_TRY(check(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank"));
    CT_TRY(check(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size"));
    if (provided < MPI_THREAD_FUNNELED) return ct_fail(CT_EFAIL, "this MPI allows no thread beside its own");
    if (world->variable && size != world->size)
        return ct_fail(CT_EFAIL,
                       "%s says %d processes, MPI sees %d (hint: mpirun must be of the MPI that Cantus was built with; "
                       "srun --mpi=pmix; or dist.bootstrap: tcp)",
                       world->variable, world->size, size);
    return make(rank, size, timeout, out);
}
