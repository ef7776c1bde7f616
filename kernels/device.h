/* device.h -- where ops run and their arrays lie: this machine's CPU, or a GPU with memory of its own.
 *
 * A device has a backend and, apart from the CPU, three queues. Ops and copies are put on a queue and run later, in
 * that order; a call returns at once, and what went wrong on the device is told by a later one. On the CPU a device's
 * memory is the program's own, and everything is done when the call returns.
 *
 *   inlet    two slots that the host fills by turns: while one is read, the next batch is written into the other
 *   outlet   two slots that results arrive in, to be read a step later
 *   replay   a sequence of calls that is recorded once and from then on launched as one (a CUDA graph)
 *
 * Owner: a device is its opener's until ct_device_close, one of a kind at a time; memory belongs to whoever asked for
 * it. Fails: CT_ENOMEM, naming the bytes; CT_EFAIL for what the device refuses or reports, naming the call.
 */
#ifndef CT_KERNELS_DEVICE_H
#define CT_KERNELS_DEVICE_H

#include "core/config.h"
#include "kernels/comm.h"
#include "kernels/ops.h"

/* TALK: what ranks' devices say to each other. */
typedef enum ct_queue { CT_QUEUE_COMPUTE, CT_QUEUE_COPY, CT_QUEUE_TALK, CT_QUEUES } ct_queue;

typedef struct ct_event ct_event; /* a moment on a queue */
typedef struct ct_graph ct_graph; /* what replay recorded */
typedef struct ct_peer  ct_peer;  /* another library's way to compute an op */
typedef ct_status (*ct_enqueue)(void *context);

typedef struct ct_device {
    const char       *name; /* "cpu", "cuda" */
    char              description[160];
    const ct_backend *backend;

    /* What a GPU's library implements; NULL on the CPU. See the functions below. */
    ct_status (*alloc)(size_t bytes, void **out); /* zeroed */
    ct_status (*alloc_host)(size_t bytes, void **out);
    void (*release)(void *memory);
    void (*release_host)(void *memory);
    ct_status (*copy)(ct_queue queue, void *to, const void *from, size_t bytes);
    ct_status (*transfer)(void *to, const void *from, size_t bytes); /* now, after all that is queued; any memory */
    ct_status (*zero)(void *to, size_t bytes);
    ct_status (*wait)(void);
    ct_status (*event_new)(ct_event **out);
    void (*event_free)(ct_event *event);
    ct_status (*event_new_timed)(ct_event **out);
    ct_status (*event_record)(ct_event *event, ct_queue queue);
    ct_status (*event_wait)(ct_event *event);                 /* the caller */
    ct_status (*queue_wait)(ct_queue queue, ct_event *event); /* what is put on the queue from now on */
    /* between two that were timed and are past */
    ct_status (*event_seconds)(ct_event *from, ct_event *to, double *seconds);
    /* what the op will need to run, alone or with the next one (its params NULL: there is none); may allocate */
    ct_status (*plan)(ct_op op, const ct_params *params, ct_op next, const ct_params *next_params);
    /* to[rows][vocabulary] = log softmax of logits, both on the device, by a library that has no line of ours: a second
     * opinion. *by: its name. CT_EFAIL where there is none, in a sentence. rows 0 only asks. */
    ct_status (*log_softmax)(const float *logits, float *to, int64_t rows, int64_t vocabulary, const char **by);
    /* Attention, or its gradient, by such a library: to be compared and timed with. It computes the op without
     * rotation, G, songs, memory and dropout, in bf16, and reads and writes the op's own arrays. out NULL only asks.
     * CT_EFAIL where there is none, or none for this shape, in a sentence. peer_run puts it on the compute queue. */
    ct_status (*peer_open)(ct_op op, const ct_params *params, ct_peer **out, const char **by);
    ct_status (*peer_run)(void *peer);
    void (*peer_close)(ct_peer *peer);
    /* Put on CT_QUEUE_TALK: kernels/comm.h says what it does to the array, which lies on the device; sums in the
     * library's own order, the same bits on all ranks. NULL: the device has met no others. */
    ct_status (*collective)(ct_collective what, const ct_shared *array);
    /* By what it would meet them. CT_EFAIL where that is missing, in a sentence. */
    ct_status (*meets_by)(const char **by);
    ct_status (*replay)(ct_graph **graph, ct_enqueue enqueue, void *context);
    void (*graph_free)(ct_graph *graph);
    ct_status (*planned)(void); /* all ops that were wanted have been planned: what is to be kept of it is written */
    void (*close)(void);
} ct_device;

/* What a config says of it. */
typedef enum ct_device_kind { CT_ON_CPU, CT_ON_CUDA } ct_device_kind;
typedef enum ct_precision { CT_PRECISION_FP32, CT_PRECISION_TF32, CT_PRECISION_BF16 } ct_precision;
typedef struct ct_device_choice {
    int         kind, precision; /* ct_device_kind, ct_precision */
    int         graph;           /* auto, off */
    const char *algorithms;      /* file of those that products are done by; NULL or "": none */
    int         against;         /* off, cpu: a second opinion on ops (kernels/check.h) */
    double      share;           /* of the calls */
} ct_device_choice;

/* The config keys "device", "precision", "cuda.*" and "check.*", with offsets into a struct that holds a choice at
 * `base`. */
