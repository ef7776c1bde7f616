/* Plans: a plan on paper has the bytes that training allocates, kind by kind; a training step allocates nothing of
 * ours, and nothing that grows; plans of any size are drawn up; flops by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/trace.h"
#include "count_allocations.h"
#include "small_dataset.h"
#include "train/plan.h"

#include <stdio.h>

static char     folder[TEMP_PATH];
static ct_arena arena;

static int make_dataset(void **state) {
    (void)state;
    temp_folder(folder);
    small_dataset(folder, 8);
    return 0;
}
static int remove_dataset(void **state) {
    (void)state;
    temp_remove(folder);
    ct_arena_free(&arena);
    return 0;
}

static ct_train_config config_of(const char *stage, const char *more, const char *again) {
    const char     *words[] = {ct_arena_printf(&arena, "data.path=%s", folder),
                               "train.out=/nowhere/run",
                               ct_arena_printf(&arena, "model.stage=%s", stage),
                               "model.layers=2",
                               "model.width=64",
                               "model.heads=2",
                               "model.feed_forward=96",
                               "model.tokens=96",
                               "train.batch=4",
                               "train.accumulate=2",
                           strcmp(stage, "melody") ? "model.memory=0" : "model.memory=128",
                           more ? more : "train.seed=1",
                           again ? again : "train.seed=1"};
    ct_train_config c;
    if (ct_config_read(&ct_train_schema, NULL, words, CT_COUNT(words), &arena, &c) != CT_OK)
        fail_msg("%s", ct_message());
    return c;
}

static const char *const shapes[][3] = {
    {"backbone", NULL, NULL},
    {"melody", NULL, NULL},
    {"melody", "model.harmony.form=mlp", NULL},
    {"backbone", "model.harmony.form=off", "model.dropout=0"},
    {"melody", "train.background=false", NULL},
};

/* What the plan says is what training has: the arenas' own counts, and, by an interposed malloc, the process's. */
static void plans_are_what_is_allocated(void **state) {
    (void)state;
    for (size_t i = 0; i < CT_COUNT(shapes); i++) {
        ct_train_config c = config_of(shapes[i][0], shapes[i][1], shapes[i][2]);
        ct_dataset      d;
        ct_plan         plan;
        ct_stepper      s;
        ct_saver        saver;
        if (ct_plan_make(&c, true, &plan) != CT_OK) fail_msg("%s", ct_message());
        assert_int_equal(ct_dataset_open(folder, &d), CT_OK);
        intptr_t before = ct_live_bytes;
        assert_int_equal(ct_stepper_open(&c, &d, false, &s), CT_OK);
        assert_int_equal(ct_saver_open(&(ct_checkpoint_place){0}, &s.network, c.background, false, &saver), CT_OK);
        size_t asked = (size_t)(ct_live_bytes - before), sum = 0;
        assert_int_equal(plan.parameters, s.model.weights.used);
        assert_true(plan.parameters >= (size_t)s.model.parameter_count * sizeof(float));
        for (int k = 0; k < CT_MEMORY_KINDS; k++) {
            assert_int_equal(plan.stepper.network.bytes[k], s.network.bytes[k]);
            sum += s.network.bytes[k];
        }
        assert_int_equal(sum, s.network.arrays.used);
        assert_int_equal(plan.tables, s.model.arena.used + s.network.arena.used);
        assert_int_equal(plan.loader, s.loader.arena.used);
        assert_int_equal(plan.staging, saver.arena.used);
        if (c.background)
            assert_true(plan.staging >=
                        3 * (size_t)s.model.parameter_count * sizeof(float) + ct_network_memory_bytes(&s.network));
        else
            assert_int_equal(plan.staging, 0);
        assert_int_equal(plan.bytes, sum + plan.parameters + plan.tables + plan.loader + plan.staging);
        assert_int_equal(plan.validating, ct_network_memory_bytes(&s.network));
        assert_int_equal(plan.stepper.network.backward.count, s.network.backward.count);
        assert_true(plan.forward + plan.backward == s.network.flops);
        /* arenas ask for blocks of up to 4 MiB: six arenas, the last block of each partly unused */
        if (COUNTS_ALLOCATIONS && !(asked >= plan.bytes && asked < plan.bytes + 6 * (4 << 20)))
            fail_msg("plan %zu bytes, the process asked for %zu", plan.bytes, asked);
        ct_saver_close(&saver);
        ct_stepper_close(&s);
        ct_dataset_close(&d);
        ct_plan_free(&plan);
    }
}

/* After some steps for warming up, a step asks for no memory itself; what libraries ask for inside a call is named
 * here, is the same in every step, and is given back. */
