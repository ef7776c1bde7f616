/* comm.h -- the ranks of a job: processes that train one network together, and what they say to each other.
 *
 * A program that was started alone is rank 0 of 1: every call returns at once. One of several finds the others by what
 * mpirun, srun or torchrun put in its environment; a library for MPI is loaded only then. A thread of the communicator
 * does all of the talking, in the order of the calls, so calls come from one thread, and all ranks make the same ones.
 *
 * Sums are those of rank 0, 1, 2, ... in this order, ((x0 + x1) + x2) + ..., each element on one rank only, whatever
 * the sizes: float in float, double in double, bf16 in float and rounded once. Every rank gets the same bits.
 *
 * Owner: ct_comm_close frees all; arrays are the caller's, and untouched by it between begin and wait. Nothing is
 * allocated after open. Fails: CT_EFAIL when a rank says nothing for dist.timeout seconds, is gone, or makes another
 * call, naming call and ranks; from then on every call fails with that message: return it to main().
 */
#ifndef CT_KERNELS_COMM_H
#define CT_KERNELS_COMM_H

#include "core/config.h"
#include "kernels/ops.h"

/* What a config says of it. */
typedef enum ct_bootstrap { CT_BOOT_AUTO, CT_BOOT_MPI, CT_BOOT_TCP } ct_bootstrap;
typedef struct ct_dist_choice {
    double timeout;   /* seconds */
    int    bootstrap; /* ct_bootstrap */
} ct_dist_choice;

/* The config keys "dist.*", with offsets into a struct that holds a choice at `base`. */
// clang-format off
#define CT_DIST_KEYS(S, m) \
    CT_KEY(S, "dist.timeout", REAL, "600", 0.1, 1e6, NULL, m.timeout, "of several processes: seconds after which one that says nothing is taken for dead, and all end"), \
    CT_KEY(S, "dist.bootstrap", CHOICE, "auto", 0, 0, "auto|mpi|tcp", m.bootstrap, "how they find each other: by the MPI library, or without it; auto: as they were started (README)")
// clang-format on

typedef struct ct_comm_works ct_comm_works; /* comm.c's own */
typedef struct ct_comm {
    int            rank, size;             /* 0 .. size - 1 */
    int            local_rank, local_size; /* among the ranks of this host */
    char           host[64];
    double         timeout; /* seconds: dist.timeout */
    const char    *by;      /* "self", "mpi", "tcp" */
    ct_comm_works *works;
} ct_comm;

/* Is this process one of several, by its environment? For what is to be decided before a config is read. */
bool                   ct_comm_expected(void);
/* CT_EUSAGE if so: for a command that would do the same work in each of them. */
CT_NODISCARD ct_status ct_comm_alone(const char *command);
/* Which MPI it would be, in words. CT_EFAIL where there is none, saying what to install. */
CT_NODISCARD ct_status ct_comm_mpi(char *text, size_t room);
/* Meets the other ranks. CT_EUSAGE when the environment contradicts itself or the config; CT_EFAIL when the library is
 * missing, with what to install, or others don't come. No thread that might fork or exec may be running. */
CT_NODISCARD ct_status ct_comm_open(const ct_dist_choice *choice, ct_comm **out);
/* Waits for the other ranks to do the same; CT_EFAIL when they don't. Once something has failed it waits for nobody,
 * and leaves the message as it is. NULL: nothing. */
CT_NODISCARD ct_status ct_comm_close(ct_comm *comm);
/* Among several ranks: prints the message with this rank's name, and ends them all within seconds; it does not return
 * then, unless the communicator itself has failed (the others find that out by themselves). Among one it does nothing.
 * For a rank that can't go on:
 *   if (status != CT_OK) ct_comm_abort(comm, ct_message());
 *   return status;                                          */
void                   ct_comm_abort(ct_comm *comm, const char *message);
/* What a call would fail with now: for those who wait for other ranks in another way. */
CT_NODISCARD ct_status ct_comm_check(ct_comm *comm);
/* A table of who is where, printed once by rank 0. device: what this rank computes on, in words. */
CT_NODISCARD ct_status ct_comm_tell(ct_comm *comm, const char *device);

/* ---- values of the host; they return when it is done */
typedef enum ct_reduction { CT_REDUCE_SUM, CT_REDUCE_MAX, CT_REDUCE_MIN } ct_reduction;

