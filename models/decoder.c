/* decoder.c -- see decoder.h. */
#include "models/decoder.h"

#include "kernels/bf16.h"
#include "models/harmony.h"

#include <math.h>
#include <string.h>

typedef struct ct_maker {
    ct_decoder      *d;
    ct_decoder_state in; /* as ops see it */
    void            *logits;
    ct_status        status; /* the first failure; what follows does nothing */
} ct_maker;

static void fails(ct_maker *k, ct_status status) {
    if (k->status == CT_OK) k->status = status;
}

static void *array(ct_maker *k, int64_t count, size_t size) {
    void *p = ct_arena_alloc(&k->d->arrays, (size_t)count, size);
    if (!p) fails(k, CT_ENOMEM);
    return p;
}

static void *reals(ct_maker *k, int64_t count) {
    return array(k, count, ct_dtype_size(k->d->dtype));
}
static void *wides(ct_maker *k, int64_t count) {
    return array(k, count, ct_dtype_wide_size(k->d->dtype));
}

static void *parameter(const ct_maker *k, int64_t at) {
    return ct_weights_at(&k->d->weights, at);
}

/* The state's places from `base` on; the bytes they take. */
static size_t lay(const ct_decoder *d, char *base, ct_decoder_state *out) {
    const size_t   B = (size_t)d->batch;
    const ct_slice parts[] = {{&out->rows, B * (size_t)d->model->column_count * sizeof *out->rows},
                              {&out->position, B * CT_SOURCE_COUNT * sizeof(int32_t)},
                              {&out->first, B * sizeof(int32_t)},
                              {&out->cache_length, B * sizeof(int32_t)},
                              {&out->segment, B * (size_t)d->capacity * sizeof(int32_t)},
                              {&out->query, B * 3 * sizeof(int32_t)},
                              {&out->key, B * (size_t)d->keys * 3 * sizeof(int32_t)},
                              {&out->query_count, B * sizeof(int32_t)},
                              {&out->key_count, B * sizeof(int32_t)}};
    return ct_slices(base, parts, CT_COUNT(parts));
}

static void push(ct_maker *k, ct_op op, int64_t layer, const char *label, ct_params params) {
    params.dtype = k->d->dtype;
    if (k->status == CT_OK) fails(k, ct_record_push(&k->d->records, &k->d->arena, op, layer, label, params));
}
#define PUSH(name, layer, label, ...) push(k, CT_OP_##name, layer, label, (ct_params){.name = {__VA_ARGS__}})

static void harmony(ct_maker *k, int64_t layer, void *g) {
    const ct_decoder      *d = k->d;
    const ct_model        *m = d->model;
    const ct_layer_params *p = &m->layers[layer];
    const int64_t          H = m->config.heads, Q = m->qualities;
    if (m->config.form == CT_FORM_TABLE)
        PUSH(harmony, layer, "harmony", .batch = d->batch, .heads = H, .queries = 1, .keys = d->keys, .qualities = Q,
             .theory = CT_PHI_COUNT, .query = k->in.query, .key = k->in.key, .query_count = k->in.query_count,
             .key_count = k->in.key_count, .e = parameter(k, p->e), .d = parameter(k, p->d), .w = parameter(k, p->w),
             .phi = d->weights.phi, .g = g);
    else if (m->config.form == CT_FORM_MLP)
        PUSH(harmony_mlp, layer, "harmony", .batch = d->batch, .heads = H, .queries = 1, .keys = d->keys,
             .qualities = Q, .size = CT_MLP_SIZE, .hidden = CT_MLP_HIDDEN, .query = k->in.query, .key = k->in.key,
             .query_count = k->in.query_count, .key_count = k->in.key_count, .root = parameter(k, p->mlp_root),
             .quality = parameter(k, p->mlp_quality), .function = parameter(k, p->mlp_function),
             .w1 = parameter(k, p->w1), .b1 = parameter(k, p->b1), .w2 = parameter(k, p->w2), .b2 = parameter(k, p->b2),
             .g = g);
}

