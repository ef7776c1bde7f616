/* network.h -- a model with everything one training step needs: forward, backward, update.
 *
 * The plan is made once: all arrays are laid out in one arena, on a device apart in
 * one allocation, and the step is a list of op records over them (forward,
 * backward, then the memory's ring). A step fills the inputs from a batch of rows
 * and runs the list; it allocates nothing, and waits for nothing but a slot for
 * its inputs. Validation runs the forward list alone. A plan on paper has the same
 * records and bytes, and no memory: `cantus plan`.
 *
 * What the host reads and writes lies in its own memory: the step, the inputs (in),
 * rows and songs of the memory. All other arrays are the device's; ct_network_copy
 * reads and writes them.
 *
 * Owner: the network's arenas; the model must outlive it. Gradients lie in the order of the model's parameters.
 * Fails: making one: CT_ENOMEM; ct_network_fill: CT_EFAIL when a line holds more harmonic segments than planned; what
 *        runs or copies: CT_EFAIL with the device.
 */
#ifndef CT_MODELS_NETWORK_H
#define CT_MODELS_NETWORK_H

#include "core/data/loader.h"
#include "models/model.h"
#include "models/reduce.h"
#include "models/weights.h"

/* What a plan's memory is for. */
typedef enum ct_memory {
    CT_MEMORY_PARAMETERS,  /* a device's copy of the model's; on the CPU there is none */
    CT_MEMORY_INPUTS,      /* rows, targets, positions, segments of a batch */
    CT_MEMORY_ACTIVATIONS, /* from forward to backward; logits; their gradients */
    CT_MEMORY_HARMONY,     /* H-RPE's G and its gradient */
    CT_MEMORY_GRADIENTS,   /* of the parameters */
    CT_MEMORY_MOMENTS,     /* of AdamW */
    CT_MEMORY_RING,        /* Transformer-XL memory: layer inputs */
    CT_MEMORY_WORKSPACE,   /* shared by all ops */
    CT_MEMORY_KINDS
} ct_memory;
extern const char *const ct_memory_names[CT_MEMORY_KINDS];

/* Inputs of a step, one value a row: [batch][tokens] and [batch][memory]. They lie one after the other. */
typedef struct ct_inputs {
    ct_step  *step;
    uint16_t *rows;
    int32_t  *target, *song, *song_memory, *position, *position_memory;
    int32_t  *segment_query, *segment_key, *segment_memory;
    int32_t  *query, *key, *query_count, *key_count; /* [batch][queries|keys][3], [batch] */
} ct_inputs;

typedef struct ct_network {
    ct_model         *model;
    const ct_device  *device; /* NULL: the host's memory */
    const ct_backend *backend;
    ct_dtype          dtype; /* of ops: the model's, or CT_BF16 */
    ct_weights        weights;
    ct_check          check;                  /* a second opinion on its ops */
    ct_arena          arena;                  /* op records, small tables, what the host keeps */
    ct_arena          arrays;                 /* everything that ops compute on */
    void             *block;                  /* memory of `arrays` on a device apart */
    size_t            bytes[CT_MEMORY_KINDS]; /* of `arrays`; they add up to arrays.used */
    int64_t           batch, tokens, memory;
    int64_t        all_lines, first_line; /* of the batch that all ranks share; the first of this network's `batch` */
    int64_t        queries, keys;         /* room for harmonic segments: of a window; of memory and window */
    bool           eager;
    ct_reducer     reducer; /* adds up gradients of all ranks; without a communicator there is one rank */
    ct_record_list forward, backward, after, update; /* update: norm of the gradients, then AdamW */
    ct_stretch    *own;                              /* [own_count] what this rank updates */
    int            own_count;
    int64_t        kept; /* numbers that `own` comes to */

    ct_step       *step;        /* the host's; ct_network_fill hands it to the ops */
    const ct_step *step_of_ops; /* as ops see it */
    ct_inlet       inlet;
    ct_inputs      in;           /* of the batch that was filled last, as the host sees them */
    uint16_t      *memory_rows;  /* [batch][memory][columns], by slot of the ring */
    int32_t       *memory_songs; /* [batch][memory] */

    void     *logits;               /* [batch * tokens][vocabulary] real; the gradient after a backward pass */
    double   *norm;                 /* [3] norm of the gradients, 1 when finite, updates made */
    void     *loss;                 /* [batch * tokens] wide, behind norm: nats, 0 where there is no target */
    size_t    input_bytes, results; /* of `in`; of norm and loss together */
    void     *gradients;            /* [parameter_count] wide */
    void     *ring;                 /* [layers][batch][memory][width] wide: layer inputs, by slot */
    void     *moment, *variance;    /* [kept] of AdamW, wide; only in networks made for training */
    double   *square;               /* [parameter_count in blocks of CT_NORM_BLOCK] sums of squares of gradients */
    ct_graph *graphs[2][2];         /* of ct_network_step, by whether it begins and ends an update */
    void     *seen;                 /* the host's copy of logits and loss, on a device apart */
    void     *widened;              /* there: logits of bf16 as floats, for ct_network_see_log_p */
    double    flops;                /* of one forward and backward pass */
} ct_network;

