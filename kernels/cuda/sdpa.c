/* sdpa.c -- attention by cuDNN's graphs. See sdpa.h.
 *
 * A graph is a list of operations on tensors; those of a head are [batch][heads][rows][columns] with any strides. Most
 * tensors are virtual: they never reach memory. One operation for all of it (SDPA_FWD_DESCRIPTOR) has no causal mask
 * before cuDNN 9.21, so the mask is made of indices here, and the steps are those, in the order, that the library's
 * patterns are known to know.
 */
#include "kernels/cuda/sdpa.h"

#include "kernels/cuda/cudnn_api.h"

#include <math.h>
#include <stdlib.h>

enum {
    OLDEST = 90600,   /* sums of dq start at zero by themselves */
    INFINITE = 91000, /* masks of minus infinity */
    MOST_HEAD = 128,
    MOST_DESCRIPTORS = 128,
    MOST_OPERATIONS = 32,
    MOST_ENGINES = 8
};
/* Tensors with memory, and numbers that are handed over as such. Virtual ones are numbered from VIRTUAL. */
enum { Q = 1, K, V, Y, LSE, DY, DQ, DK, DV, SCALE, HIDDEN, ONE, DOT, SUM_DQ, GIVEN, VIRTUAL = 100 };

struct ct_cuda_sdpa {
    const ct_cudnn *dnn;
    ct_sdpa_shape   shape;
    ct_sdpa_way     way;
    void           *descriptors[MOST_DESCRIPTORS];
    int             count;
    void           *operations[MOST_OPERATIONS];
    int             operation_count;
    int64_t         virtual_count;
    void           *plan;  /* one of the descriptors */
    int64_t         bytes; /* that the plan works in, beside our own two tensors */
    float           scale, hidden, one;
    ct_status       status; /* of the first step that failed: then the rest does nothing */
};
typedef struct ct_cuda_sdpa graph;

/* ---- descriptors */
static void check(graph *g, cudnnStatus_t status, const char *call, int line) {
    if (g->status == CT_OK && status != CUDNN_STATUS_SUCCESS) g->status = ct_cudnn_failed(status, call, __FILE__, line);
}