/* The pairs' tables, where ops read them. */
static void rotary(ct_maker *k, int64_t pairs, int32_t **source, double **omega) {
    ct_decoder  *d = k->d;
    const size_t count = (size_t)pairs;
    int32_t     *turns_by = CT_NEW(&d->arena, int32_t, count);
    double      *how_much = CT_NEW(&d->arena, double, count);
    *source = array(k, pairs, sizeof **source);
    *omega = array(k, pairs, sizeof **omega);
    if (!turns_by || !how_much) fails(k, CT_ENOMEM);
    if (k->status != CT_OK) return;
    ct_rotary_pairs(&d->model->config, turns_by, how_much);
    if (d->arrays.paper) return;
    fails(k, ct_device_copy(d->device, *source, turns_by, count * sizeof **source));
    if (k->status == CT_OK) fails(k, ct_device_copy(d->device, *omega, how_much, count * sizeof **omega));
}

static void plan(ct_maker *k) {
    ct_decoder            *d = k->d;
    const ct_model        *m = d->model;
    const ct_model_config *c = &m->config;
    const int64_t          B = d->batch, C = c->width, F = c->feed_forward, head = C / c->heads, pairs = head / 2;
    void *cosine = wides(k, B * pairs), *sine = wides(k, B * pairs), *stream[2] = {wides(k, B * C), wides(k, B * C)},
         *normed = reals(k, B * C), *mean = wides(k, B), *rstd = wides(k, B);
    void    *qkv = reals(k, B * 3 * C), *mixed = reals(k, B * C), *branch = reals(k, B * C), *up = reals(k, B * F);
    void    *g = c->form == CT_FORM_OFF ? NULL : wides(k, B * c->heads * d->keys);
    int32_t *source;
    double  *omega;
    rotary(k, pairs, &source, &omega);
    if (k->status != CT_OK) return;
    PUSH(rows_embed, -1, "embedding", .rows = B, .columns = m->column_count, .table_rows = m->table_rows, .width = C,
         .values = k->in.rows, .offset = d->weights.offset, .table = parameter(k, m->table), .y = stream[0]);
    PUSH(rotary_rows, -1, "rotary", .rows = B, .sources = CT_SOURCE_COUNT, .pairs = pairs, .position = k->in.position,
         .source = source, .omega = omega, .cosine = cosine, .sine = sine);
    int now = 0;
    for (int64_t i = 0; i < c->layers; i++) {
        const ct_layer_params *p = &m->layers[i];
        PUSH(layernorm, i, "norm1", .rows = B, .width = C, .x = stream[now], .r = i ? branch : NULL,
             .gain = parameter(k, p->norm1_gain), .bias = parameter(k, p->norm1_bias), .sum = i ? stream[!now] : NULL,
             .y = normed, .mean = mean, .rstd = rstd);
        if (i) now = !now;
        PUSH(linear_rows, i, "attention.qkv", .rows = B, .in = C, .out = 3 * C, .x = normed, .w = parameter(k, p->qkv),
             .bias = parameter(k, p->qkv_bias), .y = qkv);
        harmony(k, i, g);
        PUSH(attention_decode, i, "attention", .batch = B, .capacity = d->capacity, .heads = c->heads, .head = head,
             .keys = d->keys, .scale = 1 / sqrt((double)head), .qkv = qkv, .cosine = cosine, .sine = sine,
             .length = k->in.cache_length, .first = k->in.first, .segment = k->in.segment, .g = g,
             .key_cache = reals(k, B * d->capacity * C), .value_cache = reals(k, B * d->capacity * C), .y = mixed);
        PUSH(linear_rows, i, "attention.out", .rows = B, .in = C, .out = C, .x = mixed, .w = parameter(k, p->out),
             .bias = parameter(k, p->out_bias), .y = branch);
        PUSH(layernorm, i, "norm2", .rows = B, .width = C, .x = stream[now], .r = branch,
             .gain = parameter(k, p->norm2_gain), .bias = parameter(k, p->norm2_bias), .sum = stream[!now], .y = normed,
             .mean = mean, .rstd = rstd);
        now = !now;
        PUSH(linear_rows, i, "feed_forward.up", .rows = B, .in = C, .out = F, .x = normed, .w = parameter(k, p->up),
             .bias = parameter(k, p->up_bias), .y = up);
        PUSH(gelu, i, "gelu", .rows = B, .width = F, .x = up, .y = up);
        PUSH(linear_rows, i, "feed_forward.down", .rows = B, .in = F, .out = C, .x = up, .w = parameter(k, p->down),
             .bias = parameter(k, p->down_bias), .y = branch);
    }
    PUSH(layernorm, -1, "norm", .rows = B, .width = C, .x = stream[now], .r = branch,
         .gain = parameter(k, m->norm_gain), .bias = parameter(k, m->norm_bias), .sum = stream[!now], .y = normed,
         .mean = mean, .rstd = rstd);
    PUSH(linear_rows, -1, "output", .rows = B, .in = C, .out = m->vocabulary_size, .x = normed,
         .w = parameter(k, m->table), .y = k->logits);
}

