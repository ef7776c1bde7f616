/* test_gemm_linear.c -- linear and its gradients on products of the double of cuBLASLt, alone and with the gelu beside
 * them: against the reference (double) with op_parity.h's tolerances, whichever algorithm is taken, with the library's
 * epilogues and without. In float and mixed with bf16.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cuda/linear.h"
#include "tests/op_parity.h"
#include "tests/standin/gemm_fixture.h"

/* several orders of the library's list, then each way to have no epilogue */
enum { RUNS = 8, ORDERS = 4 };
static void begin_run(unsigned run) {
    device_begin(run, run < ORDERS ? BLAS_LISTS : (blas_answer)(run - ORDERS + 1));
}
_Static_assert(RUNS - ORDERS + 1 == BLAS_NOTHING, "all but having nothing at all");
static const ct_dtype dtypes[] = {CT_F32, CT_BF16};

/* the arrays of an op, on the device; aligned to single elements if `odd` */
typedef struct on_device {
    ct_params  params;
    op_arrays *host;
    char      *at[64];
    size_t     shift[64];
} on_device;

static on_device to_device(op_arrays *host, bool odd) {
    on_device d = {.params = host->params, .host = host};
    for (int i = 0; i < host->info->field_count; i++) {
        const ct_field *f = &host->info->fields[i];
        if (!host->block[i]) continue;
        const bool known = f->role == CT_ROLE_IN || f->role == CT_ROLE_ADD;
        d.shift[i] = odd && ct_type_is_real(f->type) ? host->element[i] : 0;
        d.at[i] = device_new(known ? array_of(host, i) : NULL, (size_t)host->count[i] * host->element[i], d.shift[i]);
    }
    for (int i = 0; i < host->info->field_count; i++)
        if (host->block[i])
            memcpy((char *)&d.params + host->info->fields[i].offset, &d.at[result_field(host, i)], sizeof(char *));
    return d;
}
static void from_device(on_device *d) {
    for (int i = 0; i < d->host->info->field_count; i++) {
        const bool aliased = result_field(d->host, i) != i;
        if (!d->at[i]) continue;
        if (d->host->info->fields[i].role != CT_ROLE_TMP && !aliased)
            device_read(array_of(d->host, i), d->at[i], (size_t)d->host->count[i] * d->host->element[i]);
        device_free(d->at[i], d->shift[i]);
    }
}
static void set_array(on_device *d, const char *name, void *array) {
    memcpy((char *)&d->params + d->host->info->fields[field_index(d->host->info, name)].offset, &array, sizeof array);
}
static void *get_array(const on_device *d, const char *name) {
    return d->at[field_index(d->host->info, name)];
}

/* ---- the ops, each over its cases */
static bool odd;

static ct_status run_op(ct_op op, op_arrays *arrays) {
    on_device  d = to_device(arrays, odd);
    const bool forward = op == CT_OP_linear;
    CT_TRY(forward ? ct_cuda_linear_plan(&d.params) : ct_cuda_linear_backward_plan(&d.params));
    const int plans = ct_cuda_gemm_plan_count();
    CT_TRY((forward ? ct_cuda_linear : ct_cuda_linear_backward)(&d.params, device.stream));
    assert_int_equal(ct_cuda_gemm_plan_count(), plans);
    from_device(&d);
    return CT_OK;
}

static void ops(void **state) {
    (void)state;
    for (unsigned n = 0; n < RUNS; n++) {
        begin_run(n);
        odd = n % 2;
        for (size_t i = 0; i < CT_COUNT(dtypes); i++) {
            check_op(CT_OP_linear, dtypes[i], run_op);
            check_op(CT_OP_linear_backward, dtypes[i], run_op);
        }
        device_end();
    }
}

/* ---- two records at once. The reference and the naive computation run them one after the other, and round between. */
typedef struct pair {
    op_arrays first, second;
} pair;

