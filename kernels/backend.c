/* backend.c -- the backends' tables: "reference" by dtype, "cpu" by the machine's instruction set. */
#include "kernels/ops.h"

/* ---- reference: both precisions of every op */
#define DECLARE(name, tolerance, flops)                                                                                \
    ct_status        ct_reference_##name##_float(const ct_params *params);                                             \
    ct_status        ct_reference_##name##_double(const ct_params *params);                                            \
    static ct_status reference_##name(const ct_params *params) {                                                       \
        return params->dtype == CT_F64 ? ct_reference_##name##_double(params) : ct_reference_##name##_float(params);   \
    }
CT_OPS(DECLARE)

#define ENTRY(name, tolerance, flops) [CT_OP_##name] = reference_##name,
const ct_backend *ct_backend_reference(void) {
    static const ct_backend backend = {.name = "reference", .run = {CT_OPS(ENTRY)}, .f64 = true};
    return &backend;
}