static ct_status build(ct_decoder *d) {
    ct_maker        maker = {.d = d}, *k = &maker;
    static char     nowhere[1];
    const bool      apart = ct_device_apart(d->device);
    const int64_t   logits = d->batch * d->model->vocabulary_size;
    ct_record_list *list = &d->records;
    d->state_bytes = lay(d, nowhere, &d->now);
    CT_TRY(ct_weights_place(d->model, d->device, d->dtype, &d->arrays, &d->weights));
    char *state = array(k, (int64_t)d->state_bytes, 1), *staged = NULL;
    if (apart) staged = array(k, (int64_t)d->state_bytes * CT_SLOTS, 1);
    k->logits = reals(k, logits);
    d->length = CT_NEW(&d->arena, int32_t, (size_t)d->batch);
    d->state = apart ? ct_arena_alloc(&d->arena, d->state_bytes, 1) : state;
    d->logits = apart ? ct_arena_alloc(&d->arena, (size_t)logits, ct_dtype_size(d->model->dtype)) : k->logits;
    CT_TRY(k->status);
    if (!d->length || !d->state || !d->logits) return CT_ENOMEM;
    lay(d, d->state, &d->now);
    lay(d, state, &k->in);
    plan(k);
    CT_TRY(k->status);
    CT_TRY(ct_records_workspace(&list, 1, &d->arrays));
    if (d->arrays.paper) return CT_OK;
    CT_TRY(ct_inlet_open(d->device, state, staged, d->state_bytes, &d->inlet));
    return ct_outlet_open(d->device, k->logits, (size_t)logits * ct_dtype_size(d->dtype), &d->outlet);
}

static void begin(const ct_model *model, const ct_decoder_options *o, ct_decoder *out) {
    *out = (ct_decoder){.model = model, .device = o->device, .batch = o->batch, .capacity = o->capacity};
    out->backend = o->backend ? o->backend : o->device->backend;
    out->dtype = o->bf16 ? CT_BF16 : model->dtype;
    out->keys = o->capacity / 2 + 8;
    ct_check_begin(&o->check, o->device, out->dtype, &out->check);
}

/* On a device apart all arrays lie in one allocation, as large as they are on paper. */
static ct_status allocate(const ct_model *model, const ct_decoder_options *o, ct_decoder *out) {
    ct_decoder paper;
    begin(model, o, &paper);
    paper.arrays.paper = true;
    ct_status    status = build(&paper);
    const size_t bytes = paper.arrays.used;
    ct_decoder_free(&paper);
    if (status == CT_OK) status = o->device->alloc(bytes, &out->block);
    out->arrays.base = out->block;
    out->arrays.cap = bytes;
    return status;
}

