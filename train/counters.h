/* counters.h -- where a run stands, in numbers, and as tensors of a checkpoint: each number by its name, bit for bit.
 *
 * Owner: the caller; tensors point into the counters that they were made of.
 * Fails: CT_EFAIL for numbers that can't be: batches are found by them.
 */
#ifndef CT_TRAIN_COUNTERS_H
#define CT_TRAIN_COUNTERS_H

#include "core/safetensors.h"

typedef struct ct_counters { /* as a step leaves them, before anything is reported */
    int64_t step;            /* updates tried, skipped ones included */
    int64_t update;          /* updates made */
    int64_t micro;           /* batches read */
    int64_t skipped, skipped_in_a_row;
    int64_t waited; /* validations since the best */
    double  best;   /* lowest validation loss; infinite before the first */
    double  window_loss, window_open, window_targets, window_open_targets; /* sums since the last metrics line */
    int64_t window_tokens;
    double  norm;    /* of the last step's gradient */
    bool    settled; /* what follows the step (report, validation) is done; of format 1 only, and not saved */
} ct_counters;

enum { CT_COUNTERS = 13, CT_COUNTERS_FORMAT_1 = 12 };

/* One tensor without dimensions each: "counters.step", I64 or F64. */
void                   ct_counters_tensors(const ct_counters *counters, ct_tensor_entry out[CT_COUNTERS]);
/* From the bytes of format 1: the first 12, eight bytes each, in that order. */
void                   ct_counters_read_format_1(const void *bytes, ct_counters *out);
CT_NODISCARD ct_status ct_counters_check(const ct_counters *counters, const char *path);

#endif