static void *make(graph *g, cudnnBackendDescriptorType_t type, int line) {
    void *made = NULL;
    if (g->status != CT_OK) return NULL;
    CT_ASSERT(g->count < MOST_DESCRIPTORS);
    check(g, g->dnn->cudnnBackendCreateDescriptor(type, &made), "cudnnBackendCreateDescriptor", line);
    if (g->status == CT_OK) g->descriptors[g->count++] = made;
    return made;
}
static void set(graph *g, void *of, cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type,
                int64_t count, const void *values, int line) {
    if (g->status != CT_OK) return;
    check(g, g->dnn->cudnnBackendSetAttribute(of, attribute, type, count, values), "cudnnBackendSetAttribute", line);
}
static void finish(graph *g, void *descriptor, int line) {
    if (g->status == CT_OK) check(g, g->dnn->cudnnBackendFinalize(descriptor), "cudnnBackendFinalize", line);
}
#define MAKE(type) make(g, CUDNN_BACKEND_##type, __LINE__)
#define SET(of, attribute, type, count, values)                                                                        \
    set(g, of, CUDNN_ATTR_##attribute, CUDNN_TYPE_##type, count, values, __LINE__)
#define FINISH(descriptor) finish(g, descriptor, __LINE__)

/* ---- tensors */
typedef struct layout {
    int64_t size[4], step[4];
} layout;

/* of a head, in rows of `row` numbers: a token's; transposed: the same memory, seen as [head][tokens] */
static layout heads(const graph *g, int64_t row, bool transposed) {
    const ct_sdpa_shape *s = &g->shape;
    layout               l = {{s->batch, s->heads, s->tokens, s->head}, {s->tokens * row, s->head, row, 1}};
    if (transposed) l = (layout){{s->batch, s->heads, s->head, s->tokens}, {s->tokens * row, s->head, 1, row}};
    return l;
}
static layout packed(const graph *g, int64_t rows, int64_t columns) {
    const ct_sdpa_shape *s = &g->shape;
    return (layout){{s->batch, s->heads, rows, columns}, {s->heads * rows * columns, rows * columns, columns, 1}};
}

static void *tensor(graph *g, int64_t id, layout l, cudnnDataType_t type) {
    const int64_t alignment = 16;
    const bool    by_value = id == SCALE || id == HIDDEN || id == ONE, is_virtual = id >= VIRTUAL;
    void         *t = MAKE(TENSOR_DESCRIPTOR);
    SET(t, TENSOR_DATA_TYPE, DATA_TYPE, 1, &type);
    SET(t, TENSOR_DIMENSIONS, INT64, 4, l.size);
    SET(t, TENSOR_STRIDES, INT64, 4, l.step);
    SET(t, TENSOR_UNIQUE_ID, INT64, 1, &id);
    SET(t, TENSOR_BYTE_ALIGNMENT, INT64, 1, &alignment);
    if (is_virtual) SET(t, TENSOR_IS_VIRTUAL, BOOLEAN, 1, &is_virtual);
    if (by_value) SET(t, TENSOR_IS_BY_VALUE, BOOLEAN, 1, &by_value);
    FINISH(t);
    return t;
}
static void *number(graph *g, int64_t id) {
    return tensor(g, id, (layout){{1, 1, 1, 1}, {1, 1, 1, 1}}, CUDNN_DATA_FLOAT);
}
static void *passing(graph *g, layout l, cudnnDataType_t type) {
    return tensor(g, VIRTUAL + g->virtual_count++, l, type);
}
static layout logits_layout(const graph *g) {
    return packed(g, g->shape.tokens, g->shape.tokens);
}
static void *logits(graph *g) {
    return passing(g, logits_layout(g), CUDNN_DATA_FLOAT);
}
static void *column(graph *g) {
    return passing(g, packed(g, g->shape.tokens, 1), CUDNN_DATA_FLOAT);
}

/* ---- operations */
static void add(graph *g, void *operation) {
    FINISH(operation);
    if (g->status != CT_OK) return;
    CT_ASSERT(g->operation_count < MOST_OPERATIONS);
    g->operations[g->operation_count++] = operation;
}

static void product(graph *g, void *a, void *b, void *c) {
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    void                 *how = MAKE(MATMUL_DESCRIPTOR);
    SET(how, MATMUL_COMP_TYPE, DATA_TYPE, 1, &type);
    FINISH(how);
    void *operation = MAKE(OPERATION_MATMUL_DESCRIPTOR);
    SET(operation, OPERATION_MATMUL_ADESC, BACKEND_DESCRIPTOR, 1, &a);
    SET(operation, OPERATION_MATMUL_BDESC, BACKEND_DESCRIPTOR, 1, &b);
    SET(operation, OPERATION_MATMUL_CDESC, BACKEND_DESCRIPTOR, 1, &c);
    SET(operation, OPERATION_MATMUL_DESC, BACKEND_DESCRIPTOR, 1, &how);
    add(g, operation);
}

/* y = mode(x, b, t); b and t may be NULL. axis: of the index that GEN_INDEX gives. Returns y. */
static void *pointwise(graph *g, cudnnPointwiseMode_t mode, cudnnDataType_t type, int64_t axis, void *x, void *b,
                       void *t, void *y) {
    const float one = 1;
    void       *how = MAKE(POINTWISE_DESCRIPTOR);
    SET(how, POINTWISE_MODE, POINTWISE_MODE, 1, &mode);
    SET(how, POINTWISE_MATH_PREC, DATA_TYPE, 1, &type);
    if (mode == CUDNN_POINTWISE_GEN_INDEX) SET(how, POINTWISE_AXIS, INT64, 1, &axis);
    FINISH(how);
    void *operation = MAKE(OPERATION_POINTWISE_DESCRIPTOR);
    SET(operation, OPERATION_POINTWISE_PW_DESCRIPTOR, BACKEND_DESCRIPTOR, 1, &how);
    SET(operation, OPERATION_POINTWISE_XDESC, BACKEND_DESCRIPTOR, 1, &x);
    SET(operation, OPERATION_POINTWISE_YDESC, BACKEND_DESCRIPTOR, 1, &y);
    if (b) SET(operation, OPERATION_POINTWISE_BDESC, BACKEND_DESCRIPTOR, 1, &b);
    if (t) SET(operation, OPERATION_POINTWISE_TDESC, BACKEND_DESCRIPTOR, 1, &t);
    SET(operation, OPERATION_POINTWISE_ALPHA1, FLOAT, 1, &one);
    SET(operation, OPERATION_POINTWISE_ALPHA2, FLOAT, 1, &one);
    add(g, operation);
    return y;
}
static void *apply(graph *g, cudnnPointwiseMode_t mode, void *x, void *b, void *y) {
    return pointwise(g, mode, CUDNN_DATA_FLOAT, 0, x, b, NULL, y);
}

static void *reduce(graph *g, cudnnReduceTensorOp_t by, void *x, void *y) {
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    void                 *how = MAKE(REDUCTION_DESCRIPTOR);
    SET(how, REDUCTION_COMP_TYPE, DATA_TYPE, 1, &type);
    SET(how, REDUCTION_OPERATOR, REDUCTION_OPERATOR_TYPE, 1, &by);
    FINISH(how);
    void *operation = MAKE(OPERATION_REDUCTION_DESCRIPTOR);
    SET(operation, OPERATION_REDUCTION_DESC, BACKEND_DESCRIPTOR, 1, &how);
    SET(operation, OPERATION_REDUCTION_XDESC, BACKEND_DESCRIPTOR, 1, &x);
    SET(operation, OPERATION_REDUCTION_YDESC, BACKEND_DESCRIPTOR, 1, &y);
    add(g, operation);
    return y;
}

static void *reshape(graph *g, void *x, void *y) {
    void *operation = MAKE(OPERATION_RESHAPE_DESCRIPTOR);
    SET(operation, OPERATION_RESHAPE_XDESC, BACKEND_DESCRIPTOR, 1, &x);
    SET(operation, OPERATION_RESHAPE_YDESC, BACKEND_DESCRIPTOR, 1, &y);
    add(g, operation);
    return y;
}
/* logits, or what is of their shape, as the left operand of a product over queries */
static void *transposed(graph *g, void *x) {
    layout        l = logits_layout(g);
    const int64_t step = l.step[2];
    l.step[2] = l.step[3];
    l.step[3] = step;
    return reshape(g, x, passing(g, l, CUDNN_DATA_BFLOAT16));
}

/* x where the query's index is not below the key's, else hidden */
static void *causal(graph *g, void *x) {
    const layout l = logits_layout(g);
    void        *row =
        pointwise(g, CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_FLOAT, 2, x, NULL, NULL, passing(g, l, CUDNN_DATA_INT32));
    void *key =
        pointwise(g, CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_FLOAT, 3, x, NULL, NULL, passing(g, l, CUDNN_DATA_INT32));
    void *seen =
        pointwise(g, CUDNN_POINTWISE_CMP_GE, CUDNN_DATA_BOOLEAN, 0, row, key, NULL, passing(g, l, CUDNN_DATA_BOOLEAN));
    return pointwise(g, CUDNN_POINTWISE_BINARY_SELECT, CUDNN_DATA_FLOAT, 0, x, number(g, HIDDEN), seen, logits(g));
}

/* ---- the two graphs */
static void *of_qkv(graph *g, int64_t id, bool turned) {
    return tensor(g, id, heads(g, 3 * g->shape.heads * g->shape.head, turned), CUDNN_DATA_BFLOAT16);
}
static void *of_y(graph *g, int64_t id) {
    return tensor(g, id, heads(g, g->shape.heads * g->shape.head, false), CUDNN_DATA_BFLOAT16);
}
static void *of_rows(graph *g, int64_t id) {
    return tensor(g, id, packed(g, g->shape.tokens, 1), CUDNN_DATA_FLOAT);
}
/* scale q k' */
static void *scaled_logits(graph *g, void *q, void *k_turned, void *scale) {
    void *s = logits(g);
    product(g, q, k_turned, s);
    return apply(g, CUDNN_POINTWISE_MUL, s, scale, logits(g));
}

static void forward(graph *g) {
    void *s = causal(g, scaled_logits(g, of_qkv(g, Q, false), of_qkv(g, K, true), number(g, SCALE)));
    void *most = reduce(g, CUDNN_REDUCE_TENSOR_MAX, s, column(g));
    void *e = apply(g, CUDNN_POINTWISE_EXP, apply(g, CUDNN_POINTWISE_SUB, s, most, logits(g)), NULL, logits(g));
    void *sum = reduce(g, CUDNN_REDUCE_TENSOR_ADD, e, column(g));
    apply(g, CUDNN_POINTWISE_ADD, most, apply(g, CUDNN_POINTWISE_LOG, sum, NULL, column(g)), of_rows(g, LSE));
    void *p = passing(g, logits_layout(g), CUDNN_DATA_BFLOAT16);
    product(g, apply(g, CUDNN_POINTWISE_DIV, e, sum, p), of_qkv(g, V, false), of_y(g, Y));
}

static void backward(graph *g) {
    void *q = of_qkv(g, Q, false), *k_turned = of_qkv(g, K, true), *dy = of_y(g, DY), *scale = number(g, SCALE);
    /* dot = <dy, y> of each query */
    void *dot = of_rows(g, DOT), *both = passing(g, packed(g, g->shape.tokens, g->shape.head), CUDNN_DATA_FLOAT);
    apply(g, CUDNN_POINTWISE_MUL, dy, of_y(g, Y), both);
    apply(g, CUDNN_POINTWISE_MUL, reduce(g, CUDNN_REDUCE_TENSOR_ADD, both, column(g)), number(g, ONE), dot);
    /* p = e^(s - lse), dv = p' dy */
    void *s = apply(g, CUDNN_POINTWISE_SUB, scaled_logits(g, q, k_turned, scale), of_rows(g, LSE), logits(g));
    void *p = apply(g, CUDNN_POINTWISE_EXP, causal(g, s), NULL, logits(g));
    product(g, transposed(g, p), dy, of_qkv(g, DV, false));
    /* ds = scale p (dy v' - dot), dk = ds' q */
    void *dp = logits(g);
    product(g, dy, of_qkv(g, V, true), dp);
    void *ds = apply(g, CUDNN_POINTWISE_MUL, apply(g, CUDNN_POINTWISE_SUB, dp, dot, logits(g)), p, logits(g));
    ds = apply(g, CUDNN_POINTWISE_MUL, ds, scale, logits(g));
    product(g, transposed(g, ds), q, of_qkv(g, DK, false));
    /* dq = ds k, summed in floats */
    void *k = passing(g, heads(g, 3 * g->shape.heads * g->shape.head, false), CUDNN_DATA_BFLOAT16);
    void *sum = tensor(g, SUM_DQ, packed(g, g->shape.tokens, g->shape.head), CUDNN_DATA_FLOAT);
    product(g, ds, reshape(g, k_turned, k), sum);
    apply(g, CUDNN_POINTWISE_IDENTITY, sum, NULL, of_qkv(g, DQ, false));
}

/* ---- plans */
/* The first engine of the heuristics' list that takes it. */
static void choose(graph *g, cudnnHandle_t handle) {
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    void                        *engines[MOST_ENGINES];
    int64_t                      found = 0;
    void                        *operations = MAKE(OPERATIONGRAPH_DESCRIPTOR);
    SET(operations, OPERATIONGRAPH_HANDLE, HANDLE, 1, &handle);
    SET(operations, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, g->operation_count, g->operations);
    FINISH(operations);
    void *heuristics = MAKE(ENGINEHEUR_DESCRIPTOR);
    SET(heuristics, ENGINEHEUR_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, &operations);
    SET(heuristics, ENGINEHEUR_MODE, HEUR_MODE, 1, &mode);
    FINISH(heuristics);
    for (int i = 0; i < MOST_ENGINES; i++) engines[i] = MAKE(ENGINECFG_DESCRIPTOR);
    if (g->status != CT_OK) return;
    check(g,
          g->dnn->cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                           MOST_ENGINES, &found, engines),
          "cudnnBackendGetAttribute", __LINE__);
    if (g->status == CT_OK && found == 0) check(g, CUDNN_STATUS_NOT_SUPPORTED, "engines for attention", __LINE__);
    for (int64_t i = 0; i < found && i < MOST_ENGINES && !g->plan && (g->status == CT_OK || i > 0); i++) {
        g->status = CT_OK; /* the one before did not take it */
        void *plan = MAKE(EXECUTION_PLAN_DESCRIPTOR);
        SET(plan, EXECUTION_PLAN_HANDLE, HANDLE, 1, &handle);
        SET(plan, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR, 1, &engines[i]);
        FINISH(plan);
        if (g->status == CT_OK) g->plan = plan;
    }
    if (!g->plan) return;
    check(g,
          g->dnn->cudnnBackendGetAttribute(g->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                           &found, &g->bytes),
          "cudnnBackendGetAttribute", __LINE__);
}

