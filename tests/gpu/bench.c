/* bench.c -- what the kernels and whole training steps take on a real GPU, beside what the same card reaches when it
 * only copies and only multiplies.
 *
 *   bench ops [NAME ...]    each op: microseconds, TFLOP/s, GB/s, share of the larger of its two bounds
 *   bench steps             both shipped models and larger ones: ms a step, tokens a second, share of the bound
 *   bench profile           of a step of the larger ones: what `cantus bench` says
 *
 * Times are of graphs that repeat an op, over enough launches to last; the median of several rounds (kernels/timing.h).
 * Bounds are measured here: bytes by a device-to-device copy of 1 GiB, read and written; flops of products by the best
 * square product of cuBLASLt, of attention by that times the share that mma.sync has of the card's peak (train/gpu.c).
 */
#include "train/bench.h"
#include "core/rng.h"
#include "on_gpu.h"

/* Seconds of a call, many times as one graph. */
static const double ROUND = 0.01;

static double time_of(ct_enqueue call, void *context) {
    ct_timing taken;
    gpu_try(ct_time_call(gpu, ROUND, true, call, context, &taken));
    return taken.median;
}

/* ---- what the card reaches */
static struct { double bytes, bf16, tf32, fp32; /* a second */ } reached;

typedef struct copying {
    void  *to, *from;
    size_t bytes;
} copying;
static ct_status copy_once(void *context) {
    const copying *c = context;
    return gpu->copy(CT_QUEUE_COMPUTE, c->to, c->from, c->bytes);
}
static void measure_copy(void) {
    copying c = {.bytes = (size_t)1 << 30};
    gpu_try(gpu->alloc(c.bytes, &c.to));
    gpu_try(gpu->alloc(c.bytes, &c.from));
    reached.bytes = 2 * (double)c.bytes / time_of(copy_once, &c);
    gpu->release(c.to);
    gpu->release(c.from);
}

typedef struct op_call {
    ct_op            op;
    const ct_params *params;
} op_call;
static ct_status run_op(void *context) {
    const op_call *c = context;
    return ct_op_run(gpu->backend, c->op, c->params);
}

/* Random reals of either type, which a product of ones or zeros would flatter. */
static void random_reals(void *to, size_t bytes, ct_dtype dtype, uint64_t seed) {
    const size_t some = 1 << 20, size = ct_dtype_size(dtype); /* repeated */
    char        *host = malloc(some);
    if (!host) abort();
    for (size_t i = 0; i < some / size; i++) {
        const float    x = 2 * ct_philox_float(ct_philox_at(seed, 1, i).word[0]) - 1;
        const uint16_t half = ct_bf16_round(x);
        memcpy(host + i * size, size == 2 ? (const void *)&half : &x, size);
    }
    for (size_t at = 0; at < bytes; at += some)
        gpu_try(ct_device_copy(gpu, (char *)to + at, host, bytes - at < some ? bytes - at : some));
    free(host);
}

static double measure_product(ct_dtype dtype, int64_t n) {
    const size_t bytes = (size_t)(n * n) * ct_dtype_size(dtype);
    void        *x, *w, *y;
    gpu_try(gpu->alloc(bytes, &x));
    gpu_try(gpu->alloc(bytes, &w));
    gpu_try(gpu->alloc(bytes, &y));
    random_reals(x, bytes, dtype, 1);
    random_reals(w, bytes, dtype, 2);
    ct_params p = {.linear = {.dtype = dtype, .rows = n, .in = n, .out = n, .x = x, .w = w, .y = y}};
    op_call   c = {CT_OP_linear, &p};
    double    t = time_of(run_op, &c);
    gpu->release(x);
    gpu->release(w);
    gpu->release(y);
    return 2.0 * (double)n * (double)n * (double)n / t;
}

/* By its data sheet, else as measured. */
static ct_gpu card;

