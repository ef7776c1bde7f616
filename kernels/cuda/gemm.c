/* gemm.c -- products of matrices by cuBLASLt.
 *
 * The library thinks in columns: what is d[rows][columns] here is its matrix of `columns` rows, and the product is
 * turned round: d' = op(b)' op(a)'. So its A is our b, its B our a, and a bias goes along its rows, our columns.
 */
#include "kernels/cuda/gemm.h"

#include <cublasLt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct plan {
    struct plan                 *next;
    ct_gemm_key                  key;
    cublasLtMatmulDescOpaque_t   product;
    cublasLtMatrixLayoutOpaque_t a, b, d; /* the library's: a is that of our b */
    cublasLtMatmulAlgo_t         algorithm;
    bool                         supported;
} plan;

static struct {
    cublasLtHandle_t     library;
    ct_cuda_gemm_options options;
    char                 gpu[256];
    plan                *plans, **last; /* in the order they were made */
    int                  count;
    struct CUstream_st  *stream; /* of the first product that ran */
    bool                 has_stream;
} lt;

/* ---- failures */
static const char *hint_of(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "no GPU, or a driver older than the library; nvidia-smi shows both";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "memory is out";
    case CUBLAS_STATUS_ARCH_MISMATCH:
        return "this GPU is not among those that the library is made for";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "a kernel before it may have failed; CUDA_LAUNCH_BLOCKING=1 shows which";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "this library has no kernel for it on this GPU; other sizes or precision may do";
    default:
        return "a mistake in this program, or a library of another version than its header";
    }
}

static const char *described(const ct_gemm_key *key, char text[256]) {
    static const char *const epilogues[CT_EPILOGUES] = {"", " + bias", " + bias, gelu", " * gelu'"};
    snprintf(text, 256, "%s[%lld][%lld] %s %s[%lld][%lld]%s %s[%lld][%lld]%s%s", key->out == CT_BF16 ? "bf16" : "float",
             (long long)key->rows, (long long)key->columns, key->accumulate ? "+=" : "=",
             key->in == CT_BF16 ? "bf16" : "float", (long long)(key->transpose_a ? key->depth : key->rows),
             (long long)(key->transpose_a ? key->rows : key->depth), key->transpose_a ? "'" : "",
             key->in == CT_BF16 ? "bf16" : "float", (long long)(key->transpose_b ? key->columns : key->depth),
             (long long)(key->transpose_b ? key->depth : key->columns), key->transpose_b ? "'" : "",
             epilogues[key->epilogue]);
    return text;
}

