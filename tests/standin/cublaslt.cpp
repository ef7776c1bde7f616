/* cublaslt.cpp -- a double of cuBLASLt behind NVIDIA's own header: descriptors, heuristics, algorithms, and products
 * that run when their stream gets there (blas.h, blas_product.cpp).
 *
 * Descriptors are the caller's memory. Setting one takes and refuses what the real library does: any value of the right
 * size (tests/standin/test_descriptors.c runs against both). What is wrong with values shows when they are used.
 */
#include "blas.h"
#include "blas_product.h"
#include "runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <vector>

struct cublasLtContext {
    uint32_t mark;
};
enum { HANDLE = 0x4c744831, PRODUCT, LAYOUT, PREFERENCE, ALGORITHM };

static blas_counters counters;
static blas_answer   answer;
static uint64_t      drawn = 1;

void blas_begin(unsigned seed, blas_answer what) {
    const int handles = counters.handles;
    counters = {};
    counters.handles = handles;
    answer = what;
    drawn = 2 * (uint64_t)seed + 1;
}
blas_counters blas_count(void) {
    return counters;
}
static size_t draw(size_t below) { /* Knuth's generator */
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((drawn >> 33) % below);
}

/* A call that the manual forbids. */
static cublasStatus_t wrong_at(site where, cublasStatus_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static cublasStatus_t wrong_at(site where, cublasStatus_t status, const char *format, ...) {
    char    text[512];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    report("call", where, "%s", text);
    return status;
}
#define CALLER site_of_code(__builtin_return_address(0))

/* ---- descriptors: a mark, and behind it the values of these attributes */
struct attribute {
    int     number;
    size_t  bytes;
    int64_t first; /* value */
};
struct descriptor {
    uint32_t                     mark;
    const std::vector<attribute> attributes;
};
static const descriptor of_product = {PRODUCT,
                                      {{CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, 4, 0},
                                       {CUBLASLT_MATMUL_DESC_SCALE_TYPE, 4, 0},
                                       {CUBLASLT_MATMUL_DESC_POINTER_MODE, 4, CUBLASLT_POINTER_MODE_HOST},
                                       {CUBLASLT_MATMUL_DESC_TRANSA, 4, CUBLAS_OP_N},
                                       {CUBLASLT_MATMUL_DESC_TRANSB, 4, CUBLAS_OP_N},
                                       {CUBLASLT_MATMUL_DESC_TRANSC, 4, CUBLAS_OP_N},
                                       {CUBLASLT_MATMUL_DESC_FILL_MODE, 4, CUBLAS_FILL_MODE_FULL},
                                       {CUBLASLT_MATMUL_DESC_EPILOGUE, 4, CUBLASLT_EPILOGUE_DEFAULT},
                                       {CUBLASLT_MATMUL_DESC_BIAS_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_ALPHA_VECTOR_BATCH_STRIDE, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, 4, 0},
                                       {CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, 4, -1},
                                       {CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_AMAX_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_FAST_ACCUM, 1, 0},
                                       {CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, 4, -1},
                                       {CUBLASLT_MATMUL_DESC_A_SCALE_MODE, 4, 0},
                                       {CUBLASLT_MATMUL_DESC_B_SCALE_MODE, 4, 0},
                                       {CUBLASLT_MATMUL_DESC_C_SCALE_MODE, 4, 0},
                                       {CUBLASLT_MATMUL_DESC_D_SCALE_MODE, 4, 0},
                                       {CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_MODE, 4, 0},
                                       {CUBLASLT_MATMUL_DESC_D_OUT_SCALE_POINTER, 8, 0},
                                       {CUBLASLT_MATMUL_DESC_D_OUT_SCALE_MODE, 4, 0},
                                       {CUBLASLT_MATMUL_DESC_EMULATION_DESCRIPTOR, 8, 0}}};
static const descriptor of_layout = {LAYOUT,
                                     {{CUBLASLT_MATRIX_LAYOUT_TYPE, 4, 0},
                                      {CUBLASLT_MATRIX_LAYOUT_ORDER, 4, CUBLASLT_ORDER_COL},
                                      {CUBLASLT_MATRIX_LAYOUT_ROWS, 8, 0},
                                      {CUBLASLT_MATRIX_LAYOUT_COLS, 8, 0},
                                      {CUBLASLT_MATRIX_LAYOUT_LD, 8, 0},
                                      {CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 4, 1},
                                      {CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, 8, 0},
                                      {CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, 8, 0},
                                      {CUBLASLT_MATRIX_LAYOUT_BATCH_MODE, 4, 0}}};
static const descriptor of_preference = {PREFERENCE,
                                         {{CUBLASLT_MATMUL_PREF_SEARCH_MODE, 4, CUBLASLT_SEARCH_BEST_FIT},
                                          {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 8, 0},
                                          {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, 4, 7},
                                          {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 4, 256},
                                          {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 4, 256},
                                          {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, 4, 256},
                                          {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 4, 256},
                                          {CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT, 4, 0},
                                          {CUBLASLT_MATMUL_PREF_IMPL_MASK, 8, -1}}};
enum { OF_TYPES = 10 }; /* not NVIDIA's: the types that an algorithm was made for */
static const descriptor of_algorithm = {ALGORITHM,
                                        {{CUBLASLT_ALGO_CONFIG_ID, 4, 0},
                                         {CUBLASLT_ALGO_CONFIG_TILE_ID, 4, 0},
                                         {CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4, 1},
                                         {CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4, 0},
                                         {CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4, 0},
                                         {CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4, 0},
                                         {CUBLASLT_ALGO_CONFIG_STAGES_ID, 4, 0},
                                         {CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2, 0},
                                         {CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2, 0},
                                         {OF_TYPES, 2, 0}}};

static char *place(const descriptor &kind, void *at, int number, size_t *bytes) {
    char *value = static_cast<char *>(at) + sizeof kind.mark;
    *bytes = 0;
    for (const attribute &a : kind.attributes) {
        *bytes = a.bytes;
        if (a.number == number) return value;
        value += a.bytes;
    }
    return nullptr;
}
static bool is(const descriptor &kind, const void *at) {
    return at && memcmp(at, &kind.mark, sizeof kind.mark) == 0;
}
static int64_t value_of(const descriptor &kind, const void *at, int number) {
    size_t      bytes;
    int32_t     four = 0;
    uint16_t    two = 0;
    int64_t     eight = 0;
    const char *from = place(kind, const_cast<void *>(at), number, &bytes);
    memcpy(bytes == 8 ? (void *)&eight : bytes == 4 ? (void *)&four : (void *)&two, from, bytes);
    return bytes == 8 ? eight : bytes == 4 ? four : two;
}
static void set_value(const descriptor &kind, void *at, int number, int64_t value) {
    size_t bytes;
    char  *to = place(kind, at, number, &bytes);
    memcpy(to, &value, bytes); /* little-endian, as the machines are that CUDA runs on */
}
static cublasStatus_t make(const descriptor &kind, void *at, size_t given, size_t needed) {
    if (!at || given < needed) return CUBLAS_STATUS_ALLOC_FAILED;
    memset(at, 0, needed);
    memcpy(at, &kind.mark, sizeof kind.mark);
    for (const attribute &a : kind.attributes) set_value(kind, at, a.number, a.first);
    return CUBLAS_STATUS_SUCCESS;
}
static cublasStatus_t set(site where, const descriptor &kind, void *at, int number, const void *from, size_t bytes) {
    size_t size;
    if (kind.mark != ALGORITHM && !is(kind, at)) /* the library takes an algorithm's attributes wherever they lie */
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "a descriptor that was never made");
    char *to = place(kind, at, number, &size);
    if (!to || !from || bytes != size)
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "attribute %d set to %zu bytes, it has %zu", number, bytes,
                        to ? size : 0);
    memcpy(to, from, size);
    return CUBLAS_STATUS_SUCCESS;
}
static cublasStatus_t get(site where, const descriptor &kind, const void *at, int number, void *to, size_t bytes,
                          size_t *written) {
    size_t size;
    if (kind.mark != ALGORITHM && !is(kind, at)) /* the library takes an algorithm's attributes wherever they lie */
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "a descriptor that was never made");
    const char *from = place(kind, const_cast<void *>(at), number, &size);
    if (!from || (bytes ? !to || bytes != size : !written))
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "attribute %d asked as %zu bytes, it has %zu", number,
                        bytes, from ? size : 0);
    if (bytes) memcpy(to, from, size);
    if (written) *written = size;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t desc, size_t size, cublasComputeType_t compute,
                                               cudaDataType_t scale) {
    const cublasStatus_t status = make(of_product, desc, size, sizeof *desc);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    set_value(of_product, desc, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, compute);
    set_value(of_product, desc, CUBLASLT_MATMUL_DESC_SCALE_TYPE, scale);
    return status;
}
cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, size_t size, cudaDataType type,
                                                 uint64_t rows, uint64_t columns, int64_t ld) {
    const cublasStatus_t status = make(of_layout, layout, size, sizeof *layout);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    set_value(of_layout, layout, CUBLASLT_MATRIX_LAYOUT_TYPE, type);
    set_value(of_layout, layout, CUBLASLT_MATRIX_LAYOUT_ROWS, (int64_t)rows);
    set_value(of_layout, layout, CUBLASLT_MATRIX_LAYOUT_COLS, (int64_t)columns);
    set_value(of_layout, layout, CUBLASLT_MATRIX_LAYOUT_LD, ld);
    return status;
}
cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference, size_t size) {
    return make(of_preference, preference, size, sizeof *preference);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t number,
                                              const void *from, size_t bytes) {
    return set(CALLER, of_product, desc, number, from, bytes);
}
cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t number,
                                              void *to, size_t bytes, size_t *written) {
    return get(CALLER, of_product, desc, number, to, bytes, written);
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t number,
                                                const void *from, size_t bytes) {
    return set(CALLER, of_layout, layout, number, from, bytes);
}
cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t number,
                                                void *to, size_t bytes, size_t *written) {
    return get(CALLER, of_layout, layout, number, to, bytes, written);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t           preference,
                                                    cublasLtMatmulPreferenceAttributes_t number, const void *from,
                                                    size_t bytes) {
    return set(CALLER, of_preference, preference, number, from, bytes);
}
cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t           preference,
                                                    cublasLtMatmulPreferenceAttributes_t number, void *to, size_t bytes,
                                                    size_t *written) {
    return get(CALLER, of_preference, preference, number, to, bytes, written);
}
cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t                *algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t number, const void *from,
                                                    size_t bytes) {
    if (number == CUBLASLT_ALGO_CONFIG_ID || (int)number == OF_TYPES)
        return wrong_at(CALLER, CUBLAS_STATUS_INVALID_VALUE, "attribute %d of an algorithm is read-only", number);
    return set(CALLER, of_algorithm, algorithm, number, from, bytes);
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t          *algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t number, void *to, size_t bytes,
                                                    size_t *written) {
    return get(CALLER, of_algorithm, algorithm, (int)number == OF_TYPES ? -1 : (int)number, to, bytes, written);
}

