/* weights.c -- see weights.h. */
#include "models/weights.h"

#include "kernels/bf16.h"

#include <stdlib.h>
#include <string.h>

static size_t phi_count(const ct_model *m) {
    return (size_t)CT_PHI_COUNT * 12 * (size_t)(m->qualities * m->qualities);
}

ct_status ct_weights_place(const ct_model *m, const ct_device *device, ct_dtype dtype, ct_arena *arena,
                           ct_weights *out) {
    const size_t count = (size_t)m->parameter_count;
    *out = (ct_weights){.device = device, .model = m, .dtype = dtype};
    if (!ct_device_apart(device)) {
        CT_ASSERT(dtype == m->dtype);
        out->parameters = out->rounded = m->parameters;
        out->phi = m->phi;
        out->offset = m->offset;
        return CT_OK;
    }
    CT_ASSERT(m->dtype == CT_F32 && dtype != CT_F64);
    out->parameters = CT_NEW(arena, float, count);
    out->rounded = dtype == CT_F32 ? out->parameters : ct_arena_alloc(arena, count, ct_dtype_size(dtype));
    out->phi = CT_NEW(arena, float, phi_count(m));
    out->offset = CT_NEW(arena, int32_t, (size_t)m->column_count);
    return out->parameters && out->rounded && out->phi && out->offset ? CT_OK : CT_ENOMEM;
}

static ct_status send_rounded(const ct_weights *w) {
    const size_t count = (size_t)w->model->parameter_count;
    const float *from = w->model->parameters;
    uint16_t    *rounded = malloc((count + 1) * sizeof *rounded);
    if (!rounded) return ct_fail(CT_ENOMEM, "out of memory: %zu bytes", count * sizeof *rounded);
    for (size_t i = 0; i < count; i++) rounded[i] = ct_bf16_round(from[i]);
    ct_status status = ct_device_copy(w->device, w->rounded, rounded, count * sizeof *rounded);
    free(rounded);
    return status;
}

ct_status ct_weights_send(const ct_weights *w) {
    const ct_model *m = w->model;
    if (w->parameters == m->parameters) return CT_OK;
    CT_TRY(ct_device_copy(w->device, w->parameters, m->parameters, (size_t)m->parameter_count * sizeof(float)));
    if (m->phi) CT_TRY(ct_device_copy(w->device, w->phi, m->phi, phi_count(m) * sizeof(float)));
    CT_TRY(ct_device_copy(w->device, w->offset, m->offset, (size_t)m->column_count * sizeof *m->offset));
    return w->rounded == w->parameters ? CT_OK : send_rounded(w);
}
