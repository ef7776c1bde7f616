/* test_nccl_training.c -- training by several ranks, each with a GPU of its own, on the doubles: losses and norms are
 * those of one CPU within bounds, all ranks have the same bytes, a graph is its ops, sharded or not is the same but for
 * the order of sums, and a checkpoint of GPUs is one for CPUs. Each rank is a process of this program, started by
 * tests/mpi.sh (tests/e2e/nccl.sh); alone, and where each access is checked, it takes a few steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "temp_folder.h"
#include "tests/standin/blas.h"
#include "tests/standin/clean.h"
#include "train/saver.h"
#include "training_fixture.h"

#include "ranks_fixture.h"

/* Several buckets. Sharded, one of two blocks of numbers: of four ranks two have no share. */
static ct_train_config shared_config(int stage) {
    return config(stage, ranks->size > 4 ? "train.batch=8" : "train.batch=4", "dist.bucket=40");
}
/* Sharded, there are several of them, of several blocks. */
static ct_train_config wide_config(int stage) {
    ct_train_config c = shared_config(stage);
    c.model.width = 96;
    c.model.feed_forward = 200;
    return c;
}

static void begin(uint64_t order) {
    standin_begin(order * 16 + (uint64_t)ranks->rank);
    blas_begin(1, BLAS_LISTS); /* the library chooses the same in all runs, and on all ranks */
}

static trace on_gpus(const ct_train_config *cpu, uint64_t order, bool wait) {
    ct_train_config c = *cpu;
    c.on.kind = CT_ON_CUDA;
    begin(order);
    const trace t = trace_among(&c, ranks, NULL, wait);
    assert_clean();
    assert_same_everywhere(t.parameters, t.parameter_bytes);
    assert_same_everywhere(t.norm, sizeof t.norm);
    return t;
}

/* ---- what comes out: as on one GPU, but for rounding. What that does shows where its library of products chooses
 * other algorithms. */
static trace on_one(const ct_train_config *c, unsigned choices) {
    begin(1);
    blas_begin(choices, BLAS_LISTS);
    const trace t = trace_of(c, NULL, true);
    assert_clean();
    return t;
}

static void as_one_gpu(void **state) {
    const int       stage = (int)(intptr_t)*state;
    ct_train_config c = shared_config(stage), wrong = c;
    wrong.learning_rate *= 2;
    const trace    cpu = trace_of(&c, NULL, true), mistaken = trace_of(&wrong, NULL, true);
    const distance mistake = between(&mistaken, &cpu);
    c.on.kind = CT_ON_CUDA;
    printf("%s, %d GPUs\n", ct_stage_names[stage], ranks->size);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        c.on.precision = bf16 ? CT_PRECISION_BF16 : CT_PRECISION_FP32;
        const trace    one = on_one(&c, 1), other = on_one(&c, 2);
        const distance noise = between(&other, &one);
        c.shard = bf16;
        const trace own = on_gpus(&c, (uint64_t)bf16 + 1, true);
        assert_within(bf16 ? "bf16, sharded" : "float", between(&own, &one), noise, mistake);
        c.shard = false;
    }
}

/* Whatever the order that queues run in; with a gradient on the way that is not a number. */
static void graph_equals_ops(void **state) {
    ct_train_config c = wide_config((int)(intptr_t)*state);
    c.on.precision = CT_PRECISION_BF16;
    setenv("CANTUS_FAULT", "nan:7", 1);
    for (int shard = 0; shard < 2; shard++) {
        c.shard = shard;
        c.sent_as = shard ? CT_SENT_BF16 : CT_SENT_FP32;
        c.on.graph = 1; /* off */
        ok(ct_fault_arm(true));
        const trace eager = on_gpus(&c, 5, true);
        c.on.graph = 0;
        ok(ct_fault_arm(true));
        const trace graph = on_gpus(&c, (uint64_t)shard + 1, false);
        assert_true(graph.at.skipped == 1 && graph.at.norm == eager.at.norm);
        assert_memory_equal(graph.parameters, eager.parameters, eager.parameter_bytes);
        assert_memory_equal(graph.ring, eager.ring, eager.ring_bytes);
    }
    setenv("CANTUS_FAULT", "nan:1000", 1); /* later than any step */
    ok(ct_fault_arm(true));
}

static void check_steps(const ct_train_config *c) {
    ct_stepper s;
    begin(2);
    ok(ct_stepper_open_among(c, &dataset, ranks, &s));
    ok(ct_stepper_step(&s));
    const standin_counters before = standin_count();
    for (int i = 1; i < 6; i++) ok(ct_stepper_step(&s));
    const standin_counters after = standin_count();
    assert_graphs_alone(&before, &after);
    ct_stepper_close(&s);
    assert_clean();
}
static void steps_neither_wait_nor_allocate(void **state) {
    ct_train_config c = wide_config((int)(intptr_t)*state);
    c.on.kind = CT_ON_CUDA;
    check_steps(&c);
    c.shard = true;
    check_steps(&c);
}

/* ---- checkpoints */
enum { SAVED = 5 };

typedef struct state { /* what a rank has: masters of all ranks, moments of its own stretches */
    float *parameters, *moment, *variance;
    size_t bytes;
} state;

