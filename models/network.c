/* network.c -- the plan of a training step: arrays and op records; see network.h. Filling and running it:
 * network_run.c. */
#include "models/network.h"

#include "models/harmony.h"

#include <math.h>
#include <string.h>

enum { RESULTS = 64 }; /* bytes of norm, before loss */

/* Arrays that live from a layer's forward to its backward pass. */
typedef struct ct_layer_saved {
    void *x, *norm1, *mean1, *rstd1; /* stream into the layer, its norm */
    void *memory_norm, *memory_mean, *memory_rstd, *kv_memory;
    void *qkv, *mixed, *lse, *branch1; /* attention's result, projected */
    void *x2, *norm2, *mean2, *rstd2, *up, *active, *branch2;
} ct_layer_saved;

typedef struct ct_builder {
    ct_network     *n;
    ct_model       *m;
    ct_layer_saved *saved;
    ct_status       status; /* the first failure; what follows does nothing */
    ct_inputs       in;     /* as ops see them */
    void           *cosine, *sine, *cosine_memory, *sine_memory, *g, *dg;
    void           *last, *normed, *mean, *rstd; /* the stream after all layers, its norm */
    void           *dstream, *dbranch, *dnorm, *dqkv, *dkv_memory, *dmemory_norm, *dup;
    int32_t        *source;
    double         *omega;
} ct_builder;

const char *const ct_memory_names[CT_MEMORY_KINDS] = {
    "parameters on the GPU", "inputs",   "activations", "harmony", "gradients", "moments",
    "Transformer-XL memory", "workspace"};

static void fails(ct_builder *b, ct_status status) {
    if (b->status == CT_OK) b->status = status;
}

/* An array of the plan. */
static void *items(ct_builder *b, ct_memory kind, int64_t count, size_t size) {
    size_t before = b->n->arrays.used;
    void  *p = ct_arena_alloc(&b->n->arrays, (size_t)count, size);
    b->n->bytes[kind] += b->n->arrays.used - before;
    if (!p) fails(b, CT_ENOMEM);
    return p;
}

static void *reals(ct_builder *b, ct_memory kind, int64_t count) {
    return items(b, kind, count, ct_dtype_size(b->n->dtype));
}
static void *wides(ct_builder *b, ct_memory kind, int64_t count) {
    return items(b, kind, count, ct_dtype_wide_size(b->n->dtype));
}

/* What the host keeps, and small tables that it fills while planning. */
static void *kept(ct_builder *b, int64_t count, size_t size) {
    void *p = ct_arena_alloc(&b->n->arena, (size_t)count, size);
    if (!p) fails(b, CT_ENOMEM);
    return p;
}

/* A table of the host's, where ops read it. */
static void *table(ct_builder *b, const void *host, size_t bytes) {
    if (!ct_device_apart(b->n->device)) return (void *)(uintptr_t)host;
    void *p = items(b, CT_MEMORY_PARAMETERS, (int64_t)bytes, 1);
    if (b->status == CT_OK && !b->n->arrays.paper) fails(b, ct_device_copy(b->n->device, p, host, bytes));
    return p;
}

