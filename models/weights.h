/* weights.h -- a model's parameters where ops read them.
 *
 * On the CPU that is the model itself. A device apart has copies: the parameters in float, what ops read of them (the
 * same, or rounded to bf16), and the model's constants. The host's are then a copy of an earlier moment, until they are
 * fetched.
 *
 * Owner: the arena they are placed in; the model must outlive them. Fails: CT_ENOMEM; CT_EFAIL with the device.
 */
#ifndef CT_MODELS_WEIGHTS_H
#define CT_MODELS_WEIGHTS_H

#include "kernels/device.h"
#include "models/model.h"

typedef struct ct_weights {
    const ct_device *device;
    const ct_model  *model;
    ct_dtype         dtype;
    void            *parameters; /* [parameter_count] wide: what is trained */
    void            *rounded;    /* [parameter_count] real: what ops read */
    void            *phi;        /* as in the model */
    int32_t         *offset;
} ct_weights;

/* Places for them, in an arena of the device (paper: to be measured); nothing is copied yet. dtype: the model's, or
 * CT_BF16 of a model in float. */
CT_NODISCARD ct_status ct_weights_place(const ct_model *model, const ct_device *device, ct_dtype dtype, ct_arena *arena,
                                        ct_weights *out);
/* The model's parameters, as they are now, are what ops read from here on. */
CT_NODISCARD ct_status ct_weights_send(const ct_weights *weights);

/* A tensor as ops read it; element < 0: NULL. */
static inline void *ct_weights_at(const ct_weights *w, int64_t element) {
    return element < 0 ? NULL : (char *)w->rounded + (size_t)element * ct_dtype_size(w->dtype);
}

#endif
