/* op_parity.h -- a backend's op, in float or mixed with bf16, against the reference (double), over the op's cases.
 *
 * Measure: the largest absolute error of an output array, as a share of the largest absolute value of that array. A
 * backend's result may be wrong by 2 times (backward ops: 3 times) what the plain reference in float is wrong by, plus
 * a floor of FLOOR_ULP units of a float in the last place of the array's scale. The floor: an op whose float reference
 * happens to be exact still rounds its result (1/2), its input to exp or division (1/2 each), and has an exp of at most
 * 2 ulp; rotary_rows, made in double, only rounds its result (1/2, and as much for what double itself is wrong by). In
 * mixed precision all start from the same rounded inputs, and the plain reference is the naive computation in mixed
 * precision (ct_backend_reference_mixed): it rounds its results that are bf16, and what it keeps in bf16 on the way
 * (FlashAttention's tests take the same measure); where sums are exact, a result is the exact one rounded once.
 *
 * Include cmocka.h before. A failure is cmocka's, with the case named.
 */
#ifndef CT_TESTS_OP_PARITY_H
#define CT_TESTS_OP_PARITY_H

#include "op_cases.h"

enum { FLOOR_ULP = 4, FLOOR_ULP_OF_ROTARY = 1 };

/* Runs an op on arrays in host memory. */
typedef ct_status (*op_runner)(ct_op op, op_arrays *arrays);

typedef struct deviation {
    double error, scale;
    bool   alike; /* NaN and infinities in the same places */
} deviation;

TEST_INLINE double rounded(double x) {
    return (double)ct_bf16_float(ct_bf16_round((float)x));
}

/* exactly: what is wanted of a bf16 is its nearest */
TEST_INLINE deviation compare(const op_arrays *got, const op_arrays *wanted, int field, bool exactly) {
    deviation d = {.alike = true};
    int       from = result_field(got, field);
    for (int64_t i = 0; i < wanted->count[from]; i++) {
        double x = real_at(got, from, i), y = real_at(wanted, from, i);
        if (exactly && got->element[from] == 2) y = rounded(y);
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

TEST_INLINE bool backward(ct_op op) {
    return forward_of(op) != CT_OP_COUNT;
}

TEST_INLINE void check_field(const op_case *c, int field, const op_arrays *own, const op_arrays *plain,
                             const op_arrays *exact) {
    const ct_field *f = &own->info->fields[field];
    int             at = result_field(own, field);
    if (!guards_intact(own, field)) fail_msg("%s: %s: written out of bounds", c->name, f->name);
    if (!own->block[at] || f->role == CT_ROLE_TMP || f->role == CT_ROLE_IN) return;
    if (!ct_type_is_real(f->type)) { /* tokens, counters, norms */
        for (int64_t i = 0; f->type == CT_TYPE_f64 && i < own->count[at]; i++) {
            double x = ((const double *)array_of(own, at))[i], y = ((const double *)array_of(exact, at))[i];
            if (x != y && !(fabs(x - y) <= 1e-12 * fabs(y)))
                fail_msg("%s: %s[%ld] is %.17g, not %.17g", c->name, f->name, (long)i, x, y);
        }
        if (f->type != CT_TYPE_f64 &&
            memcmp(array_of(own, at), array_of(exact, at), (size_t)own->count[at] * own->element[at]) != 0)
            fail_msg("%s: %s differs", c->name, f->name);
        return;
    }
    bool      same = c->flags & WHOLE || own->info->tolerance == CT_TOLERANCE_EXACT;
    deviation of_own = compare(own, exact, field, same), of_plain = compare(plain, exact, field, false);
    double    least = 0x1p-23 * of_own.scale * (c->op == CT_OP_rotary_rows ? FLOOR_ULP_OF_ROTARY : FLOOR_ULP);
    double    allowed = same ? 0 : (backward(c->op) ? 3 : 2) * of_plain.error + least;
    if (!of_own.alike) fail_msg("%s: %s: NaN or infinity", c->name, f->name);
    if (getenv("CANTUS_TEST_VERBOSE"))
        printf("    %-34s %-12s error %9.2e  float reference %9.2e  scale %9.2e\n", c->name, f->name, of_own.error,
               of_plain.error, of_own.scale);
    if (of_own.error > allowed)
        fail_msg("%s: %s: error %g, allowed %g (float reference %g, scale %g)", c->name, f->name, of_own.error, allowed,
                 of_plain.error, of_own.scale);
}

/* What is rounded to a dtype is everybody's input. */
TEST_INLINE void take_inputs(op_arrays *to, const op_arrays *from) {
    for (int i = 0; i < to->info->field_count; i++) {
        const ct_field *f = &to->info->fields[i];
        if (!to->block[i] || !ct_type_is_real(f->type) || (f->role != CT_ROLE_IN && f->role != CT_ROLE_ADD)) continue;
        for (int64_t k = 0; k < to->count[i]; k++) set_real(to, i, k, real_at(from, i, k));
    }
}

TEST_INLINE void check_case(const op_case *c, ct_dtype dtype, op_runner run) {
    op_arrays own = op_arrays_make(c, dtype), fresh = op_arrays_make(c, dtype), plain = op_arrays_make(c, CT_F32);
    op_arrays exact = op_arrays_make(c, CT_F64);
    const ct_backend *naive = dtype == CT_BF16 ? ct_backend_reference_mixed() : ct_backend_reference();
    take_inputs(&exact, &fresh);
    take_inputs(&plain, &fresh);
    assert_int_equal(run(c->op, &own), CT_OK);
    assert_int_equal(ct_op_run(naive, c->op, &plain.params), CT_OK);
    for (int i = 0; i < plain.info->field_count; i++)
        if (plain.block[i] && own.element[i] == 2 && ct_type_is_real(plain.info->fields[i].type))
            for (int64_t k = 0; k < plain.count[i]; k++) set_real(&plain, i, k, rounded(real_at(&plain, i, k)));
    assert_int_equal(ct_op_run(ct_backend_reference(), c->op, &exact.params), CT_OK);
    for (int i = 0; i < own.info->field_count; i++) {
        check_field(c, i, &own, &plain, &exact);
        bool shared = c->alias && !strcmp(own.info->fields[i].name, c->alias_of);
        if (own.block[i] && own.info->fields[i].role == CT_ROLE_IN && !shared)
            assert_memory_equal(array_of(&own, i), array_of(&fresh, i), (size_t)own.count[i] * own.element[i]);
    }
    op_arrays_free(&own);
    op_arrays_free(&fresh);
    op_arrays_free(&plain);
    op_arrays_free(&exact);
}

/* every case of the op; at least one */
TEST_INLINE void check_op(ct_op op, ct_dtype dtype, op_runner run) {
    int found = 0;
    for (size_t i = 0; i < CT_COUNT(op_cases); i++)
        if (op_cases[i].op == op) {
            check_case(&op_cases[i], dtype, run);
            found++;
        }
    if (found == 0) fail_msg("op %s has no case", ct_op_about(op)->name);
}

#endif
