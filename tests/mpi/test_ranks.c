/* test_ranks.c -- training by several ranks that share each batch: losses, norms and what is left are those of one rank
 * up to rounding, all ranks have the same bytes, and a checkpoint is the same whoever reads it. Each rank is one
 * process of this program, started by tests/mpi.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/log.h"
#include "models/checkpoints.h"
#include "temp_folder.h"
#include "train/saver.h"
#include "training_fixture.h"

#include "ranks_fixture.h"

/* Lines for up to eight ranks; buckets of some tensors each. */
static ct_train_config shared_config(int stage) {
    ct_train_config c = config(stage, "train.batch=8", "dist.bucket=8");
    return c;
}

static void as_one_rank(void **state) {
    const int             stage = (int)(intptr_t)*state;
    const ct_train_config c = shared_config(stage);
    ct_train_config       wrong = c;
    const trace           alone = trace_of(&c, NULL, true), noisy = trace_of(&c, ct_backend_reference(), true);
    wrong.learning_rate *= 2;
    const trace mistaken = trace_of(&wrong, NULL, true), among = trace_among(&c, ranks, NULL, true);
    printf("%s, %d ranks\n", ct_stage_names[stage], ranks->size);
    assert_within("float", between(&among, &alone), between(&noisy, &alone), between(&mistaken, &alone));
    assert_same_everywhere(among.parameters, among.parameter_bytes);
    assert_same_everywhere(among.loss, sizeof among.loss);
    assert_same_everywhere(among.norm, sizeof among.norm);
    assert_int_equal(among.at.window_tokens, alone.at.window_tokens);
    assert_true(among.at.window_targets == alone.at.window_targets);
    assert_true(among.at.window_open_targets == alone.at.window_open_targets);
    const trace again = trace_among(&c, ranks, NULL, false);
    assert_memory_equal(again.parameters, among.parameters, among.parameter_bytes);
    assert_memory_equal(again.ring, among.ring, among.ring_bytes);
    assert_true(again.norm[STEPS - 1] == 0 && again.at.norm == among.at.norm); /* it was not waited for */
}

/* However gradients are cut, and whatever the order that buckets are whole in. */
static void buckets_change_nothing(void **state) {
    ct_train_config c = shared_config((int)(intptr_t)*state);
    const trace     some = trace_among(&c, ranks, NULL, false);
    for (c.bucket = 1; c.bucket <= 1024; c.bucket *= 32) {
        const trace other = trace_among(&c, ranks, NULL, false);
        assert_memory_equal(other.parameters, some.parameters, some.parameter_bytes);
    }
}

/* Each rank updates its share: the same bits as when all of them update all, and less memory. */
static void sharded_as_whole(void **state) {
    const int       stage = (int)(intptr_t)*state;
    ct_train_config c = config(stage, "train.batch=8", "dist.bucket=100"); /* two buckets and more */
    ct_stepper      s;
    c.model.width = 96;
    c.model.feed_forward = 200;
    const trace whole = trace_among(&c, ranks, NULL, true);
    c.shard = true;
    const trace shared = trace_among(&c, ranks, NULL, true);
    assert_memory_equal(shared.parameters, whole.parameters, whole.parameter_bytes);
    assert_memory_equal(shared.norm, whole.norm, sizeof whole.norm);
    assert_memory_equal(shared.loss, whole.loss, sizeof whole.loss);
    ok(ct_stepper_open_among(&c, &dataset, ranks, &s));
    const ct_network *n = &s.network;
    int64_t           kept = n->kept;
    assert_int_equal(n->bytes[CT_MEMORY_MOMENTS] > 0, kept > 0);
    assert_true(n->reducer.count >= 2 && n->model->parameter_count > 4 * CT_NORM_BLOCK);
    ok(ct_comm_reduce_int(ranks, CT_REDUCE_SUM, &kept, 1));
    assert_int_equal(kept, n->model->parameter_count);
    ct_stepper_close(&s);
}

/* Gradients rounded on their way: all ranks have the same bytes, and the run is another, by no more than it would be
 * with a rounding of each gradient to eight bits. */
