/* training_fixture.h -- whole training steps of both models, for tests that compare devices: configs, what a run
 * leaves, and what other computations of the same steps leave, as a measure of what rounding does.
 *
 * Include after cmocka.h; a failure ends the test. The includer opens what a device needs before a run, and looks at
 * what it left behind. Owner: everything lies in `arena`, the songs in `dataset`; until training_end.
 */
#ifndef CT_TESTS_TRAINING_FIXTURE_H
#define CT_TESTS_TRAINING_FIXTURE_H

#include "core/fault.h"
#include "kernels/bf16.h"
#include "songs_in_memory.h"
#include "train/step.h"

#include <math.h>
#include <stdlib.h>

#define TRAINING static inline __attribute__((unused))

enum { STEPS = 20 };

static ct_arena   arena; /* until the end */
static ct_dataset dataset;

TRAINING int training_begin(void **state) {
    (void)state;
    songs_in_memory(&dataset, 8, 2, 9);
    return 0;
}
TRAINING int training_end(void **state) {
    (void)state;
    ct_arena_free(&dataset.arena);
    ct_arena_free(&arena);
    return 0;
}

TRAINING void ok(ct_status status) {
    if (status != CT_OK) fail_msg("%s", ct_message());
}

/* Everything a step has: H-RPE, dropout, accumulation; windows of no whole tile; a memory that wraps in the middle of a
 * window, and songs that end inside one. */