static pair pair_make(const op_case *first, const op_case *second, ct_dtype dtype) {
    return (pair){op_arrays_make(first, dtype), op_arrays_make(second, dtype)};
}
static void pair_free(pair *p) {
    op_arrays_free(&p->first);
    op_arrays_free(&p->second);
}
static void round_results(op_arrays *a, const op_arrays *like) {
    for (int i = 0; i < a->info->field_count; i++)
        if (a->block[i] && like->element[i] == 2 && ct_type_is_real(a->info->fields[i].type))
            for (int64_t k = 0; k < a->count[i]; k++) set_real(a, i, k, rounded(real_at(a, i, k)));
}
/* from: result of the first; to: what the second reads */
static void run_both(const ct_backend *backend, pair *p, const pair *like, const char *from, const char *to) {
    const int out = field_index(p->first.info, from), in = field_index(p->second.info, to);
    assert_int_equal(ct_op_run(backend, p->first.about->op, &p->first.params), CT_OK);
    if (like) round_results(&p->first, &like->first);
    for (int64_t i = 0; i < p->second.count[in]; i++) set_real(&p->second, in, i, real_at(&p->first, out, i));
    assert_int_equal(ct_op_run(backend, p->second.about->op, &p->second.params), CT_OK);
    if (like) round_results(&p->second, &like->second);
}

typedef struct shape {
    const char *name;
    int64_t     rows, in, out;
    const char *missing; /* of the linear */
} shape;
static const shape shapes[] = {
    {"fused thin", 30, 1, 1, NULL},      {"fused eights", 40, 24, 64, NULL},           {"fused odd", 13, 37, 29, NULL},
    {"fused blocks", 130, 64, 72, NULL}, {"fused no bias", 9, 16, 24, " bias dbias "}, {"fused empty", 0, 8, 8, NULL},
};

static void check_fields(const op_case *c, const op_arrays *own, const op_arrays *plain, const op_arrays *exact,
                         const char *but) {
    for (int i = 0; i < own->info->field_count; i++)
        if (!named(but, own->info->fields[i].name)) check_field(c, i, own, plain, exact);
}

static void forward_pair(const shape *s, ct_dtype dtype) {
    const op_case first = {.op = CT_OP_linear,
                           .name = s->name,
                           .missing = s->missing,
                           .params.linear = {.rows = s->rows, .in = s->in, .out = s->out}};
    const op_case second = {.op = CT_OP_gelu, .name = s->name, .params.gelu = {.rows = s->rows, .width = s->out}};
    pair          own = pair_make(&first, &second, dtype), plain = pair_make(&first, &second, CT_F32),
         exact = pair_make(&first, &second, CT_F64);
    take_inputs(&plain.first, &own.first);
    take_inputs(&exact.first, &own.first);
    run_both(dtype == CT_BF16 ? ct_backend_reference_mixed() : ct_backend_reference(), &plain, &own, "y", "x");
    run_both(ct_backend_reference(), &exact, NULL, "y", "x");

    on_device linear = to_device(&own.first, odd), gelu = to_device(&own.second, odd);
    set_array(&gelu, "x", get_array(&linear, "y"));
    assert_true(ct_cuda_is_linear_gelu(CT_OP_linear, &linear.params, CT_OP_gelu, &gelu.params));
    assert_int_equal(ct_cuda_linear_gelu_plan(&linear.params, &gelu.params), CT_OK);
    const int plans = ct_cuda_gemm_plan_count();
    assert_int_equal(ct_cuda_linear_gelu(&linear.params, &gelu.params, device.stream), CT_OK);
    assert_int_equal(ct_cuda_gemm_plan_count(), plans);
    from_device(&linear);
    from_device(&gelu);
    check_fields(&first, &own.first, &plain.first, &exact.first, NULL);
    check_fields(&second, &own.second, &plain.second, &exact.second, " x ");
    pair_free(&own);
    pair_free(&plain);
    pair_free(&exact);
}

