/* test_check.c -- a second opinion on ops: no op of the CPU is called wrong, any number that is wrong is named, and the
 * same calls are drawn in each run. Whole steps of both devices: tests/standin/test_training_check.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/check.h"
#include "op_cases.h"

static ct_check check_of(double share, const ct_call *call) {
    ct_check c;
    ct_check_begin(&(ct_check_options){.share = share, .seed = 3}, ct_device_cpu(), CT_F32, &c);
    ct_check_measure(&c, call, 1);
    assert_int_equal(ct_check_make(&c), CT_OK);
    ct_check_pass(&c, 7);
    return c;
}

/* ---- a backend that makes one number of one array wrong */
static const ct_field *wrong_field;
static double          wrong_by; /* a share of the array's largest value */

static void spoil(const ct_params *params) {
    const ct_field *f = wrong_field;
    const int64_t   count = f->count(params), at = count * 2 / 3;
    char           *array;
    double          most = 0;
    memcpy(&array, (const char *)params + f->offset, sizeof array);
    if (ct_type_is_real(f->type)) {
        float *real = (float *)(void *)array;
        for (int64_t i = 0; i < count; i++)
            if (isfinite(real[i])) most = fmax(most, fabs((double)real[i]));
        real[at] += (float)(wrong_by * (most > 0 ? most : 1));
    } else if (f->type == CT_TYPE_f64) {
        double *number = (double *)(void *)array;
        number[at] += 1e-6 * fmax(1, fabs(number[at]));
    } else
        array[(size_t)at * ct_type_size(f->type, CT_F32)] ^= 1;
}
#define SPOILT(name, tolerance, flops)                                                                                 \
    static ct_status spoilt_##name(const ct_params *params) {                                                          \
        CT_TRY(ct_backend_cpu()->run[CT_OP_##name](params));                                                           \
        if (wrong_field) spoil(params);                                                                                \
        return CT_OK;                                                                                                  \
    }
CT_OPS(SPOILT)
#define SPOILT_ENTRY(name, tolerance, flops) [CT_OP_##name] = spoilt_##name,
static const ct_backend spoilt = {.name = "spoilt", .run = {CT_OPS(SPOILT_ENTRY)}};

static ct_status run_case(const op_case *c, const ct_field *wrong, int64_t *compared) {
    op_arrays     a = op_arrays_make(c, CT_F32);
    const ct_call call = {c->op, &a.params};
    ct_check      check = check_of(1, &call);
    wrong_field = wrong;
    ct_status status = ct_check_run(&check, &spoilt, &call, 1);
    *compared += check.compared;
    ct_check_free(&check);
    op_arrays_free(&a);
    return status;
}

static void right_ops_pass(void **state) {
    int64_t compared = 0;
    (void)state;
    for (size_t i = 0; i < CT_COUNT(op_cases); i++)
        if (run_case(&op_cases[i], NULL, &compared) != CT_OK) fail_msg("%s: %s", op_cases[i].name, ct_message());
    assert_true((size_t)compared * 10 >= CT_COUNT(op_cases) * 9); /* the others have numbers that are none */
}

/* Where 5 % of the largest value is less than rounding may do: a hidden unit of the MLP at the kink of its ReLU counts
 * or does not; what is left of numbers that cancel. */
static bool may_hide(const op_case *c, const ct_field *f) {
    static const char *const hidden[][2] = {{"layernorm_backward one", "dx"},
                                            {"layernorm_backward one", "dr"},
                                            {"layernorm_backward one", "dgain"},
                                            {"attention_backward G of one", "dg"},
                                            {"cross_entropy nearly certain", "loss"}};
    bool                     may = c->op == CT_OP_harmony_mlp_backward;
    for (size_t i = 0; i < CT_COUNT(hidden); i++)
        may = may || (!strcmp(c->name, hidden[i][0]) && !strcmp(f->name, hidden[i][1]));
    return may;
}

static void wrong_numbers_are_named(void **state) {
    (void)state;
    wrong_by = 0.05;
    for (size_t i = 0; i < CT_COUNT(op_cases); i++) {
        const op_case    *c = &op_cases[i];
        const ct_op_info *about = ct_op_about(c->op);
        op_arrays         a = op_arrays_make(c, CT_F32);
        for (int f = 0; f < about->field_count && ct_op_bytes(c->op, &a.params) < 1e6; f++) {
            const ct_field *field = &about->fields[f];
            const bool      result = field->role == CT_ROLE_OUT || field->role == CT_ROLE_ADD;
            int64_t         compared = 0;
            char            wanted[100];
            void           *array;
            memcpy(&array, (const char *)&a.params + field->offset, sizeof array);
            if (!result || !array || field->count(&a.params) == 0 || may_hide(c, field)) continue;
            snprintf(wanted, sizeof wanted, "op %s: %s[%lld] is ", about->name, field->name,
                     (long long)field->count(&a.params) * 2 / 3);
            const ct_status status = run_case(c, field, &compared);
            if (compared && (status != CT_EFAIL || !strstr(ct_message(), wanted)))
                fail_msg("%s: %s: status %d, %s", c->name, field->name, (int)status, ct_message());
        }
        op_arrays_free(&a);
    }
}

/* 1 - 1, which rounding makes 2^-24: of four numbers that are nudged up or down, in three cases of eight as many up as
 * down, and nothing moves. */
static ct_status nearly(const ct_params *params) {
    CT_TRY(ct_backend_cpu()->run[CT_OP_linear](params));
    ((float *)params->linear.y)[0] += 0x1p-24f;
    return CT_OK;
}
static void sums_that_cancel_are_tried_again(void **state) {
    static const ct_backend near = {.name = "near", .run = {[CT_OP_linear] = nearly}};
    static const float      x[] = {1, -1}, w[] = {1, 1};
    float                   y[1];
    const ct_params         params = {.linear = {.rows = 1, .in = 2, .out = 1, .x = x, .w = w, .y = y}};
    const ct_call           call = {CT_OP_linear, &params};
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        ct_check check = check_of(1, &call);
        check.options.seed = seed;
        if (ct_check_run(&check, &near, &call, 1) != CT_OK) fail_msg("seed %d: %s", (int)seed, ct_message());
        assert_int_equal(check.compared, 1);
        ct_check_free(&check);
    }
}

