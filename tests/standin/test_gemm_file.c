/* test_gemm_file.c -- algorithms of products kept in a file: read back, the same products are done by the same; a file
 * of another machine, or one in which anything is wrong, is refused whole, with what and where, and heuristics are
 * asked again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/file.h"
#include "temp_folder.h"
#include "tests/standin/gemm_fixture.h"

#include <stdio.h>

enum { ROWS = 8, COLUMNS = 16, DEPTH = 400, PRODUCTS = 4 };

/* some products of the same arrays */
static const ct_cuda_epilogue epilogues[PRODUCTS] = {CT_EPILOGUE_NONE, CT_EPILOGUE_BIAS, CT_EPILOGUE_GELU,
                                                     CT_EPILOGUE_GELU_BACKWARD};
typedef struct results {
    float d[PRODUCTS][ROWS * COLUMNS];
} results;

static void plan_all(results *out) {
    void *a = numbers_new(CT_F32, ROWS * DEPTH, 1), *b = numbers_new(CT_F32, COLUMNS * DEPTH, 2);
    void *aux = numbers_new(CT_F32, ROWS * COLUMNS, 3);
    for (int i = 0; i < PRODUCTS; i++) {
        ct_cuda_gemm g = {.rows = ROWS,
                          .columns = COLUMNS,
                          .depth = DEPTH,
                          .lda = DEPTH,
                          .ldb = DEPTH,
                          .ldd = COLUMNS,
                          .transpose_b = true,
                          .in = CT_F32,
                          .out = CT_F32,
                          .epilogue = epilogues[i],
                          .a = device_new(a, ROWS * DEPTH * 4, 0),
                          .b = device_new(b, COLUMNS * DEPTH * 4, 0),
                          .bias = device_new(aux, COLUMNS * 4, 0),
                          .aux = device_new(aux, ROWS * COLUMNS * 4, 0),
                          .d = device_new(NULL, ROWS * COLUMNS * 4, 0)};
        assert_int_equal(ct_cuda_gemm_run(&g, device.stream), CT_OK);
        device_read(out->d[i], g.d, sizeof out->d[i]);
        device_free((void *)(uintptr_t)g.a, 0);
        device_free((void *)(uintptr_t)g.b, 0);
        device_free((void *)(uintptr_t)g.bias, 0);
        device_free(g.aux, 0);
        device_free(g.d, 0);
    }
    free(a);
    free(b);
    free(aux);
}

static int different(const results *x, const results *y) {
    int count = 0;
    for (int i = 0; i < PRODUCTS; i++)
        for (int k = 0; k < ROWS * COLUMNS; k++) count += x->d[i][k] != y->d[i][k];
    return count;
}

static char path[512];

static void same_algorithms(void **state) {
    (void)state;
    results first, heuristic, again;
    int     others = 0;
    device_begin(1, BLAS_LISTS);
    plan_all(&first);
    assert_int_equal(ct_cuda_gemm_save(path), CT_OK);
    device_end();
    for (unsigned seed = 2; seed < 12; seed++) {
        device_begin(seed, BLAS_LISTS);
        plan_all(&heuristic);
        others += different(&first, &heuristic);
        assert_int_equal(ct_cuda_gemm_load(path), CT_OK);
        assert_int_equal(ct_cuda_gemm_plan_count(), PRODUCTS);
        const int asked = blas_count().heuristics;
        plan_all(&again);
        assert_int_equal(different(&again, &first), 0);
        assert_int_equal(blas_count().heuristics, asked);
        assert_int_equal(ct_cuda_gemm_plan_count(), PRODUCTS);
        device_end();
    }
    assert_true(others > 0);
}

static void another_machine(void **state) {
    (void)state;
    ct_cuda_gemm_options options = {.gpu = "another", .workspace = NULL, .bytes = 0};
    standin_begin(1);
    blas_begin(1, BLAS_LISTS);
    assert_int_equal(ct_cuda_gemm_open(&options), CT_OK);
    assert_int_equal(ct_cuda_gemm_load(path), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "chosen on stand-in with cuBLASLt "));
    assert_non_null(strstr(ct_message(), ", this is another with "));
    ct_cuda_gemm_close();
    options.gpu = "stand-in";
    assert_int_equal(ct_cuda_gemm_open(&options), CT_OK);
    assert_int_equal(ct_cuda_gemm_load(path), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "a workspace of 1048576 bytes, here are 0 and 0"));
    ct_cuda_gemm_close();
    device_begin_with(1, BLAS_LISTS, WORKSPACE, true);
    assert_int_equal(ct_cuda_gemm_load(path), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "chosen with tf32 0"));
    device_end();
}