TRAINING ct_train_config config(int stage, const char *more, const char *and_more) {
    const char     *words[] = {"data.path=none",
                               "train.out=none",
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
    ok(ct_config_read(&ct_train_schema, NULL, words, CT_COUNT(words), &arena, &c));
    return c;
}

/* ---- what a run leaves */
typedef struct trace {
    double      loss[STEPS], norm[STEPS];
    ct_counters at; /* the end */
    float      *parameters, *ring;
    size_t      parameter_bytes, ring_bytes;
} trace;

/* comm: the ranks that take the steps; NULL: this one alone. backend: another one than the device's; NULL: that. wait:
 * for each step's numbers. */
TRAINING trace trace_among(const ct_train_config *c, ct_comm *comm, const ct_backend *backend, bool wait) {
    trace      t = {.ring = NULL};
    ct_stepper s;
    ok(ct_stepper_open_among(c, &dataset, comm, &s));
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
    t.at = s.at;
    const ct_network *n = &s.network;
    t.parameter_bytes = (size_t)s.model.parameter_count * sizeof(float);
    t.ring_bytes = (size_t)(n->batch * n->memory * c->model.layers * c->model.width) * sizeof(float);
    t.parameters = ct_arena_alloc(&arena, t.parameter_bytes, 1);
    t.ring = ct_arena_alloc(&arena, t.ring_bytes, 1);
    assert_true(t.parameters && t.ring);
    ok(ct_network_gather(&s.network));
    ok(ct_network_copy(n, t.parameters, n->weights.parameters, t.parameter_bytes));
    ok(ct_network_copy(n, t.ring, n->ring, t.ring_bytes));
    ct_stepper_close(&s);
    return t;
}

TRAINING trace trace_of(const ct_train_config *c, const ct_backend *backend, bool wait) {
    return trace_among(c, NULL, backend, wait);
}

/* The largest share by which losses, and norms, of two runs differ. */
TRAINING double apart(const double *a, const double *b) {
    double most = 0;
    for (int i = 0; i < STEPS; i++) {
        assert_true(isfinite(a[i]) && isfinite(b[i]));
        most = fmax(most, fabs(a[i] - b[i]) / fabs(b[i]));
    }
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
 * float, or as the naive computation in mixed precision, which may be near by chance: never less than four units in the
 * last place of a float, which is what gradients are; a mistake has to change at least ten times as much. */
typedef struct distance {
    double loss, norm;
} distance;
static const double LEAST_BOUND = 0x1p-22;
TRAINING distance   between(const trace *a, const trace *b) {
      return (distance){apart(a->loss, b->loss), apart(a->norm, b->norm)};
}
TRAINING void assert_within(const char *what, distance d, distance noise, distance mistake) {
    const distance bound = {fmax(3 * noise.loss, LEAST_BOUND), fmax(3 * noise.norm, LEAST_BOUND)};
    printf("  %s: loss %.1e norm %.1e; bounds %.1e %.1e; the mistake %.1e %.1e\n", what, d.loss, d.norm, bound.loss,
           bound.norm, mistake.loss, mistake.norm);
    assert_true(d.loss <= bound.loss && d.norm <= bound.norm);
    assert_true(10 * bound.loss <= mistake.loss && 10 * bound.norm <= mistake.norm);
}

/* The memory's layers: by how much of their size one differs at most, where there are any. The largest of so many
 * numbers varies: ten times that of other roundings is allowed, a tenth of what a wrong row would do. */
TRAINING double rings_apart(const trace *a, const trace *b) {
    double most = 0, size = 1e-30;
    for (size_t i = 0; i < a->ring_bytes / sizeof *a->ring; i++) {
        assert_true(isfinite(a->ring[i]) && isfinite(b->ring[i]));
        most = fmax(most, fabs((double)a->ring[i] - (double)b->ring[i]));
        size = fmax(size, fabs((double)b->ring[i]));
    }
    return most / size;
}
TRAINING void assert_rings_within(const char *what, const trace *own, const trace *cpu, const trace *noisy) {
    const double apart_by = rings_apart(own, cpu), bound = 10 * rings_apart(noisy, cpu);
    printf("  %s: memory %.1e; bound %.1e\n", what, apart_by, bound);
    assert_true(apart_by <= bound && bound < 0.1);
}

/* On the CPU and elsewhere: in float, and with its bf16. `run` opens a device and takes the steps there. */
typedef trace (*trace_maker)(const ct_train_config *c, uint64_t order, bool wait);
TRAINING void check_precisions(int stage, trace_maker run) {
    ct_train_config c = config(stage, NULL, NULL), wrong = config(stage, "optimizer.learning_rate=0.006", NULL);
    const trace     cpu = trace_of(&c, NULL, true), reference = trace_of(&c, ct_backend_reference(), true),
                mixed = trace_of(&c, &naive, true), mistaken = trace_of(&wrong, NULL, true);
    c = config(stage, "device=cuda", NULL);
    const trace own = run(&c, 3, true);
    c = config(stage, "device=cuda", "precision=bf16");
    const trace own_bf16 = run(&c, 3, true);
    printf("%s\n", ct_stage_names[stage]);
    assert_within("float", between(&own, &cpu), between(&reference, &cpu), between(&mistaken, &cpu));
    assert_within("bf16", between(&own_bf16, &cpu), between(&mixed, &cpu), between(&mistaken, &cpu));
    assert_rings_within("float", &own, &cpu, &reference);
    assert_rings_within("bf16", &own_bf16, &cpu, &mixed);
}

/* The same bytes and counts, with one gradient that is not a number on the way: op by op, each step waited for, and as
 * a graph, in two runs. */
TRAINING void check_graphs(int stage, trace_maker run) {
    ct_train_config c = config(stage, "device=cuda", "cuda.graph=off");
    setenv("CANTUS_FAULT", "nan:7", 1);
    ok(ct_fault_arm(true));
    const trace eager = run(&c, 5, true);
    c = config(stage, "device=cuda", NULL);
    for (uint64_t order = 1; order <= 2; order++) {
        ok(ct_fault_arm(true));
        const trace        graph = run(&c, order, false);
        const ct_counters *a = &graph.at, *b = &eager.at;
        assert_true(a->skipped == 1 && a->update == b->update && a->norm == b->norm);
        assert_true(a->window_loss == b->window_loss && a->window_targets == b->window_targets);
        assert_true(a->window_open == b->window_open && a->window_open_targets == b->window_open_targets);
        assert_true(a->window_tokens == b->window_tokens);
        assert_memory_equal(graph.parameters, eager.parameters, eager.parameter_bytes);
        assert_memory_equal(graph.ring, eager.ring, eager.ring_bytes);
    }
    setenv("CANTUS_FAULT", "nan:1000", 1); /* later than any step */
    ok(ct_fault_arm(true));
}

#endif
