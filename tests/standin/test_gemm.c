/* test_gemm.c -- products of matrices (kernels/cuda/gemm.h) by the double of cuBLASLt: every form against sums in
 * double, by every algorithm; plans are made once; what can't be done, and what is asked for wrongly, is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sanitized.h"
#include "tests/standin/gemm_fixture.h"

#include <math.h>
#include <stdio.h>

static int callocs; /* gemm.c's way to memory; the doubles have others */
#if !CT_SANITIZED
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the C library's name */
void *__libc_calloc(size_t, size_t);
void *calloc(size_t count, size_t bytes) {
    callocs++;
    return __libc_calloc(count, bytes);
}
#endif

typedef struct form {
    int64_t  rows, columns, depth;
    int64_t  pad; /* numbers between one row and the next */
    bool     transpose_a, transpose_b, accumulate;
    ct_dtype in, out;
    unsigned odd; /* these arrays lie one number after an address for many */
} form;
enum { ODD_A = 1, ODD_B = 2, ODD_D = 4, ODD_BIAS = 8, ODD_AUX = 16, ODD_ALL = 31 };

/* The arrays of a form on the device, and what it should give. A sum of n products in floats, in any order and in
 * parts, is wrong by at most (n + 16) 2^-24 times the sum of their sizes; then it is rounded to its type. */
typedef struct arrays {
    ct_cuda_gemm g;
    int64_t      a_count, b_count, d_count;
    void        *a, *b, *d, *bias, *aux; /* the host's, before */
    size_t       shift_a, shift_b, shift_d, shift_bias, shift_aux;
} arrays;

static arrays arrays_make(const form *f, ct_cuda_epilogue epilogue) {
    const int64_t a_rows = f->transpose_a ? f->depth : f->rows, a_columns = f->transpose_a ? f->rows : f->depth;
    const int64_t b_rows = f->transpose_b ? f->columns : f->depth, b_columns = f->transpose_b ? f->depth : f->columns;
    const size_t  in = ct_dtype_size(f->in), out = ct_dtype_size(f->out);
    arrays        x = {.g = {.rows = f->rows,
                             .columns = f->columns,
                             .depth = f->depth,
                             .lda = a_columns + f->pad,
                             .ldb = b_columns + f->pad,
                             .ldd = f->columns + f->pad,
                             .transpose_a = f->transpose_a,
                             .transpose_b = f->transpose_b,
                             .accumulate = f->accumulate,
                             .in = f->in,
                             .out = f->out,
                             .epilogue = epilogue},
                       .shift_a = f->odd & ODD_A ? in : 0,
                       .shift_b = f->odd & ODD_B ? in : 0,
                       .shift_d = f->odd & ODD_D ? out : 0,
                       .shift_bias = f->odd & ODD_BIAS ? out : 0,
                       .shift_aux = f->odd & ODD_AUX ? out : 0};
    x.a_count = a_rows * x.g.lda;
    x.b_count = b_rows * x.g.ldb;
    x.d_count = f->rows * x.g.ldd;
    x.a = numbers_new(f->in, x.a_count, 1);
    x.b = numbers_new(f->in, x.b_count, 2);
    x.d = numbers_new(f->out, x.d_count, 3);
    x.bias = numbers_new(f->out, f->columns, 4);
    x.aux = numbers_new(f->out, x.d_count, 5);
    x.g.a = device_new(x.a, (size_t)x.a_count * in, x.shift_a);
    x.g.b = device_new(x.b, (size_t)x.b_count * in, x.shift_b);
    x.g.d = device_new(x.d, (size_t)x.d_count * out, x.shift_d);
    x.g.bias = device_new(x.bias, (size_t)f->columns * out, x.shift_bias);
    x.g.aux = device_new(x.aux, (size_t)x.d_count * out, x.shift_aux);
    return x;
}
static void host_free(arrays *x) {
    free(x->a);
    free(x->b);
    free(x->d);
    free(x->bias);
    free(x->aux);
}
static void arrays_free(arrays *x) {
    device_free((void *)(uintptr_t)x->g.a, x->shift_a);
    device_free((void *)(uintptr_t)x->g.b, x->shift_b);
    device_free((void *)(uintptr_t)x->g.bias, x->shift_bias);
    device_free(x->g.d, x->shift_d);
    device_free(x->g.aux, x->shift_aux);
    host_free(x);
}