static void push(ct_builder *b, ct_record_list *list, ct_op op, int64_t layer, const char *label, ct_params params) {
    params.dtype = b->n->dtype;
    if (b->status == CT_OK) fails(b, ct_record_push(list, &b->n->arena, op, layer, label, params));
}
/* Append op `name` with the fields given to a list. */
#define PUSH(list, name, layer, label, ...)                                                                            \
    push(b, &b->n->list, CT_OP_##name, layer, label, (ct_params){.name = {__VA_ARGS__}})

static void *parameter(const ct_builder *b, int64_t at) {
    return ct_weights_at(&b->n->weights, at);
}

static void *gradient(const ct_builder *b, int64_t at) {
    return at < 0 ? NULL : (char *)b->n->gradients + (size_t)at * ct_dtype_wide_size(b->n->dtype);
}

/* Random streams of dropout: three a layer. */
static uint32_t stream_of(int64_t layer, int which) {
    return (uint32_t)(layer * 4 + which);
}

/* The inputs' places from `base` on; the bytes they take. */
static size_t lay(const ct_network *n, char *base, ct_inputs *out) {
    const size_t   T = (size_t)(n->batch * n->tokens), M = (size_t)(n->batch * n->memory), B = (size_t)n->batch;
    const ct_slice parts[] = {{&out->step, sizeof *out->step},
                              {&out->rows, T * (size_t)n->model->column_count * sizeof *out->rows},
                              {&out->target, T * sizeof(int32_t)},
                              {&out->song, T * sizeof(int32_t)},
                              {&out->song_memory, M * sizeof(int32_t)},
                              {&out->position, T * CT_SOURCE_COUNT * sizeof(int32_t)},
                              {&out->position_memory, M * CT_SOURCE_COUNT * sizeof(int32_t)},
                              {&out->segment_query, T * sizeof(int32_t)},
                              {&out->segment_key, T * sizeof(int32_t)},
                              {&out->segment_memory, M * sizeof(int32_t)},
                              {&out->query, B * (size_t)n->queries * 3 * sizeof(int32_t)},
                              {&out->key, B * (size_t)n->keys * 3 * sizeof(int32_t)},
                              {&out->query_count, B * sizeof(int32_t)},
                              {&out->key_count, B * sizeof(int32_t)}};
    return ct_slices(base, parts, CT_COUNT(parts));
}

void ct_network_lay(ct_network *n, void *slot) {
    lay(n, slot, &n->in);
}

static void inputs(ct_builder *b) {
    ct_network   *n = b->n;
    const int64_t B = n->batch, T = n->tokens, M = n->memory, pairs = b->m->config.width / b->m->config.heads / 2;
    static char   nowhere[1];
    const size_t  bytes = lay(n, nowhere, &b->in);
    char         *base = items(b, CT_MEMORY_INPUTS, (int64_t)bytes, 1), *staged = NULL;
    n->input_bytes = bytes;
    if (ct_device_apart(n->device)) staged = items(b, CT_MEMORY_INPUTS, (int64_t)bytes * CT_SLOTS, 1);
    n->memory_rows = kept(b, B * M * b->m->column_count, sizeof *n->memory_rows);
    n->memory_songs = kept(b, B * M, sizeof *n->memory_songs);
    int32_t *source = kept(b, pairs, sizeof *source);
    double  *omega = kept(b, pairs, sizeof *omega);
    b->cosine = wides(b, CT_MEMORY_ACTIVATIONS, B * T * pairs);
    b->sine = wides(b, CT_MEMORY_ACTIVATIONS, B * T * pairs);
    b->cosine_memory = wides(b, CT_MEMORY_ACTIVATIONS, B * M * pairs);
    b->sine_memory = wides(b, CT_MEMORY_ACTIVATIONS, B * M * pairs);
    if (b->status != CT_OK) return;
    lay(n, base, &b->in);
    n->step_of_ops = b->in.step;
    if (!n->arrays.paper) fails(b, ct_inlet_open(n->device, base, staged, bytes, &n->inlet));
    ct_rotary_pairs(&b->m->config, source, omega);
    b->source = table(b, source, (size_t)pairs * sizeof *source);
    b->omega = table(b, omega, (size_t)pairs * sizeof *omega);
}

static void layer_arrays(ct_builder *b, ct_layer_saved *s, bool first) {
    const ct_memory A = CT_MEMORY_ACTIVATIONS;
    const int64_t   N = b->n->batch * b->n->tokens, K = b->n->batch * b->n->memory, C = b->m->config.width,
                  F = b->m->config.feed_forward;
    s->x = first ? wides(b, A, N * C) : NULL; /* others: the norm before writes the stream */
    s->norm1 = reals(b, A, N * C), s->mean1 = wides(b, A, N), s->rstd1 = wides(b, A, N);
    s->memory_norm = reals(b, A, K * C), s->memory_mean = wides(b, A, K), s->memory_rstd = wides(b, A, K),
    s->kv_memory = reals(b, A, K * 2 * C);
    s->qkv = reals(b, A, N * 3 * C), s->mixed = reals(b, A, N * C), s->lse = wides(b, A, N * b->m->config.heads),
    s->branch1 = reals(b, A, N * C);
    s->x2 = wides(b, A, N * C), s->norm2 = reals(b, A, N * C), s->mean2 = wides(b, A, N), s->rstd2 = wides(b, A, N);
    s->up = reals(b, A, N * F), s->active = reals(b, A, N * F), s->branch2 = reals(b, A, N * C);
    if (!first) s->x = wides(b, A, N * C);
}

/* One op of H-RPE's G for layer i, in the list `list`. */
static void harmony(ct_builder *b, ct_record_list *list, int64_t i) {
    ct_network            *n = b->n;
    const ct_layer_params *p = &b->m->layers[i];
    const int64_t          H = b->m->config.heads, Q = b->m->qualities;
    if (b->m->config.form == CT_FORM_TABLE)
        push(b, list, CT_OP_harmony, i, "harmony",
             (ct_params){.harmony = {.batch = n->batch,
                                     .heads = H,
                                     .queries = n->queries,
                                     .keys = n->keys,
                                     .qualities = Q,
                                     .theory = CT_PHI_COUNT,
                                     .query = b->in.query,
                                     .key = b->in.key,
                                     .query_count = b->in.query_count,
                                     .key_count = b->in.key_count,
                                     .e = parameter(b, p->e),
                                     .d = parameter(b, p->d),
                                     .w = parameter(b, p->w),
                                     .phi = n->weights.phi,
                                     .g = b->g}});
    else if (b->m->config.form == CT_FORM_MLP)
        push(b, list, CT_OP_harmony_mlp, i, "harmony",
             (ct_params){.harmony_mlp = {.batch = n->batch,
                                         .heads = H,
                                         .queries = n->queries,
                                         .keys = n->keys,
                                         .qualities = Q,
                                         .size = CT_MLP_SIZE,
                                         .hidden = CT_MLP_HIDDEN,
                                         .query = b->in.query,
                                         .key = b->in.key,
                                         .query_count = b->in.query_count,
                                         .key_count = b->in.key_count,
                                         .root = parameter(b, p->mlp_root),
                                         .quality = parameter(b, p->mlp_quality),
                                         .function = parameter(b, p->mlp_function),
                                         .w1 = parameter(b, p->w1),
                                         .b1 = parameter(b, p->b1),
                                         .w2 = parameter(b, p->w2),
                                         .b2 = parameter(b, p->b2),
                                         .g = b->g}});
}

static ct_attention attention(const ct_builder *b, int64_t i) {
    const ct_network      *n = b->n;
    const ct_layer_saved  *s = &b->saved[i];
    const ct_model_config *c = &b->m->config;
    const int64_t          d = c->width / c->heads;
    return (ct_attention){.batch = n->batch,
                          .tokens = n->tokens,
                          .memory = n->memory,
                          .heads = c->heads,
                          .head = d,
                          .queries = n->queries,
                          .keys = n->keys,
                          .step = b->in.step,
                          .dropout = (float)c->dropout,
                          .stream = stream_of(i, 0),
                          .scale = 1 / sqrt((double)d),
                          .qkv = s->qkv,
                          .kv_memory = n->memory ? s->kv_memory : NULL,
                          .cosine = b->cosine,
                          .sine = b->sine,
                          .cosine_memory = b->cosine_memory,
                          .sine_memory = b->sine_memory,
                          .song = b->in.song,
                          .song_memory = b->in.song_memory,
                          .segment_query = b->in.segment_query,
                          .segment_key = b->in.segment_key,
                          .segment_memory = b->in.segment_memory,
                          .g = c->form == CT_FORM_OFF ? NULL : b->g,
                          .y = s->mixed,
                          .lse = s->lse};
}

static void forward(ct_builder *b) {
    ct_network            *n = b->n;
    const ct_model_config *c = &b->m->config;
    const int64_t N = n->batch * n->tokens, K = n->batch * n->memory, C = c->width, F = c->feed_forward, L = c->layers,
                  pairs = C / c->heads / 2;
    const float drop = (float)c->dropout;
    PUSH(forward, rows_embed, -1, "embedding", .rows = N, .columns = b->m->column_count, .table_rows = b->m->table_rows,
         .width = C, .values = b->in.rows, .offset = n->weights.offset, .table = parameter(b, b->m->table),
         .y = b->saved[0].x);
    PUSH(forward, rotary_rows, -1, "rotary", .rows = N, .sources = CT_SOURCE_COUNT, .pairs = pairs,
         .position = b->in.position, .source = b->source, .omega = b->omega, .cosine = b->cosine, .sine = b->sine);
    if (K)
        PUSH(forward, rotary_rows, -1, "rotary of memory", .rows = K, .sources = CT_SOURCE_COUNT, .pairs = pairs,
             .position = b->in.position_memory, .source = b->source, .omega = b->omega, .cosine = b->cosine_memory,
             .sine = b->sine_memory);
    for (int64_t i = 0; i < L; i++) {
        const ct_layer_params *p = &b->m->layers[i];
        ct_layer_saved        *s = &b->saved[i];
        const ct_layer_saved  *before = i ? &b->saved[i - 1] : NULL;
        PUSH(forward, layernorm, i, "norm1", .rows = N, .width = C, .step = b->in.step, .dropout = drop,
             .stream = stream_of(i - 1, 2), .x = before ? before->x2 : s->x, .r = before ? before->branch2 : NULL,
             .gain = parameter(b, p->norm1_gain), .bias = parameter(b, p->norm1_bias), .sum = before ? s->x : NULL,
             .y = s->norm1, .mean = s->mean1, .rstd = s->rstd1);
        PUSH(forward, linear, i, "attention.qkv", .rows = N, .in = C, .out = 3 * C, .x = s->norm1,
             .w = parameter(b, p->qkv), .bias = parameter(b, p->qkv_bias), .y = s->qkv);
        if (K) {
            PUSH(forward, layernorm, i, "norm1 of memory", .rows = K, .width = C, .step = b->in.step,
                 .x = (char *)n->ring + (size_t)(i * K * C) * ct_dtype_wide_size(n->dtype),
                 .gain = parameter(b, p->norm1_gain), .bias = parameter(b, p->norm1_bias), .y = s->memory_norm,
                 .mean = s->memory_mean, .rstd = s->memory_rstd);
            PUSH(forward, linear, i, "attention.kv of memory", .rows = K, .in = C, .out = 2 * C, .x = s->memory_norm,
                 .w = parameter(b, p->qkv + C * C), .bias = parameter(b, p->qkv_bias + C), .y = s->kv_memory);
        }
        harmony(b, &n->forward, i);
        push(b, &n->forward, CT_OP_attention, i, "attention", (ct_params){.attention = attention(b, i)});
        PUSH(forward, linear, i, "attention.out", .rows = N, .in = C, .out = C, .x = s->mixed,
             .w = parameter(b, p->out), .bias = parameter(b, p->out_bias), .y = s->branch1);
        PUSH(forward, layernorm, i, "norm2", .rows = N, .width = C, .step = b->in.step, .dropout = drop,
             .stream = stream_of(i, 1), .x = s->x, .r = s->branch1, .gain = parameter(b, p->norm2_gain),
             .bias = parameter(b, p->norm2_bias), .sum = s->x2, .y = s->norm2, .mean = s->mean2, .rstd = s->rstd2);
        PUSH(forward, linear, i, "feed_forward.up", .rows = N, .in = C, .out = F, .x = s->norm2,
             .w = parameter(b, p->up), .bias = parameter(b, p->up_bias), .y = s->up);
        PUSH(forward, gelu, i, "gelu", .rows = N, .width = F, .x = s->up, .y = s->active);
        PUSH(forward, linear, i, "feed_forward.down", .rows = N, .in = F, .out = C, .x = s->active,
             .w = parameter(b, p->down), .bias = parameter(b, p->down_bias), .y = s->branch2);
    }
    const ct_layer_saved *s = &b->saved[L - 1];
    PUSH(forward, layernorm, -1, "norm", .rows = N, .width = C, .step = b->in.step, .dropout = drop,
         .stream = stream_of(L - 1, 2), .x = s->x2, .r = s->branch2, .gain = parameter(b, b->m->norm_gain),
         .bias = parameter(b, b->m->norm_bias), .sum = b->last, .y = b->normed, .mean = b->mean, .rstd = b->rstd);
    PUSH(forward, linear, -1, "output", .rows = N, .in = C, .out = b->m->vocabulary_size, .x = b->normed,
         .w = parameter(b, b->m->table), .y = n->logits);
    PUSH(forward, cross_entropy, -1, "loss", .rows = N, .vocabulary = b->m->vocabulary_size, .step = b->in.step,
         .logits = n->logits, .target = b->in.target, .loss = n->loss, .dlogits = NULL);
    for (int64_t i = 0; i < L && K; i++)
        PUSH(after, memory_update, i, "memory", .batch = n->batch, .tokens = n->tokens, .memory = n->memory, .width = C,
             .step = b->in.step, .x = b->saved[i].x,
             .ring = (char *)n->ring + (size_t)(i * K * C) * ct_dtype_wide_size(n->dtype));
}

static void harmony_backward(ct_builder *b, int64_t i) {
    ct_network            *n = b->n;
    const ct_layer_params *p = &b->m->layers[i];
    const int64_t          H = b->m->config.heads, Q = b->m->qualities;
    if (b->m->config.form == CT_FORM_TABLE)
        PUSH(backward, harmony_backward, i, "harmony", .batch = n->batch, .heads = H, .queries = n->queries,
             .keys = n->keys, .qualities = Q, .theory = CT_PHI_COUNT, .query = b->in.query, .key = b->in.key,
             .query_count = b->in.query_count, .key_count = b->in.key_count, .phi = n->weights.phi, .dg = b->dg,
             .de = gradient(b, p->e), .dd = gradient(b, p->d), .dw = gradient(b, p->w));
    else if (b->m->config.form == CT_FORM_MLP)
        PUSH(backward, harmony_mlp_backward, i, "harmony", .batch = n->batch, .heads = H, .queries = n->queries,
             .keys = n->keys, .qualities = Q, .size = CT_MLP_SIZE, .hidden = CT_MLP_HIDDEN, .query = b->in.query,
             .key = b->in.key, .query_count = b->in.query_count, .key_count = b->in.key_count,
             .root = parameter(b, p->mlp_root), .quality = parameter(b, p->mlp_quality),
             .function = parameter(b, p->mlp_function), .w1 = parameter(b, p->w1), .b1 = parameter(b, p->b1),
             .w2 = parameter(b, p->w2), .dg = b->dg, .droot = gradient(b, p->mlp_root),
             .dquality = gradient(b, p->mlp_quality), .dfunction = gradient(b, p->mlp_function),
             .dw1 = gradient(b, p->w1), .db1 = gradient(b, p->b1), .dw2 = gradient(b, p->w2),
             .db2 = gradient(b, p->b2));
}

static void attention_backward(ct_builder *b, int64_t i) {
    ct_attention f = attention(b, i);
    PUSH(backward, attention_backward, i, "attention", .batch = f.batch, .tokens = f.tokens, .memory = f.memory,
         .heads = f.heads, .head = f.head, .queries = f.queries, .keys = f.keys, .step = f.step, .dropout = f.dropout,
         .stream = f.stream, .scale = f.scale, .qkv = f.qkv, .kv_memory = f.kv_memory, .cosine = f.cosine,
         .sine = f.sine, .cosine_memory = f.cosine_memory, .sine_memory = f.sine_memory, .song = f.song,
         .song_memory = f.song_memory, .segment_query = f.segment_query, .segment_key = f.segment_key,
         .segment_memory = f.segment_memory, .g = f.g, .y = f.y, .lse = f.lse, .dy = b->dnorm, .dqkv = b->dqkv,
         .dkv_memory = f.memory ? b->dkv_memory : NULL, .dg = f.g ? b->dg : NULL);
}

static void backward(ct_builder *b) {
    ct_network            *n = b->n;
    const ct_model_config *c = &b->m->config;
    const int64_t N = n->batch * n->tokens, K = n->batch * n->memory, C = c->width, F = c->feed_forward, L = c->layers;
    const float   drop = (float)c->dropout;
    PUSH(backward, cross_entropy, -1, "loss", .rows = N, .vocabulary = b->m->vocabulary_size, .step = b->in.step,
         .logits = n->logits, .target = b->in.target, .loss = n->loss, .dlogits = n->logits);
    PUSH(backward, linear_backward, -1, "output", .rows = N, .in = C, .out = b->m->vocabulary_size, .x = b->normed,
         .w = parameter(b, b->m->table), .dy = n->logits, .dx = b->dnorm, .dw = gradient(b, b->m->table));
    PUSH(backward, layernorm_backward, -1, "norm", .rows = N, .width = C, .step = b->in.step, .dropout = drop,
         .stream = stream_of(L - 1, 2), .sum = b->last, .mean = b->mean, .rstd = b->rstd,
         .gain = parameter(b, b->m->norm_gain), .dy = b->dnorm, .dx = b->dstream, .dr = b->dbranch,
         .dgain = gradient(b, b->m->norm_gain), .dbias = gradient(b, b->m->norm_bias));
    for (int64_t i = L - 1; i >= 0; i--) {
        const ct_layer_params *p = &b->m->layers[i];
        const ct_layer_saved  *s = &b->saved[i];
        PUSH(backward, linear_backward, i, "feed_forward.down", .rows = N, .in = F, .out = C, .x = s->active,
             .w = parameter(b, p->down), .dy = b->dbranch, .dx = b->dup, .dw = gradient(b, p->down),
             .dbias = gradient(b, p->down_bias));
        PUSH(backward, gelu_backward, i, "gelu", .rows = N, .width = F, .x = s->up, .dy = b->dup, .dx = b->dup,
             .dbias = gradient(b, p->up_bias));
        PUSH(backward, linear_backward, i, "feed_forward.up", .rows = N, .in = C, .out = F, .x = s->norm2,
             .w = parameter(b, p->up), .dy = b->dup, .dx = b->dnorm, .dw = gradient(b, p->up));
        PUSH(backward, layernorm_backward, i, "norm2", .rows = N, .width = C, .step = b->in.step, .dropout = drop,
             .stream = stream_of(i, 1), .sum = s->x2, .mean = s->mean2, .rstd = s->rstd2,
             .gain = parameter(b, p->norm2_gain), .dy = b->dnorm, .dsum = b->dstream, .dx = b->dstream,
             .dr = b->dbranch, .dgain = gradient(b, p->norm2_gain), .dbias = gradient(b, p->norm2_bias));
        PUSH(backward, linear_backward, i, "attention.out", .rows = N, .in = C, .out = C, .x = s->mixed,
             .w = parameter(b, p->out), .dy = b->dbranch, .dx = b->dnorm, .dw = gradient(b, p->out),
             .dbias = gradient(b, p->out_bias));
        harmony(b, &n->backward, i);
        attention_backward(b, i);
        harmony_backward(b, i);
        PUSH(backward, linear_backward, i, "attention.qkv", .rows = N, .in = C, .out = 3 * C, .x = s->norm1,
             .w = parameter(b, p->qkv), .dy = b->dqkv, .dx = b->dnorm, .dw = gradient(b, p->qkv),
             .dbias = gradient(b, p->qkv_bias));
        if (K) { /* the memory's own rows get no gradient, the weights that read them do */
            PUSH(backward, linear_backward, i, "attention.kv of memory", .rows = K, .in = C, .out = 2 * C,
                 .x = s->memory_norm, .w = parameter(b, p->qkv + C * C), .dy = b->dkv_memory, .dx = b->dmemory_norm,
                 .dw = gradient(b, p->qkv + C * C), .dbias = gradient(b, p->qkv_bias + C));
            PUSH(backward, layernorm_backward, i, "norm1 of memory", .rows = K, .width = C, .step = b->in.step,
                 .sum = (char *)n->ring + (size_t)(i * K * C) * ct_dtype_wide_size(n->dtype), .mean = s->memory_mean,
                 .rstd = s->memory_rstd, .gain = parameter(b, p->norm1_gain), .dy = b->dmemory_norm,
                 .dgain = gradient(b, p->norm1_gain), .dbias = gradient(b, p->norm1_bias));
        }
        PUSH(backward, layernorm_backward, i, "norm1", .rows = N, .width = C, .step = b->in.step,
             .dropout = i ? drop : 0, .stream = stream_of(i - 1, 2), .sum = s->x, .mean = s->mean1, .rstd = s->rstd1,
             .gain = parameter(b, p->norm1_gain), .dy = b->dnorm, .dsum = b->dstream, .dx = b->dstream,
             .dr = i ? b->dbranch : NULL, .dgain = gradient(b, p->norm1_gain), .dbias = gradient(b, p->norm1_bias));
    }
    PUSH(backward, rows_embed_backward, -1, "embedding", .rows = N, .columns = b->m->column_count,
         .table_rows = b->m->table_rows, .width = C, .values = b->in.rows, .offset = n->weights.offset,
         .dy = b->dstream, .dtable = gradient(b, b->m->table));
}

static void shared_arrays(ct_builder *b, bool train) {
    ct_network            *n = b->n;
    const ct_model_config *c = &b->m->config;
    const ct_memory        A = CT_MEMORY_ACTIVATIONS;
    const int64_t          B = n->batch, N = B * n->tokens, K = B * n->memory, C = c->width, F = c->feed_forward;
    const int64_t          pairs = c->form == CT_FORM_OFF ? 0 : B * c->heads * n->queries * n->keys;
    b->g = wides(b, CT_MEMORY_HARMONY, pairs);
    b->last = wides(b, A, N * C), b->normed = reals(b, A, N * C), b->mean = wides(b, A, N), b->rstd = wides(b, A, N);
    n->logits = reals(b, A, N * b->m->vocabulary_size);
    n->results = RESULTS + (size_t)N * ct_dtype_wide_size(n->dtype);
    n->norm = items(b, A, (int64_t)n->results, 1);
    n->loss = (char *)n->norm + RESULTS;
    n->ring = wides(b, CT_MEMORY_RING, c->layers * K * C);
    if (!train) return;
    n->gradients = wides(b, CT_MEMORY_GRADIENTS, b->m->parameter_count);
    b->dg = wides(b, CT_MEMORY_HARMONY, pairs);
    b->dstream = wides(b, A, N * C), b->dbranch = reals(b, A, N * C), b->dnorm = reals(b, A, N * C),
    b->dqkv = reals(b, A, N * 3 * C), b->dup = reals(b, A, N * F);
    b->dkv_memory = reals(b, A, K * 2 * C), b->dmemory_norm = reals(b, A, K * C);
}

/* ---- the update */
static void tensor_tables(ct_builder *b, const int64_t **first, const uint8_t **decay) {
    const int64_t tensors = b->m->tensor_count;
    int64_t      *begin = kept(b, tensors + 1, sizeof *begin);
    uint8_t      *decays = kept(b, tensors, sizeof *decays);
    if (b->status != CT_OK) return;
    for (int64_t i = 0; i < tensors; i++) {
        begin[i] = b->m->tensors[i].first;
        decays[i] = b->m->tensors[i].decay;
    }
    begin[tensors] = b->m->parameter_count;
    *first = table(b, begin, (size_t)(tensors + 1) * sizeof *begin);
    *decay = table(b, decays, (size_t)tensors * sizeof *decays);
}

static void reducer(ct_builder *b, const ct_network_options *o) {
    ct_network        *n = b->n;
    ct_reducer_options options = {.comm = o->comm,
                                  .ranks = o->comm->size,
                                  .device = n->device,
                                  .model = b->m,
                                  .gradients = n->gradients,
                                  .dtype = n->dtype,
                                  .bytes = o->bucket,
                                  .shard = o->shard,
                                  .bf16 = o->narrow};
    if (o->narrow) options.narrow = items(b, CT_MEMORY_GRADIENTS, b->m->parameter_count, sizeof *options.narrow);
    if (b->status == CT_OK) fails(b, ct_reducer_make(&options, &n->backward, !n->arrays.paper, &n->arena, &n->reducer));
}

/* What this rank updates: all, or its share of each bucket. */
static void own_stretches(ct_builder *b) {
    ct_network *n = b->n;
    n->own = kept(b, n->reducer.o.shard ? n->reducer.count : 1, sizeof *n->own);
    if (b->status != CT_OK) return;
    *n->own = (ct_stretch){.first = 0, .count = b->m->parameter_count};
    n->own_count = n->reducer.o.shard ? ct_reducer_stretches(&n->reducer, n->own) : 1;
    for (int i = 0; i < n->own_count; i++) n->kept += n->own[i].count;
}

static void *wide_at(const ct_builder *b, void *array, int64_t at) {
    return (char *)array + (size_t)at * ct_dtype_wide_size(b->n->dtype);
}

static void update(ct_builder *b, const ct_network_options *o) {
    ct_network    *n = b->n;
    const int64_t *first = NULL;
    const uint8_t *decay = NULL;
    if (o->comm) reducer(b, o);
    own_stretches(b);
    tensor_tables(b, &first, &decay);
    n->moment = wides(b, CT_MEMORY_MOMENTS, n->kept);
    n->variance = wides(b, CT_MEMORY_MOMENTS, n->kept);
    n->square = items(b, CT_MEMORY_WORKSPACE, ct_network_blocks(n), sizeof *n->square);
    for (int i = 0; i < n->own_count && b->status == CT_OK; i++)
        PUSH(update, grad_squares, -1, "squares of gradients", .count = n->own[i].count,
             .grad = wide_at(b, n->gradients, n->own[i].first), .square = n->square + n->own[i].first / CT_NORM_BLOCK);
    PUSH(update, grad_norm, -1, "norm of gradients", .blocks = ct_network_blocks(n), .square = n->square,
         .result = n->norm, .updates = n->norm + 2);
    for (int i = 0; i < n->own_count && b->status == CT_OK; i++) {
        const ct_stretch *s = &n->own[i];
        PUSH(update, adamw, -1, "update", .count = s->count, .tensors = b->m->tensor_count, .from = s->first,
             .step = n->step_of_ops, .beta1 = o->adam.beta1, .beta2 = o->adam.beta2, .epsilon = o->adam.epsilon,
             .weight_decay = o->adam.weight_decay, .first = first, .decay = decay, .norm = n->norm,
             .updates = n->norm + 2, .grad = wide_at(b, n->gradients, s->first),
             .param = wide_at(b, n->weights.parameters, s->first), .moment = wide_at(b, n->moment, s->kept),
             .variance = wide_at(b, n->variance, s->kept),
             .weight = n->dtype == CT_BF16 ? parameter(b, s->first) : NULL);
    }
}

ct_status ct_network_room(const ct_dataset *dataset, int stage, ct_network_options *o) {
    const int64_t rows[2] = {o->tokens, o->tokens + o->memory};
    int64_t       most[2];
    for (int i = 0; i < 2; i++) {
        CT_TRY(ct_dataset_stream_segments(dataset, stage, rows[i], &most[i]));
        most[i] += 2 + rows[i] / o->tokens;
        if (most[i] > rows[i]) most[i] = rows[i];
    }
    o->queries = most[0];
    o->keys = most[1];
    return CT_OK;
}

static ct_status build(ct_model *model, const ct_network_options *o, ct_network *n) {
    ct_builder      builder = {.n = n, .m = model}, *b = &builder;
    ct_record_list *lists[] = {&n->forward, &n->backward, &n->after, &n->update};
    n->step = kept(b, 1, sizeof *n->step);
    b->saved = kept(b, model->config.layers, sizeof *b->saved);
    CT_TRY(b->status);
    n->step->loss_scale = 1;
    n->step->first_row = n->first_line * n->tokens;
    CT_TRY(ct_weights_place(model, n->device, n->dtype, &n->arrays, &n->weights));
    n->bytes[CT_MEMORY_PARAMETERS] = n->arrays.used;
    inputs(b);
    for (int64_t i = 0; i < model->config.layers; i++) layer_arrays(b, &b->saved[i], i == 0);
    shared_arrays(b, o->train);
    forward(b);
    if (o->train) backward(b);
    CT_TRY(b->status);
    if (o->train) update(b, o);
    CT_TRY(b->status);
    size_t before = n->arrays.used;
    CT_TRY(ct_records_workspace(lists, CT_COUNT(lists), &n->arrays));
    n->bytes[CT_MEMORY_WORKSPACE] += n->arrays.used - before;
    n->flops = ct_records_flops(&n->forward) + ct_records_flops(&n->backward);
    return CT_OK;
}

static void begin(ct_model *model, const ct_network_options *o, ct_network *out) {
    *out = (ct_network){.model = model, .device = o->device, .batch = o->batch, .tokens = o->tokens};
    out->memory = o->memory;
    out->backend = o->backend ? o->backend : o->device->backend;
    out->dtype = o->bf16 ? CT_BF16 : model->dtype;
    out->eager = o->eager || o->check.share > 0;
    out->all_lines = o->batch * (o->comm ? o->comm->size : 1);
    out->first_line = o->batch * (o->comm ? o->comm->rank : 0);
    ct_check_begin(&o->check, o->device, out->dtype, &out->check);
    out->queries = o->queries ? o->queries : o->tokens;
    out->keys = o->keys ? o->keys : o->tokens + o->memory;
}

/* On a device apart all arrays lie in one allocation, as large as the plan on paper. */
static ct_status allocate(ct_model *model, const ct_network_options *o, ct_network *out) {
    ct_network paper;
    begin(model, o, &paper);
    paper.arrays.paper = true;
    ct_status    status = build(model, o, &paper);
    const size_t bytes = paper.arrays.used;
    ct_network_free(&paper);
    if (status == CT_OK) status = o->device->alloc(bytes, &out->block);
    out->arrays.base = out->block;
    out->arrays.cap = bytes;
    return status;
}

ct_status ct_network_make(ct_model *model, const ct_network_options *o, ct_network *out) {
    const bool apart = ct_device_apart(o->device);
    begin(model, o, out);
    out->arrays.paper = o->paper;
    ct_status status = apart && !o->paper ? allocate(model, o, out) : CT_OK;
    out->check.arena.paper = o->paper;
    if (status == CT_OK) status = build(model, o, out);
    if (status == CT_OK) status = ct_network_make_check(out);
    if (status == CT_OK && !o->paper) status = ct_weights_send(&out->weights);
    if (status == CT_OK && !o->paper) status = ct_network_forget(out);
    if (status == CT_OK && !o->paper) status = ct_records_plan(&out->forward, out->device);
    if (status == CT_OK && !o->paper) status = ct_records_plan(&out->backward, out->device);
    if (status == CT_OK && !o->paper) status = ct_device_planned(out->device);
    if (status != CT_OK) ct_network_free(out);
    return status;
}

void ct_network_free(ct_network *network) {
    for (int i = 0; i < 4; i++) ct_device_forget(network->device, &network->graphs[i / 2][i % 2]);
    ct_check_free(&network->check);
    ct_inlet_close(&network->inlet);
    ct_reducer_close(&network->reducer);
    ct_arena_free(&network->arrays);
    if (network->widened) network->device->release(network->widened);
    if (network->block) network->device->release(network->block);
    ct_arena_free(&network->arena);
    *network = (ct_network){0};
}
