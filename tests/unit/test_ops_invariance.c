/* test_ops_invariance.c -- what must not change a single bit: the number of threads (every op), and for generation the
 * batch around a sequence. Also the error of the exp that the cpu backend computes with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "op_cases.h"
#ifdef _OPENMP
#include <omp.h>
#endif

#define CT_ISA base
#include "kernels/cpu/cpu.h"

static void run(op_arrays *a) {
    assert_int_equal(ct_op_run(ct_backend_cpu(), a->about->op, &a->params), CT_OK);
}

static void threads(void **state) {
    ct_op op = (ct_op)(intptr_t)*state;
#ifdef _OPENMP
    static const int numbers[] = {2, 3, 5};
    int              usual = omp_get_max_threads();
    for (size_t i = 0; i < CT_COUNT(op_cases); i++) {
        const op_case *c = &op_cases[i];
        if (c->op != op) continue;
        op_arrays one = op_arrays_make(c, CT_F32);
        omp_set_num_threads(1);
        run(&one);
        for (size_t n = 0; n < CT_COUNT(numbers); n++) {
            op_arrays many = op_arrays_make(c, CT_F32);
            omp_set_num_threads(numbers[n]);
            run(&many);
            for (int f = 0; f < one.info->field_count; f++)
                if (one.block[f] && one.info->fields[f].role != CT_ROLE_TMP &&
                    memcmp(array_of(&one, f), array_of(&many, f), (size_t)one.count[f] * one.element[f]) != 0)
                    fail_msg("%s: %s differs between 1 and %d threads", c->name, one.info->fields[f].name, numbers[n]);
            op_arrays_free(&many);
        }
        op_arrays_free(&one);
    }
    omp_set_num_threads(usual);
#else
    (void)op;
    skip();
#endif
}

static void linear_rows_alone(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {37, 29}, {128, 384}, {100, 67}};
    for (size_t i = 0; i < CT_COUNT(shapes); i++)
        for (int64_t rows = 1; rows <= 64; rows = rows * 2 + 1) {
            op_case   c = {.op = CT_OP_linear_rows,
                           .name = "linear_rows batch",
                           .params.linear_rows = {.rows = rows, .in = shapes[i][0], .out = shapes[i][1]}};
            op_arrays all = op_arrays_make(&c, CT_F32);
            run(&all);
            float *y = calloc((size_t)shapes[i][1], sizeof *y);
            for (int64_t n = 0; n < rows; n++) {
                ct_params one = all.params;
                one.linear_rows.rows = 1;
                one.linear_rows.x = (const float *)all.params.linear_rows.x + n * shapes[i][0];
                one.linear_rows.y = y;
                assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_linear_rows, &one), CT_OK);
                assert_memory_equal(y, (float *)all.params.linear_rows.y + n * shapes[i][1],
                                    (size_t)shapes[i][1] * sizeof *y);
            }
            free(y);
            op_arrays_free(&all);
        }
}

static void decode_alone(void **state) {
    (void)state;
    for (size_t i = 0; i < CT_COUNT(op_cases); i++) {
        const op_case *c = &op_cases[i];
        if (c->op != CT_OP_attention_decode) continue;
        op_arrays                  all = op_arrays_make(c, CT_F32), alone = op_arrays_make(c, CT_F32);
        const ct_attention_decode *a = &all.params.attention_decode;
        int64_t                    all_heads = a->heads * a->head, cache = a->capacity * all_heads;
        run(&all);
        for (int64_t b = 0; b < a->batch; b++) {
            ct_params            p = alone.params;
            ct_attention_decode *o = &p.attention_decode;
            o->batch = 1;
            o->qkv = (const float *)o->qkv + b * 3 * all_heads;
            o->cosine = (const float *)o->cosine + b * a->head / 2;
            o->sine = (const float *)o->sine + b * a->head / 2;
            o->length += b;
            o->first += b;
            if (o->segment) o->segment += b * a->capacity;
            if (o->g) o->g = (const float *)o->g + b * a->heads * a->keys;
            o->key_cache = (float *)o->key_cache + b * cache;
            o->value_cache = (float *)o->value_cache + b * cache;
            o->y = (float *)o->y + b * all_heads;
            assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_attention_decode, &p), CT_OK);
            assert_memory_equal(o->y, (float *)a->y + b * all_heads, (size_t)all_heads * sizeof(float));
            assert_memory_equal(o->key_cache, (float *)a->key_cache + b * cache, (size_t)cache * sizeof(float));
        }
        op_arrays_free(&all);
        op_arrays_free(&alone);
    }
}

/* both forms of exp: below 1.2 ulp where the result is normal, and the ends of the range */
static void exponential(void **state) {
    (void)state;
    double worst = 0;
    for (int i = 0; i < (int)(175.3 * 4099); i++) {
        float  at = (float)(-87.3 + i / 4099.0), scalar = one_exp(at), vector = vec_exp(vec_all(at))[0];
        double wanted = exp((double)at), ulp = ldexp(1, ilogb(wanted) - 23);
        worst = fmax(worst, fabs((double)scalar - wanted) / ulp);
        assert_true(fabs((double)vector - wanted) <= 1.2 * ulp);
    }
    printf("exp: %.2f ulp\n", worst);
    assert_true(worst < 1.2);
    assert_true(one_exp(0) == 1);
    assert_true(one_exp(-INFINITY) == 0 && vec_sum(vec_exp(vec_all(-INFINITY))) == 0);
    assert_true(one_exp(-88) == 0 && isfinite(one_exp(INFINITY)) && isnan(one_exp(NAN)));
    assert_true(isnan(vec_sum(vec_exp(vec_all(NAN)))));
}

int main(void) {
    static struct CMUnitTest tests[CT_OP_COUNT + 3];
    for (int op = 0; op < CT_OP_COUNT; op++)
        tests[op] = (struct CMUnitTest){ct_op_about((ct_op)op)->name, threads, NULL, NULL, (void *)(intptr_t)op};
    tests[CT_OP_COUNT] = (struct CMUnitTest)cmocka_unit_test(linear_rows_alone);
    tests[CT_OP_COUNT + 1] = (struct CMUnitTest)cmocka_unit_test(decode_alone);
    tests[CT_OP_COUNT + 2] = (struct CMUnitTest)cmocka_unit_test(exponential);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