/* GELU's slope is below 1.13, and that of its slope below 0.8, so errors go through them by these factors at most. */
static double tanh_of(double x) {
    return tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x));
}
static double gelu(double x) {
    return x / 2 * (1 + tanh_of(x));
}
static double gelu_slope(double x) {
    const double t = tanh_of(x);
    return (1 + t) / 2 + x / 2 * (1 - t * t) * 0.79788456080286535588 * (1 + 3 * 0.044715 * x * x);
}

static void check_number(const arrays *x, const char *what, const void *got, int64_t i, int64_t j, double wanted,
                         double error) {
    const int64_t at = i * x->g.ldd + j;
    const double  value = number_at(x->g.out, got, at);
    const double  unit = x->g.out == CT_BF16 ? 0x1p-8 : 0x1p-24; /* of rounding to nearest */
    if (!(fabs(value - wanted) <= error + unit * (fabs(wanted) + error)))
        fail_msg("%s[%ld][%ld] of %ld x %ld x %ld is %g, not %g (%g)", what, (long)i, (long)j, (long)x->g.rows,
                 (long)x->g.columns, (long)x->g.depth, value, wanted, error);
}
static void check_padding(const arrays *x, const void *got, const void *before) {
    const size_t element = ct_dtype_size(x->g.out);
    for (int64_t i = 0; i < x->g.rows; i++) {
        const size_t from = (size_t)(i * x->g.ldd + x->g.columns) * element;
        assert_memory_equal((const char *)got + from, (const char *)before + from,
                            (size_t)(x->g.ldd - x->g.columns) * element);
    }
}

static void check_result(const arrays *x) {
    const ct_cuda_gemm *g = &x->g;
    const size_t        bytes = (size_t)x->d_count * ct_dtype_size(g->out);
    void               *d = malloc(bytes), *aux = malloc(bytes);
    device_read(d, g->d, bytes);
    device_read(aux, g->aux, bytes);
    for (int64_t i = 0; i < g->rows; i++)
        for (int64_t j = 0; j < g->columns; j++) {
            const double before = number_at(g->out, x->d, i * g->ldd + j), bias = number_at(g->out, x->bias, j);
            double       sum = g->accumulate ? before : 0, size = fabs(sum);
            for (int64_t k = 0; k < g->depth; k++) {
                const double left = number_at(g->in, x->a, g->transpose_a ? k * g->lda + i : i * g->lda + k);
                const double right = number_at(g->in, x->b, g->transpose_b ? j * g->ldb + k : k * g->ldb + j);
                sum += left * right;
                size += fabs(left * right);
            }
            const bool biased = g->epilogue == CT_EPILOGUE_BIAS || g->epilogue == CT_EPILOGUE_GELU;
            if (biased) sum += bias, size += fabs(bias);
            const double error = (double)(g->depth + 16) * 0x1p-24 * size;
            switch (g->epilogue) {
            case CT_EPILOGUE_GELU:
                check_number(x, "aux", aux, i, j, sum, error);
                check_number(x, "gelu", d, i, j, gelu(sum), 1.13 * error + 0x1p-21);
                break;
            case CT_EPILOGUE_GELU_BACKWARD: {
                const double slope = gelu_slope(number_at(g->out, x->aux, i * g->ldd + j));
                check_number(x, "gelu'", d, i, j, sum * slope, 1.13 * error + 0x1p-21 * fabs(sum));
                break;
            }
            default:
                check_number(x, "d", d, i, j, sum, error);
            }
        }
    check_padding(x, d, x->d);
    check_padding(x, aux, x->aux);
    if (g->epilogue != CT_EPILOGUE_GELU) assert_memory_equal(aux, x->aux, bytes);
    free(d);
    free(aux);
}

