/* test_ops_parity.c -- every op of the table: the cpu backend (float) against the reference (double). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "op_parity.h"

static ct_status run_cpu(ct_op op, op_arrays *arrays) {
    return ct_op_run(ct_backend_cpu(), op, &arrays->params);
}

static void parity(void **state) {
    check_op((ct_op)(intptr_t)*state, CT_F32, run_cpu);
}

/* a gradient with one infinity or NaN anywhere is not finite */
static void norm_is_not_finite(void **state) {
    (void)state;
    enum { COUNT = 3 * CT_NORM_BLOCK };
    static float  grad[COUNT];
    static double square[COUNT / CT_NORM_BLOCK], result[2], updates = 0;
    ct_params     squares = {.grad_squares = {.count = COUNT, .grad = grad, .square = square}};
    ct_params     norm = {
            .grad_norm = {.blocks = COUNT / CT_NORM_BLOCK, .square = square, .result = result, .updates = &updates}};
    const float bad[] = {INFINITY, -INFINITY, NAN};
    double      made = 0;
    for (int i = 0; i < 3; i++)
        for (int64_t at = 0; at < COUNT; at += 4999) {
            grad[at] = bad[i];
            assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_grad_squares, &squares), CT_OK);
            assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_grad_norm, &norm), CT_OK);
            assert_true(result[1] == 0 && updates == made);
            grad[at] = 3e38f; /* large is no failure */
            assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_grad_squares, &squares), CT_OK);
            assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_grad_norm, &norm), CT_OK);
            assert_true(result[1] == 1 && updates == ++made);
            grad[at] = 0;
        }
}

/* a loss that is not finite makes the row's gradient so, whatever made it */
static void loss_is_not_finite(void **state) {
    (void)state;
    enum { TOKENS = 40, WANTED = 3 };
    const float       bad[] = {INFINITY, -INFINITY, NAN};
    const ct_backend *backends[] = {ct_backend_cpu(), ct_backend_reference()};
    const ct_step     step = {.loss_scale = 1};
    const int32_t     target = WANTED;
    for (int i = 0; i < 6; i++) {
        float     logits[TOKENS] = {0}, dlogits[TOKENS] = {0}, loss = 0;
        ct_params params = {.cross_entropy = {.rows = 1,
                                              .vocabulary = TOKENS,
                                              .step = &step,
                                              .logits = logits,
                                              .target = &target,
                                              .loss = &loss,
                                              .dlogits = dlogits}};
        logits[WANTED] = bad[i % 3];
        assert_int_equal(ct_op_run(backends[i / 3], CT_OP_cross_entropy, &params), CT_OK);
        assert_true(!isfinite(loss));
        for (int v = 0; v < TOKENS; v++) assert_true(isnan(dlogits[v]));
    }
}

static void unsupported_is_named(void **state) {
    (void)state;
    ct_params params = {.gelu = {.dtype = CT_F64}};
    assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_gelu, &params), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "gelu"));
    ct_backend nothing = {.name = "nothing"};
    assert_int_equal(ct_op_run(&nothing, CT_OP_gelu, &params), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "nothing"));
}

int main(void) {
    static struct CMUnitTest tests[CT_OP_COUNT + 3];
    for (int op = 0; op < CT_OP_COUNT; op++)
        tests[op] = (struct CMUnitTest){ct_op_about((ct_op)op)->name, parity, NULL, NULL, (void *)(intptr_t)op};
    tests[CT_OP_COUNT] = (struct CMUnitTest)cmocka_unit_test(norm_is_not_finite);
    tests[CT_OP_COUNT + 1] = (struct CMUnitTest)cmocka_unit_test(unsupported_is_named);
    tests[CT_OP_COUNT + 2] = (struct CMUnitTest)cmocka_unit_test(loss_is_not_finite);
    printf("cpu backend: %s, %s\n", ct_cpu_isa(), ct_cpu_gemm());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
