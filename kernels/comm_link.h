/* comm_link.h -- what the parts of the communicator know of each other; not for anyone else.
 *
 *   comm_world.c   who this process is, by its environment
 *   comm_mpi.c, comm_tcp.c   a link: bytes between ranks. Its one verb is the exchange: so many bytes to and from each
 *                  rank, all at once
 *   comm_call.c    what comm.h offers, made of exchanges: these decide about the order of sums
 *   comm.c         the queue and the thread that works it off; it alone calls a link, from opening to closing
 *
 * Owner: a link is its opener's until close. Fails: as comm.h says.
 */
#ifndef CT_KERNELS_COMM_LINK_H
#define CT_KERNELS_COMM_LINK_H

#include "kernels/comm.h"

/* ---- who this process is */
typedef struct ct_world {
    int         rank, size;             /* size 1: alone, unless bootstrap is CT_BOOT_MPI: then MPI knows */
    int         bootstrap;              /* CT_BOOT_MPI or CT_BOOT_TCP */
    const char *variable;               /* that says the size; NULL: none */
    char        address[256], port[16]; /* of rank 0, for tcp */
    uint64_t    nonce;                  /* of the job, for tcp */
} ct_world;

CT_NODISCARD ct_status ct_world_read(const ct_dist_choice *choice, ct_world *out);

/* ---- links */
typedef struct ct_parcel {
    const void *out; /* NULL: nothing is sent; else also no bytes are something */
    size_t      out_bytes;
    void       *in; /* NULL: nothing comes */
    size_t      in_bytes;
} ct_parcel;

typedef struct ct_link ct_link;
struct ct_link {
    const char *name;
    int         rank, size;
    double      timeout;     /* seconds without any message */
    const char (*hosts)[64]; /* [size], once they are known */
    bool    ending;          /* atomic: an exchange ends at once */
    int64_t alive;           /* atomic: milliseconds, when the thread last came by */
    /* Until all has been sent and has come. parcels[size], that of this rank is skipped. mark: the same on all ranks,
     * and another for other calls; one that brings another mark or size makes it fail. */
    ct_status (*exchange)(ct_link *link, const ct_parcel *parcels, uint32_t mark);
    void (*abort)(ct_link *link); /* ends all ranks, as well as it can; may return */
    /* well: all ranks have come this far; else it waits for nothing */
    ct_status (*close)(ct_link *link, bool well);
};

/* Largest mark. */
enum { CT_LINK_MARK = 32767 };
/* Bytes of one parcel, at most. */
enum { CT_LINK_BYTES = 64 << 20 };

typedef ct_status (*ct_link_opener)(const ct_world *world, double timeout, ct_link **out);
CT_NODISCARD ct_status ct_mpi_link_open(const ct_world *world, double timeout, ct_link **out); /* in its library */
/* In the same library, and callable at any time. Which MPI it is, on one line. */
void                   ct_mpi_version(char *text, size_t room);
CT_NODISCARD ct_status ct_tcp_link_open(const ct_world *world, double timeout, ct_link **out);

/* To be asked for all the time in an exchange. CT_EFAIL: end it. */
ct_status   ct_link_alive(ct_link *link);
/* CT_EFAIL of an exchange that has waited too long: missing[size] says for whom. */
ct_status   ct_link_late(const ct_link *link, const bool *missing, double seconds);
/* CT_EFAIL of one that `rank` came to with another mark, or so many bytes instead; SIZE_MAX: more. */
ct_status   ct_link_strange(const ct_link *link, int rank, size_t bytes, size_t found);
/* CT_EFAIL of one whose other end, `rank`, is no more. */
ct_status   ct_link_gone(const ct_link *link, int rank, const char *why);
/* "0-3, 7": those of `in`, cut with "..." where the text ends. */
const char *ct_rank_list(const bool *in, int size, char *text, size_t room);

/* ---- calls */
typedef enum ct_verb {
    CT_VERB_ALL_REDUCE, /* these three as ct_collective */
    CT_VERB_REDUCE_SCATTER,
    CT_VERB_ALL_GATHER,
    CT_VERB_REDUCE, /* of values: small, by everyone */
    CT_VERB_BARRIER,
    CT_VERB_BROADCAST,
    CT_VERB_GATHER,     /* data to `all` on rank 0 */
    CT_VERB_GATHER_ALL, /* the same everywhere */
    CT_VERBS
} ct_verb;

typedef struct ct_call {
    ct_verb       verb;
    void         *data;
    int64_t       count, unit; /* elements; bytes where there are none. Shares are cut at multiples of `unit` */
    ct_dtype      dtype;
    ct_reduction  how;
    bool          integers;
    ct_comm_part *parts; /* of a gather: where each rank's bytes go; NULL: not here */
} ct_call;

typedef struct ct_caller {
    ct_link   *link;
    ct_parcel *parcels; /* [size] */
    char      *scratch, *sum;
    size_t     scratch_bytes; /* for all ranks together */
    uint32_t   mark;
    int64_t    sent; /* bytes of arrays, in calls that ct_collective names */
} ct_caller;

/* Bytes of scratch (and of sum) for so many ranks. */
size_t                 ct_call_scratch(int size);
CT_NODISCARD ct_status ct_call_run(ct_caller *caller, const ct_call *call, int64_t number);
/* "all_reduce"; bytes of its array. */
const char            *ct_call_verb(const ct_call *call);
int64_t                ct_call_bytes(const ct_call *call);
/* "all_reduce number 12 (4096 bytes)" */
const char            *ct_call_name(const ct_call *call, int64_t number, char *text, size_t room);

#endif
