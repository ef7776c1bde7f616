/* bench_peer.c -- see bench_peer.h. */
#include "train/bench_peer.h"

#include "kernels/bf16.h"

#include <math.h>
#include <string.h>

static const double ROUND = 0.02; /* seconds */

/* Both ops over one set of arrays on the device: those of attention_backward, which has attention's but for names. */
typedef struct pair_of_ops {
    const ct_device *device;
    ct_params        params[CT_PEER_WAYS];
    void            *memory[64]; /* by field of attention_backward */
} pair_of_ops;

static const ct_op ops[CT_PEER_WAYS] = {CT_OP_attention, CT_OP_attention_backward};

typedef struct own_call {
    const ct_backend *backend;
    ct_op             op;
    const ct_params  *params;
} own_call;
static ct_status run_own(void *context) {
    const own_call *c = context;
    return ct_op_run(c->backend, c->op, c->params);
}

static void begin(const ct_device *device, const ct_peer_shape *s, pair_of_ops *out) {
    const double scale = 1 / sqrt((double)s->head);
    *out = (pair_of_ops){.device = device};
    out->params[0].attention = (ct_attention){
        .dtype = CT_BF16, .batch = s->batch, .tokens = s->tokens, .heads = s->heads, .head = s->head, .scale = scale};
    out->params[1].attention_backward = (ct_attention_backward){
        .dtype = CT_BF16, .batch = s->batch, .tokens = s->tokens, .heads = s->heads, .head = s->head, .scale = scale};
}

/* ---- arrays: random q, k, v and dy; rotation by nothing; one song */
static bool is_one_of(const char *name, const char *a, const char *b) {
    return strcmp(name, a) == 0 || strcmp(name, b) == 0;
}

/* Of H-RPE, which the library has not. */
static bool is_left_out(const char *name) {
    return is_one_of(name, "g", "dg") || is_one_of(name, "segment_query", "segment_key");
}

static ct_status fill(const ct_device *d, const ct_field *f, void *to, size_t count, int stream) {
    enum { AT_ONCE = 1 << 15 };
    const size_t size = ct_type_size(f->type, CT_BF16);
    const bool   random = is_one_of(f->name, "qkv", "dy");
    uint16_t     halves[AT_ONCE];
    float        ones[AT_ONCE / 2];
    if (!random && strcmp(f->name, "cosine") != 0) return CT_OK; /* memory comes zeroed */
    for (size_t i = 0; i < CT_COUNT(ones); i++) ones[i] = 1;
    const size_t most = random ? CT_COUNT(halves) : CT_COUNT(ones);
    for (size_t at = 0; at < count; at += most) {
        const size_t now = count - at < most ? count - at : most;
        for (size_t i = 0; i < now && random; i++)
            halves[i] = ct_bf16_round(2 * ct_philox_float(ct_philox_at(7, (uint64_t)stream, at + i).word[0]) - 1);
        CT_TRY(
            ct_device_copy(d, (char *)to + at * size, random ? (const void *)halves : (const void *)ones, now * size));
    }
    return CT_OK;
}

static ct_status make_arrays(pair_of_ops *p) {
    const ct_op_info *backward = ct_op_about(ops[1]), *forward = ct_op_about(ops[0]);
    CT_ASSERT(backward->field_count <= (int)CT_COUNT(p->memory));
    for (int i = 0; i < backward->field_count; i++) {
        const ct_field *f = &backward->fields[i];
        if (!f->count || is_left_out(f->name) || f->count(&p->params[1]) == 0) continue;
        const size_t count = (size_t)f->count(&p->params[1]);
        CT_TRY(p->device->alloc(count * ct_type_size(f->type, CT_BF16), &p->memory[i]));
        CT_TRY(fill(p->device, f, p->memory[i], count, i));
        memcpy((char *)&p->params[1] + f->offset, &p->memory[i], sizeof p->memory[i]);
        for (int k = 0; k < forward->field_count; k++)
            if (strcmp(forward->fields[k].name, f->name) == 0)
                memcpy((char *)&p->params[0] + forward->fields[k].offset, &p->memory[i], sizeof p->memory[i]);
    }
    return CT_OK;
}

static void free_arrays(const pair_of_ops *p) {
    for (size_t i = 0; i < CT_COUNT(p->memory); i++)
        if (p->memory[i]) p->device->release(p->memory[i]);
}

