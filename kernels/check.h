/* check.h -- a second opinion on ops: a share of the calls is computed by another backend too, and compared.
 *
 * What a checked call reads is copied from the device before it runs and what it leaves afterwards; on copies the
 * second backend computes the same: the fast one of the CPU in float for a GPU, for the CPU itself the reference in
 * double. The first number further apart than rounding can explain ends the run, with op, array, index, both values and
 * the bound. Which calls are checked is drawn from (seed; pass, call): the same ones in each run.
 *
 * The bound has to hold for any order of sums and any shape, so it is measured, not typed in. The second backend
 * computes again from inputs that are nudged by far more than an op may round: how far its results move, four times, is
 * what they may differ by, and some units in the last place of the largest value (check.c has the numbers). Where a
 * number is still beyond that, seven other nudges are tried first: sums that cancel may hardly have moved by chance.
 *
 * Copies are those of this moment: a checked call waits for the device, and a step that may have some can't be a graph.
 * Owner: the check, until ct_check_free; the device must outlive it. Fails: making one: CT_ENOMEM; a checked call:
 * CT_EFAIL, also with what the device or an op says.
 */
#ifndef CT_KERNELS_CHECK_H
#define CT_KERNELS_CHECK_H

#include "core/arena.h"
#include "kernels/device.h"

typedef struct ct_call {
    ct_op            op;
    const ct_params *params;
} ct_call;

typedef struct ct_check_options {
    double   share; /* of the calls; 0: none */
    bool     tf32;  /* products may round their inputs */
    uint64_t seed;
} ct_check_options;

typedef struct ct_check {
    ct_check_options  options;
    const ct_device  *device;
    const ct_backend *second;
    ct_dtype          of_device, dtype; /* of the ops; of the second backend's arrays */
    ct_arena          arena;
    size_t            arrays, largest, work; /* bytes: of a call, of one array on the device, of workspace */
    char             *before, *plain, *nudged, *raw, *scratch;
    ct_step           step;              /* as the ops see it */
    int64_t           pass, again, call; /* which call it is: of a pass, once more with the same number */
    int64_t           calls, compared;   /* so far */
} ct_check;

/* What a config says. */
static inline ct_check_options ct_check_asked(const ct_device_choice *on, uint64_t seed) {
    return (ct_check_options){
        .share = on->against ? on->share : 0, .tf32 = on->precision == CT_PRECISION_TF32, .seed = seed};
}

/* One for ops on this device (NULL: the host), of this dtype (CT_F32 or CT_BF16, unless nothing is asked for). Then the
 * calls that it may get, and its memory. */
void ct_check_begin(const ct_check_options *options, const ct_device *device, ct_dtype dtype, ct_check *out);
void ct_check_measure(ct_check *check, const ct_call *calls, int count);
CT_NODISCARD ct_status ct_check_make(ct_check *check);
void                   ct_check_free(ct_check *check);

/* A pass over the ops begins; its number need not be new. */
void                   ct_check_pass(ct_check *check, int64_t number);
/* Run an op, or two that the backend takes as one, and perhaps compare. */
CT_NODISCARD ct_status ct_check_run(ct_check *check, const ct_backend *backend, const ct_call *calls, int count);
/* Log what will be compared, later what was; nothing when nothing was asked for. */
void                   ct_check_tell(const ct_check *check);

#endif
