/* test_decoder.c -- generation's token by token through the GPU's host code: logits as on the CPU, near those in bf16,
 * the same bytes for a sequence alone and among others and in any order of queues; a step allocates nothing, and what
 * a decoder took it gives back, also when it could not be made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decoder_fixture.h"
#include "tests/standin/blas.h"
#include "tests/standin/clean.h"
#include "training_fixture.h"

enum { LENGTH = 24, LINES = 3 };

static const ct_device *gpu;

static void begin(uint64_t seed) {
    standin_begin(seed);
    blas_begin(1, BLAS_LISTS);
    ok(ct_device_open(&(ct_device_choice){.kind = CT_ON_CUDA}, NULL, &gpu));
}
static void end(void) {
    ct_device_close(gpu);
    assert_clean();
}
static ct_model model_of(int stage) {
    return decoder_model(stage, "model.width=32", "model.layers=2", &arena);
}

static void logits_agree(void **state) {
    const int stage = (int)(intptr_t)*state;
    ct_model  m = model_of(stage);
    begin(1);
    check_decoder_agrees(&m, stage, gpu, LINES, LENGTH, &arena);
    end();
    ct_model_free(&m);
}

/* As near as mixed precision comes that is computed naively. */
static void bf16_is_near(void **state) {
    const int                stage = (int)(intptr_t)*state;
    ct_model                 m = model_of(stage);
    const size_t             count = (size_t)LINES * LENGTH * (size_t)m.vocabulary_size;
    const ct_decoder_options cpu = {.batch = LINES, .device = ct_device_cpu()},
                             naively = {.batch = LINES, .device = ct_device_cpu(), .backend = &naive};
    const float *exact = decoded_logits(&m, stage, cpu, LENGTH, 0, true, &arena);
    const float *mixed = decoded_logits(&m, stage, naively, LENGTH, 0, true, &arena);
    begin(1);
    const ct_decoder_options bf16 = {.batch = LINES, .device = gpu, .bf16 = true};
    const float             *own = decoded_logits(&m, stage, bf16, LENGTH, 0, true, &arena);
    const double             noise = decoded_largest(mixed, exact, count), error = decoded_largest(own, exact, count);
    printf("  %s: in bf16 %.1e from logits in float, naively %.1e\n", ct_stage_names[stage], error, noise);
    assert_true(error > 0 && error <= 3 * noise);
    end();
    ct_model_free(&m);
}

static void alone_and_among_others(void **state) {
    const int stage = (int)(intptr_t)*state;
    ct_model  m = model_of(stage);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        begin((uint64_t)bf16 + 2);
        check_decoder_alone(&m, stage, gpu, bf16, LINES, LENGTH, &arena);
        end();
    }
    ct_model_free(&m);
}

static void steps_do_not_allocate(void **state) {
    const int                stage = (int)(intptr_t)*state;
    ct_model                 m = model_of(stage);
    const ct_rows            rows = fixture_rows(stage, 70, &arena);
    const ct_decoder_options options = {.batch = 1, .capacity = 6};
    ct_decoder               d;
    bool                     active = true;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        begin(seed);
        ct_decoder_options own = options;
        own.device = gpu;
        ok(ct_decoder_make(&m, &own, &d));
        const standin_counters before = standin_count();
        assert_int_equal(before.device_allocations, 2); /* the products' workspace, and all of its own */
        for (int64_t t = 0; t < own.capacity; t++) decode_step(&d, &rows, &t, &active);
        const standin_counters after = standin_count();
        assert_int_equal(after.synchronising, before.synchronising);
        assert_int_equal(after.device_allocations, before.device_allocations);
        assert_int_equal(after.pinned_allocations, before.pinned_allocations);
        assert_int_equal(after.events, before.events);
        assert_int_equal(ct_decoder_step(&d, &active), CT_EFAIL);
        assert_non_null(strstr(ct_message(), "past the 6 tokens"));
        ct_decoder_free(&d);
        end();
    }
    ct_model_free(&m);
}

static void no_memory_is_told(void **state) {
    ct_model m = model_of(CT_MELODY);
    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (long at = 1;; at++) {
            ct_decoder d;
            begin(1);
            standin_plant(kind ? STANDIN_NO_PINNED_MEMORY : STANDIN_NO_DEVICE_MEMORY, at);
            const ct_decoder_options options = {.batch = 2, .capacity = LENGTH, .device = gpu};
            const ct_status          status = ct_decoder_make(&m, &options, &d);
            if (status == CT_OK) ct_decoder_free(&d);
            end();
            if (status == CT_OK) break;
            assert_int_equal(status, CT_ENOMEM);
        }
    ct_model_free(&m);
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"steps_do_not_allocate (backbone)", steps_do_not_allocate, NULL, NULL, backbone},
        {"steps_do_not_allocate (melody)", steps_do_not_allocate, NULL, NULL, melody},
        {"logits_agree (backbone)", logits_agree, NULL, NULL, backbone},
        {"logits_agree (melody)", logits_agree, NULL, NULL, melody},
        {"bf16_is_near (backbone)", bf16_is_near, NULL, NULL, backbone},
        {"bf16_is_near (melody)", bf16_is_near, NULL, NULL, melody},
        {"alone_and_among_others (backbone)", alone_and_among_others, NULL, NULL, backbone},
        {"alone_and_among_others (melody)", alone_and_among_others, NULL, NULL, melody},
        cmocka_unit_test(no_memory_is_told),
    };
    const struct CMUnitTest checked[] = {tests[0], tests[1], tests[8]}; /* each load and store is checked there */
    return emulator_checks_accesses() ? cmocka_run_group_tests(checked, NULL, training_end)
                                      : cmocka_run_group_tests(tests, NULL, training_end);
}
