/* test_steps.c -- whole training steps of both models on a real GPU: as on the CPU within the bounds that the same test
 * on NVIDIA's doubles has (tests/standin/test_training.c), and the same bytes as a graph, op by op, and a second time.
 */
#include "unit.h"

#include "on_gpu.h"
#include "training_fixture.h"

static trace on_real_gpu(const ct_train_config *c, uint64_t order, bool wait) {
    (void)order;
    return trace_of(c, NULL, wait);
}

static void precisions_agree(void **state) {
    check_precisions((int)(intptr_t)*state, on_real_gpu);
}
static void graph_equals_ops(void **state) {
    check_graphs((int)(intptr_t)*state, on_real_gpu);
}
static void tf32_is_near(void **state) {
    const int       stage = (int)(intptr_t)*state;
    ct_train_config c = config(stage, NULL, NULL), wrong = config(stage, "optimizer.learning_rate=0.006", NULL);
    const trace     cpu = trace_of(&c, NULL, true), mixed = trace_of(&c, &naive, true),
                mistaken = trace_of(&wrong, NULL, true);
    c = config(stage, "device=cuda", "precision=tf32");
    const trace tf32 = on_real_gpu(&c, 0, true);
    assert_within("tf32", between(&tf32, &cpu), between(&mixed, &cpu), between(&mistaken, &cpu));
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"precisions_agree_backbone", precisions_agree, NULL, NULL, backbone},
        {"precisions_agree_melody", precisions_agree, NULL, NULL, melody},
        {"graph_equals_ops_backbone", graph_equals_ops, NULL, NULL, backbone},
        {"graph_equals_ops_melody", graph_equals_ops, NULL, NULL, melody},
        {"tf32_is_near_backbone", tf32_is_near, NULL, NULL, backbone},
        {"tf32_is_near_melody", tf32_is_near, NULL, NULL, melody},
    };
    gpu_open(CT_PRECISION_FP32);
    printf("%s\n", ct_device_describe(gpu));
    ct_device_close(gpu);
    return cmocka_run_group_tests(tests, training_begin, training_end);
}