static const form forms[] = {
    {1, 1, 1, 0, false, false, false, CT_F32, CT_F32, 0},
    {1, 16, 24, 0, false, true, false, CT_BF16, CT_BF16, 0},
    {13, 37, 29, 0, false, true, false, CT_F32, CT_F32, 0},
    {13, 37, 29, 3, true, false, true, CT_BF16, CT_F32, 0},
    {31, 16, 64, 8, false, false, false, CT_BF16, CT_BF16, 0},
    {31, 16, 64, 0, true, true, true, CT_BF16, CT_BF16, 0},
    {24, 40, 131, 0, false, true, true, CT_BF16, CT_F32, 0},
    {24, 40, 131, 0, true, false, false, CT_F32, CT_F32, 0},
    {64, 24, 32, 8, true, true, true, CT_F32, CT_F32, 0},
    {7, 8, 100, 0, false, true, false, CT_BF16, CT_BF16, ODD_ALL}, /* as parameters lie, packed one by one */
    {7, 8, 100, 0, false, false, true, CT_BF16, CT_F32, ODD_ALL},
    {5, 3, 2, 0, false, true, false, CT_F32, CT_F32, ODD_ALL},
    {8, 16, 24, 0, false, true, false, CT_BF16, CT_BF16, ODD_A},
    {8, 16, 24, 0, false, true, false, CT_BF16, CT_BF16, ODD_B},
    {8, 16, 24, 0, false, true, false, CT_BF16, CT_BF16, ODD_D},
    {8, 16, 24, 0, false, true, false, CT_BF16, CT_BF16, ODD_BIAS},
    {8, 16, 24, 0, false, true, false, CT_BF16, CT_BF16, ODD_AUX},
};

static void every_form(void **state) {
    (void)state;
    int algorithms[8] = {0}, fused = 0;
    for (unsigned seed = 0; seed < 12; seed++) {
        device_begin(seed, BLAS_LISTS);
        for (size_t i = 0; i < CT_COUNT(forms); i++)
            for (int epilogue = 0; epilogue < CT_EPILOGUES; epilogue++) {
                bool is_gelu = epilogue >= CT_EPILOGUE_GELU, supported;
                if (forms[i].accumulate && is_gelu) continue;
                arrays x = arrays_make(&forms[i], (ct_cuda_epilogue)epilogue);
                assert_int_equal(ct_cuda_gemm_plan(&x.g, &supported), CT_OK);
                assert_int_equal(supported, !is_gelu || x.g.ldd % 8 == 0);
                if (supported) {
                    assert_int_equal(ct_cuda_gemm_run(&x.g, device.stream), CT_OK);
                    check_result(&x);
                    fused += is_gelu;
                } else {
                    assert_int_equal(ct_cuda_gemm_run(&x.g, device.stream), CT_EFAIL);
                    assert_non_null(strstr(ct_message(), "not supported"));
                }
                arrays_free(&x);
            }
        for (int i = 0; i < 8; i++) algorithms[i] += blas_count().algorithms[i];
        device_end();
    }
    assert_true(fused > 0);
    for (int i = 0; i < 5; i++) assert_true(algorithms[i] > 0);
    assert_int_equal(algorithms[5], 0); /* rounds partial sums to the result's type */
    assert_int_equal(algorithms[6], 0); /* more workspace than there is */
}

