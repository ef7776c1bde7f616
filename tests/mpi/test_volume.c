/* test_volume.c -- what cantus plan says that ranks send (train/scaling.h) is what they do send, byte for byte: of
 * single collectives, and of training steps, each bucket summed, and summed in shares and gathered. Each rank is one
 * process of this program, started by tests/mpi.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/plan.h"
#include "training_fixture.h"

#include "ranks_fixture.h"

/* What all ranks sent together. */
static int64_t of_all(int64_t bytes) {
    ok(ct_comm_reduce_int(ranks, CT_REDUCE_SUM, &bytes, 1));
    return bytes;
}

static void of_collectives(void **state) {
    static const int64_t counts[] = {0, 1, 7, 64, 1000, 300007};
    static char          array[300007 * sizeof(double)];
    (void)state;
    for (size_t i = 0; i < CT_COUNT(counts); i++)
        for (int what = 0; what <= CT_ALL_GATHER; what++)
            for (int dtype = 0; dtype <= CT_BF16; dtype++) {
                const ct_shared shared = {array, counts[i], (ct_dtype)dtype, i % 2 ? 100 : 0};
                const int64_t before = ct_comm_sent(ranks), bytes = counts[i] * (int64_t)ct_dtype_size((ct_dtype)dtype);
                int64_t       ticket;
                ok(ct_comm_begin(ranks, (ct_collective)what, &shared, &ticket));
                ok(ct_comm_wait(ranks, ticket));
                const int64_t sent = ct_comm_sent(ranks) - before;
                assert_int_equal(sent, ct_comm_bytes((ct_collective)what, &shared, ranks->rank, ranks->size));
                /* as many as in a ring: 2 (n - 1) / n of the array and rank, or half of that */
                assert_int_equal(of_all(sent), (what == CT_ALL_REDUCE ? 2 : 1) * (ranks->size - 1) * bytes);
            }
}

static void of_values(void **state) {
    const int64_t before = ct_comm_sent(ranks);
    (void)state;
    (void)of_all(1);
    ok(ct_comm_barrier(ranks));
    assert_int_equal(ct_comm_sent(ranks), before); /* arrays alone are counted */
}

/* What the plan of the same run on as many GPUs says of rank 0. */
static int64_t planned(ct_train_config c) {
    ct_plan plan;
    c.gpu = 1;
    c.gpus = ranks->size;
    ok(ct_plan_make(&c, false, &plan));
    const int64_t sent = plan.on_gpus.each[plan.on_gpus.rows - 1].sent;
    assert_int_equal(plan.on_gpus.together[plan.on_gpus.rows - 1].sent, sent);
    ct_plan_free(&plan);
    return sent;
}

static void steps(const ct_train_config *c) {
    ct_stepper s;
    ok(ct_stepper_open_among(c, &dataset, ranks->size > 1 ? ranks : NULL, &s));
    const ct_reducer *r = &s.network.reducer;
    const int64_t     first = ranks->size > 1 ? ct_reducer_bytes(r, CT_F32, 0) : 0;
    for (int i = 0; i < 3; i++) {
        const int64_t before = ct_comm_sent(ranks);
        ok(ct_stepper_step(&s));
        const int64_t sent = ct_comm_sent(ranks) - before, all = of_all(sent);
        if (ranks->size > 1) assert_int_equal(sent, ct_reducer_bytes(r, CT_F32, ranks->rank));
        if (!c->shard)
            assert_int_equal(all, 2 * (ranks->size - 1) * s.model.parameter_count * (int64_t)ct_dtype_size(r->sent));
        if (ranks->rank == 0) assert_int_equal(sent, first);
        if (ranks->rank == 0) assert_int_equal(sent, planned(*c));
    }
    if (ranks->rank == 0 && ranks->size > 1)
        printf("%s, %d ranks%s%s: %lld bytes a step in %d buckets\n", ct_stage_names[c->model.stage], ranks->size,
               c->shard ? ", sharded" : "", c->sent_as == CT_SENT_BF16 ? ", in bf16" : "", (long long)first, r->count);
    ct_stepper_close(&s);
}

static void of_steps(void **state) {
    ct_train_config c = config((int)(intptr_t)*state, "train.batch=8", "dist.bucket=8");
    for (int i = 0; i < 4; i++) {
        c.shard = i % 2;
        c.sent_as = i / 2 ? CT_SENT_BF16 : CT_SENT_FP32;
        steps(&c);
    }
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_collectives),
        cmocka_unit_test(of_values),
        {"of_steps (backbone)", of_steps, NULL, NULL, backbone},
        {"of_steps (melody)", of_steps, NULL, NULL, melody},
    };
    return RUN_AMONG_RANKS(tests);
}
