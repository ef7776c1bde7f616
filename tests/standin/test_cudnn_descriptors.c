/* test_cudnn_descriptors.c -- what cuDNN answers without a GPU, asked of its double and, where it is installed, of
 * NVIDIA's own (test_cudnn_descriptors_real): tensors and statuses. Our graphs of attention: what they compute, done
 * operation by operation without any library; and that NVIDIA's own compiles them, for a GPU that is only described to
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cuda/sdpa.c" /* NOLINT(bugprone-suspicious-include): what it keeps to itself */

#include "tests/op_cases.h"

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

/* ---- what a graph computes: its descriptors are written down in the library's place, and its operations done one by
 * one in double. A reshape is another view of the same memory; a size of 1 stands for any. */
typedef struct written {
    int type, count;
    struct {
        int  attribute;
        char value[32]; /* four numbers, an address, ... */
    } at[8];
} written;

static cudnnStatus_t write_new(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out) {
    written *w = test_calloc(1, sizeof *w);
    w->type = (int)type;
    *out = w;
    return CUDNN_STATUS_SUCCESS;
}
static cudnnStatus_t write_attribute(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t attribute,
                                     cudnnBackendAttributeType_t type, int64_t count, const void *values) {
    written     *w = of;
    const bool   wide = type == CUDNN_TYPE_INT64 || type == CUDNN_TYPE_BACKEND_DESCRIPTOR;
    const size_t bytes = (size_t)count * (wide ? 8 : type == CUDNN_TYPE_BOOLEAN ? 1 : 4);
    assert_true(w->count < (int)CT_COUNT(w->at) && bytes <= sizeof w->at->value);
    w->at[w->count].attribute = (int)attribute;
    memcpy(w->at[w->count++].value, values, bytes);
    return CUDNN_STATUS_SUCCESS;
}
static cudnnStatus_t write_end(cudnnBackendDescriptor_t of) {
    (void)of;
    return CUDNN_STATUS_SUCCESS;
}
static cudnnStatus_t write_free(cudnnBackendDescriptor_t of) {
    test_free(of);
    return CUDNN_STATUS_SUCCESS;
}
/* false: it was not set */
static bool read_part(const void *of, int attribute, void *to, size_t bytes) {
    const written *w = of;
    for (int i = 0; w && i < w->count; i++)
        if (w->at[i].attribute == attribute) {
            memcpy(to, w->at[i].value, bytes);
            return true;
        }
    return false;
}

enum { MOST_TENSORS = 160 };
static double *memory_of[MOST_TENSORS]; /* by the tensor's number; of virtual ones ours */

typedef struct operand {
    int64_t id;
    layout  l;
} operand;

static bool read_operand(const void *operation, int attribute, operand *to) {
    void *t;
    if (!read_part(operation, attribute, &t, sizeof t)) return false;
    assert_true(read_part(t, CUDNN_ATTR_TENSOR_UNIQUE_ID, &to->id, sizeof to->id));
    assert_true(read_part(t, CUDNN_ATTR_TENSOR_DIMENSIONS, to->l.size, sizeof to->l.size));
    assert_true(read_part(t, CUDNN_ATTR_TENSOR_STRIDES, to->l.step, sizeof to->l.step));
    assert_true(to->id > 0 && to->id < MOST_TENSORS);
    return true;
}
static int64_t room(const layout *l) {
    int64_t last = 0;
    for (int i = 0; i < 4; i++) last += (l->size[i] - 1) * l->step[i];
    return last + 1;
}
static double *at(const operand *o, const int64_t index[4]) {
    int64_t offset = 0;
    for (int i = 0; i < 4; i++) offset += (o->l.size[i] == 1 ? 0 : index[i]) * o->l.step[i];
    if (!memory_of[o->id]) memory_of[o->id] = test_calloc((size_t)room(&o->l), sizeof(double));
    return memory_of[o->id] + offset;
}
static bool next(int64_t index[4], const int64_t size[4]) {
    for (int i = 3; i >= 0; i--) {
        if (++index[i] < size[i]) return true;
        index[i] = 0;
    }
    return false;
}