/* ---- which calls */
static uint64_t  drawn; /* bit i: call i */
static int       place;
static ct_status note(const ct_params *params) {
    drawn |= (uint64_t)1 << place;
    return ct_backend_reference()->run[CT_OP_gelu](params);
}

static uint64_t calls_of(double share, int64_t pass, int times) {
    static const ct_backend noting = {.name = "noting", .run = {[CT_OP_gelu] = note}, .f64 = true};
    static const float      x[4] = {-1, 0, 0.5f, 2};
    float                   y[4];
    const ct_params         params = {.gelu = {.rows = 2, .width = 2, .x = x, .y = y}};
    const ct_call           call = {CT_OP_gelu, &params};
    ct_check                check = check_of(share, &call);
    check.second = &noting;
    drawn = 0;
    for (int k = 0; k < times; k++) ct_check_pass(&check, pass);
    for (place = 0; place < 64; place++) assert_int_equal(ct_check_run(&check, ct_backend_cpu(), &call, 1), CT_OK);
    assert_int_equal(check.calls, share > 0 ? 64 : 0);
    assert_int_equal(check.compared, __builtin_popcountll(drawn));
    ct_check_free(&check);
    return drawn;
}

static void the_same_calls_are_drawn(void **state) {
    int sum = 0;
    (void)state;
    assert_int_equal(calls_of(0, 1, 1), 0);
    assert_int_equal(calls_of(1, 1, 1), UINT64_MAX);
    assert_int_equal(calls_of(0.1, 5, 1), calls_of(0.1, 5, 1));
    assert_int_not_equal(calls_of(0.1, 5, 1), calls_of(0.1, 6, 1));
    assert_int_not_equal(calls_of(0.1, 5, 1), calls_of(0.1, 5, 2)); /* a second pass with this number */
    for (int64_t pass = 0; pass < 100; pass++) sum += __builtin_popcountll(calls_of(0.1, pass, 1));
    assert_in_range(sum, 544, 736); /* 640 of 6400, four times its deviation of 24 to either side */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_ops_pass),
        cmocka_unit_test(wrong_numbers_are_named),
        cmocka_unit_test(sums_that_cancel_are_tried_again),
        cmocka_unit_test(the_same_calls_are_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