/* tf32 rounds what it multiplies to 11 bits: each product is wrong by 2^-11 of its size, twice. */
static void tf32(void **state) {
    (void)state;
    const form f = {9, 16, 40, 0, false, true, false, CT_F32, CT_F32, 0};
    int        others = 0;
    for (unsigned seed = 0; seed < 8; seed++) {
        float got[2][9 * 16];
        for (int on = 0; on < 2; on++) {
            device_begin_with(seed, BLAS_LISTS, WORKSPACE, on);
            arrays x = arrays_make(&f, CT_EPILOGUE_NONE);
            assert_int_equal(ct_cuda_gemm_run(&x.g, device.stream), CT_OK);
            device_read(got[on], x.g.d, sizeof got[on]);
            if (!on) check_result(&x);
            arrays_free(&x);
            device_end();
        }
        for (size_t i = 0; i < CT_COUNT(got[0]); i++) {
            assert_true(fabs((double)(got[0][i] - got[1][i])) < 40 * 0x1p-10);
            others += got[0][i] != got[1][i];
        }
    }
    assert_true(others > 0);
}

static void plans_are_made_once(void **state) {
    (void)state;
    device_begin(3, BLAS_LISTS);
    const form f = {16, 24, 32, 0, false, true, false, CT_BF16, CT_BF16, 0};
    arrays     x = arrays_make(&f, CT_EPILOGUE_GELU), y = arrays_make(&f, CT_EPILOGUE_BIAS), z = arrays_make(&f, 0);
    assert_int_equal(ct_cuda_gemm_plan(&x.g, NULL), CT_OK);
    assert_int_equal(ct_cuda_gemm_plan(&y.g, NULL), CT_OK);
    assert_int_equal(ct_cuda_gemm_plan(&z.g, NULL), CT_OK);
    const int              plans = ct_cuda_gemm_plan_count(), asked = blas_count().heuristics, before = callocs;
    const standin_counters calls = standin_count();
    assert_int_equal(plans, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ct_cuda_gemm_run(&x.g, device.stream), CT_OK);
        assert_int_equal(ct_cuda_gemm_run(&y.g, device.stream), CT_OK);
        assert_int_equal(ct_cuda_gemm_run(&z.g, device.stream), CT_OK);
    }
    assert_int_equal(callocs, before);
    assert_int_equal(ct_cuda_gemm_plan_count(), plans);
    assert_int_equal(blas_count().heuristics, asked);
    assert_int_equal(standin_count().synchronising, calls.synchronising);
    assert_int_equal(standin_count().device_allocations, calls.device_allocations);
    check_result(&x);
    check_result(&y);
    check_result(&z);
    arrays_free(&x);
    arrays_free(&y);
    arrays_free(&z);
    device_end();
}

static void captured(void **state) {
    (void)state;
    cudaGraph_t     graph;
    cudaGraphExec_t launchable;
    device_begin(5, BLAS_LISTS);
    const form f = {16, 24, 32, 0, false, true, true, CT_BF16, CT_F32, 0};
    arrays     x = arrays_make(&f, CT_EPILOGUE_NONE);
    assert_int_equal(ct_cuda_gemm_plan(&x.g, NULL), CT_OK);
    CUDA(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeGlobal));
    assert_int_equal(ct_cuda_gemm_run(&x.g, device.stream), CT_OK);
    CUDA(cudaStreamEndCapture(device.stream, &graph));
    CUDA(cudaGraphInstantiate(&launchable, graph, 0));
    CUDA(cudaGraphLaunch(launchable, device.stream));
    check_result(&x);
    CUDA(cudaGraphExecDestroy(launchable));
    CUDA(cudaGraphDestroy(graph));
    arrays_free(&x);
    device_end();
}

/* ---- what goes wrong */
static void refused(const ct_cuda_gemm *g, const char *text) {
    assert_int_not_equal(ct_cuda_gemm_run(g, device.stream), CT_OK);
    if (!strstr(ct_message(), text)) fail_msg("no '%s' in: %s", text, ct_message());
}