ct_status ct_decoder_make(const ct_model *model, const ct_decoder_options *o, ct_decoder *out) {
    begin(model, o, out);
    ct_status status = ct_device_apart(o->device) ? allocate(model, o, out) : CT_OK;
    if (status == CT_OK) status = build(out);
    if (status == CT_OK) status = ct_weights_send(&out->weights);
    if (status == CT_OK) status = ct_records_plan(&out->records, out->device);
    if (status == CT_OK) status = ct_device_planned(out->device);
    ct_records_measure(&out->records, out->backend, &out->check);
    if (status == CT_OK) status = ct_check_make(&out->check);
    if (status != CT_OK) ct_decoder_free(out);
    return status;
}

void ct_decoder_free(ct_decoder *decoder) {
    ct_check_free(&decoder->check);
    ct_inlet_close(&decoder->inlet);
    ct_outlet_close(&decoder->outlet);
    ct_arena_free(&decoder->arrays);
    if (decoder->block) decoder->device->release(decoder->block);
    ct_arena_free(&decoder->arena);
    *decoder = (ct_decoder){0};
}

void ct_decoder_begin(ct_decoder *d, int64_t line) {
    d->length[line] = 0;
    d->now.key_count[line] = 0;
}

static ct_status take_row(ct_decoder *d, int64_t line) {
    const ct_model *m = d->model;
    const uint16_t *row = d->now.rows + line * m->column_count;
    int32_t         t = d->length[line];
    if (t >= d->capacity)
        return ct_fail(CT_EFAIL, "a piece grew past the %lld tokens there is room for", (long long)d->capacity);
    d->now.cache_length[line] = t;
    d->now.first[line] = (int32_t)ct_model_window_start(m, t);
    ct_row_positions(m, row, t, d->now.position + line * CT_SOURCE_COUNT);
    if (m->config.form != CT_FORM_OFF) {
        ct_walk walk = ct_walk_begin(m, d->now.key + line * d->keys * 3, d->keys);
        walk.count = d->now.key_count[line];
        walk.song = 0;
        int32_t segment = ct_walk_row(&walk, row, 0);
        if (segment < 0)
            return ct_fail(CT_EFAIL, "a piece has more than %lld chord changes: no room for more", (long long)d->keys);
        d->now.segment[line * d->capacity + t] = segment;
        d->now.key_count[line] = (int32_t)walk.count;
        d->now.query_count[line] = 1;
        ct_row_chord(m, row, d->now.query + line * 3);
    }
    d->length[line] = t + 1;
    return CT_OK;
}

static ct_status hand_over(ct_decoder *d) {
    void *slot;
    if (!ct_device_apart(d->device)) return CT_OK;
    CT_TRY(ct_inlet_slot(&d->inlet, &slot));
    memcpy(slot, d->state, d->state_bytes);
    return ct_inlet_send(&d->inlet);
}

static ct_status take_logits(ct_decoder *d) {
    const void *slot;
    CT_TRY(ct_outlet_send(&d->outlet));
    CT_TRY(ct_outlet_take(&d->outlet, &slot));
    if (slot == d->logits) return CT_OK;
    if (d->dtype == CT_BF16)
        ct_bf16_widen(slot, (size_t)(d->batch * d->model->vocabulary_size), d->logits);
    else
        memcpy(d->logits, slot, d->outlet.bytes);
    return CT_OK;
}

ct_status ct_decoder_step(ct_decoder *d, const bool *active) {
    for (int64_t line = 0; line < d->batch; line++) {
        if (active[line])
            CT_TRY(take_row(d, line));
        else
            d->now.cache_length[line] = -1;
    }
    CT_TRY(hand_over(d));
    ct_check_pass(&d->check, d->steps++);
    CT_TRY(ct_records_run(&d->records, d->backend, &d->check));
    return take_logits(d);
}
