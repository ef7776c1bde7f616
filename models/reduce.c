/* reduce.c -- see reduce.h. */
#include "models/reduce.h"

#include "core/trace.h"

#include <stdlib.h>
#include <string.h>

/* Where tensor t begins; behind the last: how many numbers there are. */
static int64_t first_of(const ct_model *m, int64_t t) {
    return t < m->tensor_count ? m->tensors[t].first : m->parameter_count;
}

/* ---- buckets */
/* The numbers of the gradients that a field of a record adds to, [*from, *to); none: false. */
static bool added_to(const ct_reducer_options *o, const ct_record *r, const ct_field *f, int64_t *from, int64_t *to) {
    const size_t size = ct_dtype_wide_size(o->dtype);
    const char  *array, *begin = o->gradients;
    if (f->role != CT_ROLE_ADD && f->role != CT_ROLE_OUT) return false;
    memcpy(&array, (const char *)&r->params + f->offset, sizeof array);
    if (!array || array < begin || array >= begin + (size_t)o->model->parameter_count * size) return false;
    *from = (array - begin) / (int64_t)size;
    *to = *from + f->count(&r->params);
    return *to > *from;
}

/* How many records have run when each bucket is whole. */
static void find_ends(ct_reducer *r, const ct_record_list *backward) {
    for (size_t i = 0; i < backward->count; i++) {
        const ct_op_info *about = ct_op_about(backward->at[i].op);
        for (int k = 0; k < about->field_count; k++) {
            int64_t from, to;
            if (!added_to(&r->o, &backward->at[i], &about->fields[k], &from, &to)) continue;
            for (ct_bucket *b = r->at; b < r->at + r->count; b++)
                if (b->first < to && from < b->first + b->count) b->after = i + 1;
        }
    }
}

/* From the last tensor to the first, as they become whole. */
static void cut(ct_reducer *r) {
    const ct_model *m = r->o.model;
    const int64_t   step = r->o.shard ? (int64_t)CT_NORM_BLOCK * r->o.ranks : 1;
    int64_t         end = m->parameter_count;
    for (int64_t t = m->tensor_count; t-- > 0;) {
        const int64_t first = first_of(m, t) / step * step, count = end - first;
        if (count == 0 || ((size_t)count * ct_dtype_wide_size(r->o.dtype) < r->o.bytes && t > 0)) continue;
        r->at[r->count++] = (ct_bucket){.first = first, .count = count};
        end = first;
    }
}

static int by_end(const void *a, const void *b) {
    const ct_bucket *x = a, *y = b;
    if (x->after != y->after) return x->after < y->after ? -1 : 1;
    return x->first > y->first ? -1 : x->first < y->first;
}

static ct_shared shared(const ct_reducer *r, const ct_bucket *b, void *array, ct_dtype dtype) {
    return (ct_shared){.data = array ? (char *)array + (size_t)b->first * ct_dtype_size(dtype) : NULL,
                       .count = b->count,
                       .dtype = dtype,
                       .unit = r->o.shard ? CT_NORM_BLOCK : 0};
}

int ct_reducer_stretches(const ct_reducer *r, ct_stretch *out) {
    int     count = 0;
    int64_t kept = 0;
    for (int i = 0; i < r->count; i++) {
        int64_t first, length;
        ct_comm_share(r->at[i].count, CT_NORM_BLOCK, r->o.comm->rank, r->o.comm->size, &first, &length);
        if (length > 0) out[count++] = (ct_stretch){r->at[i].first + first, length, kept};
        kept += length;
    }
    return count;
}

int64_t ct_reducer_bytes(const ct_reducer *r, ct_dtype parameters, int rank) {
    const int       ranks = r->o.ranks;
    const ct_shared norm = {.count = (r->o.model->parameter_count + CT_NORM_BLOCK - 1) / CT_NORM_BLOCK,
                            .dtype = CT_F64};
    int64_t         bytes = r->o.shard ? ct_comm_bytes(CT_ALL_REDUCE, &norm, rank, ranks) : 0;
    for (int i = 0; i < r->count; i++) {
        const ct_shared gradients = shared(r, &r->at[i], NULL, r->sent), after = shared(r, &r->at[i], NULL, parameters);
        bytes += ct_comm_bytes(r->o.shard ? CT_REDUCE_SCATTER : CT_ALL_REDUCE, &gradients, rank, ranks);
        if (r->o.shard) bytes += ct_comm_bytes(CT_ALL_GATHER, &after, rank, ranks);
    }
    return bytes;
}

/* ---- bf16 */
static ct_status add_narrow(ct_reducer *r, ct_arena *arena, int64_t first, int64_t count) {
    const ct_params p = {.narrow = {.dtype = r->o.dtype,
                                    .count = count,
                                    .x = (char *)r->o.gradients + (size_t)first * ct_dtype_wide_size(r->o.dtype),
                                    .y = r->o.narrow + first}};
    return ct_record_push(&r->narrow, arena, CT_OP_narrow, -1, "gradients to bf16", p);
}

