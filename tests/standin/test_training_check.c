/* test_training_check.c -- check.against: cpu on whole training steps of a GPU: right kernels are never called wrong,
 * in any precision, a wrong one is named with step, layer and op, and nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/standin/blas.h"
#include "tests/standin/clean.h"
#include "training_fixture.h"

static void open_stepper(const ct_train_config *c, double share, ct_stepper *s) {
    ct_train_config checked = *c;
    standin_begin(3);
    blas_begin(1, BLAS_LISTS);
    checked.on.against = share > 0;
    checked.on.share = share;
    ok(ct_stepper_open(&checked, &dataset, false, s));
    s->config = c; /* what is read later is the same */
}

/* ---- right kernels */
typedef struct run {
    int64_t calls, compared;
    float  *parameters;
    size_t  bytes;
} run;

static run run_of(const ct_train_config *c, double share, int steps) {
    ct_stepper s;
    open_stepper(c, share, &s);
    for (int i = 0; i < steps; i++) ok(ct_stepper_step(&s));
    ok(ct_stepper_settle(&s));
    assert_int_equal(s.at.skipped, 0);
    run r = {s.network.check.calls, s.network.check.compared, NULL, (size_t)s.model.parameter_count * sizeof(float)};
    r.parameters = ct_arena_alloc(&arena, r.bytes, 1);
    assert_non_null(r.parameters);
    ok(ct_network_copy(&s.network, r.parameters, s.network.weights.parameters, r.bytes));
    ct_stepper_close(&s);
    assert_clean();
    return r;
}

static void right_kernels_pass(void **state) {
    const int         stage = (int)(intptr_t)*state;
    const char *const precisions[] = {"precision=fp32", "precision=bf16", "precision=tf32"};
    for (size_t i = 0; i < CT_COUNT(precisions); i++) {
        const ct_train_config c = config(stage, "device=cuda", precisions[i]);
        const int             steps = i < 2 && !emulator_checks_accesses() ? 2 : 1;
        const run             all = run_of(&c, 1, steps), none = run_of(&c, 0, steps);
        printf("  %s, %s: %lld of %lld calls compared\n", ct_stage_names[stage], precisions[i], (long long)all.compared,
               (long long)all.calls);
        assert_true(all.calls > 60 * steps && all.compared == all.calls);
        assert_int_equal(none.compared, 0);
        assert_memory_equal(all.parameters, none.parameters, none.bytes);
    }
}

static void a_share_is_the_same_share(void **state) {
    (void)state;
    const ct_train_config c = config(CT_MELODY, "device=cuda", NULL);
    const run             some = run_of(&c, 0.1, STEPS / 2), again = run_of(&c, 0.1, STEPS / 2);
    const double          wanted = 0.1 * (double)some.calls, deviation = sqrt(0.9 * wanted);
    printf("  %lld of %lld calls compared\n", (long long)some.compared, (long long)some.calls);
    assert_true(fabs((double)some.compared - wanted) < 4 * deviation);
    assert_int_equal(again.compared, some.compared); /* which ones: tests/unit/test_check.c */
}

/* ---- a wrong kernel: the at-th call of an op leaves one number that is none of its results */
typedef struct mistake {
    ct_op       op;
    const char *array;
    int         at;
    const char *told;
} mistake;
static mistake          planted;
static const ct_device *gpu;

static const ct_field *field_of(ct_op op, const char *name) {
    const ct_op_info *about = ct_op_about(op);
    for (int i = 0; i < about->field_count; i++)
        if (!strcmp(about->fields[i].name, name)) return &about->fields[i];
    fail_msg("%s has no %s", about->name, name);
    return NULL;
}

