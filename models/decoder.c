/* decoder.c -- see decoder.h. */
#include "models/decoder.h"

#include "models/harmony.h"

#include <math.h>
#include <string.h>

typedef struct ct_maker {
    ct_decoder *d;
    bool        failed;
} ct_maker;

static void *array(ct_maker *k, int64_t count, size_t size) {
    void *p = ct_arena_alloc(&k->d->arena, (size_t)count, size);
    if (!p) k->failed = true;
    return p;
}

static void *reals(ct_maker *k, int64_t count) {
    return array(k, count, ct_dtype_size(k->d->model->dtype));
}

static void push(ct_maker *k, ct_op op, int64_t layer, const char *label, ct_params params) {
    params.dtype = k->d->model->dtype;
    if (!k->failed && ct_record_push(&k->d->records, &k->d->arena, op, layer, label, params) != CT_OK) k->failed = true;
}
#define PUSH(name, layer, label, ...) push(k, CT_OP_##name, layer, label, (ct_params){.name = {__VA_ARGS__}})

static void harmony(ct_maker *k, int64_t layer, void *g) {
    const ct_decoder      *d = k->d;
    const ct_model        *m = d->model;
    const ct_layer_params *p = &m->layers[layer];
    const int64_t          H = m->config.heads, Q = m->qualities;
    if (m->config.form == CT_FORM_TABLE)
        PUSH(harmony, layer, "harmony", .batch = d->batch, .heads = H, .queries = 1, .keys = d->keys, .qualities = Q,
             .theory = CT_PHI_COUNT, .query = d->query, .key = d->key, .query_count = d->query_count,
             .key_count = d->key_count, .e = ct_model_at(m, p->e), .d = ct_model_at(m, p->d), .w = ct_model_at(m, p->w),
             .phi = m->phi, .g = g);
    else if (m->config.form == CT_FORM_MLP)
        PUSH(harmony_mlp, layer, "harmony", .batch = d->batch, .heads = H, .queries = 1, .keys = d->keys,
             .qualities = Q, .size = CT_MLP_SIZE, .hidden = CT_MLP_HIDDEN, .query = d->query, .key = d->key,
             .query_count = d->query_count, .key_count = d->key_count, .root = ct_model_at(m, p->mlp_root),
             .quality = ct_model_at(m, p->mlp_quality), .function = ct_model_at(m, p->mlp_function),
             .w1 = ct_model_at(m, p->w1), .b1 = ct_model_at(m, p->b1), .w2 = ct_model_at(m, p->w2),
             .b2 = ct_model_at(m, p->b2), .g = g);
}

static void plan(ct_maker *k) {
    ct_decoder            *d = k->d;
    const ct_model        *m = d->model;
    const ct_model_config *c = &m->config;
    const int64_t          B = d->batch, C = c->width, F = c->feed_forward, head = C / c->heads, pairs = head / 2;
    int32_t               *source = array(k, pairs, sizeof *source);
    double                *omega = array(k, pairs, sizeof *omega);
    void *cosine = reals(k, B * pairs), *sine = reals(k, B * pairs), *stream[2] = {reals(k, B * C), reals(k, B * C)},
         *normed = reals(k, B * C), *mean = reals(k, B), *rstd = reals(k, B);
    void *qkv = reals(k, B * 3 * C), *mixed = reals(k, B * C), *branch = reals(k, B * C), *up = reals(k, B * F);
    void *g = c->form == CT_FORM_OFF ? NULL : reals(k, B * c->heads * d->keys);
    if (k->failed) return;
    ct_rotary_pairs(c, source, omega);
    PUSH(rows_embed, -1, "embedding", .rows = B, .columns = m->column_count, .table_rows = m->table_rows, .width = C,
         .values = d->rows, .offset = m->offset, .table = ct_model_at(m, m->table), .y = stream[0]);
    PUSH(rotary_rows, -1, "rotary", .rows = B, .sources = CT_SOURCE_COUNT, .pairs = pairs, .position = d->position,
         .source = source, .omega = omega, .cosine = cosine, .sine = sine);
    int now = 0;
    for (int64_t i = 0; i < c->layers; i++) {
        const ct_layer_params *p = &m->layers[i];
        PUSH(layernorm, i, "norm1", .rows = B, .width = C, .step = d->step, .x = stream[now], .r = i ? branch : NULL,
             .gain = ct_model_at(m, p->norm1_gain), .bias = ct_model_at(m, p->norm1_bias),
             .sum = i ? stream[!now] : NULL, .y = normed, .mean = mean, .rstd = rstd);
        if (i) now = !now;
        PUSH(linear_rows, i, "attention.qkv", .rows = B, .in = C, .out = 3 * C, .x = normed,
             .w = ct_model_at(m, p->qkv), .bias = ct_model_at(m, p->qkv_bias), .y = qkv);
        harmony(k, i, g);
        PUSH(attention_decode, i, "attention", .batch = B, .capacity = d->capacity, .heads = c->heads, .head = head,
             .keys = d->keys, .scale = 1 / sqrt((double)head), .qkv = qkv, .cosine = cosine, .sine = sine,
             .length = d->cache_length, .first = d->first, .segment = d->segment, .g = g,
             .key_cache = reals(k, B * d->capacity * C), .value_cache = reals(k, B * d->capacity * C), .y = mixed);
        PUSH(linear_rows, i, "attention.out", .rows = B, .in = C, .out = C, .x = mixed, .w = ct_model_at(m, p->out),
             .bias = ct_model_at(m, p->out_bias), .y = branch);
        PUSH(layernorm, i, "norm2", .rows = B, .width = C, .step = d->step, .x = stream[now], .r = branch,
             .gain = ct_model_at(m, p->norm2_gain), .bias = ct_model_at(m, p->norm2_bias), .sum = stream[!now],
             .y = normed, .mean = mean, .rstd = rstd);
        now = !now;
        PUSH(linear_rows, i, "feed_forward.up", .rows = B, .in = C, .out = F, .x = normed, .w = ct_model_at(m, p->up),
             .bias = ct_model_at(m, p->up_bias), .y = up);
        PUSH(gelu, i, "gelu", .rows = B, .width = F, .x = up, .y = up);
        PUSH(linear_rows, i, "feed_forward.down", .rows = B, .in = F, .out = C, .x = up, .w = ct_model_at(m, p->down),
             .bias = ct_model_at(m, p->down_bias), .y = branch);
    }
    PUSH(layernorm, -1, "norm", .rows = B, .width = C, .step = d->step, .x = stream[now], .r = branch,
         .gain = ct_model_at(m, m->norm_gain), .bias = ct_model_at(m, m->norm_bias), .sum = stream[!now], .y = normed,
         .mean = mean, .rstd = rstd);
    PUSH(linear_rows, -1, "output", .rows = B, .in = C, .out = m->vocabulary_size, .x = normed,
         .w = ct_model_at(m, m->table), .y = d->logits);
}