static void backward_pair(const shape *s, ct_dtype dtype, bool in_place) {
    const op_case first = {.op = CT_OP_linear_backward,
                           .name = s->name,
                           .missing = s->missing,
                           .params.linear_backward = {.rows = s->rows, .in = s->out, .out = s->in}};
    const op_case second = {.op = CT_OP_gelu_backward,
                            .name = s->name,
                            .missing = s->missing,
                            .params.gelu_backward = {.rows = s->rows, .width = s->out}};
    pair          own = pair_make(&first, &second, dtype), plain = pair_make(&first, &second, CT_F32),
         exact = pair_make(&first, &second, CT_F64);
    take_inputs(&plain.first, &own.first);
    take_inputs(&plain.second, &own.second);
    take_inputs(&exact.first, &own.first);
    take_inputs(&exact.second, &own.second);
    run_both(dtype == CT_BF16 ? ct_backend_reference_mixed() : ct_backend_reference(), &plain, &own, "dx", "dy");
    run_both(ct_backend_reference(), &exact, NULL, "dx", "dy");

    on_device linear = to_device(&own.first, odd), gelu = to_device(&own.second, odd);
    set_array(&gelu, "dy", get_array(&linear, "dx"));
    if (in_place) set_array(&gelu, "dx", get_array(&linear, "dx"));
    assert_true(
        ct_cuda_is_linear_gelu_backward(CT_OP_linear_backward, &linear.params, CT_OP_gelu_backward, &gelu.params));
    assert_int_equal(ct_cuda_linear_gelu_backward_plan(&linear.params, &gelu.params), CT_OK);
    const int plans = ct_cuda_gemm_plan_count();
    assert_int_equal(ct_cuda_linear_gelu_backward(&linear.params, &gelu.params, device.stream), CT_OK);
    assert_int_equal(ct_cuda_gemm_plan_count(), plans);
    if (in_place) { /* the result lies there */
        const int dx = field_index(gelu.host->info, "dx"), of_linear = field_index(linear.host->info, "dx");
        device_read(array_of(gelu.host, dx), linear.at[of_linear],
                    (size_t)gelu.host->count[dx] * gelu.host->element[dx]);
        device_free(gelu.at[dx], gelu.shift[dx]);
        gelu.at[dx] = NULL;
    }
    const int unread = field_index(linear.host->info, "dx"); /* never written where it was one product */
    device_free(linear.at[unread], linear.shift[unread]);
    linear.at[unread] = NULL;
    from_device(&linear);
    from_device(&gelu);
    check_fields(&first, &own.first, &plain.first, &exact.first, " dx ");
    check_fields(&second, &own.second, &plain.second, &exact.second, " dy ");
    pair_free(&own);
    pair_free(&plain);
    pair_free(&exact);
}

static void pairs(void **state) {
    (void)state;
    for (unsigned n = 0; n < RUNS; n++) {
        begin_run(n);
        odd = n % 2;
        for (size_t i = 0; i < CT_COUNT(dtypes); i++)
            for (size_t k = 0; k < CT_COUNT(shapes); k++) {
                forward_pair(&shapes[k], dtypes[i]);
                backward_pair(&shapes[k], dtypes[i], false);
                backward_pair(&shapes[k], dtypes[i], true);
            }
        device_end();
    }
}

/* One product where there were a product and a kernel, where the library can. */
static void fused_means_fewer(void **state) {
    (void)state;
    long kernels[2], products[2];
    for (int fused = 0; fused < 2; fused++) {
        device_begin(1, fused ? BLAS_LISTS : BLAS_NOT_FUSED);
        odd = false;
        const blas_counters    before = blas_count();
        const standin_counters calls = standin_count();
        forward_pair(&shapes[1], CT_BF16);
        backward_pair(&shapes[1], CT_BF16, true);
        products[fused] = blas_count().products - before.products;
        kernels[fused] = standin_count().kernels - calls.kernels;
        device_end();
    }
    assert_int_equal(products[0], 3); /* y, dx, dw */
    assert_int_equal(products[1], 3);
    assert_int_equal(kernels[0], 1 + 1 + 2 + 2); /* bias spread, gelu; dbias; gelu's gradient and its dbias */
    assert_int_equal(kernels[1], 2 + 2);         /* both dbias */
}