static void wrong_products(void **state) {
    (void)state;
    device_begin(1, BLAS_LISTS);
    const form   f = {16, 24, 32, 0, false, true, false, CT_BF16, CT_BF16, 0};
    arrays       x = arrays_make(&f, CT_EPILOGUE_NONE);
    ct_cuda_gemm g = x.g;
    g.depth = 0;
    refused(&g, "sizes and distances of rows");
    g = x.g;
    g.rows = (int64_t)1 << 31;
    refused(&g, "bf16[2147483648][24] = bf16[2147483648][32] bf16[24][32]'");
    g = x.g;
    g.ldb = 31;
    refused(&g, "rows overlap");
    g = x.g;
    g.ldd = 23;
    refused(&g, "rows overlap");
    g = x.g;
    g.in = CT_F64;
    refused(&g, "no such product");
    g = x.g;
    g.in = CT_F32;
    refused(&g, "no such product");
    assert_int_equal(ct_cuda_gemm_plan_count(), 0);
    assert_int_equal(ct_cuda_gemm_run(&x.g, device.stream), CT_OK);
    assert_int_equal(ct_cuda_gemm_run(&x.g, NULL), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "on a second stream"));
    arrays_free(&x);
    device_end();
    assert_int_equal(ct_cuda_gemm_run(&x.g, NULL), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "not open"));
}

static void no_algorithm(void **state) {
    (void)state;
    const form f = {16, 24, 32, 0, false, true, false, CT_BF16, CT_BF16, 0};
    for (int answer = 1; answer < BLAS_ANSWERS; answer++) {
        bool supported = true;
        device_begin(1, (blas_answer)answer);
        arrays x = arrays_make(&f, CT_EPILOGUE_BIAS), y = arrays_make(&f, CT_EPILOGUE_NONE);
        assert_int_equal(ct_cuda_gemm_plan(&x.g, &supported), CT_OK);
        assert_false(supported);
        if (answer == BLAS_NOTHING) {
            refused(&y.g, "cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_NOT_SUPPORTED (");
            refused(&y.g, "bf16[16][24] = bf16[16][32] bf16[24][32]' (hint: ");
            refused(&y.g, "gemm.c:");
        } else {
            assert_int_equal(ct_cuda_gemm_run(&y.g, device.stream), CT_OK);
        }
        arrays_free(&x);
        arrays_free(&y);
        device_end();
    }
}

static void failures_of_calls(void **state) {
    (void)state;
    static char          odd[512];
    ct_cuda_gemm_options options = {.gpu = "stand-in", .workspace = odd + 1, .bytes = 1};
    setenv("CANTUS_STANDIN_DEVICES", "0", 1);
    standin_begin(1);
    assert_int_equal(ct_cuda_gemm_open(&(ct_cuda_gemm_options){.gpu = "none"}), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "cublasLtCreate: CUBLAS_STATUS_NOT_INITIALIZED"));
    assert_non_null(strstr(ct_message(), "(hint: no GPU"));
    assert_false(ct_cuda_gemm_is_open());
    unsetenv("CANTUS_STANDIN_DEVICES");
    options.workspace = odd + (256 - (uintptr_t)odd % 256) % 256 + 1;
    assert_int_equal(ct_cuda_gemm_open(&options), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "not aligned"));

    device_begin(1, BLAS_LISTS); /* an array that is not the device's */
    const form f = {16, 24, 32, 0, false, true, false, CT_BF16, CT_BF16, 0};
    arrays     x = arrays_make(&f, CT_EPILOGUE_NONE);
    void      *d = x.g.d;
    x.g.d = x.d;
    refused(&x.g, "cublasLtMatmul: CUBLAS_STATUS_INVALID_VALUE");
    assert_true(emulator_reported("memory"));
    x.g.d = d;
    standin_device_fails(cudaErrorLaunchFailure);
    refused(&x.g, "cublasLtMatmul: CUBLAS_STATUS_EXECUTION_FAILED");
    ct_cuda_gemm_close();
    standin_begin(1);
    host_free(&x); /* the device's went with it */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form),        cmocka_unit_test(tf32),           cmocka_unit_test(plans_are_made_once),
        cmocka_unit_test(captured),          cmocka_unit_test(wrong_products), cmocka_unit_test(no_algorithm),
        cmocka_unit_test(failures_of_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
