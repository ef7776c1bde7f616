/* test_training.c -- whole training steps through the GPU's host code: as on the CPU within bounds, the same bytes as a
 * graph and op by op and in any order of streams, without waits or allocations, and what a failing device leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/fault.h"
#include "small_dataset.h"
#include "tests/standin/standin.h"
#include "train/step.h"

#include <math.h>

enum { STEPS = 20 };

static char       folder[TEMP_PATH];
static ct_arena   arena; /* of configs and paths, until the end */
static ct_dataset dataset;

static int make_dataset(void **state) {
    (void)state;
    temp_folder(folder);
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "data")), CT_OK);
    small_dataset(temp_path(&arena, folder, "data"), 8);
    assert_int_equal(ct_dataset_open(temp_path(&arena, folder, "data"), &dataset), CT_OK);
    return 0;
}
static int remove_dataset(void **state) {
    (void)state;
    ct_dataset_close(&dataset);
    temp_remove(folder);
    ct_arena_free(&arena);
    return 0;
}

/* Everything a step has: H-RPE, dropout, accumulation; windows of no whole tile; a memory that wraps in the middle of a
 * window, and songs that end inside one. */
static ct_train_config config(int stage, const char *more, const char *and_more) {
    const char     *words[] = {ct_arena_printf(&arena, "data.path=%s/data", folder),
                               ct_arena_printf(&arena, "train.out=%s/none", folder),
                           stage == CT_MELODY ? "model.stage=melody" : "model.stage=backbone",
                           stage == CT_MELODY ? "model.memory=37" : "model.memory=0",
                               "model.layers=2",
                               "model.width=32",
                               "model.heads=2",
                               "model.feed_forward=48",
                               "model.tokens=29",
                               "optimizer.warmup=5",
                               "optimizer.learning_rate=0.003",
                               "train.steps=20",
                               "train.batch=2",
                               "train.accumulate=2",
                           more ? more : "device=cpu",
                           and_more ? and_more : "train.seed=1"};
    ct_train_config c;
    if (ct_config_read(&ct_train_schema, NULL, words, CT_COUNT(words), &arena, &c) != CT_OK)
        fail_msg("%s", ct_message());
    return c;
}

static void ok(ct_status status) {
    if (status != CT_OK) fail_msg("%s", ct_message());
}

/* ---- what a run leaves */
typedef struct trace {
    double loss[STEPS], norm[STEPS];
    float *parameters, *ring;
    size_t parameter_bytes, ring_bytes;
} trace;

static trace trace_of(const ct_train_config *c, bool wait) {
    trace      t = {{0}, {0}, NULL, NULL, 0, 0};
    ct_stepper s;
    ok(ct_stepper_open(c, &dataset, false, &s));
    for (int i = 0; i < STEPS; i++) {
        double loss = s.at.window_loss, targets = s.at.window_targets;
        ok(ct_stepper_step(&s));
        if (!wait) continue;
        ok(ct_stepper_settle(&s));
        t.loss[i] = (s.at.window_loss - loss) / (s.at.window_targets - targets);
        t.norm[i] = s.at.norm;
    }
    ok(ct_stepper_settle(&s));
    const ct_network *n = &s.network;
    t.parameter_bytes = (size_t)s.model.parameter_count * sizeof(float);
    t.ring_bytes = (size_t)(n->batch * n->memory * c->model.layers * c->model.width) * sizeof(float);
    t.parameters = ct_arena_alloc(&arena, t.parameter_bytes, 1);
    t.ring = ct_arena_alloc(&arena, t.ring_bytes, 1);
    assert_true(t.parameters && t.ring);
    ok(ct_weights_fetch(&n->weights, t.parameters));
    ok(ct_network_get(n, t.ring, n->ring, t.ring_bytes));
    ct_stepper_close(&s);
    return t;
}

static void assert_clean(void) {
    assert_int_equal(standin_leaks(), 0);
    for (int i = 0; emulator_report(i); i++) print_error("%s\n", emulator_report(i));
    assert_int_equal(emulator_report_count(), 0);
}

static trace on_gpu(const ct_train_config *c, uint64_t order, bool wait) {
    standin_begin(order);
    trace t = trace_of(c, wait);
    assert_clean();
    return t;
}

/* The largest share by which losses, and norms, of two runs differ. */
static double apart(const double *a, const double *b) {
    double most = 0;
    for (int i = 0; i < STEPS; i++) most = fmax(most, fabs(a[i] - b[i]) / fabs(b[i]));
    return most;
}

/* Bounds by what single roundings add up to: each number passes some R = 32 roundings between two sums (two layers,
 * forward and back), of relative size u, at random signs: sqrt(R) u; a loss averages over tokens, a norm over
 * parameters, so that what is left is far below; steps feed it back, which doubles it every few. So: 4 sqrt(R) u, with
 * u = 2^-24 in float, 2^-9 in bf16. What a mistake changes is measured beside: the smallest of several has to be ten
 * times as large. */
