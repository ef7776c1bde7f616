/* decoder.h -- a model that writes: one token of each sequence at a time, with key/value caches.
 *
 * A decoder runs a batch of sequences of different lengths. A step takes the row
 * that each active sequence has just written and gives the logits of its next
 * token. What one sequence gets depends on that sequence alone: projections and
 * attention are summed in an order of their own, whatever the batch.
 *
 * Owner: the decoder's arena; the model must outlive it and may serve many decoders.
 * Fails: CT_ENOMEM when made; CT_EFAIL when a sequence outgrows the capacity or its room for harmonic segments.
 */
#ifndef CT_MODELS_DECODER_H
#define CT_MODELS_DECODER_H

#include "models/network.h"

typedef struct ct_decoder {
    const ct_model   *model;
    const ct_backend *backend;
    ct_arena          arena;
    int64_t           batch, capacity; /* sequences; rows each may have */
    ct_step          *step;            /* in the arena: records point to it */
    ct_record_list    records;
    uint16_t         *rows;                          /* [batch][columns]: inputs of a step */
    int32_t          *position;                      /* [batch][CT_SOURCE_COUNT] */
    int32_t          *length, *first, *cache_length; /* [batch]: rows written; first row seen; length, or -1 to rest */
    int32_t          *segment;                       /* [batch][capacity] */
    int32_t          *query, *key, *query_count, *key_count;
    int64_t           keys;   /* room for segments of one sequence */
    void             *logits; /* [batch][vocabulary] */
} ct_decoder;

CT_NODISCARD ct_status ct_decoder_make(const ct_model *model, const ct_backend *backend, int64_t batch,
                                       int64_t capacity, ct_decoder *out);
void                   ct_decoder_free(ct_decoder *decoder);
/* Begin sequence `line` anew. */
void                   ct_decoder_begin(ct_decoder *decoder, int64_t line);
/* Rows of the sequences with active[line] lie in decoder->rows; afterwards logits of those lines are their next
 * token's. */
CT_NODISCARD ct_status ct_decoder_step(ct_decoder *decoder, const bool *active);

#endif
