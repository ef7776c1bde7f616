/* decoder.h -- a model that writes: one token of each sequence at a time, with key/value caches.
 *
 * A decoder runs a batch of sequences of different lengths. A step takes the row
 * that each active sequence has just written and gives the logits of its next
 * token. What one sequence gets depends on that sequence alone: projections and
 * attention are summed in an order of their own, whatever the batch.
 *
 * The host keeps what each sequence has written (rows, lengths, segments); a step hands all of it to the ops.
 *
 * Owner: the decoder's arenas; the model must outlive it and may serve many decoders.
 * Fails: CT_ENOMEM when made; CT_EFAIL when a sequence outgrows the capacity or its room for harmonic segments.
 */
#ifndef CT_MODELS_DECODER_H
#define CT_MODELS_DECODER_H

#include "models/network.h"
#include "models/weights.h"

typedef struct ct_decoder_state {   /* one after the other */
    uint16_t *rows;                 /* [batch][columns]: inputs of a step */
    int32_t  *position;             /* [batch][CT_SOURCE_COUNT] */
    int32_t  *first, *cache_length; /* [batch]: first row seen; rows written before, or -1 to rest */
    int32_t  *segment;              /* [batch][capacity] */
    int32_t  *query, *key, *query_count, *key_count;
} ct_decoder_state;

typedef struct ct_decoder {
    const ct_model   *model;
    const ct_device  *device;
    const ct_backend *backend;
    ct_dtype          dtype;
    ct_weights        weights;
    ct_check          check;           /* a second opinion on its ops */
    int64_t           steps;           /* made */
    ct_arena          arena, arrays;   /* the host's; what ops compute on */
    void             *block;           /* memory of `arrays` on a device apart */
    int64_t           batch, capacity; /* sequences; rows each may have */
    ct_record_list    records;
    ct_decoder_state  now;   /* the host's */
    void             *state; /* where it begins */
    size_t            state_bytes;
    ct_inlet          inlet;
    ct_outlet         outlet;
    int32_t          *length; /* [batch]: rows written */
    int64_t           keys;   /* room for segments of one sequence */
    void             *logits; /* [batch][vocabulary], for the host, in the model's dtype */
} ct_decoder;

typedef struct ct_decoder_options {
    int64_t           batch, capacity;
    bool              bf16; /* mixed precision, of a model in float on a device apart */
    ct_check_options  check;
    const ct_device  *device;  /* NULL: the host's memory, with `backend` */
    const ct_backend *backend; /* NULL: the device's */
} ct_decoder_options;
CT_NODISCARD ct_status ct_decoder_make(const ct_model *model, const ct_decoder_options *options, ct_decoder *out);
void                   ct_decoder_free(ct_decoder *decoder);
/* Begin sequence `line` anew. */
void                   ct_decoder_begin(ct_decoder *decoder, int64_t line);
/* Rows of the sequences with active[line] lie in decoder->now.rows; afterwards logits of those lines are their next
 * token's. */
CT_NODISCARD ct_status ct_decoder_step(ct_decoder *decoder, const bool *active);

#endif
