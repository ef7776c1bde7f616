/* network.c -- the plan of a training step: arrays and op records; see network.h. Filling and running it:
 * network_run.c. */
#include "models/network.h"

#include "models/harmony.h"

#include <math.h>
#include <string.h>

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
    bool            failed;
    void           *cosine, *sine, *cosine_memory, *sine_memory, *g, *dg;
    void           *last, *normed, *mean, *rstd; /* the stream after all layers, its norm */
    void           *dstream, *dbranch, *dnorm, *dqkv, *dkv_memory, *dmemory_norm, *dup;
    int32_t        *source, *offset;
    double         *omega;
} ct_builder;

const char *const ct_memory_names[CT_MEMORY_KINDS] = {"inputs",  "activations",           "harmony",  "gradients",
                                                      "moments", "Transformer-XL memory", "workspace"};

/* An array of the plan. */
static void *items(ct_builder *b, ct_memory kind, int64_t count, size_t size) {
    size_t before = b->n->arrays.used;
    void  *p = ct_arena_alloc(&b->n->arrays, (size_t)count, size);
    b->n->bytes[kind] += b->n->arrays.used - before;
    if (!p) b->failed = true;
    return p;
}

static void *reals(ct_builder *b, ct_memory kind, int64_t count) {
    return items(b, kind, count, ct_dtype_size(b->m->dtype));
}

/* A small table that the host fills while planning. */
static void *table(ct_builder *b, int64_t count, size_t size) {
    void *p = ct_arena_alloc(&b->n->arena, (size_t)count, size);
    if (!p) b->failed = true;
    return p;
}

