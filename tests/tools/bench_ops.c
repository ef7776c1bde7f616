/* bench_ops.c -- the ops of a training step and of generation at the size of the small config: milliseconds, GFLOP/s,
 * share of the measured sgemm rate. Usage: bench_ops [name ...]; the best of a few runs counts. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "op_cases.h"

#define C 128
#define ROWS 8192
static const op_case bench_cases[] = {
    EMBED(rows_embed, "", ROWS, 14, 1400, C, PLAIN),
    EMBED(rows_embed_backward, "", ROWS, 14, 1400, C, PLAIN),
    CASE(rotary_rows, "", .params.rotary_rows = {.rows = ROWS, .sources = 6, .pairs = 16}),
    HARMONY(harmony, "", 8, 4, 300, 300, 19, 7, PLAIN),
    HARMONY(harmony_backward, "", 8, 4, 300, 300, 19, 7, PLAIN),
    MLP(harmony_mlp, "", 8, 4, 100, 100, 19, 16, 64, PLAIN),
    MLP(harmony_mlp_backward, "", 8, 4, 100, 100, 19, 16, 64, PLAIN),
    NORM(layernorm, "", ROWS, C, 0, PLAIN),
    NORM(layernorm, "dropout", ROWS, C, 0.1f, PLAIN),
    NORM(layernorm_backward, "", ROWS, C, 0, PLAIN),
    LINEAR(linear, "qkv", ROWS, C, 3 * C, PLAIN),
    LINEAR(linear, "out", ROWS, C, C, PLAIN),
    LINEAR(linear, "up", ROWS, C, 4 * C, PLAIN),
    LINEAR(linear, "down", ROWS, 4 * C, C, PLAIN),
    LINEAR(linear_backward, "qkv", ROWS, C, 3 * C, PLAIN),
    LINEAR(linear_backward, "out", ROWS, C, C, PLAIN),
    LINEAR(linear_backward, "up", ROWS, C, 4 * C, PLAIN),
    LINEAR(linear_backward, "down", ROWS, 4 * C, C, PLAIN),
    CASE(gelu, "", .params.gelu = {.rows = ROWS, .width = 4 * C}),
    CASE(gelu_backward, "", .params.gelu_backward = {.rows = ROWS, .width = 4 * C}),
    ATTENTION(attention, "32", 8, 1024, 0, 4, 32, 1, 1, 0, NO_G),
    ATTENTION(attention, "32 G", 8, 1024, 0, 4, 32, 300, 300, 0, PLAIN),
    ATTENTION(attention, "32 G dropout", 8, 1024, 0, 4, 32, 300, 300, 0.1f, PLAIN),
    ATTENTION(attention, "64 G", 8, 1024, 0, 4, 64, 300, 300, 0, PLAIN),
    ATTENTION(attention_backward, "32", 8, 1024, 0, 4, 32, 1, 1, 0, NO_G),
    ATTENTION(attention_backward, "32 G", 8, 1024, 0, 4, 32, 300, 300, 0, PLAIN),
    ATTENTION(attention_backward, "32 G dropout", 8, 1024, 0, 4, 32, 300, 300, 0.1f, PLAIN),
    ATTENTION(attention_backward, "64 G", 8, 1024, 0, 4, 64, 300, 300, 0, PLAIN),
    ENTROPY("", ROWS, 331, PLAIN),
    CASE(narrow, "", .params.narrow = {.count = 2000000}),
    CASE(widen, "", .params.widen = {.count = 2000000}),
    CASE(grad_squares, "", .params.grad_squares = {.count = 2000000}),
    CASE(grad_norm, "", .params.grad_norm = {.blocks = 2000}),
    ADAMW("", 2000000, 60, PLAIN),
    LINEAR(linear_rows, "1", 1, C, 3 * C, PLAIN),
    LINEAR(linear_rows, "16", 16, C, 3 * C, PLAIN),
    LINEAR(linear_rows, "64", 64, C, 3 * C, PLAIN),
    DECODE("", 16, 1024, 4, 32, 300, .flags = LONG_RUN),
    SAMPLE("", 16, 331, 40, 1, 0.9, PLAIN),
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool wanted(const char *name, int count, char **names) {
    for (int i = 0; i < count; i++)
        if (strstr(name, names[i])) return true;
    return count == 0;
}

int main(int argc, char **argv) {
    double peak = ct_cpu_measure_gemm();
    printf("cpu backend %s, %s, %d threads, sgemm %.0f GFLOP/s\n", ct_cpu_isa(), ct_cpu_gemm(), ct_cpu_threads(),
           peak * 1e-9);
    printf("%-36s %9s %9s %7s %9s\n", "op", "ms", "GFLOP/s", "sgemm", "GB/s");
    for (size_t i = 0; i < CT_COUNT(bench_cases); i++) {
        const op_case *c = &bench_cases[i];
        if (!wanted(c->name, argc - 1, argv + 1)) continue;
        op_arrays a = op_arrays_fill(c, CT_F32);
        double    best = 1e9, began = seconds();
        for (int run = 0; run < 3 || (run < 200 && seconds() - began < 0.3); run++) {
            double start = seconds();
            if (ct_op_run(ct_backend_cpu(), c->op, &a.params) != CT_OK) return 1;
            best = fmin(best, seconds() - start);
        }
        double flops = a.info->flops(&a.params);
        printf("%-36s %9.3f %9.1f %6.0f%% %9.1f\n", c->name, best * 1e3, flops / best * 1e-9, 100 * flops / best / peak,
               ct_op_bytes(c->op, &a.params) / best * 1e-9);
        op_arrays_free(&a);
    }
    return 0;
}
