/* test_cudnn_descriptors.c -- what cuDNN answers without a GPU, asked of its double and, where it is installed, of
 * NVIDIA's own (test_cudnn_descriptors_real): tensors and statuses. Of its own also the graphs of attention, down to
 * the kernels that it compiles for a GPU that is only described to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cuda/sdpa.c" /* NOLINT(bugprone-suspicious-include): what it keeps to itself */

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const ct_cudnn *loaded(void) {
    const ct_cudnn *dnn = NULL;
    assert_int_equal(ct_cudnn_load(&dnn), CT_OK);
    return dnn;
}

static void tensors(void **state) {
    (void)state;
    const ct_cudnn         *dnn = loaded();
    cudnnTensorDescriptor_t t;
    static const struct {
        int format, type, n, c, h, w, status;
    } set[] = {
        {CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 3, 5, 1, 1, CUDNN_STATUS_SUCCESS},
        {CUDNN_TENSOR_NCHW, CUDNN_DATA_BFLOAT16, 3, 5, 1, 1, CUDNN_STATUS_SUCCESS},
        {CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 0, 5, 1, 1, CUDNN_STATUS_BAD_PARAM},
        {CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 3, -5, 1, 1, CUDNN_STATUS_BAD_PARAM},
        {CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 3, 5, 1, 0, CUDNN_STATUS_BAD_PARAM},
        {77, CUDNN_DATA_FLOAT, 3, 5, 1, 1, CUDNN_STATUS_BAD_PARAM},
        {CUDNN_TENSOR_NCHW, 99, 3, 5, 1, 1, CUDNN_STATUS_BAD_PARAM},
        {CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 65536, 32767, 1, 1, CUDNN_STATUS_SUCCESS},
        {CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 65536, 32768, 1, 1, CUDNN_STATUS_NOT_SUPPORTED},
    };
    assert_int_equal(dnn->cudnnCreateTensorDescriptor(NULL), CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(dnn->cudnnCreateTensorDescriptor(&t), CUDNN_STATUS_SUCCESS);
    for (size_t i = 0; i < CT_COUNT(set); i++)
        assert_int_equal(dnn->cudnnSetTensor4dDescriptor(t, (cudnnTensorFormat_t)set[i].format,
                                                         (cudnnDataType_t)set[i].type, set[i].n, set[i].c, set[i].h,
                                                         set[i].w),
                         set[i].status);
    assert_int_equal(dnn->cudnnSetTensor4dDescriptor(NULL, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 1, 1, 1),
                     CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(dnn->cudnnDestroyTensorDescriptor(t), CUDNN_STATUS_SUCCESS);
    assert_int_equal(dnn->cudnnDestroyTensorDescriptor(NULL), CUDNN_STATUS_SUCCESS);
}

static void statuses(void **state) {
    (void)state;
    const ct_cudnn *dnn = loaded();
    const float     one = 1;
    char            said[200];
    assert_string_equal(dnn->cudnnGetErrorString(CUDNN_STATUS_SUCCESS), "CUDNN_STATUS_SUCCESS");
    assert_string_equal(dnn->cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM), "CUDNN_STATUS_BAD_PARAM");
    assert_string_equal(dnn->cudnnGetErrorString(CUDNN_STATUS_NOT_SUPPORTED), "CUDNN_STATUS_NOT_SUPPORTED");
    assert_true(dnn->cudnnGetVersion() / 10000 == CUDNN_MAJOR);
    assert_int_equal(dnn->cudnnCreate(NULL), CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(dnn->cudnnDestroy(NULL), CUDNN_STATUS_SUCCESS);
    assert_int_equal(dnn->cudnnSetStream(NULL, NULL), CUDNN_STATUS_BAD_PARAM);
    assert_int_equal(dnn->cudnnSoftmaxForward(NULL, CUDNN_SOFTMAX_LOG, CUDNN_SOFTMAX_MODE_INSTANCE, &one, NULL, NULL,
                                              &one, NULL, NULL),
                     CUDNN_STATUS_BAD_PARAM);
    dnn->cudnnGetLastErrorString(said, sizeof said);
    assert_string_equal(said, "!handle || !srcDesc || !destDesc");
}

static void without_a_gpu(void **state) {
    (void)state;
    cudnnHandle_t handle;
    if (ct_cudnn_handle(NULL, &handle) == CT_OK) { /* the double has one */
        assert_false(loaded()->has_graphs);
        ct_cuda_cudnn_close();
        return;
    }
    assert_non_null(strstr(ct_message(), "cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED: cudaGetDeviceCount(&count)"));
}

/* ---- what is told without asking for a plan */
static void sentences(void **state) {
    (void)state;
    const struct {
        ct_sdpa_shape shape;
        size_t        version;
        bool          graphs;
        const char   *sentence; /* NULL: yes */
    } asked[] = {
        {{1, 1, 1, 64, 1}, 91900, true, NULL},
        {{8, 16, 4096, 128, 1}, 90600, true, NULL},
        {{1, 1, 1, 64, 1}, 91900, false, "it has no graphs"},
        {{1, 1, 1, 64, 1}, 90501, true, "attention is asked of version 9.6 or later"},
        {{0, 1, 1, 64, 1}, 91900, true, "batch 0, 1 heads, 1 tokens: each is 1 or more"},
        {{1, 1, 1, 136, 1}, 91900, true, "a head of 136: cuDNN takes multiples of 8 up to 128"},
        {{1, 1, 1, 20, 1}, 91900, true, "a head of 20: cuDNN takes multiples of 8 up to 128"},
    };
    for (size_t i = 0; i < CT_COUNT(asked); i++) {
        const ct_status status = possible(&asked[i].shape, asked[i].version, asked[i].graphs);
        assert_int_equal(status, asked[i].sentence ? CT_EFAIL : CT_OK);
        if (asked[i].sentence) assert_non_null(strstr(ct_message(), asked[i].sentence));
    }
}

/* ---- graphs: of a Hopper card, as the library describes one to itself */
static const char hopper[] =
    "{\"deviceName\": \"H100\", \"deviceVer\": 900, \"driverVer\": 13000, \"cudaDeviceId\": 0, \"totalGlobalMem\": "
    "85000000000, \"multiProcessorCount\": 132,"
    " \"maxGridSize\": [2147483647, 65535, 65535], \"maxBlockSize\": [1024, 1024, 64], \"maxThreadsPerBlock\": 1024,"
    " \"maxThreadsPerSM\": 2048, \"maxCtasPerSM\": 32, \"warpSize\": 32, \"regsPerBlock\": 65536,"
    " \"maxRegistersPerSM\": 65536, \"maxSharedMemoryPerBlock\": 49152, \"maxSharedMemoryPerBlockOptin\": 232448,"
    " \"reservedSharedMemoryPerBlock\": 1024, \"l2CacheSize\": 52428800, \"smClockRateKHz\": 1980000,"
    " \"memClockRateKHz\": 2619000, \"pciDeviceId\": 0, \"isTccDriver\": 0, \"supportCoopLaunch\": 1}";

/* Which engines the library has for a graph on that card; how many plans it made of them, up to loading the kernel. */
static void engines_of(const ct_sdpa_shape *shape, ct_sdpa_way way, int64_t *engines, int *compiled) {
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    graph                       *g = graph_new(loaded(), shape, way);
    void                        *found[MOST_ENGINES], *card = MAKE(DEVICEPROP_DESCRIPTOR);
    assert_non_null(g);
    SET(card, DEVICEPROP_JSON_REPRESENTATION, CHAR, sizeof hopper - 1, hopper);
    FINISH(card);
    void *operations = MAKE(OPERATIONGRAPH_DESCRIPTOR);
    SET(operations, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, g->operation_count, g->operations);
    FINISH(operations);
    void *heuristics = MAKE(ENGINEHEUR_DESCRIPTOR);
    SET(heuristics, ENGINEHEUR_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, &operations);
    SET(heuristics, ENGINEHEUR_MODE, HEUR_MODE, 1, &mode);
    SET(heuristics, ENGINEHEUR_DEVICEPROP, BACKEND_DESCRIPTOR, 1, &card);
    FINISH(heuristics);
    for (int i = 0; i < MOST_ENGINES; i++) found[i] = MAKE(ENGINECFG_DESCRIPTOR);
    if (g->status != CT_OK) fail_msg("%s", ct_message());
    assert_int_equal(g->dnn->cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST_ENGINES, engines, found),
                     CUDNN_STATUS_SUCCESS);
    *compiled = 0;
    for (int64_t i = 0; i < *engines && i < 1; i++) {
        void *plan = MAKE(EXECUTION_PLAN_DESCRIPTOR);
        SET(plan, EXECUTION_PLAN_DEVICEPROP, BACKEND_DESCRIPTOR, 1, &card);
        SET(plan, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR, 1, &found[i]);
        const cudnnStatus_t status = g->dnn->cudnnBackendFinalize(plan);
        *compiled += status == CUDNN_STATUS_SUCCESS || status == CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER;
    }
    ct_cuda_sdpa_free(g);
}

static void graphs(void **state) {
    (void)state;
    static const int64_t heads_of[] = {32, 64, 128};
    for (size_t i = 0; i < CT_COUNT(heads_of); i++)
        for (int way = CT_SDPA_FORWARD; way <= CT_SDPA_BACKWARD; way++) {
            const ct_sdpa_shape shape = {3, 2, 129 + 999 * (int64_t)(i % 2), heads_of[i], 0.125};
            int64_t             engines = 0;
            int                 compiled = 0;
            engines_of(&shape, (ct_sdpa_way)way, &engines, &compiled);
            assert_true(engines > 0);
            assert_int_equal(compiled, 1);
        }
}

int main(void) {
    const struct CMUnitTest of_both[] = {cmocka_unit_test(tensors), cmocka_unit_test(statuses),
                                         cmocka_unit_test(without_a_gpu), cmocka_unit_test(sentences)};
    const struct CMUnitTest of_its_own[] = {cmocka_unit_test(graphs)};
    /* the toolkit's empty driver, in the place of a real one: kernels are compiled, and nothing runs */
    void                   *driver = loaded()->has_graphs ? dlopen("libcuda.so", RTLD_NOW | RTLD_GLOBAL) : NULL;
    int                     failed = cmocka_run_group_tests_name("cuDNN without a GPU", of_both, NULL, NULL);
    if (loaded()->has_graphs && driver)
        failed += cmocka_run_group_tests_name("its graphs", of_its_own, NULL, NULL);
    else if (loaded()->has_graphs)
        printf("skipped: cuDNN's graphs (%s)\n", dlerror());
    return failed;
}