/* What of the shape and the versions can be told without asking for a plan. */
static ct_status possible(const ct_sdpa_shape *s, size_t version, bool has_graphs) {
    if (!has_graphs) return ct_fail(CT_EFAIL, "%s: it has no graphs, which attention is made of", ct_cuda_cudnn_name());
    if (version < OLDEST)
        return ct_fail(CT_EFAIL, "%s: attention is asked of version %d.%d or later", ct_cuda_cudnn_name(),
                       OLDEST / 10000, OLDEST / 100 % 100);
    if (s->batch < 1 || s->heads < 1 || s->tokens < 1)
        return ct_fail(CT_EFAIL, "attention: batch %lld, %lld heads, %lld tokens: each is 1 or more",
                       (long long)s->batch, (long long)s->heads, (long long)s->tokens);
    if (s->head < 8 || s->head > MOST_HEAD || s->head % 8 != 0)
        return ct_fail(CT_EFAIL, "attention: a head of %lld: cuDNN takes multiples of 8 up to %d", (long long)s->head,
                       MOST_HEAD);
    return CT_OK;
}

ct_status ct_cuda_sdpa_support(const ct_sdpa_shape *shape) {
    const ct_cudnn *dnn;
    cudnnHandle_t   handle;
    CT_TRY(ct_cudnn_load(&dnn));
    CT_TRY(possible(shape, dnn->cudnnGetVersion(), dnn->has_graphs));
    return ct_cudnn_handle(NULL, &handle);
}

