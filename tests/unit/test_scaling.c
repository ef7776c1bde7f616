/* Steps of many GPUs on paper: what is sent, links and latencies by hand, a timeline done again step by step, and
 * tables that agree with themselves. That ranks do send these bytes: tests/mpi/test_volume.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "train/plan.h"

#include <math.h>

enum { A100 = 1, H100 = 2, RTX4090 = 5, NET_100G = 2, NET_400G = 4 };

static ct_arena arena;

static int free_arena(void **state) {
    (void)state;
    ct_arena_free(&arena);
    return 0;
}

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-9 * fabs(b);
}

static ct_train_config config_of(const char *bucket, const char *gpus) {
    const char     *words[] = {"data.path=/nowhere",
                               "train.out=/nowhere/run",
                               "model.stage=melody",
                               "model.memory=64",
                               "model.layers=6",
                               "model.width=256",
                               "model.tokens=256",
                               "train.batch=16",
                               "train.accumulate=2",
                               "gpu=H100",
                               "precision=bf16",
                               bucket,
                               gpus};
    ct_train_config c;
    if (ct_config_read(&ct_train_schema, NULL, words, CT_COUNT(words), &arena, &c) != CT_OK)
        fail_msg("%s", ct_message());
    return c;
}

static void bytes_by_hand(void **state) {
    ct_bucket      buckets[] = {{0, 100, 1}, {100, 10, 2}};
    const ct_model model = {.parameter_count = 110};
    ct_reducer     r = {.o = {.model = &model, .ranks = 1}, .at = buckets, .count = 2, .sent = CT_F32};
    (void)state;
    assert_int_equal(ct_reducer_bytes(&r, CT_F32, 0), 0);
    r.o.ranks = 2;
    for (int rank = 0; rank < 2; rank++) assert_int_equal(ct_reducer_bytes(&r, CT_F32, rank), 440);
    r.o.ranks = 3; /* shares of 34, 33, 33 and of 4, 3, 3: the others' and twice one's own */
    assert_int_equal(ct_reducer_bytes(&r, CT_F32, 0), 4 * (66 + 68 + 6 + 8));
    r.sent = CT_BF16;
    assert_int_equal(ct_reducer_bytes(&r, CT_F32, 2), 2 * (67 + 66 + 7 + 6));
    /* shares of whole blocks: the first rank sums and hands out all, and has the norm's only part */
    r.o.shard = true;
    assert_int_equal(ct_reducer_bytes(&r, CT_F32, 0), 2 * 110 * 4 + 2 * 8);
    assert_int_equal(ct_reducer_bytes(&r, CT_F32, 2), 110 * 2 + 8);
}

static void links_by_hand(void **state) {
    (void)state;
    const ct_gpu *h100 = ct_gpu_at(H100), *rtx = ct_gpu_at(RTX4090), *a100 = ct_gpu_at(A100);
    assert_true(near(ct_scaling_links(h100, NET_100G, 8).rate, 450e9)); /* within a node the network has no say */
    assert_true(near(ct_scaling_links(h100, NET_400G, 16).rate, 400e9));
    assert_true(near(ct_scaling_links(h100, NET_100G, 16).rate, 100e9));
    assert_true(near(ct_scaling_links(a100, NET_400G, 1024).rate, 300e9)); /* the card's own link is slower */
    assert_true(near(ct_scaling_links(rtx, NET_400G, 2).rate, 32e9));
    assert_true(near(ct_scaling_links(h100, NET_400G, 8).ring, 7 * 1.9e-6));
    assert_true(near(ct_scaling_links(h100, NET_400G, 32).ring, 27 * 1.9e-6 + 4 * 4e-6));
    assert_true(near(ct_scaling_links(h100, NET_400G, 32).tree, 2 * (7 * 1.25e-6 + 2 * 8.5e-6)));
    const ct_links eight = ct_scaling_links(h100, NET_400G, 8), many = ct_scaling_links(h100, NET_400G, 1024);
    assert_true(ct_scaling_seconds(&eight, CT_ALL_REDUCE, 1e9, 1) == 0);
    assert_true(near(ct_scaling_seconds(&eight, CT_REDUCE_SCATTER, 4.5e9, 8), 14e-6 + eight.ring + 7.0 / 800));
    assert_true(near(ct_scaling_seconds(&eight, CT_ALL_REDUCE, 4.5e9, 8), 14e-6 + eight.tree + 14.0 / 800));
    /* trees of 128 nodes are quicker than two rounds of a ring of 1,024 */
    assert_true(ct_scaling_seconds(&many, CT_ALL_REDUCE, 4, 1024) < 300e-6);
    assert_true(ct_scaling_seconds(&many, CT_ALL_GATHER, 4, 1024) > 1.9e-3);
}

