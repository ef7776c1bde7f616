/* test_sdpa.c -- our attention on a real GPU beside cuDNN's, in bf16: causal, one song, without rotation, G, memory and
 * dropout, which is all of it that cuDNN has.
 *
 *   test_sdpa [check] [times]    against the reference (double), with the bounds of tests/op_parity.h; how long they
 * take
 *
 * Times are microseconds of a call, the median of several rounds of many calls, without graphs. The results of the
 * timed shapes, which are too large for the reference, are compared with each other: they may differ by eight units of
 * bf16 in the last place of an array's largest value; a wrong mask, scale or layout differs by most of it. Exit code 77
 * where there is no GPU or no cuDNN for it; a line says which.
 */
#include "unit.h"

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/sdpa.h"
#include "on_gpu.h"
#include "stopwatch.h"
#include "tests/op_parity.h"

/* ---- against the reference */
/* clang-format off */
#define SHAPE(b, t, h, d) \
    ATTENTION(attention, #b " x " #t ", " #h " heads of " #d, b, t, 0, h, d, 0, 0, 0, NO_G, .flags = UNTURNED), \
    ATTENTION(attention_backward, #b " x " #t ", " #h " heads of " #d, b, t, 0, h, d, 0, 0, 0, NO_G, .flags = UNTURNED)
static const op_case cases[] = {
    SHAPE(1, 64, 1, 64), SHAPE(2, 200, 3, 32), SHAPE(2, 256, 2, 64), SHAPE(3, 129, 2, 128), SHAPE(1, 1024, 2, 64),
};
/* clang-format on */

static ct_sdpa_shape shape_of(const ct_params *params) {
    const ct_attention *p = &params->attention; /* attention_backward begins as it does */
    return (ct_sdpa_shape){
        .batch = p->batch, .heads = p->heads, .tokens = p->tokens, .head = p->head, .scale = p->scale};
}
static ct_sdpa_arrays arrays_of(ct_op op, const ct_params *params, void *workspace) {
    const ct_attention          *f = &params->attention;
    const ct_attention_backward *b = &params->attention_backward;
    if (op == CT_OP_attention) return (ct_sdpa_arrays){.qkv = f->qkv, .y = f->y, .lse = f->lse, .workspace = workspace};
    /* cuDNN reads what our op has as inputs */
    return (ct_sdpa_arrays){.qkv = b->qkv,
                            .dy = b->dy,
                            .y = (void *)(uintptr_t)b->y,
                            .lse = (float *)(uintptr_t)b->lse,
                            .dqkv = b->dqkv,
                            .workspace = workspace};
}

/* the peer, as an op */
typedef struct peer {
    ct_op         op;
    ct_params     params;
    ct_cuda_sdpa *plan;
    void         *workspace;
} peer;
static ct_status peer_open(ct_op op, const ct_params *params, peer *out) {
    const ct_sdpa_shape shape = shape_of(params);
    *out = (peer){.op = op, .params = *params};
    CT_TRY(ct_cuda_sdpa_plan(&shape, op == CT_OP_attention ? CT_SDPA_FORWARD : CT_SDPA_BACKWARD, &out->plan));
    return gpu->alloc(ct_cuda_sdpa_workspace(out->plan) + 1, &out->workspace);
}
static void peer_close(peer *p) {
    if (p->workspace) gpu->release(p->workspace);
    ct_cuda_sdpa_free(p->plan);
}
static ct_status peer_run(void *context) {
    const peer          *p = context;
    const ct_sdpa_arrays arrays = arrays_of(p->op, &p->params, p->workspace);
    return ct_cuda_sdpa_run(p->plan, &arrays, ct_cuda_stream());
}

typedef struct own {
    ct_op            op;
    const ct_params *params;
} own;
static ct_status own_run(void *context) {
    const own *o = context;
    return ct_op_run(gpu->backend, o->op, o->params);
}

static ct_status with_arrays(ct_op op, op_arrays *arrays, bool by_peer) {
    gpu_arrays g = gpu_take(arrays, 0, -1);
    own        o = {op, &g.params};
    peer       p = {.op = op};
    ct_status  status = by_peer ? peer_open(op, &g.params, &p) : CT_OK;
    if (status == CT_OK) status = by_peer ? peer_run(&p) : own_run(&o);
    if (status == CT_OK) status = gpu->wait();
    for (int i = 0; i < arrays->info->field_count; i++)
        if (status == CT_OK && g.memory[i] && arrays->info->fields[i].role == CT_ROLE_OUT)
            gpu_try(ct_device_copy(gpu, array_of(arrays, i), g.at[i], g.bytes[i]));
    if (status != CT_OK) print_error("%s: %s\n", arrays->about->name, ct_message());
    peer_close(&p);
    gpu_free(&g);
    return status;
}
static ct_status by_own(ct_op op, op_arrays *arrays) {
    return with_arrays(op, arrays, false);
}
static ct_status by_peer(ct_op op, op_arrays *arrays) {
    return with_arrays(op, arrays, true);
}

static void check_all(ct_op op, op_runner run) {
    for (size_t i = 0; i < CT_COUNT(cases); i++)
        if (cases[i].op == op) check_case(&cases[i], CT_BF16, run);
}
static void own_forward(void **state) {
    (void)state;
    check_all(CT_OP_attention, by_own);
}
static void own_backward(void **state) {
    (void)state;
    check_all(CT_OP_attention_backward, by_own);
}
static void peer_forward(void **state) {
    (void)state;
    check_all(CT_OP_attention, by_peer);
}
static void peer_backward(void **state) {
    (void)state;
    check_all(CT_OP_attention_backward, by_peer);
}

/* ---- times */
/* seconds of a call; it has run before */
static double time_of(ct_enqueue call, void *context) {
    double taken[ROUNDS], began = seconds();
    gpu_try(call(context));
    gpu_try(gpu->wait());
    const int times = (int)fmin(200, fmax(5, 0.02 / (seconds() - began)));
    for (int round = 0; round < ROUNDS; round++) {
        began = seconds();
        for (int i = 0; i < times; i++) gpu_try(call(context));
        gpu_try(gpu->wait());
        taken[round] = (seconds() - began) / times;
    }
    return median(taken);
}

/* The arrays of attention_backward on the device, which has those of attention too; inputs random, no rotation. */
static void take_all(ct_params *backward, ct_params *forward, void **memory) {
    const ct_op_info *info = ct_op_about(CT_OP_attention_backward), *first = ct_op_about(CT_OP_attention);
    for (int i = 0; i < info->field_count; i++) {
        const ct_field *f = &info->fields[i];
        if (!f->count || named(cases[0].missing, f->name) || f->count(backward) == 0) continue;
        const size_t count = (size_t)f->count(backward), size = ct_type_size(f->type, CT_BF16);
        gpu_try(gpu->alloc(count * size, &memory[i]));
        memcpy((char *)backward + f->offset, &memory[i], sizeof memory[i]);
        const int at = field_index(first, f->name);
        if (at >= 0) memcpy((char *)forward + first->fields[at].offset, &memory[i], sizeof memory[i]);
        const bool random = !strcmp(f->name, "qkv") || !strcmp(f->name, "dy");
        if (!random && strcmp(f->name, "cosine") != 0) continue;
        char *host = malloc(count * size);
        if (!host) abort();
        for (size_t k = 0; k < count; k++) {
            const float    one = 1, x = 2 * ct_philox_float(ct_philox_at(7, (uint64_t)i, k % 1000003).word[0]) - 1;
            const uint16_t half = ct_bf16_round(x);
            memcpy(host + k * size, random ? (const void *)&half : (const void *)&one, size);
        }
        gpu_try(ct_device_copy(gpu, memory[i], host, count * size));
        free(host);
    }
}

/* What the last row of the batch holds. */
static uint16_t *last_row(const void *array, const ct_sdpa_shape *s, int64_t parts) {
    const size_t count = (size_t)(s->tokens * parts * s->heads * s->head);
    uint16_t    *host = malloc(count * 2);
    if (!host) abort();
    gpu_try(ct_device_copy(gpu, host, (const char *)array + (size_t)(s->batch - 1) * count * 2, count * 2));
    return host;
}
/* largest difference, in units of bf16 in the last place of the largest value */
static double difference(const uint16_t *a, const uint16_t *b, int64_t count) {
    double most = 0, apart = 0;
    for (int64_t i = 0; i < count; i++) {
        const double x = (double)ct_bf16_float(a[i]), y = (double)ct_bf16_float(b[i]);
        most = fmax(most, fabs(x));
        apart = isfinite(x - y) ? fmax(apart, fabs(x - y)) : INFINITY;
    }
    return most > 0 ? apart / (most * 0x1p-8) : INFINITY;
}

static bool time_way(ct_op op, const ct_params *params, const void *result, int64_t parts) {
    const ct_sdpa_shape s = shape_of(params);
    own                 o = {op, params};
    peer                p;
    const double        flops = (op == CT_OP_attention ? 4 : 10) * (double)s.head * (double)(s.batch * s.heads) *
                         (double)s.tokens * (double)(s.tokens + 1) / 2;
    gpu_try(own_run(&o));
    gpu_try(gpu->wait());
    uint16_t    *first = last_row(result, &s, parts);
    const double ours = time_of(own_run, &o);
    if (peer_open(op, params, &p) != CT_OK || peer_run(&p) != CT_OK || gpu->wait() != CT_OK) {
        printf("%-9s %5d x %5d %3d x %3d %10.1f us   %s\n", op == CT_OP_attention ? "forward" : "backward",
               (int)s.batch, (int)s.tokens, (int)s.heads, (int)s.head, 1e6 * ours, ct_message());
        peer_close(&p);
        free(first);
        return false;
    }
    uint16_t    *second = last_row(result, &s, parts);
    const double apart = difference(first, second, s.tokens * parts * s.heads * s.head);
    const double theirs = time_of(peer_run, &p);
    printf("%-9s %5d x %5d %3d x %3d %10.1f us %7.1f TFLOP/s %10.1f us %7.1f TFLOP/s   x %.2f   apart %.2f\n",
           op == CT_OP_attention ? "forward" : "backward", (int)s.batch, (int)s.tokens, (int)s.heads, (int)s.head,
           1e6 * ours, 1e-12 * flops / ours, 1e6 * theirs, 1e-12 * flops / theirs, ours / theirs, apart);
    peer_close(&p);
    free(first);
    free(second);
    return apart <= 8;
}

static bool time_all(void) {
    static const int64_t shapes[][4] = {{8, 1024, 4, 32},  {16, 1024, 8, 32},  {8, 1024, 4, 64},  {16, 1024, 8, 64},
                                        {8, 2048, 8, 64},  {16, 2048, 16, 64}, {8, 4096, 16, 64}, {8, 1024, 4, 128},
                                        {8, 2048, 8, 128}, {8, 4096, 16, 128}};
    bool                 alike = true;
    printf("%-9s %13s %9s %13s %28s %25s\n", "", "batch x tokens", "heads", "ours", "cuDNN", "ours/cuDNN");
    for (size_t i = 0; i < CT_COUNT(shapes); i++) {
        const int64_t *s = shapes[i];
        ct_params      forward, backward;
        void          *memory[GPU_MOST_ARRAYS] = {0};
        forward.attention =
            (ct_attention){.batch = s[0], .tokens = s[1], .heads = s[2], .head = s[3], .scale = 1 / sqrt((double)s[3])};
        backward.attention_backward = (ct_attention_backward){
            .batch = s[0], .tokens = s[1], .heads = s[2], .head = s[3], .scale = 1 / sqrt((double)s[3])};
        forward.dtype = backward.dtype = CT_BF16;
        take_all(&backward, &forward, memory);
        alike = time_way(CT_OP_attention, &forward, forward.attention.y, 1) && alike;
        alike = time_way(CT_OP_attention_backward, &backward, backward.attention_backward.dqkv, 3) && alike;
        fflush(stdout);
        for (int k = 0; k < GPU_MOST_ARRAYS; k++)
            if (memory[k]) gpu->release(memory[k]);
    }
    return alike;
}

int main(int argc, char **argv) {
    bool check = argc == 1, times = argc == 1;
    for (int i = 1; i < argc; i++) {
        check = check || !strcmp(argv[i], "check");
        times = times || !strcmp(argv[i], "times");
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(own_forward), cmocka_unit_test(own_backward),
                                       cmocka_unit_test(peer_forward), cmocka_unit_test(peer_backward)};
    const ct_sdpa_shape     any = {.batch = 1, .heads = 1, .tokens = 64, .head = 64, .scale = 1};
    gpu_open(CT_PRECISION_BF16);
    if (ct_cuda_sdpa_support(&any) != CT_OK) {
        printf("skipped: %s\n", ct_message());
        return GPU_NONE;
    }
    printf("%s; %s\n", ct_device_describe(gpu), ct_cuda_cudnn_name());
    fflush(stdout);
    int failed = check ? cmocka_run_group_tests_name("attention, ours and cuDNN's", tests, NULL, NULL) : 0;
    if (times && !time_all()) failed++;
    ct_device_close(gpu);
    return failed != 0;
}