static float *taken(const ct_network *n, const void *from, size_t bytes) {
    float *to = ct_arena_alloc(&arena, bytes, 1);
    assert_non_null(to);
    ok(ct_network_copy(n, to, from, bytes));
    return to;
}
static state state_of(ct_network *n) {
    const size_t bytes = (size_t)n->model->parameter_count * sizeof(float), own = (size_t)n->kept * sizeof(float);
    ok(ct_network_gather(n));
    return (state){taken(n, n->weights.parameters, bytes), taken(n, n->moment, own), taken(n, n->variance, own), bytes};
}

/* Saves after SAVED steps, and takes one more, of which nothing is saved. */
static void save_run(const ct_train_config *c, const char *folder, state *saved, state *next) {
    ct_stepper s;
    ct_saver   saver;
    begin(3);
    ok(ct_stepper_open_among(c, &dataset, ranks, &s));
    ok(ct_saver_open(&(ct_checkpoint_place){.run = folder, .keep = 1, .timeout = 60}, &s.network, true, false, &saver));
    for (int i = 0; i < SAVED; i++) ok(ct_stepper_step(&s));
    ok(ct_stepper_settle(&s));
    ok(ct_saver_save(&saver, CT_LAST, &s.at));
    *saved = state_of(&s.network);
    ok(ct_stepper_step(&s));
    *next = state_of(&s.network);
    ok(ct_saver_wait(&saver));
    ok(ct_comm_barrier(ranks));
    ct_saver_close(&saver);
    ct_stepper_close(&s);
    assert_clean();
}

static void load(const ct_train_config *c, ct_comm *comm, const char *folder, ct_stepper *s) {
    char path[TEMP_PATH + 80];
    snprintf(path, sizeof path, "%s/checkpoints/last-%010d", folder, SAVED);
    begin(4);
    ok(ct_stepper_open_among(c, &dataset, comm, s));
    ok(ct_checkpoint_load(path, &s->network, &s->at));
    ct_loader_seek(&s->loader, s->at.micro);
}

/* Bit for bit as if nothing had been; and one CPU finds all that was saved, and goes on. */
static void a_checkpoint_goes_on(void **unused) {
    ct_train_config c = wide_config((int)(intptr_t)*unused);
    char            folder[TEMP_PATH];
    ct_stepper      s;
    state           saved, next;
    c.on.kind = CT_ON_CUDA;
    c.on.precision = CT_PRECISION_BF16;
    c.shard = true;
    if (ranks->rank == 0) temp_folder(folder);
    ok(ct_comm_broadcast(ranks, folder, sizeof folder));
    save_run(&c, folder, &saved, &next);
    load(&c, ranks, folder, &s);
    const size_t      own_bytes = (size_t)s.network.kept * sizeof(float);
    const int         own_count = s.network.own_count;
    const ct_stretch *own = CT_NEW(&arena, ct_stretch, (size_t)own_count + 1);
    memcpy((void *)(uintptr_t)own, s.network.own, (size_t)own_count * sizeof *own);
    ok(ct_stepper_step(&s));
    const state again = state_of(&s.network);
    assert_memory_equal(again.parameters, next.parameters, next.bytes);
    assert_memory_equal(again.moment, next.moment, own_bytes);
    assert_memory_equal(again.variance, next.variance, own_bytes);
    ct_stepper_close(&s);
    assert_clean();

    c.on = (ct_device_choice){.kind = CT_ON_CPU};
    load(&c, NULL, folder, &s);
    assert_memory_equal(s.model.parameters, saved.parameters, saved.bytes);
    for (int i = 0; i < own_count; i++) {
        const size_t bytes = (size_t)own[i].count * sizeof(float);
        assert_memory_equal((float *)s.network.moment + own[i].first, saved.moment + own[i].kept, bytes);
        assert_memory_equal((float *)s.network.variance + own[i].first, saved.variance + own[i].kept, bytes);
    }
    ok(ct_stepper_step(&s));
    ok(ct_stepper_settle(&s));
    assert_true(s.at.update == SAVED + 1 && memcmp(s.model.parameters, saved.parameters, saved.bytes) != 0);
    ct_stepper_close(&s);
    ok(ct_comm_barrier(ranks));
    if (ranks->rank == 0) temp_remove(folder);
}

int main(int argc, char **argv) { /* a pattern of names: these tests alone */
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"as_one_gpu (backbone)", as_one_gpu, NULL, NULL, backbone},
        {"as_one_gpu (melody)", as_one_gpu, NULL, NULL, melody},
        {"graph_equals_ops (melody)", graph_equals_ops, NULL, NULL, melody},
        {"steps_neither_wait_nor_allocate (backbone)", steps_neither_wait_nor_allocate, NULL, NULL, backbone},
        {"steps_neither_wait_nor_allocate (melody)", steps_neither_wait_nor_allocate, NULL, NULL, melody},
        {"a_checkpoint_goes_on (melody)", a_checkpoint_goes_on, NULL, NULL, melody},
    };
    const struct CMUnitTest brief[] = {tests[3]}; /* each load and store is checked there */
    setenv("CANTUS_STANDIN_DEVICES", "8", 1);     /* one for each */
    const bool alone = !ct_comm_expected();
    if (emulator_checks_accesses() || alone) return RUN_AMONG_RANKS(brief);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return RUN_AMONG_RANKS(tests);
}