static void sent_in_bf16(void **state) {
    const int       stage = (int)(intptr_t)*state;
    ct_train_config c = shared_config(stage), mistaken = c;
    const trace     exact = trace_among(&c, ranks, NULL, true);
    mistaken.learning_rate *= 2;
    const trace wrong = trace_among(&mistaken, ranks, NULL, true);
    c.sent_as = CT_SENT_BF16;
    const trace    brief = trace_among(&c, ranks, NULL, true);
    const distance d = between(&brief, &exact), m = between(&wrong, &exact);
    printf("%s, %d ranks, gradients in bf16: loss %.1e norm %.1e; the mistake %.1e %.1e\n", ct_stage_names[stage],
           ranks->size, d.loss, d.norm, m.loss, m.norm);
    assert_same_everywhere(brief.parameters, brief.parameter_bytes);
    assert_true(d.loss > 0 && 10 * d.loss < m.loss && fabs(brief.norm[0] / exact.norm[0] - 1) < 0x1p-8);
    c.shard = true;
    const trace shared = trace_among(&c, ranks, NULL, true);
    assert_memory_equal(shared.parameters, brief.parameters, brief.parameter_bytes);
}

/* ---- checkpoints */
static const char *shared_folder(char path[TEMP_PATH]) {
    if (ranks->rank == 0) temp_folder(path);
    ok(ct_comm_broadcast(ranks, path, TEMP_PATH));
    return path;
}

/* Moments, by the numbers of the parameters; where they are not this rank's, 0. */
static float *moments_of(const ct_network *n, const void *from) {
    float *all = CT_NEW(&arena, float, (size_t)n->model->parameter_count);
    assert_non_null(all);
    for (int i = 0; i < n->own_count; i++)
        memcpy(all + n->own[i].first, (const float *)from + n->own[i].kept, (size_t)n->own[i].count * sizeof *all);
    return all;
}

typedef struct left { /* by a run, of all ranks */
    trace  end;
    float *ring, *moment, *variance;
} left;

static void assert_loads(const ct_train_config *c, ct_comm *comm, const char *checkpoint, const left *l) {
    ct_stepper  s;
    ct_counters at;
    ok(ct_stepper_open_among(c, &dataset, comm, &s));
    ok(ct_checkpoint_load(checkpoint, &s.network, &at));
    assert_memory_equal(s.model.parameters, l->end.parameters, l->end.parameter_bytes);
    const ct_network *n = &s.network;
    const size_t      line = (size_t)(n->memory * c->model.width);
    for (int64_t i = 0; i < c->model.layers; i++)
        for (int64_t b = 0; b < n->batch; b++)
            assert_memory_equal((float *)n->ring + (size_t)(i * n->batch + b) * line,
                                l->ring + (size_t)(i * n->all_lines + n->first_line + b) * line, line * sizeof(float));
    for (int i = 0; i < n->own_count; i++) {
        const ct_stretch *own = &n->own[i];
        const size_t      bytes = (size_t)own->count * sizeof(float);
        assert_memory_equal((float *)n->moment + own->kept, l->moment + own->first, bytes);
        assert_memory_equal((float *)n->variance + own->kept, l->variance + own->first, bytes);
    }
    assert_int_equal(at.window_tokens, l->end.at.window_tokens);
    assert_true(at.window_loss == l->end.at.window_loss);
    ct_stepper_close(&s);
}

/* The ring of all lines, [layers][lines][memory][width], from each rank's. */
static float *gathered_ring(const ct_train_config *c, const trace *t) {
    const size_t piece = t->ring_bytes / (size_t)c->model.layers;
    char        *all = CT_NEW(&arena, char, t->ring_bytes *(size_t)ranks->size + 1);
    assert_non_null(all);
    for (int64_t l = 0; l < c->model.layers; l++)
        ok(ct_comm_all_gather(ranks, (char *)t->ring + (size_t)l * piece, piece,
                              all + (size_t)l * piece * (size_t)ranks->size));
    return (float *)(void *)all;
}

/* What a run without sharding has at its end. */
static left left_by(const ct_train_config *c) {
    left       l;
    ct_stepper s;
    l.end = trace_among(c, ranks, NULL, false);
    l.ring = gathered_ring(c, &l.end);
    ok(ct_stepper_open_among(c, &dataset, ranks, &s));
    for (int i = 0; i < STEPS; i++) ok(ct_stepper_step(&s));
    l.moment = moments_of(&s.network, s.network.moment);
    l.variance = moments_of(&s.network, s.network.variance);
    ct_stepper_close(&s);
    return l;
}

static void save_run(const ct_train_config *c, const char *run, bool background) {
    const ct_checkpoint_place place = {.run = run, .keep = 1, .timeout = 60};
    ct_stepper                s;
    ct_saver                  saver;
    ok(ct_stepper_open_among(c, &dataset, ranks, &s));
    ok(ct_saver_open(&place, &s.network, background, false, &saver));
    for (int i = 0; i < STEPS; i++) ok(ct_stepper_step(&s));
    ok(ct_stepper_settle(&s));
    ok(ct_saver_save(&saver, CT_LAST, &s.at));
    ok(ct_saver_save(&saver, CT_BEST, &s.at));
    ok(ct_saver_wait(&saver));
    ok(ct_comm_barrier(ranks)); /* it is there */
    ct_saver_close(&saver);
    ct_stepper_close(&s);
}