static ct_status then_spoil(ct_status status, ct_op op, const ct_params *params) {
    if (status != CT_OK || op != planted.op || --planted.at != 0) return status;
    const ct_field *f = field_of(op, planted.array);
    const size_t    size = ct_type_size(f->type, params->dtype), count = (size_t)f->count(params);
    char           *array, *bytes = ct_arena_alloc(&arena, count, size);
    float          *numbers = CT_NEW(&arena, float, count), most = 0;
    assert_true(bytes && numbers);
    memcpy(&array, (const char *)params + f->offset, sizeof array);
    ok(ct_device_copy(gpu, bytes, array, count * size));
    if (size == 2)
        ct_bf16_widen(bytes, count, numbers);
    else
        memcpy(numbers, bytes, count * size);
    for (size_t i = 0; i < count; i++) most = fmaxf(most, fabsf(numbers[i]));
    numbers[count - 1] += 0.25f * most;
    const uint16_t short_number = ct_bf16_round(numbers[count - 1]);
    return ct_device_copy(gpu, array + (count - 1) * size,
                          size == 2 ? (const void *)&short_number : &numbers[count - 1], size);
}
#define SPOILT(name, tolerance, flops)                                                                                 \
    static ct_status spoilt_##name(const ct_params *params) {                                                          \
        return then_spoil(gpu->backend->run[CT_OP_##name](params), CT_OP_##name, params);                              \
    }
CT_OPS(SPOILT)
static bool pairs(ct_op op, const ct_params *params, ct_op next, const ct_params *next_params) {
    return gpu->backend->pairs(op, params, next, next_params);
}
static ct_status run_pair(ct_op op, const ct_params *params, const ct_params *next_params) {
    return then_spoil(gpu->backend->run_pair(op, params, next_params),
                      op == CT_OP_linear ? CT_OP_gelu : CT_OP_gelu_backward, next_params);
}
#define SPOILT_ENTRY(name, tolerance, flops) [CT_OP_##name] = spoilt_##name,
static const ct_backend spoilt = {
    .name = "spoilt", .bf16 = true, .run = {CT_OPS(SPOILT_ENTRY)}, .pairs = pairs, .run_pair = run_pair};

/* Two layers, two passes a step, all mistakes in the second step. Of the products, those in feed-forward's pairs are
 * not counted by themselves. */
static void a_wrong_kernel_is_named(void **state) {
    static const mistake mistakes[] = {
        {CT_OP_rows_embed, "y", 3, "step 2: embedding: op rows_embed: y["},
        {CT_OP_attention, "y", 6, "step 2: layer 1, attention: op attention: y["},
        {CT_OP_layernorm, "y", 11, "step 2: layer 0, norm1: op layernorm: y["},
        {CT_OP_gelu, "y", 5, "step 2: layer 0, feed_forward.up: op gelu: y["},
        {CT_OP_cross_entropy, "loss", 5, "step 2: loss: op cross_entropy: loss["},
        {CT_OP_linear_backward, "dw", 15, "step 2: output: op linear_backward: dw["},
        {CT_OP_layernorm_backward, "dgain", 11, "step 2: norm: op layernorm_backward: dgain["},
        {CT_OP_gelu_backward, "dx", 5, "step 2: layer 1, feed_forward.down: op gelu_backward: dx["},
        {CT_OP_attention_backward, "dqkv", 6, "step 2: layer 0, attention: op attention_backward: dqkv["},
        {CT_OP_adamw, "moment", 2, "step 2: update: op adamw: moment["},
    };
    static const char *const precisions[] = {"precision=fp32", "precision=bf16"};
    (void)state;
    for (size_t i = 0; i < CT_COUNT(mistakes); i++) {
        const ct_train_config c = config(CT_BACKBONE, "device=cuda", precisions[i % 2]);
        ct_stepper            s;
        open_stepper(&c, 1, &s);
        planted = mistakes[i];
        gpu = s.device;
        s.network.backend = &spoilt;
        ct_status status = CT_OK;
        for (int step = 0; step < 3 && status == CT_OK; step++) status = ct_stepper_step(&s);
        if (status != CT_EFAIL || strncmp(ct_message(), mistakes[i].told, strlen(mistakes[i].told)) != 0)
            fail_msg("%s: status %d: %s", mistakes[i].told, (int)status, ct_message());
        if (!strstr(ct_message(), "by the spoilt backend and ") ||
            !strstr(ct_message(), "by the cpu backend, at most "))
            fail_msg("%s", ct_message());
        if (i == 0) printf("  %s\n", ct_message());
        ct_stepper_close(&s);
        assert_int_equal(standin_leaks(), 0);
    }
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"right_kernels_pass (backbone)", right_kernels_pass, NULL, NULL, backbone},
        {"right_kernels_pass (melody)", right_kernels_pass, NULL, NULL, melody},
        cmocka_unit_test(a_share_is_the_same_share),
        cmocka_unit_test(a_wrong_kernel_is_named),
    };
    const struct CMUnitTest checked[] = {tests[1]}; /* where each load and store is checked, and races are found */
    return emulator_checks_accesses() ? cmocka_run_group_tests(checked, training_begin, training_end)
                                      : cmocka_run_group_tests(tests, training_begin, training_end);
}
