/* test_training.c -- whole training steps through the GPU's host code: as on the CPU within bounds, the same bytes as a
 * graph and op by op and in any order of streams, without waits or allocations, and what a failing device leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cuda/gemm.h"
#include "models/decoder.h"
#include "tests/standin/blas.h"
#include "tests/standin/clean.h"
#include "train/gpu.h"
#include "training_fixture.h"

static trace on_gpu(const ct_train_config *c, uint64_t order, bool wait) {
    standin_begin(order);
    blas_begin(1, BLAS_LISTS); /* the library chooses the same in all runs */
    trace t = trace_of(c, NULL, wait);
    assert_clean();
    return t;
}

static void precisions_agree(void **state) {
    check_precisions((int)(intptr_t)*state, on_gpu);
}

/* a graph is its ops; streams may run in any order that events allow */
static void graph_equals_ops(void **state) {
    check_graphs((int)(intptr_t)*state, on_gpu);
}

/* ---- a step puts work on the queue and waits for nothing */
static void steps_neither_wait_nor_allocate(void **state) {
    const int       steps = emulator_checks_accesses() ? 4 : STEPS;
    ct_train_config c = config((int)(intptr_t)*state, "device=cuda", NULL);
    ct_stepper      s;
    standin_begin(2);
    ok(ct_stepper_open(&c, &dataset, false, &s));
    const int products = ct_cuda_gemm_plan_count();
    ok(ct_stepper_step(&s));
    const standin_counters before = standin_count();
    for (int i = 1; i < steps; i++) ok(ct_stepper_step(&s));
    assert_int_equal(s.outlet.sent - s.outlet.taken, CT_SLOTS); /* nobody has waited for the last results */
    const standin_counters after = standin_count();
    assert_graphs_alone(&before, &after);
    assert_int_equal(ct_cuda_gemm_plan_count(), products);
    ct_gpu_plan on_paper; /* plans what was allocated, to the byte */
    c.gpu = 1;
    ok(ct_gpu_plan_make(&c, &s.model, s.network.queries, s.network.keys, &on_paper));
    assert_int_equal(on_paper.plan, s.network.arrays.used + CT_CUDA_WORKSPACE);
    assert_int_equal(after.device_allocations, 2); /* those two */
    assert_int_equal(after.graph_launches - before.graph_launches, (steps - 1) * c.accumulate);
    ct_stepper_close(&s);
    assert_clean();
}

/* One graph for each place that a batch has in its step; all are given back. */
static void graphs_by_place(void **state) {
    (void)state;
    for (int64_t accumulate = 1; accumulate <= 3; accumulate++) {
        ct_train_config c = config(CT_BACKBONE, "device=cuda", NULL);
        ct_stepper      s;
        c.accumulate = accumulate;
        standin_begin(1);
        ok(ct_stepper_open(&c, &dataset, false, &s));
        for (int i = 0; i < 2; i++) ok(ct_stepper_step(&s));
        ok(ct_stepper_settle(&s));
        assert_int_equal(standin_count().captures, accumulate); /* alone; first and last; and one between */
        assert_int_equal(standin_count().graph_launches, 2 * accumulate);
        ct_stepper_close(&s);
        assert_clean();
    }
}

/* What ops read in bf16 are the parameters, rounded once to nearest: when they are sent, and after each update. */
static void check_weights(const ct_weights *w, const float *parameters) {
    const size_t count = (size_t)w->model->parameter_count;
    uint16_t    *rounded_there = CT_NEW(&arena, uint16_t, count);
    assert_non_null(rounded_there);
    ok(ct_device_copy(w->device, rounded_there, w->rounded, count * sizeof *rounded_there));
    for (size_t i = 0; i < count; i++) assert_int_equal(rounded_there[i], ct_bf16_round(parameters[i]));
}
static void weights_follow(void **state) {
    ct_train_config c = config((int)(intptr_t)*state, "device=cuda", "precision=bf16");
    ct_stepper      s;
    standin_begin(1);
    ok(ct_stepper_open(&c, &dataset, false, &s));
    const size_t bytes = (size_t)s.model.parameter_count * sizeof(float);
    float       *now = CT_NEW(&arena, float, bytes / sizeof *now);
    assert_non_null(now);
    ok(ct_network_copy(&s.network, now, s.network.weights.parameters, bytes));
    assert_memory_equal(now, s.model.parameters, bytes);
    check_weights(&s.network.weights, now);
    for (int i = 0; i < 2; i++) ok(ct_stepper_step(&s));
    ok(ct_network_copy(&s.network, now, s.network.weights.parameters, bytes));
    assert_memory_not_equal(now, s.model.parameters, bytes);
    check_weights(&s.network.weights, now);
    ct_stepper_close(&s);
    assert_clean();
}

