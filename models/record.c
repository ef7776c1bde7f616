/* record.c -- see record.h. */
#include "models/record.h"

#include "core/trace.h"
#include "kernels/flight.h"

#include <string.h>

ct_status ct_record_push(ct_record_list *list, ct_arena *arena, ct_op op, int64_t layer, const char *label,
                         ct_params params) {
    if (!CT_PUSH(arena, list->at, list->count, list->capacity)) return CT_ENOMEM;
    list->at[list->count++] = (ct_record){op, (int)layer, label, params};
    return CT_OK;
}

enum { ALIGNMENT = 64 };

/* Give the record's NULL workspace fields places from `base` on (NULL: only count). Returns the bytes they take. */
static size_t place(ct_record *r, char *base) {
    const ct_op_info *about = ct_op_about(r->op);
    size_t            used = 0;
    for (int i = 0; i < about->field_count; i++) {
        const ct_field *f = &about->fields[i];
        char           *field = (char *)&r->params + f->offset;
        void           *now;
        if (f->role != CT_ROLE_TMP) continue;
        memcpy(&now, field, sizeof now);
        if (now) continue;
        void *here = base ? base + used : NULL;
        if (here) memcpy(field, &here, sizeof here);
        used += ((size_t)f->count(&r->params) * sizeof(double) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return used;
}

ct_status ct_records_workspace(ct_record_list *const *lists, size_t count, ct_arena *arena) {
    size_t most = 0;
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < lists[k]->count; i++) {
            size_t bytes = place(&lists[k]->at[i], NULL);
            if (bytes > most) most = bytes;
        }
    char *base = ct_arena_alloc(arena, most + ALIGNMENT, 1);
    if (!base) return CT_ENOMEM;
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < lists[k]->count; i++) place(&lists[k]->at[i], base);
    return CT_OK;
}

static ct_status of_record(ct_status status, const ct_record *r) {
    if (status == CT_OK) return CT_OK;
    return r->layer < 0 ? ct_context(status, "%s", r->label) : ct_context(status, "layer %d, %s", r->layer, r->label);
}

ct_status ct_records_plan(const ct_record_list *list, const ct_device *device) {
    for (size_t i = 0; i < list->count && device && device->plan; i++) {
        const ct_record *r = &list->at[i];
        const bool       last = i + 1 == list->count;
        CT_TRY(of_record(device->plan(r->op, &r->params, last ? r->op : r[1].op, last ? NULL : &r[1].params), r));
    }
    return CT_OK;
}

bool ct_records_pair(const ct_record_list *list, size_t i, const ct_backend *backend) {
    const ct_record *r = &list->at[i];
    return backend->pairs && i + 1 < list->count && backend->pairs(r->op, &r->params, r[1].op, &r[1].params);
}

/* Record `i`, and the next one where the backend takes both as one; how many they are. */
static int calls_at(const ct_record_list *list, size_t i, const ct_backend *backend, ct_call calls[2]) {
    const ct_record *r = &list->at[i];
    calls[0] = (ct_call){r->op, &r->params};
    if (!ct_records_pair(list, i, backend)) return 1;
    calls[1] = (ct_call){r[1].op, &r[1].params};
    return 2;
}

void ct_records_measure(const ct_record_list *list, const ct_backend *backend, ct_check *check) {
    ct_call calls[2];
    for (size_t i = 0; i < list->count; i++) ct_check_measure(check, calls, calls_at(list, i, backend, calls));
}

static double flops_of(const ct_record *r) {
    return ct_op_about(r->op)->flops(&r->params);
}

/* The op, or two that were run as one, since then. */
static void trace(int64_t since, const ct_record *r, const ct_record *next) {
    if (!since) return;
    ct_trace_end(since,
                 &(ct_trace_event){.row = CT_TRACE_COMPUTE,
                                   .name = r->label,
                                   .op = ct_op_about(r->op)->name,
                                   .with = next ? next->label : NULL,
                                   .layer = r->layer + 1,
                                   .flops = flops_of(r) + (next ? flops_of(next) : 0),
                                   .bytes = next ? ct_record_pair_bytes(r, next) : ct_op_bytes(r->op, &r->params)});
}

ct_status ct_records_run_to(const ct_record_list *list, size_t count, const ct_backend *backend, ct_check *check,
                            size_t *done) {
    ct_call calls[2];
    while (*done < count) {
        const int        taken = calls_at(list, *done, backend, calls);
        const ct_record *r = &list->at[*done];
        const int64_t    since = ct_trace_begin(CT_TRACE_COMPUTE);
        ct_flight_op(ct_op_about(r->op)->name, r->layer, r->label);
        CT_TRY(of_record(ct_check_run(check, backend, calls, taken), r));
        trace(since, r, taken == 2 ? r + 1 : NULL);
        *done += (size_t)taken;
    }
    return CT_OK;
}

/* Bytes of the record's array at this place, of this role; 0: it has none there. */
static double bytes_at(const ct_record *r, ct_role role, const void *at) {
    const ct_op_info *about = ct_op_about(r->op);
    double            bytes = 0;
    for (int i = 0; i < about->field_count; i++) {
        const ct_field *f = &about->fields[i];
        const void     *pointer;
        memcpy(&pointer, (const char *)&r->params + f->offset, sizeof pointer);
        if (f->role == role && pointer == at)
            bytes += (double)f->count(&r->params) * (double)ct_type_size(f->type, r->params.dtype);
    }
    return bytes;
}

double ct_record_pair_bytes(const ct_record *r, const ct_record *next) {
    const ct_op_info *about = ct_op_about(r->op);
    double            bytes = ct_op_bytes(r->op, &r->params) + ct_op_bytes(next->op, &next->params);
    for (int i = 0; i < about->field_count; i++) {
        const ct_field *f = &about->fields[i];
        const void     *pointer;
        memcpy(&pointer, (const char *)&r->params + f->offset, sizeof pointer);
        if (f->role != CT_ROLE_OUT || !pointer) continue;
        bytes -= bytes_at(next, CT_ROLE_IN, pointer);
        bytes -= bytes_at(next, CT_ROLE_OUT, pointer); /* it is overwritten: the first result is nowhere */
    }
    return bytes;
}

ct_status ct_records_run(const ct_record_list *list, const ct_backend *backend, ct_check *check) {
    size_t done = 0;
    return ct_records_run_to(list, list->count, backend, check, &done);
}

double ct_records_flops(const ct_record_list *list) {
    double sum = 0;
    for (size_t i = 0; i < list->count; i++) sum += flops_of(&list->at[i]);
    return sum;
}