static ct_cuda_sdpa *graph_new(const ct_cudnn *dnn, const ct_sdpa_shape *shape, ct_sdpa_way way) {
    graph *g = calloc(1, sizeof *g);
    if (!g) return NULL;
    *g = (graph){.dnn = dnn, .shape = *shape, .way = way, .scale = (float)shape->scale, .one = 1, .status = CT_OK};
    g->hidden = dnn->cudnnGetVersion() < INFINITE ? -0x1.fffffep127f : -INFINITY;
    if (way == CT_SDPA_FORWARD)
        forward(g);
    else
        backward(g);
    return g;
}

ct_status ct_cuda_sdpa_plan(const ct_sdpa_shape *shape, ct_sdpa_way way, ct_cuda_sdpa **out) {
    const ct_cudnn *dnn;
    cudnnHandle_t   handle;
    *out = NULL;
    CT_TRY(ct_cuda_sdpa_support(shape));
    CT_TRY(ct_cudnn_load(&dnn));
    CT_TRY(ct_cudnn_handle(NULL, &handle));
    graph *g = graph_new(dnn, shape, way);
    if (!g) return ct_fail(CT_ENOMEM, "no memory for the plan of attention");
    choose(g, handle);
    ct_status status = g->status;
    if (status == CT_OK)
        *out = g;
    else
        ct_cuda_sdpa_free(g);
    return ct_context(status, "attention by cuDNN, %s", way == CT_SDPA_FORWARD ? "forward" : "backward");
}