/* ---- what fails */
static void no_memory_is_told(void **state) {
    (void)state;
    ct_train_config c = config(CT_MELODY, "device=cuda", NULL);
    for (int kind = 0; kind < 2; kind++)
        for (long at = 1;; at++) {
            ct_stepper s;
            standin_begin(1);
            standin_plant(kind ? STANDIN_NO_PINNED_MEMORY : STANDIN_NO_DEVICE_MEMORY, at);
            ct_status status = ct_stepper_open(&c, &dataset, false, &s);
            if (status == CT_OK) {
                ct_stepper_close(&s);
                assert_true(at > 2); /* it was asked for more than once */
                break;
            }
            assert_int_equal(status, CT_ENOMEM);
            assert_non_null(strstr(ct_message(), kind ? "MiB of pinned memory" : "MiB of GPU memory"));
            assert_int_equal(standin_leaks(), 0);
        }
}

/* Whatever call it is at while a plan is made: that is no lack of memory. */
static ct_status open_network(const ct_train_config *c) {
    ct_stepper s;
    CT_TRY(ct_stepper_open(c, &dataset, false, &s));
    ct_stepper_close(&s);
    return CT_OK;
}
static ct_status open_decoder(const ct_train_config *c) {
    ct_model           m;
    ct_decoder         d;
    ct_decoder_options o = {.batch = 2, .capacity = 40};
    CT_TRY(ct_model_create(&c->model, &dataset.stage[c->model.stage], 1, CT_F32, &m));
    ct_status status = ct_device_open(&c->on, NULL, &o.device);
    if (status == CT_OK) status = ct_decoder_make(&m, &o, &d);
    if (status == CT_OK) ct_decoder_free(&d);
    ct_device_close(o.device);
    ct_model_free(&m);
    return status;
}
static void device_lost_while_opening_is_told(void **state) {
    typedef ct_status (*opener)(const ct_train_config *);
    static const opener openers[] = {open_network, open_decoder};
    ct_train_config     c = config(CT_MELODY, "device=cuda", NULL);
    (void)state;
    for (size_t i = 0; i < CT_COUNT(openers); i++) {
        ct_status status = CT_EFAIL;
        for (long at = 1; status != CT_OK; at++) {
            standin_begin(1);
            blas_begin(1, BLAS_LISTS);
            standin_plant(STANDIN_DEVICE_LOST, at);
            status = openers[i](&c);
            if (status == CT_OK)
                assert_true(at > 20); /* calls were made */
            else if (status != CT_EFAIL || !strstr(ct_message(), "uncorrectable"))
                fail_msg("call %ld: status %d: %s", at, (int)status, ct_message());
        }
    }
}

static void failing_device_is_told(void **state) {
    static const standin_fault faults[] = {STANDIN_LAUNCH_REFUSED, STANDIN_LAUNCH_FAILS, STANDIN_DEVICE_LOST};
    (void)state;
    for (size_t i = 0; i < CT_COUNT(faults); i++)
        for (long at = 1; at < 100; at += 23) {
            ct_train_config c = config(CT_MELODY, "device=cuda", i ? NULL : "cuda.graph=off");
            ct_stepper      s;
            standin_begin(1);
            ok(ct_stepper_open(&c, &dataset, false, &s));
            standin_plant(faults[i], at);
            ct_status status = CT_OK;
            for (int k = 0; k < STEPS && status == CT_OK; k++) status = ct_stepper_step(&s);
            if (status == CT_OK) status = ct_stepper_settle(&s);
            assert_int_equal(status, CT_EFAIL);
            if (!strstr(ct_message(), "kernel ") && !strstr(ct_message(), "at this call or before it"))
                fail_msg("%s", ct_message());
            ct_stepper_close(&s);
        }
    standin_begin(1);
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"steps_neither_wait_nor_allocate (backbone)", steps_neither_wait_nor_allocate, NULL, NULL, backbone},
        {"steps_neither_wait_nor_allocate (melody)", steps_neither_wait_nor_allocate, NULL, NULL, melody},
        cmocka_unit_test(graphs_by_place),
        {"weights_follow (backbone)", weights_follow, NULL, NULL, backbone},
        {"weights_follow (melody)", weights_follow, NULL, NULL, melody},
        {"precisions_agree (backbone)", precisions_agree, NULL, NULL, backbone},
        {"precisions_agree (melody)", precisions_agree, NULL, NULL, melody},
        {"graph_equals_ops (backbone)", graph_equals_ops, NULL, NULL, backbone},
        {"graph_equals_ops (melody)", graph_equals_ops, NULL, NULL, melody},
        cmocka_unit_test(no_memory_is_told),
        cmocka_unit_test(device_lost_while_opening_is_told),
        cmocka_unit_test(failing_device_is_told),
    };
    const struct CMUnitTest checked[] = {tests[0],
                                         tests[1]}; /* each load and store is checked there, and races are found */
    return emulator_checks_accesses() ? cmocka_run_group_tests(checked, training_begin, training_end)
                                      : cmocka_run_group_tests(tests, training_begin, training_end);
}
