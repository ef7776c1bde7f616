/* test_ops_gradients.c -- every backward op of the reference (double) against central differences of its forward op.
 *
 * L = sum over forward outputs of output * cotangent; the backward op's d<input> must be dL/d<input>. The step is 1e-5:
 * the difference is then wrong by about 1e-10 (third derivative) and 1e-11 (rounding), relative to L's terms; 2e-7 of
 * the gradient's scale is allowed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "op_cases.h"

enum { SAMPLES = 24 };
static const double STEP = 1e-5, ALLOWED = 2e-7;

/* the cotangent of a forward output: the backward op's input d<output>; 1 * loss_scale for the loss; 0 where missing */
static double objective(op_arrays *forward, const op_arrays *backward) {
    double sum = 0;
    if (ct_op_run(ct_backend_reference(), forward->about->op, &forward->params) != CT_OK) abort();
    for (int i = 0; i < forward->info->field_count; i++) {
        const ct_field *f = &forward->info->fields[i];
        char            name[64];
        snprintf(name, sizeof name, "d%s", f->name);
        int  at = field_index(backward->info, name);
        bool loss = forward->about->op == CT_OP_cross_entropy && !strcmp(f->name, "loss");
        if (f->role != CT_ROLE_OUT || !ct_type_is_real(f->type)) continue;
        int from = forward->block[i] ? i : field_index(forward->info, "x"); /* layernorm without r: sum stands for x */
        if (loss)
            for (int64_t k = 0; k < forward->count[i]; k++) sum += real_at(forward, i, k) * test_step.loss_scale;
        else if (at >= 0 && backward->info->fields[at].role == CT_ROLE_IN && backward->block[at])
            for (int64_t k = 0; k < backward->count[at]; k++)
                sum += real_at(forward, from, k) * real_at(backward, at, k);
    }
    return sum;
}

static double slope(op_arrays *forward, const op_arrays *backward, int field, int64_t i) {
    double value = real_at(forward, field, i);
    set_real(forward, field, i, value + STEP);
    double up = objective(forward, backward);
    set_real(forward, field, i, value - STEP);
    double down = objective(forward, backward);
    set_real(forward, field, i, value);
    return (up - down) / (2 * STEP);
}

/* checks d<input> for some elements; returns how many inputs were checked */
static int check_case(const op_case *c) {
    bool      loss = c->op == CT_OP_cross_entropy;
    op_case   forward_about = loss ? *c : forward_case(c);
    op_arrays forward = op_arrays_make(&forward_about, CT_F64), backward = op_arrays_make(c, CT_F64);
    op_arrays before = op_arrays_make(c, CT_F64);
    int       checked = 0;
    assert_int_equal(ct_op_run(ct_backend_reference(), forward.about->op, &forward.params), CT_OK);
    assert_int_equal(ct_op_run(ct_backend_reference(), c->op, &backward.params), CT_OK);
    for (int i = 0; i < forward.info->field_count; i++) {
        const ct_field *f = &forward.info->fields[i];
        char            name[64];
        snprintf(name, sizeof name, "d%s", f->name);
        int at = field_index(backward.info, name);
        if (f->role != CT_ROLE_IN || !ct_type_is_real(f->type) || !forward.block[i] || at < 0 || !backward.block[at])
            continue;
        if (backward.info->fields[at].role == CT_ROLE_IN) continue; /* a cotangent */
        int    result = result_field(&backward, at);
        bool   added = backward.info->fields[at].role == CT_ROLE_ADD;
        double scale = 1e-3;
        for (int64_t k = 0; k < backward.count[result]; k++)
            scale = fmax(scale, fabs(real_at(&backward, result, k) - (added ? real_at(&before, result, k) : 0)));
        for (int s = 0; s < SAMPLES && forward.count[i] > 0; s++) {
            bool    all = forward.count[i] <= SAMPLES;
            int64_t k = all ? s : (int64_t)ct_philox_below(draw(c, name, s).word[0], (uint32_t)forward.count[i]);
            if (k >= forward.count[i]) break;
            double wanted = slope(&forward, &backward, i, k);
            double got = real_at(&backward, result, k) - (added ? real_at(&before, result, k) : 0);
            if (!(fabs(got - wanted) <= ALLOWED * scale))
                fail_msg("%s: %s[%ld] is %.12g, central difference %.12g", c->name, name, (long)k, got, wanted);
        }
        checked++;
    }
    op_arrays_free(&forward);
    op_arrays_free(&backward);
    op_arrays_free(&before);
    return checked;
}

static void gradients(void **state) {
    ct_op op = (ct_op)(intptr_t)*state;
    int   checked = 0;
    for (size_t i = 0; i < CT_COUNT(op_cases); i++) {
        const op_case *c = &op_cases[i];
        if (c->op == CT_OP_harmony_mlp_backward && c->flags & WHOLE) continue; /* hidden units of 0 have no slope */
        if (c->op == op && !c->alias) checked += check_case(c);
    }
    if (checked == 0) fail_msg("no gradient of %s was checked", ct_op_about(op)->name);
}

int main(void) {
    static struct CMUnitTest tests[CT_OP_COUNT];
    size_t                   count = 0;
    for (int op = 0; op < CT_OP_COUNT; op++)
        if (forward_of((ct_op)op) != CT_OP_COUNT || op == CT_OP_cross_entropy)
            tests[count++] =
                (struct CMUnitTest){ct_op_about((ct_op)op)->name, gradients, NULL, NULL, (void *)(intptr_t)op};
    return _cmocka_run_group_tests("gradients", tests, count, NULL, NULL);
}