static void do_product(const operand *a, const operand *b, const operand *c) {
    int64_t i[4] = {0};
    assert_int_equal(a->l.size[3], b->l.size[2]);
    do {
        double sum = 0;
        for (int64_t k = 0; k < a->l.size[3]; k++)
            sum += *at(a, (const int64_t[]){i[0], i[1], i[2], k}) * *at(b, (const int64_t[]){i[0], i[1], k, i[3]});
        *at(c, i) = sum;
    } while (next(i, c->l.size));
}
static void do_reduction(cudnnReduceTensorOp_t by, const operand *x, const operand *y) {
    int64_t i[4] = {0};
    do *at(y, i) = by == CUDNN_REDUCE_TENSOR_MAX ? -INFINITY : 0;
    while (next(i, y->l.size));
    do *at(y, i) = by == CUDNN_REDUCE_TENSOR_MAX ? fmax(*at(y, i), *at(x, i)) : *at(y, i) + *at(x, i);
    while (next(i, x->l.size));
}
static double do_pointwise(cudnnPointwiseMode_t mode, double x, double b, double t) {
    switch ((int)mode) {
    case CUDNN_POINTWISE_MUL:
        return x * b;
    case CUDNN_POINTWISE_DIV:
        return x / b;
    case CUDNN_POINTWISE_ADD:
        return x + b;
    case CUDNN_POINTWISE_SUB:
        return x - b;
    case CUDNN_POINTWISE_EXP:
        return exp(x);
    case CUDNN_POINTWISE_LOG:
        return log(x);
    case CUDNN_POINTWISE_IDENTITY:
        return x;
    case CUDNN_POINTWISE_CMP_GE:
        return x >= b;
    case CUDNN_POINTWISE_BINARY_SELECT:
        return t != 0 ? x : b;
    default:
        fail_msg("pointwise mode %d", (int)mode);
        return 0;
    }
}
static void do_pointwise_all(const void *operation, const operand *x, const operand *y) {
    cudnnPointwiseMode_t mode = CUDNN_POINTWISE_IDENTITY;
    int64_t              i[4] = {0}, axis = 0;
    operand              b = {0}, t = {0};
    const void          *how = NULL;
    assert_true(read_part(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, &how, sizeof how));
    assert_true(read_part(how, CUDNN_ATTR_POINTWISE_MODE, &mode, sizeof mode));
    const bool index = mode == CUDNN_POINTWISE_GEN_INDEX;
    const bool has_b = read_operand(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, &b);
    const bool has_t = read_operand(operation, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, &t);
    if (index) assert_true(read_part(how, CUDNN_ATTR_POINTWISE_AXIS, &axis, sizeof axis));
    do
        *at(y, i) =
            index ? (double)i[axis] : do_pointwise(mode, *at(x, i), has_b ? *at(&b, i) : 0, has_t ? *at(&t, i) : 0);
    while (next(i, y->l.size));
}

static void do_operation(const void *operation) {
    operand a = {0}, b = {0}, c = {0};
    if (read_operand(operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC, &a)) {
        assert_true(read_operand(operation, CUDNN_ATTR_OPERATION_MATMUL_BDESC, &b));
        assert_true(read_operand(operation, CUDNN_ATTR_OPERATION_MATMUL_CDESC, &c));
        do_product(&a, &b, &c);
    } else if (read_operand(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, &a)) {
        assert_true(read_operand(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, &c));
        do_pointwise_all(operation, &a, &c);
    } else if (read_operand(operation, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, &a)) {
        cudnnReduceTensorOp_t by = CUDNN_REDUCE_TENSOR_ADD;
        const void           *how = NULL;
        assert_true(read_operand(operation, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, &c));
        assert_true(read_part(operation, CUDNN_ATTR_OPERATION_REDUCTION_DESC, &how, sizeof how));
        assert_true(read_part(how, CUDNN_ATTR_REDUCTION_OPERATOR, &by, sizeof by));
        do_reduction(by, &a, &c);
    } else {
        const int64_t first[4] = {0};
        assert_true(read_operand(operation, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, &a));
        assert_true(read_operand(operation, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, &c));
        assert_int_equal(room(&a.l), room(&c.l));
        (void)at(&c, first); /* there is memory for it now */
        memcpy(memory_of[c.id], memory_of[a.id], (size_t)room(&a.l) * sizeof(double));
    }
}