ct_status ct_decoder_make(const ct_model *model, const ct_backend *backend, int64_t batch, int64_t capacity,
                          ct_decoder *out) {
    *out = (ct_decoder){
        .model = model, .backend = backend, .batch = batch, .capacity = capacity, .keys = capacity / 2 + 8};
    ct_maker maker = {out, false}, *k = &maker;
    out->step = array(k, 1, sizeof *out->step);
    out->rows = array(k, batch * model->column_count, sizeof *out->rows);
    out->position = array(k, batch * CT_SOURCE_COUNT, sizeof(int32_t));
    out->length = array(k, batch, sizeof(int32_t));
    out->first = array(k, batch, sizeof(int32_t));
    out->cache_length = array(k, batch, sizeof(int32_t));
    out->segment = array(k, batch * capacity, sizeof(int32_t));
    out->query = array(k, batch * 3, sizeof(int32_t));
    out->key = array(k, batch * out->keys * 3, sizeof(int32_t));
    out->query_count = array(k, batch, sizeof(int32_t));
    out->key_count = array(k, batch, sizeof(int32_t));
    out->logits = reals(k, batch * model->vocabulary_size);
    if (!k->failed) plan(k);
    ct_record_list *list = &out->records;
    if (!k->failed && ct_records_workspace(&list, 1, &out->arena) != CT_OK) k->failed = true;
    if (k->failed) {
        ct_decoder_free(out);
        return CT_ENOMEM;
    }
    return CT_OK;
}

void ct_decoder_free(ct_decoder *decoder) {
    ct_arena_free(&decoder->arena);
    *decoder = (ct_decoder){0};
}

void ct_decoder_begin(ct_decoder *d, int64_t line) {
    d->length[line] = 0;
    d->key_count[line] = 0;
}

static ct_status take_row(ct_decoder *d, int64_t line) {
    const ct_model *m = d->model;
    const uint16_t *row = d->rows + line * m->column_count;
    int32_t         t = d->length[line];
    if (t >= d->capacity)
        return ct_fail(CT_EFAIL, "a piece grew past the %lld tokens there is room for", (long long)d->capacity);
    d->cache_length[line] = t;
    d->first[line] = (int32_t)ct_model_window_start(m, t);
    ct_row_positions(m, row, t, d->position + line * CT_SOURCE_COUNT);
    if (m->config.form != CT_FORM_OFF) {
        ct_walk walk = ct_walk_begin(m, d->key + line * d->keys * 3, d->keys);
        walk.count = d->key_count[line];
        walk.song = 0;
        int32_t segment = ct_walk_row(&walk, row, 0);
        if (segment < 0)
            return ct_fail(CT_EFAIL, "a piece has more than %lld chord changes: no room for more", (long long)d->keys);
        d->segment[line * d->capacity + t] = segment;
        d->key_count[line] = (int32_t)walk.count;
        d->query_count[line] = 1;
        ct_row_chord(m, row, d->query + line * 3);
    }
    d->length[line] = t + 1;
    return CT_OK;
}

ct_status ct_decoder_step(ct_decoder *d, const bool *active) {
    for (int64_t line = 0; line < d->batch; line++) {
        if (active[line])
            CT_TRY(take_row(d, line));
        else
            d->cache_length[line] = -1;
    }
    return ct_records_run(&d->records, d->backend);
}
