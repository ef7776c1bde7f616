/* test_decoder.c -- generation's token by token on a real GPU: logits as on the CPU, and the same bytes for a sequence
 * alone and among others.
 */
#include "unit.h"

#include "decoder_fixture.h"
#include "on_gpu.h"

enum { LENGTH = 150, LINES = 17 }; /* more than a part of CT_DECODE_PART rows */

static ct_arena arena;

static ct_model model_of(int stage) {
    return decoder_model(stage, "model.width=64", "model.layers=3", &arena);
}

static void logits_agree(void **state) {
    const int stage = (int)(intptr_t)*state;
    ct_model  m = model_of(stage);
    check_decoder_agrees(&m, stage, gpu, LINES, LENGTH, &arena);
    ct_model_free(&m);
}

static void alone_and_among_others(void **state) {
    const int stage = (int)(intptr_t)*state;
    ct_model  m = model_of(stage);
    for (int bf16 = 0; bf16 < 2; bf16++) check_decoder_alone(&m, stage, gpu, bf16, LINES, LENGTH, &arena);
    ct_model_free(&m);
}

static int free_all(void **state) {
    (void)state;
    ct_arena_free(&arena);
    return 0;
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"logits_agree_backbone", logits_agree, NULL, NULL, backbone},
        {"logits_agree_melody", logits_agree, NULL, NULL, melody},
        {"alone_and_among_others_backbone", alone_and_among_others, NULL, NULL, backbone},
        {"alone_and_among_others_melody", alone_and_among_others, NULL, NULL, melody},
    };
    gpu_open(CT_PRECISION_FP32);
    printf("%s\n", ct_device_describe(gpu));
    return cmocka_run_group_tests(tests, NULL, free_all);
}
