/* network.h -- a model with everything one training step needs: forward, backward, update.
 *
 * The plan is made once: all arrays are laid out in one arena, and the step is a
 * list of op records over them (forward, backward, then the memory's ring). A
 * step fills the inputs from a batch of rows and runs the list; it allocates
 * nothing. Validation runs the forward list alone. A plan on paper has the same
 * records and bytes, and no memory: `cantus plan`.
 *
 * Owner: the network's arenas; the model must outlive it. Gradients lie beside the model's parameters in the same
 * order. Fails: making one: CT_ENOMEM; ct_network_fill: CT_EFAIL when a line holds more harmonic segments than planned.
 */
#ifndef CT_MODELS_NETWORK_H
#define CT_MODELS_NETWORK_H

#include "core/data/loader.h"
#include "models/model.h"
#include "models/record.h"

/* What a plan's memory is for. */
typedef enum ct_memory {
    CT_MEMORY_INPUTS,      /* rows, targets, positions, segments of a batch */
    CT_MEMORY_ACTIVATIONS, /* from forward to backward; logits; their gradients */
    CT_MEMORY_HARMONY,     /* H-RPE's G and its gradient */
    CT_MEMORY_GRADIENTS,   /* of the parameters */
    CT_MEMORY_MOMENTS,     /* of AdamW */
    CT_MEMORY_RING,        /* Transformer-XL memory: layer inputs and their rows */
    CT_MEMORY_WORKSPACE,   /* shared by all ops */
    CT_MEMORY_KINDS
} ct_memory;
extern const char *const ct_memory_names[CT_MEMORY_KINDS];

typedef struct ct_network {
    ct_model         *model;
    const ct_backend *backend;
    ct_arena          arena;                  /* op records, small tables */
    ct_arena          arrays;                 /* everything that ops compute on */
    size_t            bytes[CT_MEMORY_KINDS]; /* of `arrays`; they add up to arrays.used */
    int64_t           batch, tokens, memory;
    int64_t           queries, keys; /* room for harmonic segments: of a window; of memory and window */
    ct_step          *step;          /* in the arena: records point to it */
    ct_record_list    forward, backward, after;

    /* inputs of a step, one value a row: [batch][tokens] and [batch][memory] */
    uint16_t *rows, *memory_rows;
    int32_t  *target, *song, *song_memory, *position, *position_memory;
    int32_t  *segment_query, *segment_key, *segment_memory;
    int32_t  *query, *key, *query_count, *key_count; /* [batch][queries|keys][3], [batch] */

    void    *logits;              /* [batch * tokens][vocabulary]; the gradient after a backward pass */
    void    *loss;                /* [batch * tokens] nats, 0 where there is no target */
    void    *gradients;           /* [parameter_count] */
    void    *ring;                /* [layers][batch][memory][width]: layer inputs, by slot */
    double  *norm, *norm_partial; /* norm of the gradients, 1 when finite, updates made; workspace */
    void    *moment, *variance;   /* of AdamW; only in networks made for training */
    int64_t *tensor_first;
    uint8_t *tensor_decay;
    double   flops; /* of one forward and backward pass */
} ct_network;

typedef struct ct_network_options {
    int64_t           batch, tokens, memory;
    int64_t           queries, keys; /* 0: as many as rows */
    bool              train;         /* also backward, moments */
    bool              paper;         /* make the plan only: nothing may be filled or run */
    const ct_backend *backend;
} ct_network_options;

/* Room for harmonic segments in options for this dataset: what its songs can hold in a window and in memory and window,
 * and a few for where the memory begins and where a group of columns becomes unknown. CT_ENOMEM. */
CT_NODISCARD ct_status ct_network_room(const ct_dataset *dataset, int stage, ct_network_options *options);
CT_NODISCARD ct_status ct_network_make(ct_model *model, const ct_network_options *options, ct_network *out);
void                   ct_network_free(ct_network *network);
/* Empty the memory of all lines. */
void                   ct_network_forget(ct_network *network);

/* Take a batch as the next input. The batch may be shorter than the plan's window, not longer. */
CT_NODISCARD ct_status ct_network_fill(ct_network *network, const ct_batch *batch);
/* Forward pass: logits and loss. */
CT_NODISCARD ct_status ct_network_forward(ct_network *network);
/* Backward pass: adds to gradients. step.loss_scale is what each target's loss counts. */
CT_NODISCARD ct_status ct_network_backward(ct_network *network);
/* Take the window into the memory (after the backward pass that needed the old one). */
CT_NODISCARD ct_status ct_network_remember(ct_network *network);

typedef struct ct_adam {
    double beta1, beta2, epsilon, weight_decay;
} ct_adam;
void                   ct_network_zero_gradients(ct_network *network);
/* Norm of the gradients into norm[0], norm[1], counted in norm[2] when finite; then AdamW with step.learning_rate and
 * clip: nothing where it is not. */
CT_NODISCARD ct_status ct_network_norm(ct_network *network);
CT_NODISCARD ct_status ct_network_update(ct_network *network, const ct_adam *adam);

/* The memory's parts, named as in checkpoints: where its next row goes, layer inputs, songs, rows. */
enum { CT_MEMORY_NEXT, CT_MEMORY_LAYERS, CT_MEMORY_SONGS, CT_MEMORY_ROWS, CT_MEMORY_PARTS };
void   ct_network_memory(const ct_network *network, ct_tensor_entry parts[CT_MEMORY_PARTS]);
/* All of them as bytes, to set aside during validation. */
size_t ct_network_memory_bytes(const ct_network *network);
void   ct_network_memory_save(const ct_network *network, void *bytes);
void   ct_network_memory_load(ct_network *network, const void *bytes);

#endif