/* Largest and smallest are NaN if any is; sums of integers wrap around. */
CT_NODISCARD ct_status ct_comm_reduce(ct_comm *comm, ct_reduction how, double *values, int64_t count);
CT_NODISCARD ct_status ct_comm_reduce_int(ct_comm *comm, ct_reduction how, int64_t *values, int64_t count);
CT_NODISCARD ct_status ct_comm_barrier(ct_comm *comm);
/* What rank 0 has. */
CT_NODISCARD ct_status ct_comm_broadcast(ct_comm *comm, void *data, size_t bytes);
/* As many bytes of each, one rank behind the other: all[size][bytes]. In ct_comm_gather for rank 0 alone; the others'
 * `all` may be NULL. */
CT_NODISCARD ct_status ct_comm_gather(ct_comm *comm, const void *mine, size_t bytes, void *all);
CT_NODISCARD ct_status ct_comm_all_gather(ct_comm *comm, const void *mine, size_t bytes, void *all);

typedef struct ct_comm_part {
    void  *data;
    size_t bytes;
} ct_comm_part;

/* Each rank's own number of bytes: parts[size], their data in the arena. In ct_comm_gather_parts for rank 0 alone; the
 * others' parts are empty. The arena alone may run out of memory here: use it for what is done now and then. */
CT_NODISCARD ct_status ct_comm_gather_parts(ct_comm *comm, const void *mine, size_t bytes, ct_arena *arena,
                                            ct_comm_part *parts);
CT_NODISCARD ct_status ct_comm_all_gather_parts(ct_comm *comm, const void *mine, size_t bytes, ct_arena *arena,
                                                ct_comm_part *parts);

/* ---- arrays of gradients and parameters, while the caller goes on computing */
typedef enum ct_collective {
    CT_ALL_REDUCE,     /* everywhere the sum */
    CT_REDUCE_SCATTER, /* the sum of this rank's share, in its place; the rest of the array stays as it was */
    CT_ALL_GATHER      /* everywhere what each rank had in its share */
} ct_collective;

/* An array that ranks have shares of: these are cut at multiples of `unit` elements (0: anywhere). */
typedef struct ct_shared {
    void    *data;
    int64_t  count;
    ct_dtype dtype;
    int64_t  unit;
} ct_shared;

/* A rank's share: elements [*first, *first + *length); the shares of all ranks follow each other, rank 0's is one of
 * the longest. */
static inline void ct_comm_share(int64_t count, int64_t unit, int rank, int size, int64_t *first, int64_t *length) {
    const int64_t u = unit > 0 ? unit : 1, units = (count + u - 1) / u, each = units / size, more = units % size;
    const int64_t from = (each * rank + (rank < more ? rank : more)) * u, to = from + (each + (rank < more)) * u;
    *first = from < count ? from : count;
    *length = (to < count ? to : count) - *first;
}

/* Bytes that a rank sends for it: of what is summed the others' shares, one to each; of what is gathered its own, to
 * each. All ranks together send (n - 1) times the array for each of both: as many as in a ring. */
static inline int64_t ct_comm_bytes(ct_collective what, const ct_shared *array, int rank, int size) {
    int64_t first, length;
    ct_comm_share(array->count, array->unit, rank, size, &first, &length);
    const int64_t summed = what == CT_ALL_GATHER ? 0 : array->count - length;
    const int64_t gathered = what == CT_REDUCE_SCATTER ? 0 : length * (size - 1);
    return (summed + gathered) * (int64_t)ct_dtype_size(array->dtype);
}

/* Put at the end of the queue; *ticket is for ct_comm_wait. With CT_COMM_QUEUE on the way it waits for the oldest. */
enum { CT_COMM_QUEUE = 256 };
CT_NODISCARD ct_status ct_comm_begin(ct_comm *comm, ct_collective what, const ct_shared *array, int64_t *ticket);
/* Until that and all that were begun before it are done. May be asked again. */
CT_NODISCARD ct_status ct_comm_wait(ct_comm *comm, int64_t ticket);
/* Bytes of arrays that this rank has sent so far, counted as they are handed to MPI or TCP. */
int64_t                ct_comm_sent(ct_comm *comm);

#endif
