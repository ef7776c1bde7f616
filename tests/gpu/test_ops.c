/* test_ops.c -- every op of the cuda backend on a real GPU against the reference (double), with the cases and bounds
 * that the emulator's tests have (tests/op_parity.h), and some at sizes of training that no emulator reaches. Twice:
 * the bytes must be the same. Nothing may be written around an array.
 */
#include "unit.h"

#include "kernels/cuda/cuda.h"
#include "on_gpu.h"
#include "tests/op_parity.h"

#include <fnmatch.h>

/* sizes of training; the reference takes its time */
/* clang-format off */
static const op_case large_cases[] = {
    EMBED(rows_embed, "(large)", 8192, 14, 1400, 512, PLAIN),
    EMBED(rows_embed_backward, "(large)", 8192, 14, 1400, 128, PLAIN),
    CASE(rotary_rows, "(large)", .params.rotary_rows = {.rows = 8192, .sources = 6, .pairs = 32}),
    HARMONY(harmony, "(large)", 4, 4, 300, 300, 19, 7, PLAIN),
    HARMONY(harmony_backward, "(large)", 4, 4, 300, 300, 19, 7, PLAIN),
    MLP(harmony_mlp, "(large)", 2, 4, 100, 100, 19, 16, 64, PLAIN),
    MLP(harmony_mlp_backward, "(large)", 2, 4, 60, 60, 19, 16, 64, PLAIN),
    NORM(layernorm, "(large)", 8192, 512, 0.1f, PLAIN),
    NORM(layernorm_backward, "(large)", 8192, 512, 0.1f, PLAIN),
    LINEAR(linear, "(large)", 1024, 512, 1536, PLAIN),
    LINEAR(linear_backward, "(large)", 1024, 512, 512, PLAIN),
    LINEAR(linear_rows, "(large)", 64, 512, 2048, PLAIN),
    GELU(gelu, "(large)", 8192, 2048, PLAIN),
    GELU(gelu_backward, "(large)", 8192, 2048, PLAIN),
    ATTENTION(attention, "(large)", 2, 1024, 0, 4, 32, 300, 300, 0.1f, PLAIN),
    ATTENTION(attention, "(large, memory)", 2, 256, 768, 2, 64, 100, 400, 0.1f, .flags = SONGS),
    ATTENTION(attention, "(large, head of 128)", 1, 1024, 0, 2, 128, 300, 300, 0, PLAIN),
    ATTENTION(attention_backward, "(large)", 2, 1024, 0, 4, 32, 300, 300, 0.1f, PLAIN),
    ATTENTION(attention_backward, "(large, memory)", 2, 256, 768, 2, 64, 100, 400, 0.1f, .flags = SONGS),
    ATTENTION(attention_backward, "(large, head of 128)", 1, 1024, 0, 2, 128, 300, 300, 0, PLAIN),
    MEMORY("(large)", 16, 256, 768, 512, PLAIN),
    DECODE("(large)", 16, 1024, 8, 64, 300, .flags = LONG_RUN),
    ENTROPY("(large)", 8192, 331, PLAIN),
    CASE(narrow, "(large)", .params.narrow = {.count = 20000000}),
    CASE(widen, "(large)", .params.widen = {.count = 20000000}),
    CASE(grad_squares, "(large)", .params.grad_squares = {.count = 20000000}),
    CASE(grad_norm, "(large)", .params.grad_norm = {.blocks = 20000}),
    ADAMW("(large)", 2000000, 60, PLAIN),
    SAMPLE("(large)", 256, 331, 40, 1, 0.9, PLAIN),
};
/* clang-format on */

static struct {
    ct_dtype dtype;
    size_t   shift;
    int      alone;
} now = {.alone = -1};

/* The bytes of all results, one behind the other; NULL after a failure. The caller frees them. */
static unsigned char *run_once(ct_op op, gpu_arrays *g) {
    const ct_op_info *info = g->host->info;
    size_t            all = 0, at = 0;
    for (int i = 0; i < info->field_count; i++) all += g->memory[i] ? g->bytes[i] : 0;
    unsigned char *results = calloc(1, all + 1);
    if (!results) abort();
    gpu_fill(g);
    if (ct_op_run(gpu->backend, op, &g->params) != CT_OK || gpu->wait() != CT_OK) {
        free(results);
        return NULL;
    }
    for (int i = 0; i < info->field_count; i++) {
        if (!g->memory[i]) continue;
        const size_t   around = g->bytes[i] + 2 * GPU_GUARD;
        unsigned char *found = malloc(around);
        if (!found) abort();
        gpu_try(ct_device_copy(gpu, found, g->at[i] - GPU_GUARD, around));
        for (size_t k = 0; k < GPU_GUARD; k++)
            if (found[k] != GUARD_BYTE || found[around - 1 - k] != GUARD_BYTE)
                fail_msg("%s: %s: written out of bounds", g->host->about->name, info->fields[i].name);
        if (info->fields[i].role != CT_ROLE_TMP) memcpy(results + at, found + GPU_GUARD, g->bytes[i]);
        at += g->bytes[i];
        free(found);
    }
    return results;
}

