/* network_run.c -- filling a network's inputs from rows, running its lists, its memory; see network.h. */
#include "kernels/bf16.h"
#include "models/harmony.h"
#include "models/network.h"

#include <string.h>

ct_status ct_network_copy(const ct_network *n, void *to, const void *from, size_t bytes) {
    return ct_device_copy(n->device, to, from, bytes);
}

ct_status ct_network_forget(ct_network *n) {
    int64_t rows = n->batch * n->memory;
    for (int64_t i = 0; i < rows; i++) n->memory_songs[i] = -1;
    memset(n->memory_rows, 0, (size_t)(rows * n->model->column_count) * sizeof *n->memory_rows);
    n->step->ring = 0;
    return ct_device_zero(n->device, n->ring,
                          (size_t)(n->model->config.layers * rows * n->model->config.width) *
                              ct_dtype_wide_size(n->dtype));
}

/* Segments of one line: memory rows from the oldest on, then the window. */
static ct_status fill_segments(ct_network *n, int64_t line) {
    const ct_model *m = n->model;
    const int64_t   T = n->tokens, M = n->memory;
    ct_walk         keys = ct_walk_begin(m, n->in.key + line * n->keys * 3, n->keys);
    ct_walk         queries = ct_walk_begin(m, n->in.query + line * n->queries * 3, n->queries);
    for (int64_t age = 0; age < M; age++) {
        int64_t slot = line * M + (n->step->ring + age) % M;
        n->in.segment_memory[slot] = ct_walk_row(&keys, n->memory_rows + slot * m->column_count, n->memory_songs[slot]);
        if (n->in.segment_memory[slot] < 0) goto full;
    }
    for (int64_t t = 0; t < T; t++) {
        int64_t         i = line * T + t;
        const uint16_t *row = n->in.rows + i * m->column_count;
        n->in.segment_key[i] = ct_walk_row(&keys, row, n->in.song[i]);
        n->in.segment_query[i] = ct_walk_row(&queries, row, n->in.song[i]);
        if (n->in.segment_key[i] < 0 || n->in.segment_query[i] < 0) goto full;
    }
    n->in.key_count[line] = (int32_t)keys.count;
    n->in.query_count[line] = (int32_t)queries.count;
    return CT_OK;
full:
    return ct_fail(
        CT_EFAIL, "line %lld of the batch holds more harmonic segments than the %lld and %lld planned from the dataset",
        (long long)line, (long long)n->queries, (long long)n->keys);
}

ct_status ct_network_fill(ct_network *n, const ct_batch *batch) {
    const ct_model *m = n->model;
    const int64_t   T = n->tokens, M = n->memory, K = m->column_count;
    void           *slot;
    CT_ASSERT(batch->batch == n->batch && batch->tokens <= T && batch->columns == K);
    ct_check_pass(&n->check, n->step->number);
    CT_TRY(ct_inlet_slot(&n->inlet, &slot));
    ct_network_lay(n, slot);
    *n->in.step = *n->step;
    if (M) memcpy(n->in.song_memory, n->memory_songs, (size_t)(n->batch * M) * sizeof *n->memory_songs);
    for (int64_t line = 0; line < n->batch; line++) {
        const int64_t to = line * T, from = line * batch->tokens, count = batch->tokens;
        memcpy(n->in.rows + to * K, batch->rows + from * K, (size_t)(count * K) * sizeof *n->in.rows);
        memset(n->in.rows + (to + count) * K, 0, (size_t)((T - count) * K) * sizeof *n->in.rows);
        for (int64_t t = 0; t < T; t++) {
            n->in.target[to + t] = t < count ? batch->target[from + t] : -1;
            n->in.song[to + t] = t < count ? batch->song[from + t] : -1;
            ct_row_positions(m, n->in.rows + (to + t) * K, M + t, n->in.position + (to + t) * CT_SOURCE_COUNT);
        }
        for (int64_t age = 0; age < M; age++) {
            int64_t at = line * M + (n->step->ring + age) % M;
            ct_row_positions(m, n->memory_rows + at * K, age, n->in.position_memory + at * CT_SOURCE_COUNT);
        }
        if (m->config.form != CT_FORM_OFF) CT_TRY(fill_segments(n, line));
    }
    return ct_inlet_send(&n->inlet);
}