static void steps_allocate_nothing(void **state) {
    (void)state;
    if (!COUNTS_ALLOCATIONS) {
        print_message("skipped: a sanitizer's malloc can't be replaced\n");
        skip();
    }
    static const char *const libraries[] = {"libdnnl", "libstdc++", "libgomp", "libomp"};
    for (size_t i = 0; i < CT_COUNT(shapes); i++) {
        ct_train_config c = config_of(shapes[i][0], shapes[i][1], shapes[i][2]);
        ct_dataset      d;
        ct_stepper      s;
        ct_caller       callers[16];
        int             calls[3] = {0, 0, 0};
        assert_int_equal(ct_dataset_open(folder, &d), CT_OK);
        assert_int_equal(ct_stepper_open(&c, &d, false, &s), CT_OK);
        assert_int_equal(ct_trace_open(4096), CT_OK); /* a step that is traced asks for nothing either */
        for (int k = 0; k < 3; k++) assert_int_equal(ct_stepper_step(&s), CT_OK);
        intptr_t live = ct_live_bytes;
        for (int k = 0; k < 3; k++) {
            ct_trace_switch(k == 1);
            ct_call_count = 0;
            ct_counting = true;
            ct_status status = CT_OK;
            for (int n = 0; n < 10 && status == CT_OK; n++) status = ct_stepper_step(&s);
            ct_counting = false;
            assert_int_equal(status, CT_OK);
            calls[k] = ct_call_count;
            assert_true(calls[k] < CALLS_MOST);
            int count = count_callers(callers, CT_COUNT(callers));
            if (callers[0].calls) fail_msg("%d allocations of our own in ten steps", callers[0].calls);
            for (int a = 1; a < count; a++) {
                bool named = false;
                for (size_t l = 0; l < CT_COUNT(libraries); l++)
                    named |= !strncmp(callers[a].name, libraries[l], strlen(libraries[l]));
                if (!named) fail_msg("%s asks for memory %d times in ten steps", callers[a].name, callers[a].calls);
                if (k == 2)
                    print_message("%s, shape %zu: %.1f allocations a step, %zu bytes\n", callers[a].name, i,
                                  callers[a].calls / 10.0, callers[a].bytes / 10);
            }
        }
        /* a library's threads may ask once more or less, as they come; what grows with the steps would show */
        if (calls[2] > calls[1] + calls[1] / 100) fail_msg("ten steps ask %d times, the next %d", calls[1], calls[2]);
        if (ct_live_bytes > live + 4096) fail_msg("thirty steps leave %ld bytes", (long)(ct_live_bytes - live));
        ct_trace_close();
        ct_stepper_close(&s);
        ct_dataset_close(&d);
    }
}

/* 100 layers of 16,384 with 128 windows of 2,048: 320 G parameters, tens of TB; on paper a few MB. */
static void plans_may_be_larger_than_the_machine(void **state) {
    (void)state;
    ct_train_config c = config_of("melody", "model.layers=100", "model.width=16384");
    ct_plan         plan;
    c.model.heads = 128;
    c.model.feed_forward = 65536;
    c.model.tokens = 2048;
    c.model.memory = 2048;
    c.batch = 128;
    c.data = "/nowhere/data"; /* nor is a dataset needed */
    intptr_t before = ct_live_bytes;
    if (ct_plan_make(&c, false, &plan) != CT_OK) fail_msg("%s", ct_message());
    assert_true(plan.assumed && plan.pass == 0);
    assert_true(plan.stepper.model.parameter_count > (int64_t)300e9);
    assert_true(plan.bytes > (size_t)20e12);
    if (COUNTS_ALLOCATIONS) assert_true(ct_live_bytes - before < 64 << 20);
    ct_plan_free(&plan);
    if (COUNTS_ALLOCATIONS) assert_true(ct_live_bytes - before < 1 << 16);
    assert_int_equal(ct_plan_make(&c, true, &plan), CT_EFAIL);
    assert_message_has("/nowhere/data");
}

/* Without H-RPE and memory, the products of a layer are 2 rows x weights forward, twice that backward. */
static void flops_by_hand(void **state) {
    (void)state;
    ct_train_config c = config_of("backbone", "model.harmony.form=off", NULL);
    ct_plan         plan;
    assert_int_equal(ct_plan_make(&c, true, &plan), CT_OK);
    double               linear[2] = {0, 0};
    const ct_record_list lists[2] = {plan.stepper.network.forward, plan.stepper.network.backward};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k].count; i++)
            if (lists[k].at[i].op == CT_OP_linear || lists[k].at[i].op == CT_OP_linear_backward)
                linear[k] += ct_op_about(lists[k].at[i].op)->flops(&lists[k].at[i].params);
    const double rows = 4 * 96, weights = 2 * (4 * 64.0 * 64 + 2 * 64.0 * 96) + 64.0 * CT_B_COUNT;
    assert_true(linear[0] >= 2 * rows * weights && linear[0] < 2.1 * rows * weights); /* biases are the rest */
    assert_true(linear[1] >= 4 * rows * weights && linear[1] < 4.2 * rows * weights);
    assert_int_equal(plan.tokens, 4 * 96 * 2);
    ct_json *json = ct_plan_json(&plan, true, 1e9);
    assert_int_equal(ct_json_count(ct_json_get(json, "records")),
                     plan.stepper.network.forward.count + plan.stepper.network.backward.count);
    assert_int_equal(ct_json_integer(ct_json_get(ct_json_get(json, "memory_bytes"), "together"), 0), plan.bytes);
    ct_json_free(json);
    ct_plan_free(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_what_is_allocated),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(plans_may_be_larger_than_the_machine),
        cmocka_unit_test(flops_by_hand),
    };
    return cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}
