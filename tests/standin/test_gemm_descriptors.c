/* test_gemm_descriptors.c -- the descriptors of products, as gemm.c makes them, read back from the library; and what
 * sizes of which attributes it takes. Linked with the double of cuBLASLt and, where it is installed, with NVIDIA's own
 * (test_gemm_descriptors_real): it needs no GPU for that, and what both pass, the double has right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cuda/gemm.c" /* NOLINT(bugprone-suspicious-include): what it keeps to itself */

/* ---- attributes and their bytes; 0: there is none */
static const int of_product[] = {4, 4, 4, 4, 4, 4, 4, 4, 8, 0, 8, 8, 8, 8, 8, 4, -1, 8, 8, 8,
                                 8, 8, 4, 8, 8, 1, 4, 0, 0, 0, 0, 4, 4, 4, 4, 4, 8,  4, 8, 0};
static const int of_layout[] = {4, 4, 8, 8, 8, 4, 8, 8, 4, 0};
static const int of_preference[] = {4, 8, 0, 4, 0, 4, 4, 4, 4, 4, 0, 0, 8, 0};
static const int of_algorithm[] = {4, 4, 4, 4, 4, 4, 4, 2, 2, 0};
enum { NOT_IN_THE_HEADER = -1 };

typedef cublasStatus_t (*setter)(void *at, int number, const void *from, size_t bytes);
typedef cublasStatus_t (*getter)(const void *at, int number, void *to, size_t bytes, size_t *written);
#define WRAP(name, type, attribute, set, get)                                                                          \
    static cublasStatus_t set_##name(void *at, int number, const void *from, size_t bytes) {                           \
        return set(at, (attribute)number, from, bytes);                                                                \
    }                                                                                                                  \
    static cublasStatus_t get_##name(const void *at, int number, void *to, size_t bytes, size_t *written) {            \
        return get((type)(uintptr_t)at, (attribute)number, to, bytes, written);                                        \
    }
WRAP(product, cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, cublasLtMatmulDescSetAttribute,
     cublasLtMatmulDescGetAttribute)
WRAP(layout, cublasLtMatrixLayout_t, cublasLtMatrixLayoutAttribute_t, cublasLtMatrixLayoutSetAttribute,
     cublasLtMatrixLayoutGetAttribute)
WRAP(preference, cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, cublasLtMatmulPreferenceSetAttribute,
     cublasLtMatmulPreferenceGetAttribute)
WRAP(algorithm, const cublasLtMatmulAlgo_t *, cublasLtMatmulAlgoConfigAttributes_t,
     cublasLtMatmulAlgoConfigSetAttribute, cublasLtMatmulAlgoConfigGetAttribute)

static void check_sizes(const int *sizes, size_t count, void *at, setter set, getter get, int read_only) {
    static const size_t tried[] = {1, 2, 4, 8, 16};
    for (int number = 0; number < (int)count; number++) {
        size_t        written = 99;
        unsigned char value[16] = {0}, again[16] = {0};
        if (sizes[number] == NOT_IN_THE_HEADER) continue;
        const bool known = sizes[number] > 0;
        assert_int_equal(get(at, number, NULL, 0, &written),
                         known ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE);
        if (known) assert_int_equal(written, (size_t)sizes[number]);
        assert_int_equal(get(at, number, NULL, 0, NULL), CUBLAS_STATUS_INVALID_VALUE);
        for (size_t i = 0; i < CT_COUNT(tried); i++) {
            const bool right = (int)tried[i] == sizes[number];
            assert_int_equal(get(at, number, value, tried[i], &written),
                             right ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE);
            assert_int_equal(set(at, number, value, tried[i]),
                             right && number != read_only ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE);
        }
        if (!known || number == read_only) continue;
        memset(value, 0x5a, sizeof value); /* any value is taken */
        const size_t bytes = (size_t)sizes[number];
        assert_int_equal(set(at, number, value, bytes), CUBLAS_STATUS_SUCCESS);
        assert_int_equal(get(at, number, again, bytes, NULL), CUBLAS_STATUS_SUCCESS);
        assert_memory_equal(again, value, bytes);
    }
}