void ct_cuda_sdpa_free(ct_cuda_sdpa *plan) {
    if (!plan) return;
    while (plan->count > 0) (void)plan->dnn->cudnnBackendDestroyDescriptor(plan->descriptors[--plan->count]);
    free(plan);
}

/* ---- running: in the workspace, sums of dq, dots, and what the plan works in, each from an address of 256 */
static size_t rounded(size_t bytes) {
    return (bytes + 255) / 256 * 256;
}
static size_t of_dots(const graph *g) {
    return rounded((size_t)(g->shape.batch * g->shape.heads * g->shape.tokens) * sizeof(float));
}
static size_t of_sums(const graph *g) {
    return rounded((size_t)(g->shape.batch * g->shape.heads * g->shape.tokens * g->shape.head) * sizeof(float));
}

size_t ct_cuda_sdpa_workspace(const ct_cuda_sdpa *plan) {
    return (size_t)plan->bytes + (plan->way == CT_SDPA_BACKWARD ? of_sums(plan) + of_dots(plan) : 0);
}

/* Which tensor lies where; returns how many they are. */
static int64_t place(const graph *g, const ct_sdpa_arrays *a, int64_t *id, const void **at) {
    const size_t part = (size_t)(g->shape.heads * g->shape.head) * 2;
    const char  *qkv = a->qkv, *dqkv = a->dqkv, *work = a->workspace;
    const void  *all[GIVEN] = {[Q] = qkv,      [K] = qkv + part,    [V] = qkv + 2 * part, [Y] = a->y,
                               [LSE] = a->lse, [SCALE] = &g->scale, [HIDDEN] = &g->hidden};
    if (g->way == CT_SDPA_BACKWARD) {
        all[DY] = a->dy;
        all[DQ] = dqkv;
        all[DK] = dqkv + part;
        all[DV] = dqkv + 2 * part;
        all[ONE] = &g->one;
        all[SUM_DQ] = work;
        all[DOT] = work + of_sums(g);
    }
    int64_t count = 0;
    for (int i = Q; i < GIVEN; i++)
        if (all[i]) {
            id[count] = i;
            at[count++] = all[i];
        }
    return count;
}