static void find_card(void) {
    const ct_gpu *known = ct_gpu_named(ct_device_describe(gpu));
    const ct_gpu  measured = {.name = "measured",
                              .bytes = reached.bytes,
                              .bf16 = reached.bf16,
                              .tf32 = reached.bf16 / 2,
                              .fp32 = reached.fp32,
                              .bf16_by_mma = reached.bf16};
    card = known ? *known : measured;
}
static void measure_card(void) {
    measure_copy();
    reached.bf16 = measure_product(CT_BF16, 8192);
    reached.fp32 = measure_product(CT_F32, 4096);
    find_card();
    printf("%s\n", ct_device_describe(gpu));
    printf("reached here: copy %.0f GB/s read and written, products bf16 %.0f TFLOP/s, fp32 %.1f TFLOP/s\n",
           reached.bytes * 1e-9, reached.bf16 * 1e-12, reached.fp32 * 1e-12);
    printf("shares are of %s: %.0f GB/s, bf16 %.0f TFLOP/s (attention, by mma.sync: %.0f), fp32 %.0f TFLOP/s\n",
           card.name, card.bytes * 1e-9, card.bf16 * 1e-12, card.bf16_by_mma * 1e-12, card.fp32 * 1e-12);
}

/* ---- ops, at the sizes of a model of width 512 with windows of 1,024 tokens, 16 a batch */
/* clang-format off */
enum { C = 512, ROWS = 16384 };
static const op_case bench_cases[] = {
    EMBED(rows_embed, "", ROWS, 14, 1400, C, PLAIN),
    EMBED(rows_embed_backward, "", ROWS, 14, 1400, C, PLAIN),
    CASE(rotary_rows, "", .params.rotary_rows = {.rows = ROWS, .sources = 6, .pairs = 32}),
    HARMONY(harmony, "", 16, 8, 300, 300, 19, 7, PLAIN),
    HARMONY(harmony_backward, "", 16, 8, 300, 300, 19, 7, PLAIN),
    MLP(harmony_mlp, "", 8, 4, 100, 100, 19, 16, 64, PLAIN),
    MLP(harmony_mlp_backward, "", 8, 4, 100, 100, 19, 16, 64, PLAIN),
    NORM(layernorm, "", ROWS, C, 0, PLAIN),
    NORM(layernorm, "dropout", ROWS, C, 0.1f, PLAIN),
    NORM(layernorm_backward, "", ROWS, C, 0.1f, PLAIN),
    LINEAR(linear, "qkv", ROWS, C, 3 * C, PLAIN),
    LINEAR(linear, "out", ROWS, C, C, PLAIN),
    LINEAR(linear, "up", ROWS, C, 4 * C, PLAIN),
    LINEAR(linear, "down", ROWS, 4 * C, C, PLAIN),
    LINEAR(linear_backward, "qkv", ROWS, C, 3 * C, PLAIN),
    LINEAR(linear_backward, "up", ROWS, C, 4 * C, PLAIN),
    CASE(gelu, "", .params.gelu = {.rows = ROWS, .width = 4 * C}),
    CASE(gelu_backward, "", .params.gelu_backward = {.rows = ROWS, .width = 4 * C}),
    ATTENTION(attention, "32", 16, 1024, 0, 16, 32, 1, 1, 0, NO_G),
    ATTENTION(attention, "64", 16, 1024, 0, 8, 64, 1, 1, 0, NO_G),
    ATTENTION(attention, "64, G", 16, 1024, 0, 8, 64, 300, 300, 0, PLAIN),
    ATTENTION(attention, "64, G, dropout", 16, 1024, 0, 8, 64, 300, 300, 0.1f, PLAIN),
    ATTENTION(attention, "64, 4096 tokens", 4, 4096, 0, 8, 64, 1, 1, 0, NO_G),
    ATTENTION(attention, "128", 16, 1024, 0, 4, 128, 1, 1, 0, NO_G),
    ATTENTION(attention, "64, memory, G", 64, 256, 768, 8, 64, 100, 300, 0, PLAIN),
    ATTENTION(attention_backward, "32", 16, 1024, 0, 16, 32, 1, 1, 0, NO_G),
    ATTENTION(attention_backward, "64", 16, 1024, 0, 8, 64, 1, 1, 0, NO_G),
    ATTENTION(attention_backward, "64, G", 16, 1024, 0, 8, 64, 300, 300, 0, PLAIN),
    ATTENTION(attention_backward, "64, G, dropout", 16, 1024, 0, 8, 64, 300, 300, 0.1f, PLAIN),
    ATTENTION(attention_backward, "64, 4096 tokens", 4, 4096, 0, 8, 64, 1, 1, 0, NO_G),
    ATTENTION(attention_backward, "128", 16, 1024, 0, 4, 128, 1, 1, 0, NO_G),
    ATTENTION(attention_backward, "64, memory, G", 64, 256, 768, 8, 64, 100, 300, 0, PLAIN),
    MEMORY("", 64, 256, 768, C, PLAIN),
    ENTROPY("", ROWS, 331, PLAIN),
    CASE(narrow, "", .params.narrow = {.count = 30000000}),
    CASE(widen, "", .params.widen = {.count = 30000000}),
    CASE(grad_squares, "", .params.grad_squares = {.count = 30000000}),
    CASE(grad_norm, "", .params.grad_norm = {.blocks = 1832}),
    ADAMW("", 30000000, 60, PLAIN),
    LINEAR(linear_rows, "1", 1, C, 3 * C, PLAIN),
    LINEAR(linear_rows, "16", 16, C, 3 * C, PLAIN),
    LINEAR(linear_rows, "256", 256, C, 3 * C, PLAIN),
    DECODE("16", 16, 1024, 8, 64, 300, .flags = LONG_RUN),
    DECODE("256", 256, 1024, 8, 64, 300, .flags = LONG_RUN),
    SAMPLE("", 256, 331, 40, 1, 0.9, PLAIN),
};
/* clang-format on */