static void sizes_of_attributes(void **state) {
    (void)state;
    cublasLtMatmulDescOpaque_t       product;
    cublasLtMatrixLayoutOpaque_t     layout;
    cublasLtMatmulPreferenceOpaque_t preference;
    assert_int_equal(cublasLtMatmulDescInit(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasLtMatrixLayoutInit(&layout, CUDA_R_16BF, 2, 3, 4), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasLtMatmulPreferenceInit(&preference), CUBLAS_STATUS_SUCCESS);
    check_sizes(of_product, CT_COUNT(of_product), &product, set_product, get_product, -1);
    check_sizes(of_layout, CT_COUNT(of_layout), &layout, set_layout, get_layout, -1);
    check_sizes(of_preference, CT_COUNT(of_preference), &preference, set_preference, get_preference, -1);
    cublasLtMatmulAlgo_t algorithm = {{0}};
    check_sizes(of_algorithm, CT_COUNT(of_algorithm), &algorithm, set_algorithm, get_algorithm,
                CUBLASLT_ALGO_CONFIG_ID);
    assert_int_equal(cublasLtMatmulDescInit_internal(&product, 8, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                     CUBLAS_STATUS_ALLOC_FAILED);
}

/* ---- what gemm.c makes of a product */
static int64_t number(getter get, const void *at, int attribute) {
    int64_t eight = 0;
    int32_t four = 0;
    size_t  bytes;
    assert_int_equal(get(at, attribute, NULL, 0, &bytes), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(get(at, attribute, bytes == 8 ? (void *)&eight : (void *)&four, bytes, NULL),
                     CUBLAS_STATUS_SUCCESS);
    return bytes == 8 ? eight : four;
}
static void check_layout(const void *layout, int64_t type, int64_t rows, int64_t columns, int64_t ld) {
    assert_int_equal(number(get_layout, layout, CUBLASLT_MATRIX_LAYOUT_TYPE), type);
    assert_int_equal(number(get_layout, layout, CUBLASLT_MATRIX_LAYOUT_ROWS), rows);
    assert_int_equal(number(get_layout, layout, CUBLASLT_MATRIX_LAYOUT_COLS), columns);
    assert_int_equal(number(get_layout, layout, CUBLASLT_MATRIX_LAYOUT_LD), ld);
    assert_int_equal(number(get_layout, layout, CUBLASLT_MATRIX_LAYOUT_ORDER), CUBLASLT_ORDER_COL);
    assert_int_equal(number(get_layout, layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT), 1);
}

/* y[5][24] = gelu(x[5][7] w[24][7]' + bias), in rows of 9, 8 and 32 */
static const ct_gemm_key forward = {.rows = 5,
                                    .columns = 24,
                                    .depth = 7,
                                    .lda = 9,
                                    .ldb = 8,
                                    .ldd = 32,
                                    .transpose_b = 1,
                                    .in = CT_BF16,
                                    .out = CT_BF16,
                                    .epilogue = CT_EPILOGUE_GELU,
                                    .align_a = 2,
                                    .align_b = 16,
                                    .align_d = 64,
                                    .align_bias = 4,
                                    .align_aux = 32};
/* dw[24][7] += dy[5][24]' x[5][7] */
static const ct_gemm_key gradient = {.rows = 24,
                                     .columns = 7,
                                     .depth = 5,
                                     .lda = 24,
                                     .ldb = 7,
                                     .ldd = 7,
                                     .transpose_a = 1,
                                     .accumulate = 1,
                                     .in = CT_F32,
                                     .out = CT_F32,
                                     .align_a = 4,
                                     .align_b = 8,
                                     .align_d = 256};

static void descriptors(void **state) {
    (void)state;
    plan p = {.key = forward};
    assert_int_equal(describe(&p), CT_OK);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE), CUBLAS_COMPUTE_32F);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_SCALE_TYPE), CUDA_R_32F);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_TRANSA), CUBLAS_OP_T);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_TRANSB), CUBLAS_OP_N);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_EPILOGUE), CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD), 32);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER), 4);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER), 32);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE), -1);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_POINTER_MODE), CUBLASLT_POINTER_MODE_HOST);
    check_layout(&p.a, CUDA_R_16BF, 7, 24, 8);
    check_layout(&p.b, CUDA_R_16BF, 7, 5, 9);
    check_layout(&p.d, CUDA_R_16BF, 24, 5, 32);

    p = (plan){.key = gradient};
    lt.options.tf32 = true;
    assert_int_equal(describe(&p), CT_OK);
    lt.options.tf32 = false;
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE), CUBLAS_COMPUTE_32F_FAST_TF32);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_TRANSA), CUBLAS_OP_N);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_TRANSB), CUBLAS_OP_T);
    assert_int_equal(number(get_product, &p.product, CUBLASLT_MATMUL_DESC_EPILOGUE), CUBLASLT_EPILOGUE_DEFAULT);
    check_layout(&p.a, CUDA_R_32F, 7, 5, 7);
    check_layout(&p.b, CUDA_R_32F, 24, 5, 24);
    check_layout(&p.d, CUDA_R_32F, 7, 24, 7);
}

