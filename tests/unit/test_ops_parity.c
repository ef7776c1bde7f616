/* test_ops_parity.c -- every op of the table: the cpu backend (float) against the reference (double).
 *
 * Measure: the largest absolute error of an output array, as a share of the largest absolute value of that array. A cpu
 * result may be wrong by 2 times (backward ops: 3 times) what the plain reference in float is wrong by, plus a floor of
 * FLOOR_ULP units in the last place of the array's scale. The floor: an op whose float reference happens to be exact
 * still rounds its result (1/2), its input to exp or division (1/2 each), and has an exp of at most 2 ulp.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "op_cases.h"

#define FLOOR_ULP 4

typedef struct deviation {
    double error, scale;
    bool   alike; /* NaN and infinities in the same places */
} deviation;

static deviation compare(const op_arrays *got, const op_arrays *wanted, int field) {
    deviation d = {.alike = true};
    int       from = result_field(got, field);
    for (int64_t i = 0; i < wanted->count[from]; i++) {
        double x = real_at(got, from, i), y = real_at(wanted, from, i);
        if (!isfinite(y)) {
            d.alike = d.alike && (isnan(y) ? isnan(x) : x == y);
            continue;
        }
        if (!isfinite(x)) d.alike = false;
        d.error = fmax(d.error, fabs(x - y));
        d.scale = fmax(d.scale, fabs(y));
    }
    return d;
}

static bool backward(ct_op op) {
    return forward_of(op) != CT_OP_COUNT;
}

static void check_field(const op_case *c, int field, const op_arrays *cpu, const op_arrays *plain,
                        const op_arrays *exact) {
    const ct_field *f = &cpu->info->fields[field];
    int             at = result_field(cpu, field);
    if (!guards_intact(cpu, field)) fail_msg("%s: %s: written out of bounds", c->name, f->name);
    if (!cpu->block[at] || f->role == CT_ROLE_TMP || f->role == CT_ROLE_IN) return;
    if (!ct_type_is_real(f->type)) { /* tokens, counters, norms */
        for (int64_t i = 0; f->type == CT_TYPE_f64 && i < cpu->count[at]; i++) {
            double x = ((const double *)array_of(cpu, at))[i], y = ((const double *)array_of(exact, at))[i];
            if (!(fabs(x - y) <= 1e-12 * fabs(y)))
                fail_msg("%s: %s[%ld] is %.17g, not %.17g", c->name, f->name, (long)i, x, y);
        }
        if (f->type != CT_TYPE_f64 &&
            memcmp(array_of(cpu, at), array_of(exact, at), (size_t)cpu->count[at] * cpu->element[at]) != 0)
            fail_msg("%s: %s differs", c->name, f->name);
        return;
    }
    deviation of_cpu = compare(cpu, exact, field), of_plain = compare(plain, exact, field);
    bool      same = c->flags & WHOLE || cpu->info->tolerance == CT_TOLERANCE_EXACT;
    double    allowed = same ? 0 : (backward(c->op) ? 3 : 2) * of_plain.error + FLOOR_ULP * 0x1p-23 * of_cpu.scale;
    if (!of_cpu.alike) fail_msg("%s: %s: NaN or infinity", c->name, f->name);
    if (getenv("CANTUS_TEST_VERBOSE"))
        printf("    %-34s %-12s error %9.2e  float reference %9.2e  scale %9.2e\n", c->name, f->name, of_cpu.error,
               of_plain.error, of_cpu.scale);
    if (of_cpu.error > allowed)
        fail_msg("%s: %s: error %g, allowed %g (float reference %g, scale %g)", c->name, f->name, of_cpu.error, allowed,
                 of_plain.error, of_cpu.scale);
}

static void check_case(const op_case *c) {
    op_arrays cpu = op_arrays_make(c, CT_F32), fresh = op_arrays_make(c, CT_F32), plain = op_arrays_make(c, CT_F32);
    op_arrays exact = op_arrays_make(c, CT_F64);
    for (int i = 0; i < exact.info->field_count; i++) /* what forward made, rounded to float, is everybody's input */
        if (exact.block[i] && ct_type_is_real(exact.info->fields[i].type) && exact.info->fields[i].role == CT_ROLE_IN)
            for (int64_t k = 0; k < exact.count[i]; k++) set_real(&exact, i, k, real_at(&fresh, i, k));
    assert_int_equal(ct_op_run(ct_backend_cpu(), c->op, &cpu.params), CT_OK);
    assert_int_equal(ct_op_run(ct_backend_reference(), c->op, &plain.params), CT_OK);
    assert_int_equal(ct_op_run(ct_backend_reference(), c->op, &exact.params), CT_OK);
    for (int i = 0; i < cpu.info->field_count; i++) {
        check_field(c, i, &cpu, &plain, &exact);
        bool shared = c->alias && !strcmp(cpu.info->fields[i].name, c->alias_of);
        if (cpu.block[i] && cpu.info->fields[i].role == CT_ROLE_IN && !shared)
            assert_memory_equal(array_of(&cpu, i), array_of(&fresh, i), (size_t)cpu.count[i] * cpu.element[i]);
    }
    op_arrays_free(&cpu);
    op_arrays_free(&fresh);
    op_arrays_free(&plain);
    op_arrays_free(&exact);
}

static void parity(void **state) {
    ct_op op = (ct_op)(intptr_t)*state;
    int   found = 0;
    for (size_t i = 0; i < CT_COUNT(op_cases); i++)
        if (op_cases[i].op == op) {
            check_case(&op_cases[i]);
            found++;
        }
    if (found == 0) fail_msg("op %s has no case", ct_op_about(op)->name);
}

/* a gradient with one infinity or NaN anywhere is not finite */
static void norm_is_not_finite(void **state) {
    (void)state;
    enum { COUNT = 3 * CT_NORM_BLOCK };
    static float  grad[COUNT];
    static double partial[COUNT / CT_NORM_BLOCK + 1], result[2];
    ct_params     params = {.grad_norm = {.count = COUNT, .grad = grad, .result = result, .partial = partial}};
    const float   bad[] = {INFINITY, -INFINITY, NAN};
    for (int i = 0; i < 3; i++)
        for (int64_t at = 0; at < COUNT; at += 4999) {
            grad[at] = bad[i];
            assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_grad_norm, &params), CT_OK);
            assert_true(result[1] == 0);
            grad[at] = 3e38f; /* large is no failure */
            assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_grad_norm, &params), CT_OK);
            assert_true(result[1] == 1);
            grad[at] = 0;
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
    static struct CMUnitTest tests[CT_OP_COUNT + 2];
    for (int op = 0; op < CT_OP_COUNT; op++)
        tests[op] = (struct CMUnitTest){ct_op_about((ct_op)op)->name, parity, NULL, NULL, (void *)(intptr_t)op};
    tests[CT_OP_COUNT] = (struct CMUnitTest)cmocka_unit_test(norm_is_not_finite);
    tests[CT_OP_COUNT + 1] = (struct CMUnitTest)cmocka_unit_test(unsupported_is_named);
    printf("cpu backend: %s, %s\n", ct_cpu_isa(), ct_cpu_gemm());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