/* The larger of the two times it takes at least. */
static double bound_of(ct_op op, const ct_params *p, ct_dtype dtype) {
    const int precision = dtype == CT_BF16 ? CT_PRECISION_BF16 : CT_PRECISION_FP32;
    return fmax(ct_op_about(op)->flops(p) / ct_gpu_rate(&card, op, precision), ct_op_bytes(op, p) / card.bytes);
}

/* Segments as music has them, about four rows each, the memory's before the tokens'. */
static void set_segments(op_arrays *a, const char *name, int64_t rows, int64_t first) {
    const int field = field_index(a->info, name);
    int32_t  *segment = field < 0 ? NULL : array_of(a, field);
    for (int64_t i = 0; segment && i < a->count[field]; i++) segment[i] = (int32_t)(first + i % rows / 4);
}
static void bench_op(const op_case *c, ct_dtype dtype) {
    op_arrays host = op_arrays_fill(c, dtype);
    if (c->op == CT_OP_attention || c->op == CT_OP_attention_backward) {
        const ct_attention *p = &c->params.attention; /* its gradient begins alike */
        set_segments(&host, "segment_query", p->tokens, 0);
        set_segments(&host, "segment_key", p->tokens, p->memory / 4);
        if (p->memory) set_segments(&host, "segment_memory", p->memory, 0);
    }
    if (c->op == CT_OP_attention_decode) /* the whole cache is seen, as it is counted */
        memset(array_of(&host, field_index(host.info, "first")), 0, (size_t)c->params.attention_decode.batch * 4);
    gpu_arrays g = gpu_take(&host, 0, -1);
    op_call    call = {c->op, &g.params};
    double     t = time_of(run_op, &call), flops = host.info->flops(&host.params);
    printf("  %-30s %-5s %9.1f us %8.1f TFLOP/s %8.0f GB/s %6.0f%%\n", c->name, dtype == CT_BF16 ? "bf16" : "fp32",
           t * 1e6, flops / t * 1e-12, ct_op_bytes(c->op, &host.params) / t * 1e-9,
           100 * bound_of(c->op, &host.params, dtype) / t);
    fflush(stdout);
    gpu_free(&g);
    op_arrays_free(&host);
}