static void pairs_that_are_none(void **state) {
    (void)state;
    float     arrays[4];
    ct_params linear = {.linear = {.rows = 3, .in = 4, .out = 5, .x = arrays, .y = arrays + 1}};
    ct_params gelu = {.gelu = {.rows = 3, .width = 5, .x = arrays + 1, .y = arrays + 2}}, other = gelu;
    assert_true(ct_cuda_is_linear_gelu(CT_OP_linear, &linear, CT_OP_gelu, &gelu));
    assert_false(ct_cuda_is_linear_gelu(CT_OP_linear, &linear, CT_OP_gelu_backward, &gelu));
    assert_false(ct_cuda_is_linear_gelu(CT_OP_linear_rows, &linear, CT_OP_gelu, &gelu));
    other.gelu.x = arrays;
    assert_false(ct_cuda_is_linear_gelu(CT_OP_linear, &linear, CT_OP_gelu, &other));
    other = gelu;
    other.gelu.y = arrays + 1; /* in place: the pre-activation would be lost */
    assert_false(ct_cuda_is_linear_gelu(CT_OP_linear, &linear, CT_OP_gelu, &other));
    other = gelu;
    other.gelu.width = 4;
    assert_false(ct_cuda_is_linear_gelu(CT_OP_linear, &linear, CT_OP_gelu, &other));
    other = gelu;
    other.dtype = CT_BF16;
    assert_false(ct_cuda_is_linear_gelu(CT_OP_linear, &linear, CT_OP_gelu, &other));

    linear = (ct_params){.linear_backward = {.rows = 3, .in = 4, .out = 5, .dx = arrays}};
    gelu = other = (ct_params){.gelu_backward = {.rows = 3, .width = 4, .dy = arrays, .dx = arrays}};
    assert_true(ct_cuda_is_linear_gelu_backward(CT_OP_linear_backward, &linear, CT_OP_gelu_backward, &gelu));
    other.gelu_backward.dy = arrays + 1;
    assert_false(ct_cuda_is_linear_gelu_backward(CT_OP_linear_backward, &linear, CT_OP_gelu_backward, &other));
    other = gelu;
    other.gelu_backward.rows = 2;
    assert_false(ct_cuda_is_linear_gelu_backward(CT_OP_linear_backward, &linear, CT_OP_gelu_backward, &other));
    linear.linear_backward.dx = NULL;
    other.gelu_backward = (ct_gelu_backward){.rows = 3, .width = 4};
    assert_false(ct_cuda_is_linear_gelu_backward(CT_OP_linear_backward, &linear, CT_OP_gelu_backward, &other));
}

/* Any workspace gives the same sums of a bias's gradient to rounding; one that has no room for a row is refused. */
static void little_workspace(void **state) {
    (void)state;
    static const op_case c = {.op = CT_OP_linear_backward,
                              .name = "little workspace",
                              .params.linear_backward = {.rows = 67, .in = 24, .out = 40}};
    odd = false;
    for (size_t floats = 40; floats <= 400; floats += 120) {
        device_begin_with(2, BLAS_LISTS, floats * sizeof(float), false);
        check_case(&c, CT_BF16, run_op);
        device_end();
    }
    device_begin_with(2, BLAS_LISTS, 39 * sizeof(float), false);
    op_arrays arrays = op_arrays_make(&c, CT_BF16);
    on_device d = to_device(&arrays, false);
    assert_int_equal(ct_cuda_linear_backward_plan(&d.params), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "a workspace of 156 bytes, at least 160 are needed"));
    for (int i = 0; i < arrays.info->field_count; i++) device_free(d.at[i], 0);
    op_arrays_free(&arrays);
    device_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ops),
        cmocka_unit_test(pairs),
        cmocka_unit_test(fused_means_fewer),
        cmocka_unit_test(pairs_that_are_none),
        cmocka_unit_test(little_workspace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
