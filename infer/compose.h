/* compose.h -- both stages of writing, for a batch of pieces at once.
 *
 * Stage 1 samples backbone tokens under grammar and guide and decodes them to a
 * piece without melody; stage 2 samples a melody over each. A composer holds both
 * models with their caches and is used for one batch after another. Without a
 * backbone model the guide's sheet is the backbone, and stage 2 sings over it. What
 * one piece becomes depends on its own seed and request alone.
 *
 * Owner: the composer's arena; the models must outlive it. Pieces lie in the caller's arena.
 * Fails: CT_EFAIL when a model was not trained on this program's own tokens; CT_ESTOP when a stop was asked for.
 */
#ifndef CT_INFER_COMPOSE_H
#define CT_INFER_COMPOSE_H

#include "core/log.h"
#include "infer/guide.h"
#include "models/decoder.h"

typedef struct ct_sampling {
    double  temperature, top_p;
    int64_t top_k;
} ct_sampling;

typedef struct ct_request {
    uint64_t seed;
    int32_t  bars; /* 0: the model decides */
    ct_guide guide;
    unsigned unknown; /* bit g: the melody model is not told the columns of ct_group g */
} ct_request;

typedef struct ct_composer {
    ct_arena        arena;
    const ct_model *model[CT_STAGES];
    ct_decoder      decoder[CT_STAGES];
    ct_sampling     sampling[CT_STAGES];
    int64_t         batch;
    int64_t         tokens;   /* written so far, both stages */
    ct_progress    *progress; /* told after each token, when not NULL */
    int64_t         pieces;   /* finished before this batch: what progress counts */
    bool           *active;
    uint8_t        *allowed;
    uint64_t       *seed;
    int64_t        *position;
    int32_t        *token;
    double         *logprob, *weight;
    int32_t        *order;
    uint16_t       *rows; /* of the stage being written */
} ct_composer;

typedef struct ct_composer_options {
    const ct_model  *model[CT_STAGES]; /* the backbone may be NULL: every request then has a sheet */
    ct_sampling      sampling[CT_STAGES];
    int64_t          batch;
    int32_t          bars;  /* the most any request of this composer will ask for (0: requests may leave it open) */
    int64_t          given; /* the most rows of a primer */
    const ct_device *device;
    bool             bf16;
    ct_check_options check;
} ct_composer_options;
CT_NODISCARD ct_status ct_composer_make(const ct_composer_options *options, ct_composer *out);
void                   ct_composer_free(ct_composer *composer);
/* Write `count` <= batch pieces. Tempos are whole beats a minute inside the bin that the model chose. */
CT_NODISCARD ct_status ct_compose(ct_composer *composer, const ct_request *requests, int64_t count, ct_arena *arena,
                                  ct_piece *pieces);

#endif