static ct_status failed(cublasStatus_t status, const char *call, int line, const ct_gemm_key *key) {
    char text[256] = "";
    return ct_fail(status == CUBLAS_STATUS_ALLOC_FAILED ? CT_ENOMEM : CT_EFAIL, "%s: %s (%s:%d)%s%s (hint: %s)", call,
                   cublasLtGetStatusName(status), __FILE__, line, key ? ": " : "", key ? described(key, text) : text,
                   hint_of(status));
}
#define LT_TRY(call, key, ...)                                                                                         \
    do {                                                                                                               \
        cublasStatus_t lt_status = call(__VA_ARGS__);                                                                  \
        if (lt_status != CUBLAS_STATUS_SUCCESS) return failed(lt_status, #call, __LINE__, (key));                      \
    } while (0)

/* ---- keys */
static int64_t alignment_of(const void *array) {
    const uintptr_t address = (uintptr_t)array | 256;
    return (int64_t)(address & ~(address - 1)); /* the lowest bit: at most 256, the most that any algorithm asks for */
}

static ct_gemm_key key_of(const ct_cuda_gemm *g) {
    const bool bias = g->epilogue == CT_EPILOGUE_BIAS || g->epilogue == CT_EPILOGUE_GELU;
    const bool aux = g->epilogue == CT_EPILOGUE_GELU || g->epilogue == CT_EPILOGUE_GELU_BACKWARD;
    CT_ASSERT(g->a && g->b && g->d && (g->bias || !bias) && (g->aux || !aux));
    return (ct_gemm_key){.rows = g->rows,
                         .columns = g->columns,
                         .depth = g->depth,
                         .lda = g->lda,
                         .ldb = g->ldb,
                         .ldd = g->ldd,
                         .transpose_a = g->transpose_a,
                         .transpose_b = g->transpose_b,
                         .accumulate = g->accumulate,
                         .in = g->in,
                         .out = g->out,
                         .epilogue = g->epilogue,
                         .align_a = alignment_of(g->a),
                         .align_b = alignment_of(g->b),
                         .align_d = alignment_of(g->d),
                         .align_bias = bias ? alignment_of(g->bias) : 0,
                         .align_aux = aux ? alignment_of(g->aux) : 0};
}

static bool is_size(int64_t size) {
    return size >= 1 && size <= INT_MAX;
}
static bool is_flag(int64_t flag) {
    return flag == 0 || flag == 1;
}
static bool is_alignment(int64_t bytes) {
    return bytes >= 1 && bytes <= 256 && (bytes & (bytes - 1)) == 0;
}

/* A key may come from a file. */
static ct_status check_key(const ct_gemm_key *k) {
    const bool bias = k->epilogue == CT_EPILOGUE_BIAS || k->epilogue == CT_EPILOGUE_GELU;
    const bool aux = k->epilogue == CT_EPILOGUE_GELU || k->epilogue == CT_EPILOGUE_GELU_BACKWARD;
    char       text[256];
    if (!is_flag(k->transpose_a) || !is_flag(k->transpose_b) || !is_flag(k->accumulate) || k->epilogue < 0 ||
        k->epilogue >= CT_EPILOGUES || (k->in != CT_F32 && k->in != CT_BF16) ||
        (k->out != CT_F32 && k->out != CT_BF16) || (k->in == CT_F32 && k->out != CT_F32))
        return ct_fail(CT_EFAIL, "product: types %lld to %lld, epilogue %lld: no such product", (long long)k->in,
                       (long long)k->out, (long long)k->epilogue);
    if (!is_size(k->rows) || !is_size(k->columns) || !is_size(k->depth) || !is_size(k->lda) || !is_size(k->ldb) ||
        !is_size(k->ldd))
        return ct_fail(CT_EFAIL, "product %s: sizes and distances of rows (%lld, %lld, %lld) are from 1 to %d",
                       described(k, text), (long long)k->lda, (long long)k->ldb, (long long)k->ldd, INT_MAX);
    if (k->lda < (k->transpose_a ? k->rows : k->depth) || k->ldb < (k->transpose_b ? k->depth : k->columns) ||
        k->ldd < k->columns)
        return ct_fail(CT_EFAIL, "product %s: rows overlap, at distances of %lld, %lld and %lld", described(k, text),
                       (long long)k->lda, (long long)k->ldb, (long long)k->ldd);
    if (!is_alignment(k->align_a) || !is_alignment(k->align_b) || !is_alignment(k->align_d) ||
        (bias ? !is_alignment(k->align_bias) : k->align_bias != 0) ||
        (aux ? !is_alignment(k->align_aux) : k->align_aux != 0))
        return ct_fail(CT_EFAIL, "product %s: an alignment is no power of two up to 256", described(k, text));
    return CT_OK;
}

/* ---- descriptors */
static cudaDataType_t type_of(int64_t dtype) {
    return dtype == CT_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasComputeType_t arithmetic_of(const ct_gemm_key *k) {
    return k->in == CT_F32 && lt.options.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

#define SET(what, attribute, value)                                                                                    \
    LT_TRY(cublasLtMatmulDescSetAttribute, &p->key, what, attribute, &(value), sizeof(value))

/* Where bias and aux lie. For a plan, any addresses of their alignment will do. */
static ct_status point(plan *p, const void *bias, void *aux) {
    if (p->key.align_bias) SET(&p->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    if (p->key.align_aux) SET(&p->product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux);
    return CT_OK;
}

static ct_status describe(plan *p) {
    static const uint32_t epilogues[CT_EPILOGUES] = {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS,
                                                     CUBLASLT_EPILOGUE_GELU_AUX_BIAS, CUBLASLT_EPILOGUE_DGELU};
    const ct_gemm_key    *k = &p->key;
    const int32_t         transpose_a = k->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int32_t         transpose_b = k->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    LT_TRY(cublasLtMatmulDescInit, k, &p->product, arithmetic_of(k), CUDA_R_32F);
    SET(&p->product, CUBLASLT_MATMUL_DESC_TRANSA, transpose_a);
    SET(&p->product, CUBLASLT_MATMUL_DESC_TRANSB, transpose_b);
    SET(&p->product, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogues[k->epilogue]);
    if (k->align_aux) SET(&p->product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, k->ldd);
    CT_TRY(point(p, (const void *)(uintptr_t)k->align_bias, (void *)(uintptr_t)k->align_aux));
    LT_TRY(cublasLtMatrixLayoutInit, k, &p->a, type_of(k->in), (uint64_t)(k->transpose_b ? k->depth : k->columns),
           (uint64_t)(k->transpose_b ? k->columns : k->depth), k->ldb);
    LT_TRY(cublasLtMatrixLayoutInit, k, &p->b, type_of(k->in), (uint64_t)(k->transpose_a ? k->rows : k->depth),
           (uint64_t)(k->transpose_a ? k->depth : k->rows), k->lda);
    LT_TRY(cublasLtMatrixLayoutInit, k, &p->d, type_of(k->out), (uint64_t)k->columns, (uint64_t)k->rows, k->ldd);
    return CT_OK;
}
#undef SET

/* Partial sums are added as floats: in place where the result is one, or in the workspace. */
static uint32_t reductions_of(const ct_gemm_key *k) {
    return CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | (k->out == CT_F32 ? CUBLASLT_REDUCTION_SCHEME_INPLACE : 0u);
}

static ct_status prefer(const ct_gemm_key *k, cublasLtMatmulPreferenceOpaque_t *preference) {
    const uint64_t bytes = lt.options.bytes;
    const uint32_t reductions = reductions_of(k);
    const int64_t  alignments[4] = {k->align_b, k->align_a, k->align_d, k->align_d}; /* of its A, B, C, D */
    LT_TRY(cublasLtMatmulPreferenceInit, k, preference);
    LT_TRY(cublasLtMatmulPreferenceSetAttribute, k, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes,
           sizeof bytes);
    LT_TRY(cublasLtMatmulPreferenceSetAttribute, k, preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions,
           sizeof reductions);
    for (int i = 0; i < 4; i++) {
        static const cublasLtMatmulPreferenceAttributes_t of[4] = {
            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
        const uint32_t alignment = (uint32_t)alignments[i];
        LT_TRY(cublasLtMatmulPreferenceSetAttribute, k, preference, of[i], &alignment, sizeof alignment);
    }
    return CT_OK;
}

/* The first that heuristics list. None: no such epilogue; a plain product without any is a failure. An epilogue that is
 * called invalid is one that this version has not: what is right of its descriptors was right without it. */
static ct_status choose(plan *p) {
    enum { MOST = 8 };
    if (p->key.align_aux && p->key.ldd % 8 != 0) return CT_OK; /* as the header wants it of aux */
    cublasLtMatmulPreferenceOpaque_t preference;
    cublasLtMatmulHeuristicResult_t  found[MOST];
    int                              count = 0;
    CT_TRY(prefer(&p->key, &preference));
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(lt.library, &p->product, &p->a, &p->b, &p->d, &p->d,
                                                                 &preference, MOST, found, &count);
    for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < count && !p->supported; i++) {
        p->supported = found[i].state == CUBLAS_STATUS_SUCCESS && found[i].workspaceSize <= lt.options.bytes;
        p->algorithm = found[i].algo;
    }
    const bool none = status == CUBLAS_STATUS_SUCCESS || status == CUBLAS_STATUS_NOT_SUPPORTED;
    const bool no_epilogue = p->key.epilogue != CT_EPILOGUE_NONE && (none || status == CUBLAS_STATUS_INVALID_VALUE);
    if (p->supported || no_epilogue) return CT_OK;
    return failed(none ? CUBLAS_STATUS_NOT_SUPPORTED : status, "cublasLtMatmulAlgoGetHeuristic", __LINE__, &p->key);
}

/* ---- algorithms as numbers */
#define ATTRIBUTE(name, attribute, type)                                                                               \
    { CUBLASLT_ALGO_CONFIG_##attribute, offsetof(ct_gemm_algorithm, name), sizeof(type) }
static const struct {
    cublasLtMatmulAlgoConfigAttributes_t attribute;
    size_t                               offset, bytes;
} attributes[] = {
    ATTRIBUTE(id, ID, int32_t), /* first: it is given at the start, and can't be set */
    ATTRIBUTE(tile, TILE_ID, uint32_t),
    ATTRIBUTE(stages, STAGES_ID, uint32_t),
    ATTRIBUTE(split_k, SPLITK_NUM, int32_t),
    ATTRIBUTE(reduction, REDUCTION_SCHEME, uint32_t),
    ATTRIBUTE(swizzle, CTA_SWIZZLING, uint32_t),
    ATTRIBUTE(custom, CUSTOM_OPTION, uint32_t),
    ATTRIBUTE(inner_shape, INNER_SHAPE_ID, uint16_t),
    ATTRIBUTE(cluster_shape, CLUSTER_SHAPE_ID, uint16_t),
};
_Static_assert(sizeof attributes / sizeof *attributes == sizeof(ct_gemm_algorithm) / sizeof(int64_t), "one each");

bool ct_gemm_plan_at(int number, ct_gemm_key *key, ct_gemm_algorithm *algorithm) {
    const plan *p = lt.plans;
    while (p && (!p->supported || number-- > 0)) p = p->next;
    if (!p) return false;
    *key = p->key;
    for (size_t i = 0; i < CT_COUNT(attributes); i++) {
        uint32_t wide = 0; /* none is negative */
        uint16_t narrow = 0;
        size_t   written;
        void    *to = attributes[i].bytes == sizeof narrow ? (void *)&narrow : (void *)&wide;
        if (cublasLtMatmulAlgoConfigGetAttribute(&p->algorithm, attributes[i].attribute, to, attributes[i].bytes,
                                                 &written) != CUBLAS_STATUS_SUCCESS)
            return false;
        const int64_t value = (int64_t)wide + narrow;
        memcpy((char *)algorithm + attributes[i].offset, &value, sizeof value);
    }
    return true;
}

static ct_status take(plan *p, const ct_gemm_algorithm *algorithm) {
    const ct_gemm_key              *k = &p->key;
    cublasLtMatmulHeuristicResult_t checked;
    char                            text[256];
    if (algorithm->id < 0 || algorithm->id > INT_MAX || algorithm->reduction < 0 ||
        (algorithm->reduction & ~(int64_t)reductions_of(k)))
        return ct_fail(CT_EFAIL, "product %s: an algorithm that is none of ours", described(k, text));
    LT_TRY(cublasLtMatmulAlgoInit, k, lt.library, arithmetic_of(k), CUDA_R_32F, type_of(k->in), type_of(k->in),
           type_of(k->out), type_of(k->out), (int)algorithm->id, &p->algorithm);
    for (size_t i = 1; i < CT_COUNT(attributes); i++) {
        int64_t value;
        memcpy(&value, (const char *)algorithm + attributes[i].offset, sizeof value);
        const int64_t  most = attributes[i].bytes == sizeof(uint16_t) ? UINT16_MAX : INT_MAX;
        const uint16_t narrow = (uint16_t)value;
        const uint32_t wide = (uint32_t)value;
        if (value < 0 || value > most)
            return ct_fail(CT_EFAIL, "product %s: an algorithm with attribute %lld", described(k, text),
                           (long long)value);
        LT_TRY(cublasLtMatmulAlgoConfigSetAttribute, k, &p->algorithm, attributes[i].attribute,
               attributes[i].bytes == sizeof narrow ? (const void *)&narrow : (const void *)&wide, attributes[i].bytes);
    }
    LT_TRY(cublasLtMatmulAlgoCheck, k, lt.library, &p->product, &p->a, &p->b, &p->d, &p->d, &p->algorithm, &checked);
    if (checked.state != CUBLAS_STATUS_SUCCESS) return failed(checked.state, "cublasLtMatmulAlgoCheck", __LINE__, k);
    if (checked.workspaceSize > lt.options.bytes)
        return ct_fail(CT_EFAIL, "product %s: an algorithm with a workspace of %zu bytes, there are %zu",
                       described(k, text), checked.workspaceSize, lt.options.bytes);
    p->supported = true;
    return CT_OK;
}

/* ---- plans */
static plan *find(const ct_gemm_key *key) {
    plan *p = lt.plans;
    while (p && memcmp(&p->key, key, sizeof *key) != 0) p = p->next;
    return p;
}

/* by this algorithm; NULL: by the one that heuristics choose. NULL: *status says why not */
static plan *add(const ct_gemm_key *key, const ct_gemm_algorithm *algorithm, ct_status *status) {
    if ((*status = check_key(key)) != CT_OK) return NULL;
    plan *p = calloc(1, sizeof *p);
    if (!p) {
        *status = ct_fail(CT_ENOMEM, "no memory for the plan of a product");
        return NULL;
    }
    p->key = *key;
    *status = describe(p);
    if (*status == CT_OK) *status = algorithm ? take(p, algorithm) : choose(p);
    if (*status != CT_OK) {
        free(p);
        return NULL;
    }
    *lt.last = p;
    lt.last = &p->next;
    lt.count++;
    return p;
}

ct_status ct_gemm_plan_of(const ct_gemm_key *key, const ct_gemm_algorithm *algorithm) {
    ct_status status = CT_OK;
    char      text[256];
    if (find(key)) return ct_fail(CT_EFAIL, "product %s: there twice", described(key, text));
    add(key, algorithm, &status);
    return status;
}

void ct_gemm_forget_plans(void) {
    for (plan *p = lt.plans, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    lt.plans = NULL;
    lt.last = &lt.plans;
    lt.count = 0;
}

/* ---- products */
static plan *plan_for(const ct_cuda_gemm *product, ct_status *status) {
    const ct_gemm_key key = key_of(product);
    if (!lt.library) {
        *status = ct_fail(CT_EFAIL, "product: cuBLASLt is not open (hint: ct_cuda_gemm_open)");
        return NULL;
    }
    plan *p = find(&key);
    return p ? p : add(&key, NULL, status);
}

ct_status ct_cuda_gemm_plan(const ct_cuda_gemm *product, bool *supported) {
    ct_status   status;
    const plan *p = plan_for(product, &status);
    if (!p) return status;
    if (supported) *supported = p->supported;
    return CT_OK;
}

ct_status ct_cuda_gemm_run(const ct_cuda_gemm *product, struct CUstream_st *stream) {
    static const float one = 1, none = 0;
    ct_status          status;
    char               text[256];
    plan              *p = plan_for(product, &status);
    if (!p) return status;
    if (!p->supported) return ct_fail(CT_EFAIL, "product %s: not supported", described(&p->key, text));
    if (lt.has_stream && stream != lt.stream)
        return ct_fail(CT_EFAIL, "product %s: on a second stream (hint: all products share one workspace)",
                       described(&p->key, text));
    lt.stream = stream;
    lt.has_stream = true;
    CT_TRY(point(p, product->bias, product->aux));
    LT_TRY(cublasLtMatmul, &p->key, lt.library, &p->product, &one, product->b, &p->a, product->a, &p->b,
           product->accumulate ? &one : &none, product->d, &p->d, product->d, &p->d, &p->algorithm,
           lt.options.workspace, lt.options.bytes, stream);
    return CT_OK;
}

int ct_cuda_gemm_plan_count(void) {
    return lt.count;
}

/* ---- the library */
ct_gemm_machine ct_gemm_machine_here(void) {
    return (ct_gemm_machine){.gpu = lt.gpu,
                             .library = (int64_t)cublasLtGetVersion(),
                             .tf32 = lt.options.tf32,
                             .workspace = (int64_t)lt.options.bytes};
}

ct_status ct_cuda_gemm_open(const ct_cuda_gemm_options *options) {
    CT_ASSERT(!lt.library && (options->workspace || options->bytes == 0));
    if ((uintptr_t)options->workspace % 256 != 0)
        return ct_fail(CT_EFAIL, "products: the workspace is not aligned to 256 bytes");
    LT_TRY(cublasLtCreate, NULL, &lt.library);
    lt.options = *options;
    snprintf(lt.gpu, sizeof lt.gpu, "%s", options->gpu);
    ct_gemm_forget_plans();
    return CT_OK;
}

void ct_cuda_gemm_close(void) {
    if (!lt.library) return;
    ct_gemm_forget_plans();
    cublasLtDestroy(lt.library);
    lt.library = NULL;
    lt.has_stream = false;
}

bool ct_cuda_gemm_is_open(void) {
    return lt.library;
}

void *ct_cuda_gemm_workspace(size_t *bytes) {
    *bytes = lt.options.bytes;
    return lt.options.workspace;
}