static void push(ct_builder *b, ct_record_list *list, ct_op op, int64_t layer, const char *label, ct_params params) {
    params.dtype = b->m->dtype;
    if (!b->failed && ct_record_push(list, &b->n->arena, op, layer, label, params) != CT_OK) b->failed = true;
}
/* Append op `name` with the fields given to a list. */
#define PUSH(list, name, layer, label, ...)                                                                            \
    push(b, &b->n->list, CT_OP_##name, layer, label, (ct_params){.name = {__VA_ARGS__}})

static void *parameter(const ct_builder *b, int64_t at) {
    return ct_model_at(b->m, at);
}

static void *gradient(const ct_builder *b, int64_t at) {
    return at < 0 ? NULL : (char *)b->n->gradients + (size_t)at * ct_dtype_size(b->m->dtype);
}

/* Random streams of dropout: three a layer. */
static uint32_t stream_of(int64_t layer, int which) {
    return (uint32_t)(layer * 4 + which);
}

static void inputs(ct_builder *b) {
    ct_network   *n = b->n;
    const int64_t B = n->batch, T = n->tokens, M = n->memory, pairs = b->m->config.width / b->m->config.heads / 2;
    const size_t  i32 = sizeof(int32_t);
    n->rows = items(b, CT_MEMORY_INPUTS, B * T * b->m->column_count, sizeof(uint16_t));
    n->memory_rows = items(b, CT_MEMORY_RING, B * M * b->m->column_count, sizeof(uint16_t));
    n->target = items(b, CT_MEMORY_INPUTS, B * T, i32);
    n->song = items(b, CT_MEMORY_INPUTS, B * T, i32);
    n->song_memory = items(b, CT_MEMORY_RING, B * M, i32);
    n->position = items(b, CT_MEMORY_INPUTS, B * T * CT_SOURCE_COUNT, i32);
    n->position_memory = items(b, CT_MEMORY_INPUTS, B * M * CT_SOURCE_COUNT, i32);
    n->segment_query = items(b, CT_MEMORY_INPUTS, B * T, i32);
    n->segment_key = items(b, CT_MEMORY_INPUTS, B * T, i32);
    n->segment_memory = items(b, CT_MEMORY_INPUTS, B * M, i32);
    n->query = items(b, CT_MEMORY_INPUTS, B * n->queries * 3, i32);
    n->key = items(b, CT_MEMORY_INPUTS, B * n->keys * 3, i32);
    n->query_count = items(b, CT_MEMORY_INPUTS, B, i32);
    n->key_count = items(b, CT_MEMORY_INPUTS, B, i32);
    b->source = table(b, pairs, i32);
    b->omega = table(b, pairs, sizeof(double));
    b->offset = b->m->offset;
    b->cosine = reals(b, CT_MEMORY_ACTIVATIONS, B * T * pairs);
    b->sine = reals(b, CT_MEMORY_ACTIVATIONS, B * T * pairs);
    b->cosine_memory = reals(b, CT_MEMORY_ACTIVATIONS, B * M * pairs);
    b->sine_memory = reals(b, CT_MEMORY_ACTIVATIONS, B * M * pairs);
    if (!b->failed) ct_rotary_pairs(&b->m->config, b->source, b->omega);
}

static void layer_arrays(ct_builder *b, ct_layer_saved *s, bool first) {
    const ct_memory A = CT_MEMORY_ACTIVATIONS;
    const int64_t   N = b->n->batch * b->n->tokens, K = b->n->batch * b->n->memory, C = b->m->config.width,
                  F = b->m->config.feed_forward;
    s->x = first ? reals(b, A, N * C) : NULL; /* others: the norm before writes the stream */
    s->norm1 = reals(b, A, N * C), s->mean1 = reals(b, A, N), s->rstd1 = reals(b, A, N);
    s->memory_norm = reals(b, A, K * C), s->memory_mean = reals(b, A, K), s->memory_rstd = reals(b, A, K),
    s->kv_memory = reals(b, A, K * 2 * C);
    s->qkv = reals(b, A, N * 3 * C), s->mixed = reals(b, A, N * C), s->lse = reals(b, A, N * b->m->config.heads),
    s->branch1 = reals(b, A, N * C);
    s->x2 = reals(b, A, N * C), s->norm2 = reals(b, A, N * C), s->mean2 = reals(b, A, N), s->rstd2 = reals(b, A, N);
    s->up = reals(b, A, N * F), s->active = reals(b, A, N * F), s->branch2 = reals(b, A, N * C);
    if (!first) s->x = reals(b, A, N * C);
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
                                     .query = n->query,
                                     .key = n->key,
                                     .query_count = n->query_count,
                                     .key_count = n->key_count,
                                     .e = parameter(b, p->e),
                                     .d = parameter(b, p->d),
                                     .w = parameter(b, p->w),
                                     .phi = b->m->phi,
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
                                         .query = n->query,
                                         .key = n->key,
                                         .query_count = n->query_count,
                                         .key_count = n->key_count,
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
                          .step = n->step,
                          .dropout = (float)c->dropout,
                          .stream = stream_of(i, 0),
                          .scale = 1 / sqrt((double)d),
                          .qkv = s->qkv,
                          .kv_memory = n->memory ? s->kv_memory : NULL,
                          .cosine = b->cosine,
                          .sine = b->sine,
                          .cosine_memory = b->cosine_memory,
                          .sine_memory = b->sine_memory,
                          .song = n->song,
                          .song_memory = n->song_memory,
                          .segment_query = n->segment_query,
                          .segment_key = n->segment_key,
                          .segment_memory = n->segment_memory,
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
         .width = C, .values = n->rows, .offset = b->offset, .table = parameter(b, b->m->table), .y = b->saved[0].x);
    PUSH(forward, rotary_rows, -1, "rotary", .rows = N, .sources = CT_SOURCE_COUNT, .pairs = pairs,
         .position = n->position, .source = b->source, .omega = b->omega, .cosine = b->cosine, .sine = b->sine);
    if (K)
        PUSH(forward, rotary_rows, -1, "rotary of memory", .rows = K, .sources = CT_SOURCE_COUNT, .pairs = pairs,
             .position = n->position_memory, .source = b->source, .omega = b->omega, .cosine = b->cosine_memory,
             .sine = b->sine_memory);
    for (int64_t i = 0; i < L; i++) {
        const ct_layer_params *p = &b->m->layers[i];
        ct_layer_saved        *s = &b->saved[i];
        const ct_layer_saved  *before = i ? &b->saved[i - 1] : NULL;
        PUSH(forward, layernorm, i, "norm1", .rows = N, .width = C, .step = n->step, .dropout = drop,
             .stream = stream_of(i - 1, 2), .x = before ? before->x2 : s->x, .r = before ? before->branch2 : NULL,
             .gain = parameter(b, p->norm1_gain), .bias = parameter(b, p->norm1_bias), .sum = before ? s->x : NULL,
             .y = s->norm1, .mean = s->mean1, .rstd = s->rstd1);
        PUSH(forward, linear, i, "attention.qkv", .rows = N, .in = C, .out = 3 * C, .x = s->norm1,
             .w = parameter(b, p->qkv), .bias = parameter(b, p->qkv_bias), .y = s->qkv);
        if (K) {
            PUSH(forward, layernorm, i, "norm1 of memory", .rows = K, .width = C, .step = n->step,
                 .x = (char *)n->ring + (size_t)(i * K * C) * ct_dtype_size(b->m->dtype),
                 .gain = parameter(b, p->norm1_gain), .bias = parameter(b, p->norm1_bias), .y = s->memory_norm,
                 .mean = s->memory_mean, .rstd = s->memory_rstd);
            PUSH(forward, linear, i, "attention.kv of memory", .rows = K, .in = C, .out = 2 * C, .x = s->memory_norm,
                 .w = parameter(b, p->qkv + C * C), .bias = parameter(b, p->qkv_bias + C), .y = s->kv_memory);
        }
        harmony(b, &n->forward, i);
        push(b, &n->forward, CT_OP_attention, i, "attention", (ct_params){.attention = attention(b, i)});
        PUSH(forward, linear, i, "attention.out", .rows = N, .in = C, .out = C, .x = s->mixed,
             .w = parameter(b, p->out), .bias = parameter(b, p->out_bias), .y = s->branch1);
        PUSH(forward, layernorm, i, "norm2", .rows = N, .width = C, .step = n->step, .dropout = drop,
             .stream = stream_of(i, 1), .x = s->x, .r = s->branch1, .gain = parameter(b, p->norm2_gain),
             .bias = parameter(b, p->norm2_bias), .sum = s->x2, .y = s->norm2, .mean = s->mean2, .rstd = s->rstd2);
        PUSH(forward, linear, i, "feed_forward.up", .rows = N, .in = C, .out = F, .x = s->norm2,
             .w = parameter(b, p->up), .bias = parameter(b, p->up_bias), .y = s->up);
        PUSH(forward, gelu, i, "gelu", .rows = N, .width = F, .x = s->up, .y = s->active);
        PUSH(forward, linear, i, "feed_forward.down", .rows = N, .in = F, .out = C, .x = s->active,
             .w = parameter(b, p->down), .bias = parameter(b, p->down_bias), .y = s->branch2);
    }
    const ct_layer_saved *s = &b->saved[L - 1];
    PUSH(forward, layernorm, -1, "norm", .rows = N, .width = C, .step = n->step, .dropout = drop,
         .stream = stream_of(L - 1, 2), .x = s->x2, .r = s->branch2, .gain = parameter(b, b->m->norm_gain),
         .bias = parameter(b, b->m->norm_bias), .sum = b->last, .y = b->normed, .mean = b->mean, .rstd = b->rstd);
    PUSH(forward, linear, -1, "output", .rows = N, .in = C, .out = b->m->vocabulary_size, .x = b->normed,
         .w = parameter(b, b->m->table), .y = n->logits);
    PUSH(forward, cross_entropy, -1, "loss", .rows = N, .vocabulary = b->m->vocabulary_size, .step = n->step,
         .logits = n->logits, .target = n->target, .loss = n->loss, .dlogits = NULL);
    for (int64_t i = 0; i < L && K; i++)
        PUSH(after, memory_update, i, "memory", .batch = n->batch, .tokens = n->tokens, .memory = n->memory, .width = C,
             .step = n->step, .x = b->saved[i].x,
             .ring = (char *)n->ring + (size_t)(i * K * C) * ct_dtype_size(b->m->dtype));
}