ct_status ct_network_forward(ct_network *n) {
    return ct_records_run(&n->forward, n->backend, &n->check);
}

static size_t logit_count(const ct_network *n) {
    return (size_t)(n->batch * n->tokens * n->model->vocabulary_size);
}

/* Losses to the host's copy, which has room for logits before them. */
static ct_status see_losses(ct_network *n, float **loss) {
    const size_t rows = (size_t)(n->batch * n->tokens);
    if (!n->seen) n->seen = CT_NEW(&n->arena, float, logit_count(n) + rows);
    if (!n->seen) return CT_ENOMEM;
    *loss = (float *)n->seen + logit_count(n);
    return ct_network_copy(n, *loss, n->loss, rows * sizeof **loss);
}

ct_status ct_network_see(ct_network *n, const void **logits, const void **loss) {
    float *losses;
    *logits = n->logits;
    *loss = n->loss;
    if (!ct_device_apart(n->device)) return CT_OK;
    CT_TRY(see_losses(n, &losses));
    CT_TRY(ct_network_copy(n, n->seen, n->logits, logit_count(n) * ct_dtype_size(n->dtype)));
    if (n->dtype == CT_BF16) ct_bf16_widen(n->seen, logit_count(n), n->seen);
    *logits = n->seen;
    *loss = losses;
    return CT_OK;
}

ct_status ct_network_see_log_p(ct_network *n, const float **log_p, const float **loss) {
    const size_t bytes = logit_count(n) * sizeof(float);
    const void  *logits, *by_op;
    const char  *by;
    float       *losses, *at = n->logits;
    if (n->dtype == CT_BF16) { /* widened by the host, which has done it anyway */
        CT_TRY(ct_network_see(n, &logits, &by_op));
        if (!n->widened) CT_TRY(n->device->alloc(bytes, &n->widened));
        CT_TRY(ct_network_copy(n, n->widened, logits, bytes));
        at = n->widened;
    }
    CT_TRY(n->device->log_softmax(at, at, n->batch * n->tokens, n->model->vocabulary_size, &by));
    CT_TRY(see_losses(n, &losses));
    CT_TRY(ct_network_copy(n, n->seen, at, bytes));
    *log_p = n->seen;
    *loss = losses;
    return CT_OK;
}

ct_status ct_network_backward(ct_network *n) {
    return ct_records_run(&n->backward, n->backend, &n->check);
}

/* The host's part of the memory follows the device's. */
static void remember_rows(ct_network *n) {
    const int64_t T = n->tokens, M = n->memory, K = n->model->column_count;
    if (!M) return;
    for (int64_t line = 0; line < n->batch; line++)
        for (int64_t t = T > M ? T - M : 0; t < T; t++) {
            int64_t slot = line * M + (n->step->ring + t) % M;
            memcpy(n->memory_rows + slot * K, n->in.rows + (line * T + t) * K, (size_t)K * sizeof *n->in.rows);
            n->memory_songs[slot] = n->in.song[line * T + t];
        }
    n->step->ring = (n->step->ring + T) % M;
}

ct_status ct_network_remember(ct_network *n) {
    CT_TRY(ct_records_run(&n->after, n->backend, &n->check));
    remember_rows(n);
    return CT_OK;
}

ct_status ct_network_zero_gradients(ct_network *n) {
    return ct_device_zero(n->device, n->gradients, (size_t)n->model->parameter_count * ct_dtype_wide_size(n->dtype));
}

/* ---- the update */
static ct_status run_update(ct_network *n, size_t from, size_t to) {
    return ct_records_run_to(&n->update, to, n->backend, &n->check, &from);
}

ct_status ct_network_norm(ct_network *n) {
    const size_t  squares = (size_t)n->own_count;
    const int64_t blocks = ct_network_blocks(n);
    if (n->reducer.o.shard) CT_TRY(ct_device_zero(n->device, n->square, (size_t)blocks * sizeof *n->square));
    CT_TRY(run_update(n, 0, squares));
    if (n->reducer.o.shard) CT_TRY(ct_reducer_add(&n->reducer, n->square, blocks));
    return run_update(n, squares, squares + 1);
}

ct_status ct_network_update(ct_network *n) {
    CT_TRY(run_update(n, (size_t)n->own_count + 1, n->update.count));
    return n->reducer.o.shard ? ct_reducer_gather(&n->reducer, n->weights.rounded, n->dtype) : CT_OK;
}