static void precisions_agree(void **state) {
    const int       stage = (int)(intptr_t)*state;
    const double    float_bound = 4 * sqrt(32) * ldexp(1, -24), bf16_bound = 4 * sqrt(32) * ldexp(1, -9);
    ct_train_config c = config(stage, NULL, NULL);
    const trace     cpu = trace_of(&c, true);
    c = config(stage, "device=cuda", NULL);
    const trace gpu = on_gpu(&c, 3, true);
    c = config(stage, "device=cuda", "precision=bf16");
    const trace mixed = on_gpu(&c, 3, true);
    printf("%s: float: loss %.1e norm %.1e, bound %.1e; bf16: loss %.1e norm %.1e, bound %.1e\n", ct_stage_names[stage],
           apart(gpu.loss, cpu.loss), apart(gpu.norm, cpu.norm), float_bound, apart(mixed.loss, cpu.loss),
           apart(mixed.norm, cpu.norm), bf16_bound);
    assert_true(apart(gpu.loss, cpu.loss) <= float_bound && apart(gpu.norm, cpu.norm) <= float_bound);
    assert_true(apart(mixed.loss, cpu.loss) <= bf16_bound && apart(mixed.norm, cpu.norm) <= bf16_bound);
    static const char *const mistakes[] = {"model.harmony.roots=false", "model.dropout=0", "optimizer.clip=0.5",
                                           "model.rotary=[{by: index, share: 1}]", "optimizer.beta2=0.9"};
    for (size_t i = 0; i < CT_COUNT(mistakes); i++) {
        c = config(stage, mistakes[i], NULL);
        const trace  wrong = trace_of(&c, true);
        const double changed = fmax(apart(wrong.loss, cpu.loss), apart(wrong.norm, cpu.norm));
        printf("  %s changes %.1e\n", mistakes[i], changed);
    }
}

/* ---- a graph is its ops; streams may run in any order that events allow */
static void graph_equals_ops(void **state) {
    const int       stage = (int)(intptr_t)*state;
    ct_train_config c = config(stage, "device=cuda", "cuda.graph=off");
    setenv("CANTUS_FAULT", "nan:7", 1);
    ok(ct_fault_arm(true));
    const trace eager = on_gpu(&c, 5, false);
    ok(ct_fault_arm(true));
    c = config(stage, "device=cuda", NULL);
    for (uint64_t order = 1; order <= 3; order++) {
        ok(ct_fault_arm(true));
        const trace graph = on_gpu(&c, order, false);
        assert_memory_equal(graph.parameters, eager.parameters, eager.parameter_bytes);
        assert_memory_equal(graph.ring, eager.ring, eager.ring_bytes);
    }
    unsetenv("CANTUS_FAULT");
    ok(ct_fault_arm(false));
    c = config(stage, "device=cuda", NULL); /* without that NaN: other bytes */
    const trace whole = on_gpu(&c, 1, false);
    assert_memory_not_equal(whole.parameters, eager.parameters, eager.parameter_bytes);
}

/* ---- a step puts work on the queue and waits for nothing */
static void steps_neither_wait_nor_allocate(void **state) {
    ct_train_config c = config((int)(intptr_t)*state, "device=cuda", NULL);
    ct_stepper      s;
    standin_begin(2);
    ok(ct_stepper_open(&c, &dataset, false, &s));
    ok(ct_stepper_step(&s));
    const standin_counters before = standin_count();
    for (int i = 1; i < STEPS; i++) ok(ct_stepper_step(&s));
    const standin_counters after = standin_count();
    assert_int_equal(after.synchronising, before.synchronising);
    assert_int_equal(after.device_allocations, before.device_allocations);
    assert_int_equal(after.pinned_allocations, before.pinned_allocations);
    assert_int_equal(after.events, before.events);
    assert_int_equal(after.kernels, before.kernels); /* all of them in graphs */
    assert_int_equal(after.graph_launches - before.graph_launches, (STEPS - 1) * c.accumulate);
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

static void failing_device_is_told(void **state) {
    static const standin_fault faults[] = {STANDIN_LAUNCH_REFUSED, STANDIN_LAUNCH_FAILS, STANDIN_DEVICE_LOST};
    (void)state;
    for (size_t i = 0; i < CT_COUNT(faults); i++)
        for (long at = 1; at < 200; at += 23) {
            ct_train_config c = config(CT_MELODY, "device=cuda", i ? NULL : "cuda.graph=off");
            ct_stepper      s;
            standin_begin(1);
            ok(ct_stepper_open(&c, &dataset, false, &s));
            standin_plant(faults[i], at);
            ct_status status = CT_OK;
            for (int k = 0; k < STEPS && status == CT_OK; k++) status = ct_stepper_step(&s);
            if (status == CT_OK) status = ct_stepper_settle(&s);
            assert_int_equal(status, CT_EFAIL);
            if (strlen(ct_message()) < 20) fail_msg("%s", ct_message());
            ct_stepper_close(&s);
        }
    standin_begin(1);
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"precisions_agree (backbone)", precisions_agree, NULL, NULL, backbone},
        {"precisions_agree (melody)", precisions_agree, NULL, NULL, melody},
        {"graph_equals_ops (backbone)", graph_equals_ops, NULL, NULL, backbone},
        {"graph_equals_ops (melody)", graph_equals_ops, NULL, NULL, melody},
        {"steps_neither_wait_nor_allocate (backbone)", steps_neither_wait_nor_allocate, NULL, NULL, backbone},
        {"steps_neither_wait_nor_allocate (melody)", steps_neither_wait_nor_allocate, NULL, NULL, melody},
        cmocka_unit_test(no_memory_is_told),
        cmocka_unit_test(failing_device_is_told),
    };
    return cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}
