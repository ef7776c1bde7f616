/* test_training.c -- whole training steps through the GPU's host code: as on the CPU within bounds, the same bytes as a
 * graph and op by op and in any order of streams, without waits or allocations, and what a failing device leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/fault.h"
#include "kernels/bf16.h"
#include "small_dataset.h"
#include "tests/standin/blas.h"
#include "tests/standin/standin.h"
#include "train/gpu.h"
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
    if (status == CT_OK) return;
    for (int i = 0; emulator_report(i); i++) print_error("%s\n", emulator_report(i));
    fail_msg("%s", ct_message());
}

/* ---- what a run leaves */
typedef struct trace {
    double  loss[STEPS], norm[STEPS];
    int64_t skipped;
    float  *parameters, *ring;
    size_t  parameter_bytes, ring_bytes;
} trace;

/* backend: another one than the device's; NULL: that. wait: for each step's numbers. */
static trace trace_of(const ct_train_config *c, const ct_backend *backend, bool wait) {
    trace      t = {.skipped = 0};
    ct_stepper s;
    ok(ct_stepper_open(c, &dataset, false, &s));
    if (backend) s.network.backend = backend;
    for (int i = 0; i < STEPS; i++) {
        double loss = s.at.window_loss, targets = s.at.window_targets;
        ok(ct_stepper_step(&s));
        if (!wait) continue;
        ok(ct_stepper_settle(&s));
        t.loss[i] = (s.at.window_loss - loss) / (s.at.window_targets - targets);
        t.norm[i] = s.at.norm;
    }
    ok(ct_stepper_settle(&s));
    t.skipped = s.at.skipped;
    const ct_network *n = &s.network;
    t.parameter_bytes = (size_t)s.model.parameter_count * sizeof(float);
    t.ring_bytes = (size_t)(n->batch * n->memory * c->model.layers * c->model.width) * sizeof(float);
    t.parameters = ct_arena_alloc(&arena, t.parameter_bytes, 1);
    t.ring = ct_arena_alloc(&arena, t.ring_bytes, 1);
    assert_true(t.parameters && t.ring);
    ok(ct_weights_fetch(&n->weights, t.parameters));
    ok(ct_network_copy(n, t.ring, n->ring, t.ring_bytes));
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
    blas_begin(1, BLAS_LISTS); /* the library chooses the same in all runs */
    trace t = trace_of(c, NULL, wait);
    assert_clean();
    return t;
}

/* The largest share by which losses, and norms, of two runs differ. */
static double apart(const double *a, const double *b) {
    double most = 0;
    for (int i = 0; i < STEPS; i++) most = fmax(most, fabs(a[i] - b[i]) / fabs(b[i]));
    return most;
}

/* ---- another computation of the same: the reference on floats; and what mixed precision comes to when done naively */
static ct_arena rounded; /* of one op */

static bool is_real(const ct_field *f) {
    return f->type == CT_TYPE_real && f->count;
}
static void round_to(const float *from, float *to, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = ct_bf16_float(ct_bf16_round(from[i]));
}

/* Inputs that are `real` rounded to bf16 in copies, outputs in place. */
static ct_status run_naively(ct_op op, const ct_params *given) {
    const ct_op_info *info = ct_op_about(op);
    ct_params         params = *given;
    for (int i = 0; i < info->field_count; i++) {
        const ct_field *f = &info->fields[i];
        char           *field = (char *)&params + f->offset;
        const float    *array;
        memcpy(&array, field, sizeof array);
        if (!is_real(f) || f->role != CT_ROLE_IN || !array) continue;
        float *copy = CT_NEW(&rounded, float, (size_t)f->count(&params));
        if (!copy) return CT_ENOMEM;
        round_to(array, copy, f->count(&params));
        memcpy(field, &copy, sizeof copy);
    }
    ct_status status = ct_backend_reference_mixed()->run[op](&params);
    for (int i = 0; i < info->field_count; i++) {
        const ct_field *f = &info->fields[i];
        float          *array;
        memcpy(&array, (char *)&params + f->offset, sizeof array);
        if (is_real(f) && f->role != CT_ROLE_IN && f->role != CT_ROLE_TMP && array)
            round_to(array, array, f->count(&params));
    }
    ct_arena_free(&rounded);
    return status;
}
#define NAIVELY(name, tolerance, flops)                                                                                \
    static ct_status naive_##name(const ct_params *params) {                                                           \
        return run_naively(CT_OP_##name, params);                                                                      \
    }
CT_OPS(NAIVELY)
#define NAIVE_ENTRY(name, tolerance, flops) [CT_OP_##name] = naive_##name,
static const ct_backend naive = {.name = "naive mixed precision", .run = {CT_OPS(NAIVE_ENTRY)}};