/* The backward pass and the link, as two that are watched: what either does next, and when. */
static double watched_step(const ct_train_config *c, ct_plan *plan, int64_t gpus) {
    const ct_gpu     *g = ct_gpu_at(c->gpu);
    const ct_links    l = ct_scaling_links(g, c->net, gpus);
    const int         p = c->on.precision;
    ct_model         *m = &plan->stepper.model;
    const ct_network *planned = &plan->stepper.network;
    ct_network        n;
    ct_reducer        r;
    assert_int_equal(ct_gpu_network(c, m, c->batch, planned->queries, planned->keys, &n), CT_OK);
    const ct_reducer_options o = {
        .model = m, .ranks = (int)gpus, .gradients = n.gradients, .dtype = n.dtype, .bytes = (size_t)c->bucket << 10};
    assert_int_equal(ct_reducer_make(&o, &n.backward, false, &n.arena, &r), CT_OK);
    double *whole = CT_NEW(&arena, double, n.backward.count + 1); /* when so many records have run */
    for (size_t i = 0; i < n.backward.count; i++) whole[i + 1] = whole[i] + ct_gpu_least(g, &n.backward.at[i], NULL, p);
    const double computed = whole[n.backward.count] + ct_gpu_least_of(g, &n.after, p);
    double       free = 0;
    for (int i = 0; i < r.count; i++) {
        const double begin = free > whole[r.at[i].after] ? free : whole[r.at[i].after];
        free = begin + ct_scaling_seconds(&l, CT_ALL_REDUCE, (double)r.at[i].count * sizeof(float), gpus);
    }
    const double first = ct_gpu_least_of(g, &n.forward, p) + computed, update = ct_gpu_least_of(g, &n.update, p);
    const double step = first + ct_gpu_least_of(g, &n.forward, p) + (free > computed ? free : computed) + update;
    ct_network_free(&n);
    return step;
}

static void rows_agree(const ct_scaling *s, const ct_scaling_row *rows, bool of_all) {
    for (int i = 0; i < s->rows; i++) {
        const ct_scaling_row *r = &rows[i];
        const double          n = (double)r->gpus, waits = r->step - r->compute;
        if (!r->lines) continue;
        assert_true(r->step >= r->compute && waits <= r->talk * (1 + 1e-9));
        assert_true(fabs((1 - r->hidden) * r->talk - waits) <= 1e-9 * r->step);
        assert_true(r->hidden >= 0 && r->hidden <= 1 && r->efficiency <= 1 + 1e-9);
        assert_true(near(r->efficiency, rows[0].step / r->step / (of_all ? n : 1)));
        assert_true(near(r->rows, n * (double)r->lines * 256 * 2 / r->step));
        /* rank 0 has the longest shares: by less than a number of each bucket and rank */
        assert_true((double)r->sent >= 2 * (n - 1) / n * s->gradients - 1);
        assert_true((double)r->sent <= 2 * (n - 1) / n * s->gradients + 4 * n * s->buckets);
    }
}

static void timelines_done_again(void **state) {
    static const char *const buckets[] = {"dist.bucket=1", "dist.bucket=256", "dist.bucket=4096",
                                          "dist.bucket=1000000"};
    (void)state;
    for (size_t b = 0; b < CT_COUNT(buckets); b++) {
        const ct_train_config c = config_of(buckets[b], "gpus=64");
        ct_plan               plan;
        if (ct_plan_make(&c, false, &plan) != CT_OK) fail_msg("%s", ct_message());
        const ct_scaling *s = &plan.on_gpus;
        assert_int_equal(s->rows, 5);
        assert_true(near(s->gradients, 4.0 * (double)plan.stepper.model.parameter_count));
        assert_true(near(s->each[0].step, plan.on_gpu.seconds));
        for (int i = 1; i < s->rows; i++) {
            assert_int_equal(s->each[i].gpus, 4 << i);
            assert_true(near(s->each[i].step, watched_step(&c, &plan, s->each[i].gpus)));
        }
        rows_agree(s, s->each, false);
        rows_agree(s, s->together, true);
        assert_int_equal(s->together[2].lines, 1);
        assert_int_equal(s->together[3].lines, 0); /* 16 windows and 32 GPUs */
        assert_true(b < 3 || s->buckets == 1);
        ct_json *json = ct_scaling_json(s);
        assert_int_equal(ct_json_count(ct_json_get(json, "batch_of_each")), 5);
        assert_int_equal(
            ct_json_integer(ct_json_get(ct_json_at(ct_json_get(json, "batch_of_each"), 4), "sent_bytes"), 0),
            s->each[4].sent);
        ct_json_free(json);
        ct_plan_free(&plan);
    }
}

static void any_number_of_gpus(void **state) {
    static const struct {
        const char *gpus;
        int         rows;
    } cases[] = {{"gpus=1", 1}, {"gpus=2", 2}, {"gpus=8", 2}, {"gpus=12", 3}, {"gpus=1024", 9}, {"gpus=65536", 15}};
    (void)state;
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        ct_train_config c = config_of("dist.bucket=4096", cases[i].gpus);
        ct_plan         plan;
        if (ct_plan_make(&c, false, &plan) != CT_OK) fail_msg("%s", ct_message());
        assert_int_equal(plan.on_gpus.rows, cases[i].rows);
        assert_int_equal(plan.on_gpus.each[cases[i].rows - 1].gpus, c.gpus);
        rows_agree(&plan.on_gpus, plan.on_gpus.each, false);
        ct_plan_free(&plan);
        c.gpu = 0;
        assert_int_equal(ct_plan_make(&c, false, &plan), CT_EUSAGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_by_hand),
        cmocka_unit_test(links_by_hand),
        cmocka_unit_test(timelines_done_again),
        cmocka_unit_test(any_number_of_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, free_arena);
}