/* ---- the file with one thing changed */
static void replaced(const char *from, const char *to, const char *said) {
    ct_arena arena = {0};
    ct_bytes text;
    char     other[600];
    results  got;
    assert_int_equal(ct_file_read(path, 0, &arena, &text), CT_OK);
    const char *at = strstr((char *)text.at, from);
    if (!at) fail_msg("no %s in the file", from);
    char *changed = ct_arena_printf(&arena, "%.*s%s%s", (int)(at - (char *)text.at), text.at, to, at + strlen(from));
    snprintf(other, sizeof other, "%s.changed", path);
    assert_int_equal(ct_file_write(other, changed, strlen(changed)), CT_OK);
    ct_arena_free(&arena);

    device_begin(4, BLAS_LISTS);
    assert_int_equal(ct_cuda_gemm_load(other), CT_EFAIL);
    if (!strstr(ct_message(), said) || !strstr(ct_message(), other)) fail_msg("no '%s' in: %s", said, ct_message());
    assert_int_equal(ct_cuda_gemm_plan_count(), 0);
    emulator_forget_reports(); /* of what the library was asked */
    plan_all(&got);
    assert_int_equal(ct_cuda_gemm_plan_count(), PRODUCTS);
    assert_true(blas_count().heuristics == PRODUCTS);
    device_end();
}

static void changed_files(void **state) {
    (void)state;
    replaced("\"library\": 1", "\"library\": 2", "chosen on stand-in with cuBLASLt 2");
    replaced("\"gpu\"", "\"gpy\"", "chosen on ? with");
    replaced("\"products\"", "\"nothing\"", "no list of products");
    replaced("{", "[", "");
    replaced("\"rows\": 8", "\"rows\": -8", "products[0]: product");
    replaced("\"rows\": 8", "\"rows\": 1e99", "products[0]: product");
    replaced("\"columns\": 16", "\"columns\": \"16\"", "products[0]: product");
    replaced("\"lda\": 400", "\"lda\": 399", "rows overlap");
    replaced("\"transpose_b\": 1", "\"transpose_b\": 7", "no such product");
    replaced("\"epilogue\": 0", "\"epilogue\": 4", "no such product");
    replaced("\"align_a\": 256", "\"align_a\": 3", "an alignment is no power of two");
    replaced("\"align_bias\": 0", "\"align_bias\": 4", "an alignment is no power of two");
    replaced("\"in\": 0", "\"in\": 1", "no such product");
    replaced("\"id\": ", "\"id\": 7", "products[0]: cublasLtMatmulAlgoInit: CUBLAS_STATUS_INVALID_VALUE");
    replaced("\"id\": ", "\"id\": -1", "none of ours");
    replaced("\"tile\": ", "\"tile\": 7", "products[0]: cublasLtMatmulAlgoCheck: CUBLAS_STATUS_NOT_SUPPORTED");
    replaced("\"stages\": ", "\"stages\": 99999999999", "an algorithm with attribute");
    replaced("\"reduction\": ", "\"reduction\": 4", "none of ours");
    replaced("\"cluster_shape\": 0", "\"cluster_shape\": 65536", "an algorithm with attribute 65536");
    replaced("\"epilogue\": 1", "\"epilogue\": 0", "products[1]: product");
}

static void no_file(void **state) {
    (void)state;
    ct_gemm_key       key;
    ct_gemm_algorithm algorithm;
    device_begin(1, BLAS_LISTS);
    assert_int_equal(ct_cuda_gemm_load(path), CT_OK);
    assert_true(ct_gemm_plan_at(PRODUCTS - 1, &key, &algorithm));
    assert_false(ct_gemm_plan_at(PRODUCTS, &key, &algorithm));
    assert_int_equal(ct_gemm_plan_of(&key, &algorithm), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "there twice"));
    assert_int_equal(ct_cuda_gemm_load("/nowhere/algorithms.json"), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "/nowhere/algorithms.json"));
    assert_int_equal(ct_cuda_gemm_save("/nowhere/algorithms.json"), CT_EFAIL);
    device_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_algorithms),
        cmocka_unit_test(another_machine),
        cmocka_unit_test(changed_files),
        cmocka_unit_test(no_file),
    };
    char folder[TEMP_PATH];
    temp_folder(folder);
    snprintf(path, sizeof path, "%s/algorithms.json", folder);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    temp_remove(folder);
    return failed;
}