static void harmony_backward(ct_builder *b, int64_t i) {
    ct_network            *n = b->n;
    const ct_layer_params *p = &b->m->layers[i];
    const int64_t          H = b->m->config.heads, Q = b->m->qualities;
    if (b->m->config.form == CT_FORM_TABLE)
        PUSH(backward, harmony_backward, i, "harmony", .batch = n->batch, .heads = H, .queries = n->queries,
             .keys = n->keys, .qualities = Q, .theory = CT_PHI_COUNT, .query = n->query, .key = n->key,
             .query_count = n->query_count, .key_count = n->key_count, .phi = b->m->phi, .dg = b->dg,
             .de = gradient(b, p->e), .dd = gradient(b, p->d), .dw = gradient(b, p->w));
    else if (b->m->config.form == CT_FORM_MLP)
        PUSH(backward, harmony_mlp_backward, i, "harmony", .batch = n->batch, .heads = H, .queries = n->queries,
             .keys = n->keys, .qualities = Q, .size = CT_MLP_SIZE, .hidden = CT_MLP_HIDDEN, .query = n->query,
             .key = n->key, .query_count = n->query_count, .key_count = n->key_count, .root = parameter(b, p->mlp_root),
             .quality = parameter(b, p->mlp_quality), .function = parameter(b, p->mlp_function),
             .w1 = parameter(b, p->w1), .b1 = parameter(b, p->b1), .w2 = parameter(b, p->w2), .dg = b->dg,
             .droot = gradient(b, p->mlp_root), .dquality = gradient(b, p->mlp_quality),
             .dfunction = gradient(b, p->mlp_function), .dw1 = gradient(b, p->w1), .db1 = gradient(b, p->b1),
             .dw2 = gradient(b, p->w2), .db2 = gradient(b, p->b2));
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
    PUSH(backward, cross_entropy, -1, "loss", .rows = N, .vocabulary = b->m->vocabulary_size, .step = n->step,
         .logits = n->logits, .target = n->target, .loss = n->loss, .dlogits = n->logits);
    PUSH(backward, linear_backward, -1, "output", .rows = N, .in = C, .out = b->m->vocabulary_size, .x = b->normed,
         .w = parameter(b, b->m->table), .dy = n->logits, .dx = b->dnorm, .dw = gradient(b, b->m->table));
    PUSH(backward, layernorm_backward, -1, "norm", .rows = N, .width = C, .step = n->step, .dropout = drop,
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
        PUSH(backward, layernorm_backward, i, "norm2", .rows = N, .width = C, .step = n->step, .dropout = drop,
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
            PUSH(backward, layernorm_backward, i, "norm1 of memory", .rows = K, .width = C, .step = n->step,
                 .sum = (char *)n->ring + (size_t)(i * K * C) * ct_dtype_size(b->m->dtype), .mean = s->memory_mean,
                 .rstd = s->memory_rstd, .gain = parameter(b, p->norm1_gain), .dy = b->dmemory_norm,
                 .dgain = gradient(b, p->norm1_gain), .dbias = gradient(b, p->norm1_bias));
        }
        PUSH(backward, layernorm_backward, i, "norm1", .rows = N, .width = C, .step = n->step, .dropout = i ? drop : 0,
             .stream = stream_of(i - 1, 2), .sum = s->x, .mean = s->mean1, .rstd = s->rstd1,
             .gain = parameter(b, p->norm1_gain), .dy = b->dnorm, .dsum = b->dstream, .dx = b->dstream,
             .dr = i ? b->dbranch : NULL, .dgain = gradient(b, p->norm1_gain), .dbias = gradient(b, p->norm1_bias));
    }
    PUSH(backward, rows_embed_backward, -1, "embedding", .rows = N, .columns = b->m->column_count,
         .table_rows = b->m->table_rows, .width = C, .values = n->rows, .offset = b->offset, .dy = b->dstream,
         .dtable = gradient(b, b->m->table));
}