static double *reals_of(op_arrays *a, const char *name) {
    return array_of(a, field_index(a->info, name));
}
static void assert_near(const double *got, const double *wanted, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(got[i] - wanted[i]) <= 1e-12 * (1 + fabs(wanted[i]))))
            fail_msg("[%ld] is %.17g, not %.17g", (long)i, got[i], wanted[i]);
}
static void meaning_of(const op_case *c, ct_sdpa_way way) {
    const ct_cudnn      writer = {.cudnnGetVersion = loaded()->cudnnGetVersion,
                                  .cudnnBackendCreateDescriptor = write_new,
                                  .cudnnBackendSetAttribute = write_attribute,
                                  .cudnnBackendFinalize = write_end,
                                  .cudnnBackendDestroyDescriptor = write_free};
    op_arrays           wanted = op_arrays_make(c, CT_F64);
    const ct_attention *p = &wanted.params.attention;
    const ct_sdpa_shape shape = {p->batch, p->heads, p->tokens, p->head, p->scale};
    const int64_t       part = p->heads * p->head, rows = p->batch * p->tokens;
    double  scale = p->scale, hidden = -INFINITY, one = 1, *result = test_calloc((size_t)(rows * 3 * part), 8);
    double *qkv = reals_of(&wanted, "qkv"), *lse = test_calloc((size_t)(rows * p->heads), sizeof(double));
    double *given[GIVEN] = {[Q] = qkv,   [K] = qkv + part, [V] = qkv + 2 * part, [Y] = result,
                            [LSE] = lse, [SCALE] = &scale, [HIDDEN] = &hidden};
    assert_int_equal(ct_op_run(ct_backend_reference(), c->op, &wanted.params), CT_OK);
    if (way == CT_SDPA_BACKWARD) {
        given[Y] = reals_of(&wanted, "y");
        given[LSE] = reals_of(&wanted, "lse");
        given[DY] = reals_of(&wanted, "dy");
        given[DQ] = result;
        given[DK] = result + part;
        given[DV] = result + 2 * part;
        given[ONE] = &one;
    }
    memcpy(memory_of, given, sizeof given);
    graph *g = graph_new(&writer, &shape, way);
    assert_true(g && g->status == CT_OK);
    for (int i = 0; i < g->operation_count; i++) do_operation(g->operations[i]);
    ct_cuda_sdpa_free(g);
    if (way == CT_SDPA_FORWARD) assert_near(lse, reals_of(&wanted, "lse"), rows * p->heads);
    assert_near(result, reals_of(&wanted, way == CT_SDPA_FORWARD ? "y" : "dqkv"),
                rows * part * (way == CT_SDPA_FORWARD ? 1 : 3));
    for (int i = 1; i < MOST_TENSORS; i++)
        if (memory_of[i] && (i >= GIVEN || !given[i])) test_free(memory_of[i]);
    memset(memory_of, 0, sizeof memory_of);
    test_free(result);
    test_free(lse);
    op_arrays_free(&wanted);
}
static void meaning(void **state) {
    static const op_case cases[] = {
        ATTENTION(attention, "as a graph", 2, 5, 0, 3, 8, 0, 0, 0, NO_G, .flags = UNTURNED),
        ATTENTION(attention_backward, "as a graph", 2, 5, 0, 3, 8, 0, 0, 0, NO_G, .flags = UNTURNED),
    };
    (void)state;
    meaning_of(&cases[0], CT_SDPA_FORWARD);
    meaning_of(&cases[1], CT_SDPA_BACKWARD);
}

/* ---- graphs as the library takes them: of a Hopper card, as the library describes one to itself */
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
                                         cmocka_unit_test(without_a_gpu), cmocka_unit_test(sentences),
                                         cmocka_unit_test(meaning)};
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