/* Bounds by what rounding does to the same steps elsewhere: three times as far from the CPU's as the reference in
 * float, or as the naive computation in mixed precision; a mistake has to change at least ten times as much. */
typedef struct distance {
    double loss, norm;
} distance;
static distance between(const trace *a, const trace *b) {
    return (distance){apart(a->loss, b->loss), apart(a->norm, b->norm)};
}
static void assert_within(const char *what, distance d, distance noise, distance mistake) {
    const distance bound = {3 * noise.loss, 3 * noise.norm};
    printf("  %s: loss %.1e norm %.1e; bounds %.1e %.1e; the mistake %.1e %.1e\n", what, d.loss, d.norm, bound.loss,
           bound.norm, mistake.loss, mistake.norm);
    assert_true(d.loss <= bound.loss && d.norm <= bound.norm);
    assert_true(10 * bound.loss <= mistake.loss && 10 * bound.norm <= mistake.norm);
}

static void precisions_agree(void **state) {
    const int       stage = (int)(intptr_t)*state;
    ct_train_config c = config(stage, NULL, NULL), wrong = config(stage, "optimizer.learning_rate=0.006", NULL);
    const trace     cpu = trace_of(&c, NULL, true), reference = trace_of(&c, ct_backend_reference(), true),
                mixed = trace_of(&c, &naive, true), mistaken = trace_of(&wrong, NULL, true);
    c = config(stage, "device=cuda", NULL);
    const trace gpu = on_gpu(&c, 3, true);
    c = config(stage, "device=cuda", "precision=bf16");
    const trace gpu_bf16 = on_gpu(&c, 3, true);
    printf("%s\n", ct_stage_names[stage]);
    assert_within("float", between(&gpu, &cpu), between(&reference, &cpu), between(&mistaken, &cpu));
    assert_within("bf16", between(&gpu_bf16, &cpu), between(&mixed, &cpu), between(&mistaken, &cpu));
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
    for (uint64_t order = 1; order <= 2; order++) {
        ok(ct_fault_arm(true));
        const trace graph = on_gpu(&c, order, false);
        assert_int_equal(graph.skipped, 1);
        assert_memory_equal(graph.parameters, eager.parameters, eager.parameter_bytes);
        assert_memory_equal(graph.ring, eager.ring, eager.ring_bytes);
    }
    setenv("CANTUS_FAULT", "nan:1000", 1); /* later than any step */
    ok(ct_fault_arm(true));
}

/* ---- a step puts work on the queue and waits for nothing */
static void steps_neither_wait_nor_allocate(void **state) {
    const int       steps = emulator_checks_accesses() ? 4 : STEPS;
    ct_train_config c = config((int)(intptr_t)*state, "device=cuda", NULL);
    ct_stepper      s;
    standin_begin(2);
    ok(ct_stepper_open(&c, &dataset, false, &s));
    ok(ct_stepper_step(&s));
    const standin_counters before = standin_count();
    for (int i = 1; i < steps; i++) ok(ct_stepper_step(&s));
    const standin_counters after = standin_count();
    assert_int_equal(after.synchronising, before.synchronising);
    assert_int_equal(after.device_allocations, before.device_allocations);
    assert_int_equal(after.pinned_allocations, before.pinned_allocations);
    assert_int_equal(after.events, before.events);
    assert_int_equal(after.kernels, before.kernels); /* all of them in graphs */
    ct_gpu_plan on_paper;                            /* plans what was allocated, to the byte */
    c.gpu = 1;
    ok(ct_gpu_plan_make(&c, &s.model, s.network.queries, s.network.keys, &on_paper));
    assert_int_equal(on_paper.plan, s.network.arrays.used + CT_CUDA_WORKSPACE);
    assert_int_equal(after.device_allocations, 2); /* those two */
    assert_int_equal(after.graph_launches - before.graph_launches, (steps - 1) * c.accumulate);
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
        {"precisions_agree (backbone)", precisions_agree, NULL, NULL, backbone},
        {"precisions_agree (melody)", precisions_agree, NULL, NULL, melody},
        {"graph_equals_ops (backbone)", graph_equals_ops, NULL, NULL, backbone},
        {"graph_equals_ops (melody)", graph_equals_ops, NULL, NULL, melody},
        {"steps_neither_wait_nor_allocate (backbone)", steps_neither_wait_nor_allocate, NULL, NULL, backbone},
        {"steps_neither_wait_nor_allocate (melody)", steps_neither_wait_nor_allocate, NULL, NULL, melody},
        cmocka_unit_test(no_memory_is_told),
        cmocka_unit_test(failing_device_is_told),
    };
    const struct CMUnitTest checked[] = {tests[4],
                                         tests[5]}; /* where each load and store is checked, and races are found */
    return emulator_checks_accesses() ? cmocka_run_group_tests(checked, make_dataset, remove_dataset)
                                      : cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}
