/* reduce.c -- see reduce.h. */
#include "models/reduce.h"

#include "core/trace.h"

#include <stdlib.h>
#include <string.h>

/* Where tensor t begins; behind the last: how many numbers there are. */
static int64_t first_of(const ct_model *m, int64_t t) {
    return t < m->tensor_count ? m->tensors[t].first : m->parameter_count;
}

/* The numbers of the gradients that a field of a record adds to, [*from, *to); none: false. */
static bool added_to(const ct_reducer_options *o, const ct_record *r, const ct_field *f, int64_t *from, int64_t *to) {
    const size_t size = ct_dtype_size(o->model->dtype);
    const char  *array, *begin = o->gradients;
    if (f->role != CT_ROLE_ADD && f->role != CT_ROLE_OUT) return false;
    memcpy(&array, (const char *)&r->params + f->offset, sizeof array);
    if (!array || array < begin || array >= begin + (size_t)o->model->parameter_count * size) return false;
    *from = (array - begin) / (int64_t)size;
    *to = *from + f->count(&r->params);
    return *to > *from;
}

/* How many records have run when each tensor is whole. */
static void find_ends(const ct_reducer_options *o, const ct_record_list *backward, size_t *ends) {
    for (size_t i = 0; i < backward->count; i++) {
        const ct_op_info *about = ct_op_about(backward->at[i].op);
        for (int k = 0; k < about->field_count; k++) {
            int64_t from, to;
            if (!added_to(o, &backward->at[i], &about->fields[k], &from, &to)) continue;
            for (int64_t t = 0; t < o->model->tensor_count; t++)
                if (first_of(o->model, t) < to && from < first_of(o->model, t + 1)) ends[t] = i + 1;
        }
    }
}

static int by_end(const void *a, const void *b) {
    const ct_bucket *x = a, *y = b;
    if (x->after != y->after) return x->after < y->after ? -1 : 1;
    return x->first > y->first ? -1 : x->first < y->first;
}

ct_status ct_reducer_make(const ct_reducer_options *o, const ct_record_list *backward, ct_arena *arena,
                          ct_reducer *out) {
    const ct_model *m = o->model;
    const size_t    size = ct_dtype_size(m->dtype);
    size_t         *ends = CT_NEW(arena, size_t, (size_t)m->tensor_count);
    *out = (ct_reducer){.comm = o->comm, .gradients = o->gradients, .dtype = m->dtype};
    out->at = CT_NEW(arena, ct_bucket, (size_t)m->tensor_count);
    if (!ends || !out->at) return CT_ENOMEM;
    find_ends(o, backward, ends);
    for (int64_t t = m->tensor_count; t-- > 0;) { /* backward, as they become whole */
        ct_bucket *b = &out->at[out->count];
        b->first = first_of(m, t);
        b->count += first_of(m, t + 1) - b->first;
        if (ends[t] > b->after) b->after = ends[t];
        if ((size_t)b->count * size >= o->bytes || t == 0) out->count++;
    }
    qsort(out->at, (size_t)out->count, sizeof *out->at, by_end);
    return CT_OK;
}

ct_status ct_reducer_run(ct_reducer *r, const ct_record_list *backward, const ct_backend *backend, ct_check *check) {
    size_t done = 0;
    for (int i = 0; i < r->count; i++) {
        const ct_bucket *b = &r->at[i];
        if (b->after > done) CT_TRY(ct_records_run_to(backward, b->after, backend, check, &done));
        const ct_shared whole = {
            .data = r->gradients + (size_t)b->first * ct_dtype_size(r->dtype), .count = b->count, .dtype = r->dtype};
        CT_TRY(ct_comm_begin(r->comm, CT_ALL_REDUCE, &whole, &r->ticket));
    }
    return ct_records_run_to(backward, backward->count, backend, check, &done);
}

ct_status ct_reducer_wait(ct_reducer *r) {
    const int64_t   since = ct_trace_begin(CT_TRACE_HOST);
    const ct_status status = ct_comm_wait(r->comm, r->ticket);
    ct_trace_end(since, &(ct_trace_event){.row = CT_TRACE_HOST, .name = "wait for sums of gradients"});
    return status;
}