/* Whoever wrote it, sharded or not, and whoever reads it. */
static void checkpoints_are_of_all_ranks(void **state) {
    ct_train_config c = shared_config((int)(intptr_t)*state);
    char            folder[TEMP_PATH];
    c.model.width = 96;
    c.model.feed_forward = 200;
    const left l = left_by(&c);
    shared_folder(folder);
    for (int k = 0; k < 4; k++) {
        const char *run = ct_arena_printf(&arena, "%s/%d", folder, k),
                   *checkpoint = ct_arena_printf(&arena, "%s/checkpoints/last-%010d", run, STEPS);
        c.shard = k / 2;
        save_run(&c, run, k % 2);
        ct_json *manifest;
        ok(ct_checkpoint_verify(checkpoint, &manifest));
        ct_json_free(manifest);
        for (int sharded = 0; sharded < 2; sharded++) {
            c.shard = sharded;
            assert_loads(&c, ranks, checkpoint, &l);
            assert_loads(&c, NULL, checkpoint, &l); /* one rank, whatever wrote it */
        }
        ok(ct_comm_barrier(ranks));
    }
    if (ranks->rank == 0) temp_remove(folder);
}

/* ---- losses that are not finite, on one rank: all leave out the batch, and nobody another one */
static void a_batch_is_left_out_by_all(void **state) {
    const ct_train_config c = shared_config((int)(intptr_t)*state);
    ct_stepper            s;
    ok(ct_stepper_open_among(&c, &dataset, ranks, &s));
    const size_t count = (size_t)s.model.parameter_count;
    float       *weights = s.model.parameters, *before = CT_NEW(&arena, float, count);
    assert_non_null(before);
    memcpy(before, weights, count * sizeof *weights);
    for (size_t i = 0; i < count && ranks->rank == ranks->size - 1; i++) weights[i] = NAN;
    ok(ct_stepper_step(&s));
    ok(ct_stepper_settle(&s));
    assert_int_equal(s.at.skipped, 1);
    assert_int_equal(s.at.window_tokens, 0);
    assert_true(s.at.window_loss == 0 && s.at.window_targets == 0 && s.at.window_open_targets == 0);
    memcpy(weights, before, count * sizeof *weights);
    for (int i = 0; i < CT_PARTS; i++) ok(ct_stepper_step(&s)); /* more batches than are added up at once */
    ok(ct_stepper_settle(&s));
    assert_int_equal(s.at.skipped, 1);
    assert_int_equal(s.at.window_tokens, CT_PARTS * c.accumulate * c.batch * c.model.tokens);
    assert_true(isfinite(s.at.window_loss) && s.at.window_loss > 0);
    assert_same_everywhere(&s.at.window_loss, sizeof s.at.window_loss);
    ct_stepper_close(&s);
}

/* ---- what fails */
static void lines_are_shared_evenly_or_not_at_all(void **state) {
    ct_train_config c = shared_config(CT_BACKBONE);
    ct_stepper      s;
    (void)state;
    c.batch = 5;
    if (ranks->size == 1) return;
    assert_int_equal(ct_stepper_open_among(&c, &dataset, ranks, &s), CT_EUSAGE);
    assert_message_has("5 windows can't be shared evenly by");
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"as_one_rank (backbone)", as_one_rank, NULL, NULL, backbone},
        {"as_one_rank (melody)", as_one_rank, NULL, NULL, melody},
        {"buckets_change_nothing (melody)", buckets_change_nothing, NULL, NULL, melody},
        {"sharded_as_whole (backbone)", sharded_as_whole, NULL, NULL, backbone},
        {"sharded_as_whole (melody)", sharded_as_whole, NULL, NULL, melody},
        {"sent_in_bf16 (backbone)", sent_in_bf16, NULL, NULL, backbone},
        {"sent_in_bf16 (melody)", sent_in_bf16, NULL, NULL, melody},
        {"checkpoints_are_of_all_ranks (backbone)", checkpoints_are_of_all_ranks, NULL, NULL, backbone},
        {"checkpoints_are_of_all_ranks (melody)", checkpoints_are_of_all_ranks, NULL, NULL, melody},
        {"a_batch_is_left_out_by_all (backbone)", a_batch_is_left_out_by_all, NULL, NULL, backbone},
        {"a_batch_is_left_out_by_all (melody)", a_batch_is_left_out_by_all, NULL, NULL, melody},
        cmocka_unit_test(lines_are_shared_evenly_or_not_at_all),
    };
    return RUN_AMONG_RANKS(tests);
}