static void shared_arrays(ct_builder *b, bool train) {
    ct_network            *n = b->n;
    const ct_model_config *c = &b->m->config;
    const ct_memory        A = CT_MEMORY_ACTIVATIONS;
    const int64_t          B = n->batch, N = B * n->tokens, K = B * n->memory, C = c->width, F = c->feed_forward;
    const int64_t          pairs = c->form == CT_FORM_OFF ? 0 : B * c->heads * n->queries * n->keys;
    b->g = reals(b, CT_MEMORY_HARMONY, pairs);
    b->last = reals(b, A, N * C), b->normed = reals(b, A, N * C), b->mean = reals(b, A, N), b->rstd = reals(b, A, N);
    n->logits = reals(b, A, N * b->m->vocabulary_size);
    n->loss = reals(b, A, N);
    n->ring = reals(b, CT_MEMORY_RING, c->layers * K * C);
    n->norm = items(b, CT_MEMORY_WORKSPACE, 3, sizeof(double));
    if (!train) return;
    n->gradients = reals(b, CT_MEMORY_GRADIENTS, b->m->parameter_count);
    n->moment = reals(b, CT_MEMORY_MOMENTS, b->m->parameter_count);
    n->variance = reals(b, CT_MEMORY_MOMENTS, b->m->parameter_count);
    b->dg = reals(b, CT_MEMORY_HARMONY, pairs);
    b->dstream = reals(b, A, N * C), b->dbranch = reals(b, A, N * C), b->dnorm = reals(b, A, N * C),
    b->dqkv = reals(b, A, N * 3 * C), b->dup = reals(b, A, N * F);
    b->dkv_memory = reals(b, A, K * 2 * C), b->dmemory_norm = reals(b, A, K * C);
    n->norm_partial = items(b, CT_MEMORY_WORKSPACE, b->m->parameter_count / CT_NORM_BLOCK + 1, sizeof(double));
    n->tensor_first = table(b, b->m->tensor_count + 1, sizeof(int64_t));
    n->tensor_decay = table(b, b->m->tensor_count, sizeof(uint8_t));
    for (int64_t i = 0; i < b->m->tensor_count && !b->failed; i++) {
        n->tensor_first[i] = b->m->tensors[i].first;
        n->tensor_decay[i] = b->m->tensors[i].decay;
    }
    if (!b->failed) n->tensor_first[b->m->tensor_count] = b->m->parameter_count;
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

ct_status ct_network_make(ct_model *model, const ct_network_options *o, ct_network *out) {
    *out = (ct_network){
        .model = model, .backend = o->backend, .batch = o->batch, .tokens = o->tokens, .memory = o->memory};
    out->queries = o->queries ? o->queries : o->tokens;
    out->keys = o->keys ? o->keys : o->tokens + o->memory;
    ct_builder builder = {.n = out, .m = model}, *b = &builder;
    out->arrays.paper = o->paper;
    out->step = table(b, 1, sizeof *out->step);
    if (out->step) out->step->loss_scale = 1;
    b->saved = table(b, model->config.layers, sizeof *b->saved);
    if (!b->failed) {
        inputs(b);
        for (int64_t i = 0; i < model->config.layers; i++) layer_arrays(b, &b->saved[i], i == 0);
        shared_arrays(b, o->train);
        forward(b);
        if (o->train) backward(b);
        ct_record_list *lists[] = {&out->forward, &out->backward, &out->after};
        size_t          before = out->arrays.used;
        if (!b->failed && ct_records_workspace(lists, CT_COUNT(lists), &out->arrays) != CT_OK) b->failed = true;
        out->bytes[CT_MEMORY_WORKSPACE] += out->arrays.used - before;
    }
    if (b->failed) {
        ct_network_free(out);
        return CT_ENOMEM;
    }
    out->flops = ct_records_flops(&out->forward) + ct_records_flops(&out->backward);
    if (!o->paper) ct_network_forget(out);
    return CT_OK;
}

void ct_network_free(ct_network *network) {
    ct_arena_free(&network->arrays);
    ct_arena_free(&network->arena);
    *network = (ct_network){0};
}