/* ---- steps */
typedef struct bench_model {
    const char *name, *words[8];
} bench_model;
#define BACKBONE "model.stage=backbone", "model.tokens=1024"
#define MELODY_MODEL "model.stage=melody", "model.tokens=256", "model.memory=768"
static const bench_model models[] = {
    {"configs/backbone.yaml", {BACKBONE, "train.batch=8"}},
    {"configs/melody.yaml", {MELODY_MODEL, "train.batch=16"}},
    {"backbone, 8 layers of 512",
     {BACKBONE, "model.layers=8", "model.width=512", "model.heads=8", "model.feed_forward=2048", "train.batch=32"}},
    {"melody, 8 layers of 512",
     {MELODY_MODEL, "model.layers=8", "model.width=512", "model.heads=8", "model.feed_forward=2048", "train.batch=64"}},
};

static ct_arena configs;

static void bench_model_with(const bench_model *b, const char *precision, const ct_bench_choice *choice,
                             ct_bench *out) {
    const char     *words[16] = {"data.path=none", "train.out=none", "device=cuda", precision};
    size_t          count = 4;
    ct_train_config c;
    for (int i = 0; i < 8 && b->words[i]; i++) words[count++] = b->words[i];
    gpu_try(ct_config_read(&ct_train_schema, NULL, words, count, &configs, &c));
    gpu_try(ct_bench_run(&c, choice, out));
}

static void profile(const bench_model *b) {
    ct_bench found;
    bench_model_with(b, "precision=bf16", &(ct_bench_choice){.round = ROUND}, &found);
    ct_bench_print(&found);
    ct_bench_free(&found);
}

static void bench_steps(const bench_model *b, const char *precision) {
    const char *const step[] = {"step"};
    ct_bench          found;
    bench_model_with(b, precision, &(ct_bench_choice){step, 1, ROUND}, &found);
    const ct_timing *t = &found.step[CT_BENCH_GRAPH];
    printf(
        "  %-28s %-15s %8.3f ms a step %10.0f tokens/s %7.1f TFLOP/s %4.0f%% (fastest %.3f, slowest %.3f ms; op by op "
        "%.3f ms)\n",
        b->name, precision, t->median * 1e3, (double)found.tokens / t->median, found.flops / t->median * 1e-12,
        100 * found.least / t->median, t->least * 1e3, t->most * 1e3, found.step[CT_BENCH_EAGER].median * 1e3);
    fflush(stdout);
    ct_bench_free(&found);
}

static bool wanted(const char *name, int count, char **names) {
    for (int i = 0; i < count; i++)
        if (strstr(name, names[i])) return true;
    return count == 0;
}

int main(int argc, char **argv) {
    if (argc < 2 || (strcmp(argv[1], "ops") != 0 && strcmp(argv[1], "steps") != 0 && strcmp(argv[1], "profile") != 0)) {
        fprintf(stderr, "usage: bench ops [NAME ...] | bench steps | bench profile\n");
        return 2;
    }
    gpu_open(CT_PRECISION_FP32);
    measure_card();
    if (!strcmp(argv[1], "ops")) {
        for (size_t i = 0; i < CT_COUNT(bench_cases); i++)
            for (int dtype = 0; dtype < 2 && wanted(bench_cases[i].name, argc - 2, argv + 2); dtype++)
                bench_op(&bench_cases[i], dtype ? CT_F32 : CT_BF16);
        return 0;
    }
    ct_device_close(gpu); /* each model opens its own */
    const bool profiles = !strcmp(argv[1], "profile");
    for (size_t i = CT_COUNT(models) / 2; i < CT_COUNT(models) && profiles; i++) profile(&models[i]);
    for (size_t i = 0; i < CT_COUNT(models) && !profiles; i++) {
        bench_steps(&models[i], "precision=bf16");
        bench_steps(&models[i], "precision=tf32");
        bench_steps(&models[i], "precision=fp32");
    }
    ct_arena_free(&configs);
    return 0;
}