/* ---- the library */
cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    if (device_missing() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = new cublasLtContext{HANDLE};
    counters.handles++;
    return CUBLAS_STATUS_SUCCESS;
}
static bool open(cublasLtHandle_t handle) {
    return handle && handle->mark == HANDLE;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    if (!open(handle)) return wrong_at(CALLER, CUBLAS_STATUS_NOT_INITIALIZED, "a handle that is not open");
    handle->mark = 0;
    delete handle;
    counters.handles--;
    return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion(void) {
    return CUBLAS_VERSION;
}
const char *cublasLtGetStatusName(cublasStatus_t status) {
#define NAME(name)                                                                                                     \
    case name:                                                                                                         \
        return #name;
    switch (status) {
        NAME(CUBLAS_STATUS_SUCCESS)
        NAME(CUBLAS_STATUS_NOT_INITIALIZED)
        NAME(CUBLAS_STATUS_ALLOC_FAILED)
        NAME(CUBLAS_STATUS_INVALID_VALUE)
        NAME(CUBLAS_STATUS_ARCH_MISMATCH)
        NAME(CUBLAS_STATUS_MAPPING_ERROR)
        NAME(CUBLAS_STATUS_EXECUTION_FAILED)
        NAME(CUBLAS_STATUS_INTERNAL_ERROR)
        NAME(CUBLAS_STATUS_NOT_SUPPORTED)
        NAME(CUBLAS_STATUS_LICENSE_ERROR)
    }
    return "unrecognized status";
}

/* ---- algorithms: by number. The first does everything; one has room for nobody. */
static const blas_method methods[] = {
    {CUBLASLT_MATMUL_TILE_UNDEFINED, CUBLASLT_MATMUL_STAGES_UNDEFINED, 1, 0, false, true, 1, 1, 0},
    {CUBLASLT_MATMUL_TILE_64x64, CUBLASLT_MATMUL_STAGES_32x3, 1, 0, true, true, 4, 4, 0},
    {CUBLASLT_MATMUL_TILE_128x128, CUBLASLT_MATMUL_STAGES_64x3, 1, 0, true, false, 16, 2, 0},
    {CUBLASLT_MATMUL_TILE_64x64, CUBLASLT_MATMUL_STAGES_32x3, 4, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, false, false,
     2, 2, 0},
    {CUBLASLT_MATMUL_TILE_64x64, CUBLASLT_MATMUL_STAGES_32x3, 3, CUBLASLT_REDUCTION_SCHEME_INPLACE, false, false, 2, 2,
     0},
    {CUBLASLT_MATMUL_TILE_64x64, CUBLASLT_MATMUL_STAGES_32x3, 8, CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE, true, false, 2,
     2, 0},
    {CUBLASLT_MATMUL_TILE_256x128, CUBLASLT_MATMUL_STAGES_64x3, 1, 0, false, true, 1, 1, (size_t)1 << 33},
};
static const int METHODS = sizeof methods / sizeof *methods;

static uint16_t types_of(int64_t compute, int64_t scale, int64_t a, int64_t b, int64_t c, int64_t d) {
    int64_t mixed = 0;
    for (int64_t x : {compute, scale, a, b, c, d}) mixed = mixed * 31 + x;
    return (uint16_t)mixed;
}

static bool types_supported(int64_t compute, int64_t scale, int64_t a, int64_t b, int64_t c, int64_t d) {
    const bool of_halves = a == CUDA_R_16BF;
    if (compute != CUBLAS_COMPUTE_32F && (compute != CUBLAS_COMPUTE_32F_FAST_TF32 || of_halves)) return false;
    return scale == CUDA_R_32F && a == b && c == d && (of_halves || a == CUDA_R_32F) &&
           (c == CUDA_R_32F || (of_halves && c == CUDA_R_16BF));
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t handle, cublasComputeType_t compute, cudaDataType_t scale,
                                      cudaDataType_t a, cudaDataType_t b, cudaDataType_t c, cudaDataType_t d, int id,
                                      cublasLtMatmulAlgo_t *algorithm) {
    if (!open(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!algorithm || id < 0 || id >= METHODS) return CUBLAS_STATUS_INVALID_VALUE;
    if (!types_supported(compute, scale, a, b, c, d)) return CUBLAS_STATUS_NOT_SUPPORTED;
    make(of_algorithm, algorithm, sizeof *algorithm, sizeof *algorithm);
    set_value(of_algorithm, algorithm, CUBLASLT_ALGO_CONFIG_ID, id);
    set_value(of_algorithm, algorithm, OF_TYPES, types_of(compute, scale, a, b, c, d));
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- what is asked for, read from the descriptors */
struct asked {
    blas_product product;
    uint16_t     types;
};
static cublasStatus_t read_layout(site where, const void *layout, const char *name, blas_matrix *out) {
    if (!is(of_layout, layout)) return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "%s: no layout", name);
    *out = {value_of(of_layout, layout, CUBLASLT_MATRIX_LAYOUT_TYPE) == CUDA_R_16BF,
            value_of(of_layout, layout, CUBLASLT_MATRIX_LAYOUT_ROWS),
            value_of(of_layout, layout, CUBLASLT_MATRIX_LAYOUT_COLS),
            value_of(of_layout, layout, CUBLASLT_MATRIX_LAYOUT_LD)};
    if (out->rows < 1 || out->columns < 1 || out->ld < out->rows || out->rows > INT32_MAX || out->columns > INT32_MAX)
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "%s: %lld rows, %lld columns, %lld from one to the next",
                        name, (long long)out->rows, (long long)out->columns, (long long)out->ld);
    for (const attribute &a : of_layout.attributes)
        if (a.number > CUBLASLT_MATRIX_LAYOUT_LD || a.number == CUBLASLT_MATRIX_LAYOUT_ORDER)
            if (value_of(of_layout, layout, a.number) != a.first)
                return wrong_at(where, CUBLAS_STATUS_NOT_SUPPORTED, "%s: attribute %d is not doubled", name, a.number);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t read_call(site where, const void *desc, const void *a, const void *b, const void *c,
                                const void *d, asked *out) {
    blas_product  &p = out->product;
    blas_matrix    of_c = {};
    cublasStatus_t status;
    if (!is(of_product, desc)) return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "no operation descriptor");
    if ((status = read_layout(where, a, "A", &p.a)) || (status = read_layout(where, b, "B", &p.b)) ||
        (status = read_layout(where, c, "C", &of_c)) || (status = read_layout(where, d, "D", &p.d)))
        return status;
    auto          of = [&](int number) { return value_of(of_product, desc, number); };
    auto          type = [&](const void *layout) { return value_of(of_layout, layout, CUBLASLT_MATRIX_LAYOUT_TYPE); };
    const int64_t compute = of(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE), scale = of(CUBLASLT_MATMUL_DESC_SCALE_TYPE);
    if (!types_supported(compute, scale, type(a), type(b), type(c), type(d))) return CUBLAS_STATUS_NOT_SUPPORTED;
    out->types = types_of(compute, scale, type(a), type(b), type(c), type(d));
    p.tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    p.epilogue = (cublasLtEpilogue_t)of(CUBLASLT_MATMUL_DESC_EPILOGUE);
    p.aux_ld = of(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD);
    p.bias = reinterpret_cast<const void *>(of(CUBLASLT_MATMUL_DESC_BIAS_POINTER));
    p.aux = reinterpret_cast<void *>(of(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER));
    const int64_t turn_a = of(CUBLASLT_MATMUL_DESC_TRANSA), turn_b = of(CUBLASLT_MATMUL_DESC_TRANSB);
    if ((turn_a != CUBLAS_OP_N && turn_a != CUBLAS_OP_T) || (turn_b != CUBLAS_OP_N && turn_b != CUBLAS_OP_T))
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "transposed by %lld, %lld", (long long)turn_a,
                        (long long)turn_b);
    p.transpose_a = turn_a == CUBLAS_OP_T;
    p.transpose_b = turn_b == CUBLAS_OP_T;
    for (const attribute &x : of_product.attributes) {
        static const int read[] = {CUBLASLT_MATMUL_DESC_COMPUTE_TYPE,
                                   CUBLASLT_MATMUL_DESC_SCALE_TYPE,
                                   CUBLASLT_MATMUL_DESC_TRANSA,
                                   CUBLASLT_MATMUL_DESC_TRANSB,
                                   CUBLASLT_MATMUL_DESC_EPILOGUE,
                                   CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                   CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER,
                                   CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD};
        if (std::find(std::begin(read), std::end(read), x.number) == std::end(read) && of(x.number) != x.first)
            return wrong_at(where, CUBLAS_STATUS_NOT_SUPPORTED, "attribute %d of a product is not doubled", x.number);
    }
    const int64_t rows = p.transpose_a ? p.a.columns : p.a.rows, columns = p.transpose_b ? p.b.rows : p.b.columns;
    const int64_t depth_b = p.transpose_b ? p.b.columns : p.b.rows;
    if (rows != p.d.rows || columns != p.d.columns || p.depth() != depth_b || of_c.rows != p.d.rows ||
        of_c.columns != p.d.columns || of_c.ld != p.d.ld)
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE,
                        "sizes don't agree: %lld x %lld and %lld x %lld to %lld x %lld", (long long)rows,
                        (long long)p.depth(), (long long)depth_b, (long long)columns, (long long)p.d.rows,
                        (long long)p.d.columns);
    const bool bias = p.epilogue == CUBLASLT_EPILOGUE_BIAS || p.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    const bool aux = p.epilogue == CUBLASLT_EPILOGUE_DGELU || p.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    if (!bias && !aux && p.epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        return wrong_at(where, CUBLAS_STATUS_NOT_SUPPORTED, "epilogue %d is not doubled", p.epilogue);
    if ((bias && !p.bias) || (aux && !p.aux))
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "epilogue %d without its array", p.epilogue);
    if (aux && (p.aux_ld < p.d.rows || p.aux_ld % 8 != 0))
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "aux has %lld from one column to the next, of %lld rows",
                        (long long)p.aux_ld, (long long)p.d.rows);
    return CUBLAS_STATUS_SUCCESS;
}