ct_status ct_network_gather(ct_network *n) {
    if (!n->reducer.o.shard || n->weights.rounded == n->weights.parameters) return CT_OK;
    return ct_reducer_gather(&n->reducer, n->weights.parameters, n->model->dtype);
}

ct_status ct_network_make_check(ct_network *n) {
    const ct_record_list *lists[] = {&n->forward, &n->backward,       &n->after,
                                     &n->update,  &n->reducer.narrow, &n->reducer.widen};
    for (size_t i = 0; i < CT_COUNT(lists); i++) ct_records_measure(lists[i], n->backend, &n->check);
    return ct_check_make(&n->check);
}

typedef struct ct_part { /* of an update */
    ct_network *network;
    bool        first, last;
} ct_part;

static ct_status enqueue(void *context) {
    const ct_part *part = context;
    ct_network    *n = part->network;
    if (part->first) CT_TRY(ct_network_zero_gradients(n));
    CT_TRY(ct_network_forward(n));
    const bool reduce = part->last && n->reducer.o.comm;
    CT_TRY(reduce ? ct_reducer_run(&n->reducer, &n->backward, n->backend, &n->check) : ct_network_backward(n));
    CT_TRY(ct_records_run(&n->after, n->backend, &n->check));
    if (reduce) CT_TRY(ct_reducer_wait(&n->reducer, n->backend, &n->check));
    if (part->last) CT_TRY(ct_network_norm(n));
    return part->last ? ct_network_update(n) : CT_OK;
}

ct_status ct_network_step(ct_network *n, bool first, bool last) {
    ct_part part = {n, first, last};
    CT_TRY(n->eager ? enqueue(&part) : ct_device_replay(n->device, &n->graphs[first][last], enqueue, &part));
    remember_rows(n);
    return CT_OK;
}

/* ---- the memory */
void ct_network_memory(const ct_network *n, ct_tensor_entry out[CT_MEMORY_PARTS]) {
    const int64_t B = n->batch, M = n->memory, K = n->model->column_count, L = n->model->config.layers,
                  C = n->model->config.width;
    const size_t rows = (size_t)(B * M);
    out[CT_MEMORY_NEXT] = (ct_tensor_entry){"memory.next", "I64", 0, {0}, &n->step->ring, sizeof n->step->ring};
    out[CT_MEMORY_LAYERS] = (ct_tensor_entry){"memory.layers",
                                              ct_tensor_dtype(n->model->dtype),
                                              4,
                                              {L, B, M, C},
                                              n->ring,
                                              rows * (size_t)(L * C) * ct_dtype_wide_size(n->dtype)};
    out[CT_MEMORY_SONGS] =
        (ct_tensor_entry){"memory.songs", "I32", 2, {B, M}, n->memory_songs, rows * sizeof *n->memory_songs};
    out[CT_MEMORY_ROWS] = (ct_tensor_entry){"memory.rows", "U16",          3,
                                            {B, M, K},     n->memory_rows, rows * (size_t)K * sizeof *n->memory_rows};
}

size_t ct_network_memory_bytes(const ct_network *n) {
    ct_tensor_entry part[CT_MEMORY_PARTS];
    size_t          bytes = 0;
    ct_network_memory(n, part);
    for (int i = 0; i < CT_MEMORY_PARTS; i++) bytes += part[i].bytes;
    return bytes;
}

ct_status ct_network_memory_save(const ct_network *n, void *bytes) {
    ct_tensor_entry part[CT_MEMORY_PARTS];
    char           *to = bytes;
    ct_network_memory(n, part);
    for (int i = 0; i < CT_MEMORY_PARTS; to += part[i++].bytes)
        CT_TRY(ct_network_copy(n, to, part[i].data, part[i].bytes));
    return CT_OK;
}

ct_status ct_network_memory_load(ct_network *n, const void *bytes) {
    ct_tensor_entry part[CT_MEMORY_PARTS];
    const char     *from = bytes;
    ct_network_memory(n, part);
    for (int i = 0; i < CT_MEMORY_PARTS; from += part[i++].bytes)
        CT_TRY(ct_network_copy(n, (void *)(uintptr_t)part[i].data, from, part[i].bytes));
    return CT_OK;
}
