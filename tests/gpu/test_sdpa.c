/* test_sdpa.c -- our attention on a real GPU beside cuDNN's, in bf16: causal, one song, without rotation, G, memory and
 * dropout, which is all of it that cuDNN has.
 *
 *   test_sdpa [check] [times]    against the reference (double), with the bounds of tests/op_parity.h; how long they
 * take
 *
 * Times, and the results of the timed shapes, which are too large for the reference, are compared as
 * `cantus bench attention peer=cudnn` does it (train/bench_peer.h). Exit code 77 where there is no GPU or no cuDNN for
 * it; a line says which.
 */
#include "unit.h"

#include "on_gpu.h"
#include "tests/op_parity.h"
#include "train/bench_peer.h"

/* ---- against the reference */
/* clang-format off */
#define SHAPE(b, t, h, d) \
    ATTENTION(attention, #b " x " #t ", " #h " heads of " #d, b, t, 0, h, d, 0, 0, 0, NO_G, .flags = UNTURNED), \
    ATTENTION(attention_backward, #b " x " #t ", " #h " heads of " #d, b, t, 0, h, d, 0, 0, 0, NO_G, .flags = UNTURNED)
static const op_case cases[] = {
    SHAPE(1, 64, 1, 64), SHAPE(2, 200, 3, 32), SHAPE(2, 256, 2, 64), SHAPE(3, 129, 2, 128), SHAPE(1, 1024, 2, 64),
};
/* clang-format on */

typedef struct own {
    ct_op            op;
    const ct_params *params;
} own;
static ct_status own_run(void *context) {
    const own *o = context;
    return ct_op_run(gpu->backend, o->op, o->params);
}

static ct_status with_arrays(ct_op op, op_arrays *arrays, bool by_peer) {
    gpu_arrays  g = gpu_take(arrays, 0, -1);
    own         o = {op, &g.params};
    ct_peer    *peer = NULL;
    const char *by;
    ct_status   status = by_peer ? gpu->peer_open(op, &g.params, &peer, &by) : CT_OK;
    if (status == CT_OK) status = by_peer ? gpu->peer_run(peer) : own_run(&o);
    if (status == CT_OK) status = gpu->wait();
    for (int i = 0; i < arrays->info->field_count; i++)
        if (status == CT_OK && g.memory[i] && arrays->info->fields[i].role == CT_ROLE_OUT)
            gpu_try(ct_device_copy(gpu, array_of(arrays, i), g.at[i], g.bytes[i]));
    if (status != CT_OK) print_error("%s: %s\n", arrays->about->name, ct_message());
    gpu->peer_close(peer);
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
static bool time_all(void) {
    static const int64_t shapes[][4] = {{8, 1024, 4, 32},  {16, 1024, 8, 32},  {8, 1024, 4, 64},  {16, 1024, 8, 64},
                                        {8, 2048, 8, 64},  {16, 2048, 16, 64}, {8, 4096, 16, 64}, {8, 1024, 4, 128},
                                        {8, 2048, 8, 128}, {8, 4096, 16, 128}};
    bool                 alike = true;
    printf("%-9s %13s %9s %13s %28s %25s\n", "", "batch x tokens", "heads", "ours", "cuDNN", "ours/cuDNN");
    for (size_t i = 0; i < CT_COUNT(shapes); i++) {
        const ct_peer_shape s = {shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]};
        ct_bench_peer       found;
        if (ct_bench_peer_run(gpu, &s, &found) != CT_OK) {
            printf("%5d x %5d %3d x %3d   %s\n", (int)s.batch, (int)s.tokens, (int)s.heads, (int)s.head, ct_message());
            alike = false;
            continue;
        }
        for (int way = 0; way < CT_PEER_WAYS; way++) {
            const double ours = found.way[way].ours.median, theirs = found.way[way].theirs.median;
            printf("%-9s %5d x %5d %3d x %3d %10.1f us %7.1f TFLOP/s %10.1f us %7.1f TFLOP/s   x %.2f   apart %.2f\n",
                   way ? "backward" : "forward", (int)s.batch, (int)s.tokens, (int)s.heads, (int)s.head, 1e6 * ours,
                   1e-12 * found.way[way].flops / ours, 1e6 * theirs, 1e-12 * found.way[way].flops / theirs,
                   ours / theirs, found.way[way].apart);
        }
        fflush(stdout);
        alike = ct_bench_peer_alike(&found) && alike;
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
    const ct_peer_shape     any = {.batch = 1, .heads = 1, .tokens = 64, .head = 64};
    const char             *by;
    gpu_open(CT_PRECISION_BF16);
    if (ct_bench_peer_support(gpu, &any, &by) != CT_OK) {
        printf("skipped: %s\n", ct_message());
        return GPU_NONE;
    }
    printf("%s; %s\n", ct_device_describe(gpu), by);
    fflush(stdout);
    int failed = check ? cmocka_run_group_tests_name("attention, ours and cuDNN's", tests, NULL, NULL) : 0;
    if (times && !time_all()) failed++;
    ct_device_close(gpu);
    return failed != 0;
}
