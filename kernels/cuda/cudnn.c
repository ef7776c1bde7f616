/* cudnn.c -- cuDNN: finding it, its handle, and softmax. See cudnn.h. */
#include "kernels/cuda/cudnn_api.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST = 9 }; /* cuDNN's versions are numbers as 91900 */

static ct_cudnn      calls;
static bool          loaded;
static cudnnHandle_t handle;
static char          name[32] = "cuDNN";

/* ---- failures */
static const char *hint_of(cudnnStatus_t status) {
    switch ((int)status / 1000) {
    case 1:
        return "nvidia-smi shows GPU and driver; all of cuDNN's libraries have to be of one version";
    case 3:
        return "this cuDNN has no kernel for it on this GPU; another version, shape or GPU may do";
    case 4:
        return "memory is out, or a kernel could not be compiled: libnvrtc belongs to cuDNN";
    case 5:
        return "a kernel before it may have failed; CUDA_LAUNCH_BLOCKING=1 shows which";
    default:
        return "a mistake in this program, or a library of another version than its header";
    }
}

ct_status ct_cudnn_failed(cudnnStatus_t status, const char *call, const char *file, int line) {
    char said[512] = "";
    calls.cudnnGetLastErrorString(said, sizeof said);
    said[strcspn(said, "\n")] = 0;
    return ct_fail(CT_EFAIL, "%s: %s: %s%s%s (%s:%d; hint: %s)", name, call, calls.cudnnGetErrorString(status),
                   *said ? ": " : "", said, file, line, hint_of(status));
}

/* ---- the library */
static bool find(void *library, const char *call, void *to) {
    void *symbol = dlsym(library, call);
    memcpy(to, &symbol, sizeof symbol);
    return symbol;
}

/* A program may have it built in: that of the tests has a double. */
static ct_status load(void **library) {
    const char *asked = getenv("CANTUS_CUDNN_LIBRARY");
    const bool  named = asked && *asked;
    *library = RTLD_DEFAULT;
    if (!named && dlsym(RTLD_DEFAULT, "cudnnGetVersion")) return CT_OK;
    *library = dlopen(named ? asked : "libcudnn.so.9", RTLD_NOW | RTLD_LOCAL); /* stays loaded */
    return *library ? CT_OK
                    : ct_fail(CT_EFAIL, "cuDNN can't be loaded: %s (hint: CANTUS_CUDNN_LIBRARY names it)", dlerror());
}

ct_status ct_cudnn_load(const ct_cudnn **out) {
    *out = &calls;
    if (loaded) return CT_OK;
    void *library;
    CT_TRY(load(&library));
#define FIND(call) all = find(library, #call, &calls.call) && all;
    bool all = true;
    CT_CUDNN_CALLS(FIND)
    if (!all) return ct_fail(CT_EFAIL, "cuDNN lacks a call (hint: CANTUS_CUDNN_LIBRARY names another library?)");
    CT_CUDNN_GRAPH_CALLS(FIND)
#undef FIND
    calls.has_graphs = all;
    const size_t version = calls.cudnnGetVersion();
    snprintf(name, sizeof name, "cuDNN %zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
    if (version / 10000 != OLDEST) return ct_fail(CT_EFAIL, "%s: version %d is needed", name, OLDEST);
    loaded = true;
    return CT_OK;
}

ct_status ct_cudnn_handle(struct CUstream_st *stream, cudnnHandle_t *out) {
    const ct_cudnn *dnn;
    CT_TRY(ct_cudnn_load(&dnn));
    if (!handle) CT_CUDNN_TRY(dnn, cudnnCreate, &handle);
    CT_CUDNN_TRY(dnn, cudnnSetStream, handle, stream);
    *out = handle;
    return CT_OK;
}

ct_status ct_cuda_cudnn_open(void) {
    cudnnHandle_t opened;
    return ct_cudnn_handle(NULL, &opened);
}
void ct_cuda_cudnn_close(void) {
    if (handle) (void)calls.cudnnDestroy(handle);
    handle = NULL;
}
const char *ct_cuda_cudnn_name(void) {
    return name;
}

/* ---- softmax: a row is an image of one pixel, with a channel for each symbol */
static ct_status softmax(const ct_cudnn *dnn, cudnnTensorDescriptor_t rows_of, const float *logits, float *to,
                         int64_t rows, int64_t vocabulary, struct CUstream_st *stream) {
    static const float one = 1, none = 0;
    cudnnHandle_t      opened = NULL;
    CT_TRY(ct_cudnn_handle(stream, &opened));
    CT_CUDNN_TRY(dnn, cudnnSetTensor4dDescriptor, rows_of, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, (int)rows,
                 (int)vocabulary, 1, 1);
    CT_CUDNN_TRY(dnn, cudnnSoftmaxForward, opened, CUDNN_SOFTMAX_LOG, CUDNN_SOFTMAX_MODE_INSTANCE, &one, rows_of,
                 logits, &none, rows_of, to);
    return CT_OK;
}

ct_status ct_cuda_log_softmax(const float *logits, float *to, int64_t rows, int64_t vocabulary,
                              struct CUstream_st *stream) {
    const ct_cudnn         *dnn;
    cudnnTensorDescriptor_t rows_of;
    if (!rows || !vocabulary) return CT_OK;
    if (rows > INT_MAX || vocabulary > INT_MAX || rows * vocabulary > INT_MAX)
        return ct_fail(CT_EFAIL, "log-softmax: %lld rows of %lld are more numbers than cuDNN takes (hint: fewer rows)",
                       (long long)rows, (long long)vocabulary);
    CT_TRY(ct_cudnn_load(&dnn));
    CT_CUDNN_TRY(dnn, cudnnCreateTensorDescriptor, &rows_of);
    ct_status status = softmax(dnn, rows_of, logits, to, rows, vocabulary, stream);
    (void)dnn->cudnnDestroyTensorDescriptor(rows_of);
    return status;
}
