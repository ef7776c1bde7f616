/* test_second_opinion.c -- held-out scores by the double of cuDNN: those that our own op gives, in float and bf16, and
 * an error where the two differ; our own where cuDNN is missing, or nobody asked for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/held_out.h"
#include "tests/standin/blas.h"
#include "tests/standin/clean.h"
#include "tests/standin/dnn.h"
#include "training_fixture.h"

/* Scores of a model that was just made, of two songs of the validation split. */
static ct_status score(int stage, const char *precision, bool second, long wrong, ct_scores *out) {
    ct_train_config   c = config(stage, "device=cuda", precision);
    const ct_held_out what = {.dataset = &dataset, .stage = stage, .split = CT_VALID, .songs = 2, .second = second};
    ct_stepper        s;
    standin_begin(3);
    blas_begin(1, BLAS_LISTS);
    dnn_begin(0, wrong);
    ok(ct_stepper_open(&c, &dataset, false, &s));
    ct_status status = ct_held_out_network(&what, &s.network, &arena, out);
    ct_stepper_close(&s);
    assert_int_equal(dnn_count().handles, 0);
    assert_int_equal(dnn_count().tensors, 0);
    assert_clean();
    return status;
}

/* A token's loss may differ as models/held_out.c allows; a chord change is made of two, a choice of three. */
static void assert_same(const ct_scores *a, const ct_scores *b) {
    const double of_one = 0x1p-23 * a->vocabulary + 0x1p-21 * 20;
    for (int m = 0; m < a->measures; m++) {
        const ct_tally x = ct_scores_total(a, m), y = ct_scores_total(b, m);
        assert_true(x.count == y.count && fabs(x.nats - y.nats) <= 3 * of_one * x.count);
    }
    assert_true(ct_scores_total(a, CT_MEASURE_ALL).count > 0);
}

static void agrees(void **state) {
    const int   stage = (int)(intptr_t)*state;
    const char *precisions[] = {"precision=fp32", "precision=bf16"};
    for (size_t i = 0; i < CT_COUNT(precisions); i++) {
        ct_scores own, other;
        ok(score(stage, precisions[i], false, 0, &own));
        assert_null(own.by);
        assert_int_equal(dnn_count().softmaxes, 0);
        ok(score(stage, precisions[i], true, 0, &other));
        assert_non_null(strstr(other.by, "cuDNN 9."));
        assert_true(dnn_count().softmaxes > 0 && other.apart < 1e-4);
        assert_same(&own, &other);
    }
}

static void differs(void **state) {
    (void)state;
    ct_scores scores;
    assert_int_equal(score(CT_BACKBONE, NULL, true, 1, &scores), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "by the cuda backend: more than rounding"));
}

static void missing(void **state) {
    (void)state;
    ct_scores own, without;
    ok(score(CT_BACKBONE, NULL, false, 0, &own));
    setenv("CANTUS_CUDNN_LIBRARY", "/nowhere/libcudnn.so.9", 1);
    ok(score(CT_BACKBONE, NULL, true, 0, &without));
    unsetenv("CANTUS_CUDNN_LIBRARY");
    assert_null(without.by);
    for (int m = 0; m < own.measures; m++)
        assert_true(ct_scores_total(&own, m).nats == ct_scores_total(&without, m).nats);
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing), /* first: once cuDNN is loaded it stays so */
        {"agrees (backbone)", agrees, NULL, NULL, backbone},
        {"agrees (melody)", agrees, NULL, NULL, melody},
        cmocka_unit_test(differs),
    };
    return cmocka_run_group_tests_name("a second opinion", tests, training_begin, training_end);
}
