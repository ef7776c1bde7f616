/* gpu.h -- what a training run would take on a GPU that is not here: bytes of the plan, a least time by the card's data
 * sheet, the largest batch that fits.
 *
 * Bytes are those that training would allocate there, drawn up on paper. Time is a roofline: each op takes as long as
 * its flops at the rate of its arithmetic, or its bytes at the rate of the card's memory, whichever is longer. Products
 * of matrices count at the tensor cores' peak, our attention at that of mma.sync, the rest at that of plain fp32. No
 * kernel reaches a roofline: the time is called what it is, a lower bound.
 *
 * Owner: nothing. Fails: as ct_network_make on paper.
 */
#ifndef CT_TRAIN_GPU_H
#define CT_TRAIN_GPU_H

#include "train/train.h"

typedef struct ct_gpu {                        /* dense rates, a second */
    const char *name, *driver;                 /* the latter as its driver calls it */
    double      memory, bytes;                 /* bytes; bytes a second */
    double      bf16, tf32, fp32, bf16_by_mma; /* flop a second */
    bool        assumed;                       /* the last is: nobody has published it */
    double      link;                          /* to others of its node, one way */
    bool        nvlink;                        /* that is NVLink; else PCI Express */
} ct_gpu;
/* The card of this place in CT_GPU_WORDS, 1 ...; NULL for "none". */
#define CT_GPU_WORDS "none|A100|H100|H200|B200|RTX4090"
enum { CT_GPUS = 5 };
const ct_gpu *ct_gpu_at(int place);
/* The card that a device's description (kernels/device.h) begins with; NULL: it is none of these. */
const ct_gpu *ct_gpu_named(const char *description);
/* Flop a second of the op's arithmetic. */
double        ct_gpu_rate(const ct_gpu *gpu, ct_op op, int precision);
/* Seconds that a record takes at least, or the two of a pair (models/record.h; next NULL: it is none). */
double        ct_gpu_least(const ct_gpu *gpu, const ct_record *record, const ct_record *next, int precision);

typedef struct ct_gpu_plan {
    const ct_gpu *gpu;
    size_t        bytes[CT_MEMORY_KINDS], plan, pinned; /* of the GPU, together with `products`; of the host */
    size_t        products;                             /* workspace of products of matrices */
    double        seconds;                              /* of a step, at least */
    int64_t       largest;                              /* windows a batch */
} ct_gpu_plan;

/* The plan of a step with so many windows, as it would be on a GPU. */
CT_NODISCARD ct_status ct_gpu_network(const ct_train_config *config, ct_model *model, int64_t batch, int64_t queries,
                                      int64_t keys, ct_network *out);
/* Seconds at least, of a list of records. */
double                 ct_gpu_least_of(const ct_gpu *gpu, const ct_record_list *list, int precision);

/* model: on paper or not; rooms: for harmonic segments, as in ct_network_options. */
CT_NODISCARD ct_status ct_gpu_plan_make(const ct_train_config *config, ct_model *model, int64_t queries, int64_t keys,
                                        ct_gpu_plan *out);

#endif