static ct_status run_with(const graph *g, void *pack, const ct_sdpa_arrays *a, cudnnHandle_t handle) {
    const void   *at[GIVEN];
    int64_t       id[GIVEN];
    const int64_t count = place(g, a, id, at);
    void         *work = (char *)a->workspace + (ct_cuda_sdpa_workspace(g) - (size_t)g->bytes);
    CT_CUDNN_TRY(g->dnn, cudnnBackendSetAttribute, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                 count, at);
    CT_CUDNN_TRY(g->dnn, cudnnBackendSetAttribute, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count,
                 id);
    CT_CUDNN_TRY(g->dnn, cudnnBackendSetAttribute, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                 &work);
    CT_CUDNN_TRY(g->dnn, cudnnBackendFinalize, pack);
    CT_CUDNN_TRY(g->dnn, cudnnBackendExecute, handle, g->plan, pack);
    return CT_OK;
}

ct_status ct_cuda_sdpa_run(const ct_cuda_sdpa *plan, const ct_sdpa_arrays *arrays, struct CUstream_st *stream) {
    cudnnHandle_t handle;
    void         *pack;
    CT_TRY(ct_cudnn_handle(stream, &handle));
    CT_CUDNN_TRY(plan->dnn, cudnnBackendCreateDescriptor, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    ct_status status = run_with(plan, pack, arrays, handle);
    (void)plan->dnn->cudnnBackendDestroyDescriptor(pack);
    return status;
}
