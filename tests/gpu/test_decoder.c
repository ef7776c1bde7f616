/* test_decoder.c -- generation's token by token on a real GPU: logits as on the CPU, and the same bytes for a sequence
 * alone and among others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/decoder.h"
#include "music_fixture.h"
#include "on_gpu.h"
#include "train/train.h"

enum { LENGTH = 150, LINES = 17 }; /* more than a part of CT_DECODE_PART rows */

static ct_arena arena;

/* H-RPE's tables too are other than zero. */
static ct_model model_of(int stage) {
    const char         *words[] = {"data.path=none",
                                   "train.out=none",
                                   "model.width=64",
                                   "model.heads=2",
                                   "model.layers=3",
                                   "model.feed_forward=96",
                           stage == CT_MELODY ? "model.stage=melody" : "model.stage=backbone"};
    ct_train_config     c;
    ct_model            m;
    const ct_stage_data data = fixture_stage(stage, &arena);
    gpu_try(ct_config_read(&ct_train_schema, NULL, words, CT_COUNT(words), &arena, &c));
    gpu_try(ct_model_create(&c.model, &data, 5, CT_F32, &m));
    for (int64_t i = 0; i < m.parameter_count; i++)
        ((float *)m.parameters)[i] += 0.2f * (ct_philox_float(ct_philox_at(3, 4, (uint64_t)i).word[0]) - 0.5f);
    return m;
}

/* logits of `lines` sequences [line][row][vocabulary], the first of them number `first`; shorter ones rest at their end
 */
static float *logits_of(const ct_model *m, int stage, ct_decoder_options options, int64_t first) {
    const size_t V = (size_t)m->vocabulary_size;
    float       *all = CT_NEW(&arena, float, (size_t)options.batch *LENGTH *V);
    ct_rows      rows[LINES];
    ct_decoder   d;
    bool         active[LINES];
    assert_non_null(all);
    options.capacity = LENGTH;
    gpu_try(ct_decoder_make(m, &options, &d));
    for (int64_t i = 0; i < options.batch; i++) {
        rows[i] = fixture_rows(stage, 70 + (uint64_t)(first + i), &arena);
        ct_decoder_begin(&d, i);
    }
    for (int64_t t = 0; t < LENGTH; t++) {
        for (int64_t i = 0; i < options.batch; i++) {
            active[i] = t < LENGTH - 3 * (first + i);
            memcpy(d.now.rows + i * rows[i].columns, rows[i].at + t * rows[i].columns,
                   (size_t)rows[i].columns * sizeof(uint16_t));
        }
        gpu_try(ct_decoder_step(&d, active));
        for (int64_t i = 0; i < options.batch; i++)
            if (active[i]) memcpy(all + (size_t)(i * LENGTH + t) * V, (const float *)d.logits + (size_t)i * V, V * 4);
    }
    ct_decoder_free(&d);
    return all;
}

static double largest(const float *a, const float *b, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i])) fail_msg("a logit is %g", (double)a[i]);
        most = fmax(most, fabs((double)a[i] - (b ? (double)b[i] : 0)));
    }
    return most;
}

static void logits_agree(void **state) {
    const int    stage = (int)(intptr_t)*state;
    ct_model     m = model_of(stage);
    const size_t count = LINES * LENGTH * (size_t)m.vocabulary_size;
    const float *cpu = logits_of(&m, stage, (ct_decoder_options){.batch = LINES, .backend = ct_backend_cpu()}, 0);
    const float *plain =
        logits_of(&m, stage, (ct_decoder_options){.batch = LINES, .backend = ct_backend_reference()}, 0);
    const float *own = logits_of(&m, stage, (ct_decoder_options){.batch = LINES, .device = gpu}, 0);
    const double noise = largest(plain, cpu, count), error = largest(own, cpu, count);
    printf("  %s: logits up to %.2g, the reference in float %.1e from the CPU's, the GPU's %.1e\n",
           ct_stage_names[stage], largest(cpu, NULL, count), noise, error);
    assert_true(noise > 0 && error <= 3 * noise);
    ct_model_free(&m);
}

static void alone_and_among_others(void **state) {
    const int    stage = (int)(intptr_t)*state;
    ct_model     m = model_of(stage);
    const size_t row = (size_t)m.vocabulary_size * sizeof(float);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        const ct_decoder_options many = {.batch = LINES, .device = gpu, .bf16 = bf16}, one = {1, 0, bf16, gpu, NULL};
        const float             *together = logits_of(&m, stage, many, 0);
        for (int64_t i = 0; i < LINES; i++) {
            const float *alone = logits_of(&m, stage, one, i);
            assert_memory_equal(alone, together + (size_t)(i * LENGTH * m.vocabulary_size),
                                (size_t)(LENGTH - 3 * i) * row);
        }
    }
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