static ct_status add_widen(ct_reducer *r, ct_arena *arena, int64_t first, int64_t count) {
    const ct_params p = {.widen = {.dtype = r->o.dtype,
                                   .count = count,
                                   .x = r->o.narrow + first,
                                   .y = (char *)r->o.gradients + (size_t)first * ct_dtype_wide_size(r->o.dtype)}};
    return ct_record_push(&r->widen, arena, CT_OP_widen, -1, "gradients from bf16", p);
}

static ct_status plan_conversions(ct_reducer *r, ct_arena *arena) {
    for (int i = 0; i < r->count; i++) CT_TRY(add_narrow(r, arena, r->at[i].first, r->at[i].count));
    if (!r->o.shard) return add_widen(r, arena, 0, r->o.model->parameter_count);
    ct_stretch *own = CT_NEW(arena, ct_stretch, (size_t)r->count);
    if (!own) return CT_ENOMEM;
    const int count = ct_reducer_stretches(r, own);
    for (int i = 0; i < count; i++) CT_TRY(add_widen(r, arena, own[i].first, own[i].count));
    return CT_OK;
}

/* ---- making */
ct_status ct_reducer_make(const ct_reducer_options *o, const ct_record_list *backward, bool open, ct_arena *arena,
                          ct_reducer *out) {
    *out = (ct_reducer){.o = *o, .sent = o->bf16 ? CT_BF16 : o->dtype == CT_F64 ? CT_F64 : CT_F32};
    out->at = CT_NEW(arena, ct_bucket, (size_t)o->model->tensor_count);
    if (!out->at) return CT_ENOMEM;
    cut(out);
    find_ends(out, backward);
    qsort(out->at, (size_t)out->count, sizeof *out->at, by_end);
    if (o->bf16 && o->comm) CT_TRY(plan_conversions(out, arena));
    if (!open || !ct_device_apart(o->device)) return CT_OK;
    CT_TRY(o->device->event_new(&out->ready));
    return o->device->event_new(&out->done);
}

void ct_reducer_close(ct_reducer *r) {
    if (r->ready) r->o.device->event_free(r->ready);
    if (r->done) r->o.device->event_free(r->done);
    r->ready = r->done = NULL;
}

/* ---- running */
static ct_status send(ct_reducer *r, ct_collective what, const ct_shared *array) {
    const ct_device *d = r->o.device;
    if (r->o.ranks == 1) return CT_OK;
    if (!ct_device_apart(d)) return ct_comm_begin(r->o.comm, what, array, &r->ticket);
    CT_TRY(d->event_record(r->ready, CT_QUEUE_COMPUTE));
    CT_TRY(d->queue_wait(CT_QUEUE_TALK, r->ready));
    return d->collective(what, array);
}

/* What is computed from here on finds it done. */
static ct_status wait(ct_reducer *r) {
    const ct_device *d = r->o.device;
    if (r->o.ranks == 1) return CT_OK;
    if (!ct_device_apart(d)) return ct_comm_wait(r->o.comm, r->ticket);
    CT_TRY(d->event_record(r->done, CT_QUEUE_TALK));
    return d->queue_wait(CT_QUEUE_COMPUTE, r->done);
}

ct_status ct_reducer_run(ct_reducer *r, const ct_record_list *backward, const ct_backend *backend, ct_check *check) {
    const ct_collective what = r->o.shard ? CT_REDUCE_SCATTER : CT_ALL_REDUCE;
    size_t              done = 0, narrowed = 0;
    for (int i = 0; i < r->count; i++) {
        const ct_bucket *b = &r->at[i];
        const ct_shared  array = shared(r, b, r->o.bf16 ? (void *)r->o.narrow : r->o.gradients, r->sent);
        if (b->after > done) CT_TRY(ct_records_run_to(backward, b->after, backend, check, &done));
        if (r->o.bf16) CT_TRY(ct_records_run_to(&r->narrow, (size_t)i + 1, backend, check, &narrowed));
        CT_TRY(send(r, what, &array));
    }
    return ct_records_run_to(backward, backward->count, backend, check, &done);
}

ct_status ct_reducer_wait(ct_reducer *r, const ct_backend *backend, ct_check *check) {
    const int64_t   since = ct_trace_begin(CT_TRACE_HOST);
    const ct_status status = wait(r);
    ct_trace_end(since, &(ct_trace_event){.row = CT_TRACE_HOST, .name = "wait for sums of gradients"});
    return status == CT_OK ? ct_records_run(&r->widen, backend, check) : status;
}

ct_status ct_reducer_add(ct_reducer *r, double *values, int64_t count) {
    CT_TRY(send(r, CT_ALL_REDUCE, &(ct_shared){.data = values, .count = count, .dtype = CT_F64}));
    return wait(r);
}

ct_status ct_reducer_gather(ct_reducer *r, void *parameters, ct_dtype dtype) {
    for (int i = 0; i < r->count; i++) {
        const ct_shared array = shared(r, &r->at[i], parameters, dtype);
        CT_TRY(send(r, CT_ALL_GATHER, &array));
    }
    return wait(r);
}