/* ---- results: those of the last row of the batch */
typedef struct result {
    const char *at;
    size_t      count;
} result;
static result result_of(const pair_of_ops *p, int way) {
    const ct_attention *s = &p->params[0].attention;
    const char         *array = way ? p->params[1].attention_backward.dqkv : s->y;
    const size_t        row = (size_t)(s->tokens * s->heads * s->head) * (way ? 3 : 1);
    return (result){array + (size_t)(s->batch - 1) * row * sizeof(uint16_t), row};
}

/* The largest difference, in units of bf16 in the last place of the largest value. */
static double difference(const uint16_t *a, const uint16_t *b, size_t count) {
    double most = 0, apart = 0;
    for (size_t i = 0; i < count; i++) {
        const double x = (double)ct_bf16_float(a[i]), y = (double)ct_bf16_float(b[i]);
        most = fmax(most, fabs(x));
        apart = isfinite(x - y) ? fmax(apart, fabs(x - y)) : INFINITY;
    }
    return most > 0 ? apart / (most * 0x1p-8) : INFINITY;
}

/* Run once, and take the result to the host. */
static ct_status run_and_take(const pair_of_ops *p, int way, ct_enqueue call, void *context, uint16_t *to) {
    const result r = result_of(p, way);
    CT_TRY(call(context));
    return ct_device_copy(p->device, to, r.at, r.count * sizeof *to);
}

static ct_status compare(const pair_of_ops *p, int way, own_call *own, ct_peer *peer, ct_bench_peer *out) {
    const size_t count = result_of(p, way).count;
    ct_arena     arena = {0};
    uint16_t    *ours = CT_NEW(&arena, uint16_t, count), *theirs = CT_NEW(&arena, uint16_t, count);
    ct_status    status = ours && theirs ? run_and_take(p, way, run_own, own, ours) : CT_ENOMEM;
    if (status == CT_OK) status = run_and_take(p, way, p->device->peer_run, peer, theirs);
    if (status == CT_OK) out->way[way].apart = difference(ours, theirs, count);
    ct_arena_free(&arena);
    return status;
}

/* Backward reads y and lse as the library's forward pass left them. */
static ct_status run_way(const pair_of_ops *p, int way, ct_bench_peer *out) {
    const ct_attention *s = &p->params[0].attention;
    const ct_device    *d = p->device;
    own_call            own = {d->backend, ops[way], &p->params[way]};
    ct_peer            *peer = NULL;
    CT_TRY(d->peer_open(ops[way], &p->params[way], &peer, &out->by));
    out->way[way].flops = (way ? 10 : 4) * (double)s->head * (double)(s->batch * s->heads) * CT_PAIRS(s);
    ct_status status = compare(p, way, &own, peer, out);
    if (status == CT_OK) status = ct_time_call(d, ROUND, false, run_own, &own, &out->way[way].ours);
    if (status == CT_OK) status = ct_time_call(d, ROUND, false, d->peer_run, peer, &out->way[way].theirs);
    d->peer_close(peer);
    return status;
}

ct_status ct_bench_peer_support(const ct_device *device, const ct_peer_shape *shape, const char **by) {
    pair_of_ops p;
    begin(device, shape, &p);
    if (!device->peer_open) return ct_fail(CT_EFAIL, "the device %s has no peer", device->name);
    return device->peer_open(CT_OP_attention, &p.params[0], NULL, by);
}

ct_status ct_bench_peer_run(const ct_device *device, const ct_peer_shape *shape, ct_bench_peer *out) {
    pair_of_ops p;
    *out = (ct_bench_peer){.shape = *shape};
    CT_TRY(ct_bench_peer_support(device, shape, &out->by));
    begin(device, shape, &p);
    ct_status status = make_arrays(&p);
    for (int way = 0; way < CT_PEER_WAYS && status == CT_OK; way++) status = run_way(&p, way, out);
    free_arrays(&p);
    return status;
}

bool ct_bench_peer_alike(const ct_bench_peer *peer) {
    bool alike = true;
    for (int way = 0; way < CT_PEER_WAYS; way++) alike = alike && peer->way[way].apart <= CT_PEER_APART;
    return alike;
}