static ct_status run_on_gpu(ct_op op, op_arrays *arrays) {
    const ct_op_info *info = arrays->info;
    gpu_arrays        g = gpu_take(arrays, now.shift, now.alone);
    unsigned char    *results = run_once(op, &g), *again = results ? run_once(op, &g) : NULL;
    size_t            at = 0;
    for (int i = 0; results && again && i < info->field_count; i++) {
        if (!g.memory[i]) continue;
        const bool aliased = result_field(arrays, i) != i;
        if (memcmp(results + at, again + at, g.bytes[i]) != 0)
            fail_msg("%s: %s: other bytes the second time", arrays->about->name, info->fields[i].name);
        if (info->fields[i].role != CT_ROLE_TMP && !aliased) memcpy(array_of(arrays, i), results + at, g.bytes[i]);
        at += g.bytes[i];
    }
    const ct_status status = results && again ? CT_OK : CT_EFAIL;
    if (status != CT_OK) print_error("%s: %s\n", arrays->about->name, ct_message());
    free(results);
    free(again);
    gpu_free(&g);
    return status;
}

static void each_shifted(const op_case *c) {
    const ct_op_info *info = ct_op_about(c->op);
    now.shift = 2;
    for (now.alone = 0; now.alone < info->field_count; now.alone++)
        if (ct_type_is_real(info->fields[now.alone].type)) check_case(c, now.dtype, run_on_gpu);
    now.shift = 0;
    now.alone = -1;
}

static void parity_of_dtype(ct_op op, ct_dtype dtype) {
    now.dtype = dtype;
    check_op(op, dtype, run_on_gpu);
    for (size_t i = 0; i < CT_COUNT(op_cases); i++)
        if (op_cases[i].op == op && op_cases[i].flags & FOURS) each_shifted(&op_cases[i]);
    const bool small = getenv("CANTUS_TEST_SMALL") != NULL;
    for (size_t i = 0; i < CT_COUNT(large_cases) && !small; i++)
        if (large_cases[i].op == op) check_case(&large_cases[i], dtype, run_on_gpu);
}
static void parity(void **state) {
    parity_of_dtype((ct_op)(intptr_t)*state, CT_F32);
}
static void parity_bf16(void **state) {
    parity_of_dtype((ct_op)(intptr_t)*state, CT_BF16);
}

/* [OP ...]: these alone ("attention*", "*_bf16"); --list: their names. CANTUS_TEST_SMALL: without the large cases. */
int main(int argc, char **argv) {
#define PARITY(name)                                                                                                   \
    {#name, parity, NULL, NULL, (void *)(intptr_t)CT_OP_##name},                                                       \
        {#name "_bf16", parity_bf16, NULL, NULL, (void *)(intptr_t)CT_OP_##name},
    static const struct CMUnitTest all[] = {CT_CUDA_OPS(PARITY) CT_CUDA_PRODUCTS(PARITY)};
    static struct CMUnitTest       tests[CT_COUNT(all)];
    size_t                         count = 0;
    const bool                     list = argc == 2 && !strcmp(argv[1], "--list");
    for (size_t i = 0; i < CT_COUNT(all) && list; i++) puts(all[i].name);
    if (list) return 0;
    for (size_t i = 0; i < CT_COUNT(all); i++) {
        bool wanted = argc == 1;
        for (int k = 1; k < argc; k++) wanted = wanted || fnmatch(argv[k], all[i].name, 0) == 0;
        if (wanted) tests[count++] = all[i];
    }
    if (!count) {
        fprintf(stderr, "%s: no op is called %s\n", argv[0], argv[1]);
        return 2;
    }
    gpu_open(CT_PRECISION_FP32);
    printf("%s\n", ct_device_describe(gpu));
    return unit_run_tests("ops on a GPU", tests, count, NULL, NULL);
}