static void preferences(void **state) {
    (void)state;
    cublasLtMatmulPreferenceOpaque_t preference;
    lt.options.bytes = 1 << 25;
    assert_int_equal(prefer(&forward, &preference), CT_OK);
    assert_int_equal(number(get_preference, &preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES), 1 << 25);
    assert_int_equal(number(get_preference, &preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK),
                     CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    assert_int_equal(number(get_preference, &preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES), 16);
    assert_int_equal(number(get_preference, &preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES), 2);
    assert_int_equal(number(get_preference, &preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES), 64);
    assert_int_equal(number(get_preference, &preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES), 64);
    assert_int_equal(prefer(&gradient, &preference), CT_OK);
    assert_int_equal(number(get_preference, &preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK),
                     CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_INPLACE);
    lt.options.bytes = 0;
}

/* ---- what needs no handle, and what needs one */
static void without_a_gpu(void **state) {
    (void)state;
    static const cublasStatus_t statuses[] = {CUBLAS_STATUS_SUCCESS, CUBLAS_STATUS_NOT_INITIALIZED,
                                              CUBLAS_STATUS_INVALID_VALUE, CUBLAS_STATUS_NOT_SUPPORTED};
    static const char *const    names[] = {"CUBLAS_STATUS_SUCCESS", "CUBLAS_STATUS_NOT_INITIALIZED",
                                           "CUBLAS_STATUS_INVALID_VALUE", "CUBLAS_STATUS_NOT_SUPPORTED"};
    for (size_t i = 0; i < CT_COUNT(statuses); i++) assert_string_equal(cublasLtGetStatusName(statuses[i]), names[i]);
    assert_true(cublasLtGetVersion() / 10000 == CUBLAS_VERSION / 10000);
    plan p = {.key = forward};
    assert_int_equal(describe(&p), CT_OK);
    assert_int_equal(choose(&p), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_NOT_INITIALIZED"));
    cublasLtMatmulAlgo_t algorithm;
    assert_int_equal(cublasLtMatmulAlgoInit(NULL, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_16BF,
                                            CUDA_R_16BF, 1, &algorithm),
                     CUBLAS_STATUS_NOT_INITIALIZED);
    setenv("CANTUS_STANDIN_DEVICES", "0", 1);
    if (ct_cuda_gemm_open(&(ct_cuda_gemm_options){.gpu = "none"}) == CT_OK) { /* there is one */
        ct_cuda_gemm_close();
        return;
    }
    assert_non_null(strstr(ct_message(), "cublasLtCreate: CUBLAS_STATUS_NOT_INITIALIZED"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_attributes),
        cmocka_unit_test(descriptors),
        cmocka_unit_test(preferences),
        cmocka_unit_test(without_a_gpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