typedef struct ct_adam {
    double beta1, beta2, epsilon, weight_decay;
} ct_adam;

typedef struct ct_network_options {
    int64_t           batch, tokens, memory;
    int64_t           queries, keys; /* 0: as many as rows */
    bool              train;         /* also backward, moments */
    ct_adam           adam;          /* then */
    bool              paper;         /* make the plan only: nothing may be filled or run */
    bool              bf16;          /* mixed precision, of a model in float on a device apart */
    bool              eager;         /* no graphs: each step's ops are put on the queue one by one */
    ct_comm          *comm;          /* ranks that share an update, each with `batch` lines; NULL: this one alone */
    size_t            bucket;        /* bytes of gradients that are sent off at once */
    bool              shard, narrow; /* each rank updates its share, and has moments of it alone; sent in bf16 */
    ct_check_options  check;         /* then there are none either */
    const ct_device  *device;        /* NULL: the host's memory, with `backend` */
    const ct_backend *backend;       /* NULL: the device's */
} ct_network_options;

/* Room for harmonic segments in options for this dataset: what its songs can hold in a window and in memory and window,
 * and a few for where the memory begins and where a group of columns becomes unknown. CT_ENOMEM. */
CT_NODISCARD ct_status ct_network_room(const ct_dataset *dataset, int stage, ct_network_options *options);
/* Blocks that the gradients' squares are summed in. */
static inline int64_t  ct_network_blocks(const ct_network *n) {
     return (n->model->parameter_count + CT_NORM_BLOCK - 1) / CT_NORM_BLOCK;
}
CT_NODISCARD ct_status ct_network_make(ct_model *model, const ct_network_options *options, ct_network *out);
void                   ct_network_free(ct_network *network);
/* For ct_network_make: room for what its ops have to be checked with. */
CT_NODISCARD ct_status ct_network_make_check(ct_network *network);
/* Empty the memory of all lines. */
CT_NODISCARD ct_status ct_network_forget(ct_network *network);
/* A copy from or to one of its arrays, wherever it lies; done when the call returns. */
CT_NODISCARD ct_status ct_network_copy(const ct_network *network, void *to, const void *from, size_t bytes);

/* Lay `in` over a slot of the inlet. */
void                   ct_network_lay(ct_network *network, void *slot);
/* Take a batch, with the step as it is now, as the next input. The batch may be shorter than the plan's window, not
 * longer. */
CT_NODISCARD ct_status ct_network_fill(ct_network *network, const ct_batch *batch);
/* Forward pass: logits and loss. */
CT_NODISCARD ct_status ct_network_forward(ct_network *network);
/* What it left, for the host to read: in float, of a model in double in double. */
CT_NODISCARD ct_status ct_network_see(ct_network *network, const void **logits, const void **loss);
/* The same with log p for logits, by a device's library that is not ours (log_softmax in kernels/device.h); the
 * device's logits are gone then. */
CT_NODISCARD ct_status ct_network_see_log_p(ct_network *network, const float **log_p, const float **loss);
/* Backward pass: adds to gradients. step.loss_scale is what each target's loss counts. */
CT_NODISCARD ct_status ct_network_backward(ct_network *network);
/* Take the window into the memory (after the backward pass that needed the old one). */
CT_NODISCARD ct_status ct_network_remember(ct_network *network);

CT_NODISCARD ct_status ct_network_zero_gradients(ct_network *network);
/* Norm of the gradients into norm[0], norm[1], counted in norm[2] when finite; then AdamW with step.learning_rate and
 * clip: nothing where it is not. */
CT_NODISCARD ct_status ct_network_norm(ct_network *network);
CT_NODISCARD ct_status ct_network_update(ct_network *network);
/* Sharded, the parameters that are trained are whole on no rank where ops read others (bf16): now they are. All ranks
 * call it. */
CT_NODISCARD ct_status ct_network_gather(ct_network *network);

/* All of that for the batch that was filled, as one: gradients from zero when it is the first of an update; norm and
 * update when it is the last. */
CT_NODISCARD ct_status ct_network_step(ct_network *network, bool first, bool last);

/* The memory's parts, named as in checkpoints: where its next row goes, layer inputs, songs, rows. Layer inputs are the
 * device's, the others the host's. */
enum { CT_MEMORY_NEXT, CT_MEMORY_LAYERS, CT_MEMORY_SONGS, CT_MEMORY_ROWS, CT_MEMORY_PARTS };
void                   ct_network_memory(const ct_network *network, ct_tensor_entry parts[CT_MEMORY_PARTS]);
/* All of them as bytes, to set aside during validation. */
size_t                 ct_network_memory_bytes(const ct_network *network);
CT_NODISCARD ct_status ct_network_memory_save(const ct_network *network, void *bytes);
CT_NODISCARD ct_status ct_network_memory_load(ct_network *network, const void *bytes);

#endif