/* Does the algorithm do this product, of arrays that are aligned so? */
static bool fits(const blas_method &m, const blas_product &p, uint64_t a, uint64_t b, uint64_t d) {
    uint64_t       addresses = a | d | (uint64_t)p.a.ld * p.a.element() | (uint64_t)p.d.ld * p.d.element();
    const uint64_t of_b = b | (uint64_t)p.b.ld * p.b.element();
    const bool     gelu = p.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS || p.epilogue == CUBLASLT_EPILOGUE_DGELU;
    if (p.epilogue & CUBLASLT_EPILOGUE_BIAS) addresses |= reinterpret_cast<uint64_t>(p.bias);
    if (gelu) addresses |= reinterpret_cast<uint64_t>(p.aux);
    return addresses % m.alignment == 0 && of_b % m.of_b == 0 && (m.gelu || !gelu);
}

/* Is this configuration one of the algorithm's? */
static cublasStatus_t check_algorithm(const asked &call, const cublasLtMatmulAlgo_t *algorithm, size_t *workspace) {
    auto      of = [&](int number) { return value_of(of_algorithm, algorithm, number); };
    const int id = is(of_algorithm, algorithm) ? (int)of(CUBLASLT_ALGO_CONFIG_ID) : -1;
    if (id < 0 || id >= METHODS || of(OF_TYPES) != call.types) return CUBLAS_STATUS_INVALID_VALUE;
    const blas_method &m = methods[id];
    const int64_t      splits = of(CUBLASLT_ALGO_CONFIG_SPLITK_NUM), how = of(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME);
    if (of(CUBLASLT_ALGO_CONFIG_TILE_ID) != m.tile || of(CUBLASLT_ALGO_CONFIG_STAGES_ID) != m.stages ||
        of(CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING) > 1 || of(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION) != 0 ||
        of(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID) != 0 || of(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID) != 0 || splits < 1 ||
        splits > m.splits || (splits == 1 ? how != 0 : (uint32_t)how != m.reductions))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *workspace = blas_workspace(call.product, m, (int)splits, (uint32_t)how);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *algorithm, cublasLtMatmulHeuristicResult_t *result) {
    asked call = {};
    if (!open(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = read_call(CALLER, desc, a, b, c, d, &call);
    if (status == CUBLAS_STATUS_SUCCESS) status = check_algorithm(call, algorithm, &result->workspaceSize);
    if (status == CUBLAS_STATUS_SUCCESS && !methods[value_of(of_algorithm, algorithm, CUBLASLT_ALGO_CONFIG_ID)].gelu &&
        call.product.epilogue != CUBLASLT_EPILOGUE_DEFAULT && call.product.epilogue != CUBLASLT_EPILOGUE_BIAS)
        status = CUBLAS_STATUS_NOT_SUPPORTED;
    result->state = status;
    return status;
}

/* ---- heuristics */
static cublasStatus_t refuse(const asked &call, int most, cublasLtMatmulHeuristicResult_t *found, int *count) {
    *count = 0;
    switch (call.product.epilogue == CUBLASLT_EPILOGUE_DEFAULT && answer != BLAS_NOTHING ? BLAS_LISTS : answer) {
    case BLAS_NOT_FUSED:
    case BLAS_NOTHING:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    case BLAS_FUSED_INVALID:
        return CUBLAS_STATUS_INVALID_VALUE;
    case BLAS_FUSED_STATES:
        for (; *count < std::min(most, 3); ++*count) {
            memset(&found[*count], 0, sizeof *found); /* nothing else of it is valid */
            found[*count].state = CUBLAS_STATUS_NOT_SUPPORTED;
        }
        return CUBLAS_STATUS_SUCCESS;
    default:
        return CUBLAS_STATUS_SUCCESS;
    }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t *found, int *count) {
    const site where = CALLER;
    asked      call = {};
    counters.heuristics++;
    if (!open(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (most < 1 || !found || !count || !is(of_preference, preference))
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "heuristics asked for %d results", most);
    auto of = [&](int number) { return value_of(of_preference, preference, number); };
    if (of(CUBLASLT_MATMUL_PREF_SEARCH_MODE) != CUBLASLT_SEARCH_BEST_FIT ||
        of(CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT) != 0 || of(CUBLASLT_MATMUL_PREF_IMPL_MASK) != -1)
        return wrong_at(where, CUBLAS_STATUS_NOT_SUPPORTED, "a preference that is not doubled");
    const cublasStatus_t status = read_call(where, desc, a, b, c, d, &call);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const bool plain = call.product.epilogue == CUBLASLT_EPILOGUE_DEFAULT;
    if (answer != BLAS_LISTS && (!plain || answer == BLAS_NOTHING)) return refuse(call, most, found, count);
    const uint64_t of_a = (uint64_t)of(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES),
                   of_b = (uint64_t)of(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES),
                   of_d = (uint64_t)of(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
    std::vector<int> list;
    for (int id = 0; id < METHODS; id++) {
        const blas_method &m = methods[id];
        const size_t       workspace = blas_workspace(call.product, m, m.splits, m.reductions);
        if (m.splits > call.product.depth() || !fits(m, call.product, of_a, of_b, of_d)) continue;
        if (m.reductions & ~(uint64_t)of(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)) continue;
        if (workspace <= (uint64_t)of(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)) list.push_back(id);
    }
    for (size_t i = list.size(); i > 1; i--) std::swap(list[i - 1], list[draw(i)]);
    if (draw(2)) list.insert(list.begin(), -1); /* results may be none */
    for (*count = 0; *count < most && *count < (int)list.size(); ++*count) {
        cublasLtMatmulHeuristicResult_t &to = found[*count];
        const int                        id = list[(size_t)*count];
        memset(&to, 0, sizeof to);
        to.state = CUBLAS_STATUS_NOT_SUPPORTED;
        if (id < 0) continue;
        make(of_algorithm, &to.algo, sizeof to.algo, sizeof to.algo);
        set_value(of_algorithm, &to.algo, CUBLASLT_ALGO_CONFIG_ID, id);
        set_value(of_algorithm, &to.algo, OF_TYPES, call.types);
        set_value(of_algorithm, &to.algo, CUBLASLT_ALGO_CONFIG_TILE_ID, methods[id].tile);
        set_value(of_algorithm, &to.algo, CUBLASLT_ALGO_CONFIG_STAGES_ID, methods[id].stages);
        set_value(of_algorithm, &to.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, methods[id].splits);
        set_value(of_algorithm, &to.algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, methods[id].reductions);
        to.state = check_algorithm(call, &to.algo, &to.workspaceSize);
        to.wavesCount = 1;
    }
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- products */
static bool overlap(const void *x, size_t x_bytes, const void *y, size_t y_bytes) {
    const char *a = static_cast<const char *>(x), *b = static_cast<const char *>(y);
    return a < b + y_bytes && b < a + x_bytes;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout,
                              const void *beta, const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    const site where = CALLER;
    asked      call = {};
    size_t     needed = 0;
    float      scale, add;
    if (!open(handle)) return wrong_at(where, CUBLAS_STATUS_NOT_INITIALIZED, "a handle that is not open");
    if (!alpha || !beta) return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "no alpha or beta");
    cublasStatus_t status = read_call(where, desc, a_layout, b_layout, c_layout, d_layout, &call);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const blas_product &p = call.product;
    status = check_algorithm(call, algorithm, &needed);
    if (status != CUBLAS_STATUS_SUCCESS) return wrong_at(where, status, "an algorithm that is none for this product");
    const blas_method &m = methods[value_of(of_algorithm, algorithm, CUBLASLT_ALGO_CONFIG_ID)];
    auto               address = [](const void *x) { return reinterpret_cast<uint64_t>(x); };
    if (!fits(m, p, address(a), address(b), address(d)))
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "arrays that are not aligned as the algorithm wants them");
    if (needed > workspace_bytes || address(workspace) % 16 != 0)
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "a workspace of %zu bytes, %zu are needed", workspace_bytes,
                        needed);
    memcpy(&scale, alpha, sizeof scale);
    memcpy(&add, beta, sizeof add);
    const bool gelu = p.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS || p.epilogue == CUBLASLT_EPILOGUE_DGELU;
    if (c != d) return wrong_at(where, CUBLAS_STATUS_NOT_SUPPORTED, "C that is not D is not doubled");
    if (gelu && add != 0) return wrong_at(where, CUBLAS_STATUS_NOT_SUPPORTED, "GELU of a sum is not doubled");
    const size_t aux_bytes = (size_t)((p.d.columns - 1) * p.aux_ld + p.d.rows) * p.d.element();
    const bool   there = standin_check_device(a, p.a.bytes(), "cublasLtMatmul: A") &&
                       standin_check_device(b, p.b.bytes(), "cublasLtMatmul: B") &&
                       standin_check_device(d, p.d.bytes(), "cublasLtMatmul: D") &&
                       standin_check_device(workspace, needed, "cublasLtMatmul: workspace") &&
                       (!gelu || standin_check_device(p.aux, aux_bytes, "cublasLtMatmul: aux")) &&
                       (!(p.epilogue & CUBLASLT_EPILOGUE_BIAS) ||
                        standin_check_device(p.bias, (size_t)p.d.rows * p.d.element(), "cublasLtMatmul: bias"));
    if (!there) return CUBLAS_STATUS_INVALID_VALUE;
    if (overlap(d, p.d.bytes(), a, p.a.bytes()) || overlap(d, p.d.bytes(), b, p.b.bytes()) ||
        (gelu && overlap(d, p.d.bytes(), p.aux, aux_bytes)))
        return wrong_at(where, CUBLAS_STATUS_INVALID_VALUE, "D overlaps what it is made of");
    const int      splits = (int)value_of(of_algorithm, algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM);
    const uint32_t how = (uint32_t)value_of(of_algorithm, algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME);
    counters.products++;
    counters.algorithms[&m - methods]++;
    if (!standin_enqueue(stream, "cublasLtMatmul",
                         [=] { blas_run(p, m, splits, how, scale, add, a, b, d, workspace); }))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    return CUBLAS_STATUS_SUCCESS;
}
