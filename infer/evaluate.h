/* evaluate.h -- trained models and count models on the same held-out songs; the work of `cantus evaluate`.
 *
 * For each stage: Kneser-Ney models and one with a cache of the song, counted on the
 * training songs; the trained model, all columns known, then with each group of
 * columns unknown. The result goes to stdout, as a table or as JSON (fields:
 * models/README.md).
 *
 * Owner: everything is made and freed inside.
 * Fails: CT_EUSAGE and CT_EFAIL for files and models that don't fit the dataset, CT_ESTOP after a signal.
 */
#ifndef CT_INFER_EVALUATE_H
#define CT_INFER_EVALUATE_H

#include "core/config.h"
#include "models/comparison.h"

typedef struct ct_evaluate_config {
    const char      *data, *model[CT_STAGES];
    int              split;
    ct_device_choice on;
    int64_t          songs, batch, most_order, count_songs, samples, seed;
    bool             unknown; /* also with columns unknown */
} ct_evaluate_config;

extern const ct_schema ct_evaluate_schema;

CT_NODISCARD ct_status ct_evaluate(const ct_evaluate_config *config, bool as_json);

#endif