// clang-format off
#define CT_DEVICE_KEYS(S, m) \
    CT_KEY(S, "device", CHOICE, "cpu", 0, 0, "cpu|cuda", m.kind, "what computes: this machine's processor, or an NVIDIA GPU"), \
    CT_KEY(S, "precision", CHOICE, "fp32", 0, 0, "fp32|tf32|bf16", m.precision, "of a GPU: float throughout; products of matrices in TF32; bf16 for what is not summed (README, Training on a GPU)"), \
    CT_KEY(S, "cuda.graph", CHOICE, "auto", 0, 0, "auto|off", m.graph, "auto: a step is recorded once and launched as one; off: op by op, for profilers"), \
    CT_KEY(S, "cuda.algorithms", TEXT, "", 0, 0, NULL, m.algorithms, "file that keeps how products are done on this GPU: written if it is not there, else read; empty: none"), \
    CT_KEY(S, "check.against", CHOICE, "off", 0, 0, "off|cpu", m.against, "cpu: a share of the calls is computed on the CPU too; the first that differs by more than rounding ends the run"), \
    CT_KEY(S, "check.share", REAL, "0.01", 0, 1, NULL, m.share, "of check.against: share of the calls, the same ones in each run")
// clang-format on

/* What products of matrices work in on a GPU, beside the arrays of a plan. */
enum { CT_CUDA_WORKSPACE = 32 << 20 };

/* The CPU. Its backend is the fast one. */
const ct_device       *ct_device_cpu(void);
/* The device of a config. comm: the ranks whose devices it meets, until it is closed; all of them call this alike. NULL
 * or of size 1: it is alone. CT_EUSAGE for a precision that it does not have. A GPU: CT_EFAIL in one sentence when its
 * library, its driver or itself is missing, or what it would meet the others by; the library is looked for where
 * CANTUS_CUDA_LIBRARY says, else beside the program. With others, who waits for a device waits dist.timeout seconds at
 * most: CT_EFAIL then, and from then on. */
CT_NODISCARD ct_status ct_device_open(const ct_device_choice *choice, ct_comm *comm, const ct_device **out);
/* After all of its memory has been freed. NULL: nothing. */
void                   ct_device_close(const ct_device *device);

/* Does it have memory of its own, which only its ops and copies may touch? */
static inline bool ct_device_apart(const ct_device *device) {
    return device && device->alloc;
}

/* What it is, in words: "cpu", or the GPU with its versions. */
static inline const char *ct_device_describe(const ct_device *device) {
    return *device->description ? device->description : device->name;
}

/* All that a network or decoder will run has been planned. CT_EFAIL where cuda.algorithms can't be written. */
CT_NODISCARD ct_status ct_device_planned(const ct_device *device);

/* Copies between any memory of this program and the device's; done when it returns, after everything that has been put
 * on the queues. */
CT_NODISCARD ct_status ct_device_copy(const ct_device *device, void *to, const void *from, size_t bytes);
/* Put on the compute queue. Host memory: pinned. */
CT_NODISCARD ct_status ct_device_enqueue_copy(const ct_device *device, void *to, const void *from, size_t bytes);
CT_NODISCARD ct_status ct_device_zero(const ct_device *device, void *to, size_t bytes);

/* Before memory is given back that something may be on its way into. What fails is told by a call that can tell it. */
void ct_device_finish(const ct_device *device);

/* Run `enqueue`, or what it put on the queue the first time that it was called with this graph (NULL then): it must
 * always do the same, with the same arrays. Where there are no graphs, or a trace is made, it is called each time. */
CT_NODISCARD ct_status ct_device_replay(const ct_device *device, ct_graph **graph, ct_enqueue enqueue, void *context);
void                   ct_device_forget(const ct_device *device, ct_graph **graph);

/* ---- the way in */
enum { CT_SLOTS = 2 };

typedef struct ct_inlet {
    const ct_device *device;
    void            *to; /* the device's array; on the CPU also the only slot */
    size_t           bytes;
    void            *host[CT_SLOTS], *staged[CT_SLOTS]; /* the latter on the device */
    ct_event        *arrived[CT_SLOTS], *taken[CT_SLOTS];
    int              next;
    bool             used[CT_SLOTS];
} ct_inlet;

/* staged: device memory for CT_SLOTS times as much; not used on the CPU. */
CT_NODISCARD ct_status ct_inlet_open(const ct_device *device, void *to, void *staged, size_t bytes, ct_inlet *out);
void                   ct_inlet_close(ct_inlet *inlet);
/* A slot to be filled: waits until what it held before the last is on the device. */
CT_NODISCARD ct_status ct_inlet_slot(ct_inlet *inlet, void **slot);
/* The slot is filled: what is put on the compute queue from now on finds it in `to`. */
CT_NODISCARD ct_status ct_inlet_send(ct_inlet *inlet);

/* ---- the way out */
typedef struct ct_outlet {
    const ct_device *device;
    const void      *from;
    size_t           bytes;
    void            *host[CT_SLOTS];
    ct_event        *arrived[CT_SLOTS];
    int64_t          sent, taken; /* how often */
} ct_outlet;

CT_NODISCARD ct_status ct_outlet_open(const ct_device *device, const void *from, size_t bytes, ct_outlet *out);
void                   ct_outlet_close(ct_outlet *outlet);
/* What `from` holds when the compute queue gets here is on the way: no more than CT_SLOTS may be, on the CPU one. */
CT_NODISCARD ct_status ct_outlet_send(ct_outlet *outlet);
/* The oldest that is on the way, waiting for it; it stays until CT_SLOTS more have been sent. */
CT_NODISCARD ct_status ct_outlet_take(ct_outlet *outlet, const void **slot);

#endif
