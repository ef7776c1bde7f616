/* cudnn.cpp -- a double of cuDNN behind NVIDIA's own header: softmax forward, which runs when its stream gets there
 * (dnn.h). Its arithmetic is double, rounded once: whatever the real one does, it is no worse than that by much.
 */
#include "dnn.h"
#include "runtime.h"

#include "kernels/bf16.h"

#include <cudnn.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <vector>

struct cudnnContext {
    uint32_t     mark;
    cudaStream_t stream;
};
struct cudnnTensorStruct {
    uint32_t        mark;
    cudnnDataType_t type;
    int             size[4]; /* zeros: never set */
};
enum { HANDLE = 0x646e6e31, TENSOR };

static dnn_counters counters;
static size_t       version;
static long         wrong;
static char         said[512]; /* of the failure before */

void dnn_begin(size_t as_version, long wrong_at) {
    counters.softmaxes = 0;
    version = as_version;
    wrong = wrong_at;
}
dnn_counters dnn_count(void) {
    return counters;
}

/* A status that is none of the caller's fault. */
static cudnnStatus_t because(cudnnStatus_t status, const char *text) {
    snprintf(said, sizeof said, "%s", text);
    return status;
}
/* A call that the manual forbids. */
static cudnnStatus_t wrong_at(site where, const char *format, ...) __attribute__((format(printf, 2, 3)));
static cudnnStatus_t wrong_at(site where, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(said, sizeof said, format, values);
    va_end(values);
    report("call", where, "%s", said);
    return CUDNN_STATUS_BAD_PARAM;
}
#define CALLER site_of_code(__builtin_return_address(0))

size_t cudnnGetVersion(void) {
    return version ? version : CUDNN_VERSION;
}
const char *cudnnGetErrorString(cudnnStatus_t status) {
#define NAME(name)                                                                                                     \
    case name:                                                                                                         \
        return #name;
    switch ((int)status) {
        NAME(CUDNN_STATUS_SUCCESS)
        NAME(CUDNN_STATUS_NOT_INITIALIZED)
        NAME(CUDNN_STATUS_BAD_PARAM)
        NAME(CUDNN_STATUS_NOT_SUPPORTED)
        NAME(CUDNN_STATUS_INTERNAL_ERROR)
        NAME(CUDNN_STATUS_EXECUTION_FAILED)
    }
    return "CUDNN_UNKNOWN_STATUS";
}
/* It is told once. */
void cudnnGetLastErrorString(char *message, size_t most) {
    if (most) snprintf(message, most, "%s", said);
    *said = 0;
}

/* ---- handles */
cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    if (!handle) return wrong_at(CALLER, "handle == __null");
    *handle = nullptr;
    if (device_missing() != cudaSuccess)
        return because(CUDNN_STATUS_NOT_INITIALIZED, "cudaGetDeviceCount(&count) != cudaSuccess");
    *handle = new cudnnContext{HANDLE, nullptr};
    counters.handles++;
    return CUDNN_STATUS_SUCCESS;
}
static bool open(cudnnHandle_t handle) {
    return handle && handle->mark == HANDLE;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    if (!handle) return CUDNN_STATUS_SUCCESS;
    if (!open(handle)) return wrong_at(CALLER, "a handle that is not open");
    handle->mark = 0;
    delete handle;
    counters.handles--;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    if (!open(handle)) return wrong_at(CALLER, "a handle that is not open");
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- tensors */
cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *tensor) {
    if (!tensor) return wrong_at(CALLER, "!tensorDesc");
    *tensor = new cudnnTensorStruct{TENSOR, CUDNN_DATA_FLOAT, {0, 0, 0, 0}};
    counters.tensors++;
    return CUDNN_STATUS_SUCCESS;
}
static bool made(cudnnTensorDescriptor_t tensor) {
    return tensor && tensor->mark == TENSOR;
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensor) {
    if (!tensor) return CUDNN_STATUS_SUCCESS;
    if (!made(tensor)) return wrong_at(CALLER, "a tensor that was never made");
    tensor->mark = 0;
    delete tensor;
    counters.tensors--;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensor, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
    if (!made(tensor)) return wrong_at(CALLER, "tensorDesc == __null");
    if (n <= 0 || c <= 0 || h <= 0 || w <= 0) return wrong_at(CALLER, "(n <= 0) || (c <= 0) || (h <= 0) || (w <= 0)");
    if (format != CUDNN_TENSOR_NCHW) return wrong_at(CALLER, "format %d is none, or not doubled", (int)format);
    if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16)
        return wrong_at(CALLER, "type %d is none, or not doubled", (int)type);
    if ((double)n * c * h * w >= 0x1p31) return because(CUDNN_STATUS_NOT_SUPPORTED, "");
    *tensor = {TENSOR, type, {n, c, h, w}};
    return CUDNN_STATUS_SUCCESS;
}

/* ---- softmax */
struct softmax {
    bool        half, logarithm;
    int64_t     groups, width, step; /* of `width` numbers `step` apart */
    const void *from;
    void       *to;
    float       alpha, beta;
    bool        spoiled;
};
static double read(const softmax &s, const void *array, int64_t at) {
    return s.half ? ct_bf16_float(static_cast<const uint16_t *>(array)[at]) : static_cast<const float *>(array)[at];
}
static void run(const softmax &s) {
    const size_t bytes = (size_t)(s.groups * s.width) * (s.half ? 2 : 4);
    standin_reads(s.from, bytes);
    if (s.beta != 0) standin_reads(s.to, bytes);
    std::vector<double> x((size_t)s.width);
    for (int64_t g = 0; g < s.groups; g++) {
        const int64_t first = g / s.step * s.step * s.width + g % s.step;
        double        most = -INFINITY, total = 0;
        for (int64_t i = 0; i < s.width; i++) {
            x[(size_t)i] = read(s, s.from, first + i * s.step);
            most = fmax(most, x[(size_t)i]);
        }
        for (double v : x) total += exp(v - most);
        for (int64_t i = 0; i < s.width; i++) {
            const double log_p = x[(size_t)i] - most - log(total), p = s.logarithm ? log_p : exp(log_p);
            const double old = s.beta != 0 ? s.beta * read(s, s.to, first + i * s.step) : 0;
            const float  y = (float)(s.alpha * (s.spoiled ? p - 0.25 : p) + old);
            if (s.half)
                static_cast<uint16_t *>(s.to)[first + i * s.step] = ct_bf16_round(y);
            else
                static_cast<float *>(s.to)[first + i * s.step] = y;
        }
    }
    standin_writes(s.to, bytes);
}

cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm, cudnnSoftmaxMode_t mode,
                                  const void *alpha, cudnnTensorDescriptor_t x, const void *from, const void *beta,
                                  cudnnTensorDescriptor_t y, void *to) {
    const site where = CALLER;
    if (!open(handle) || !made(x) || !made(y)) return wrong_at(where, "!handle || !srcDesc || !destDesc");
    if (!alpha || !beta || !from || !to) return wrong_at(where, "no alpha, beta or array");
    if (!x->size[0] || !y->size[0]) return wrong_at(where, "a tensor that was never set");
    if (x->type != y->type) return wrong_at(where, "types differ: %d and %d", (int)x->type, (int)y->type);
    if (memcmp(x->size, y->size, sizeof x->size) != 0) return wrong_at(where, "sizes differ");
    if (algorithm < CUDNN_SOFTMAX_FAST || algorithm > CUDNN_SOFTMAX_LOG || mode < CUDNN_SOFTMAX_MODE_INSTANCE ||
        mode > CUDNN_SOFTMAX_MODE_CHANNEL)
        return wrong_at(where, "algorithm %d, mode %d: none", (int)algorithm, (int)mode);
    const int64_t pixels = (int64_t)x->size[2] * x->size[3], all = (int64_t)x->size[0] * x->size[1] * pixels;
    const bool    channel = mode == CUDNN_SOFTMAX_MODE_CHANNEL;
    softmax       s = {};
    s.half = x->type == CUDNN_DATA_BFLOAT16;
    s.logarithm = algorithm == CUDNN_SOFTMAX_LOG;
    s.width = channel ? x->size[1] : x->size[1] * pixels;
    s.groups = all / s.width;
    s.step = channel ? pixels : 1;
    s.from = from;
    s.to = to;
    memcpy(&s.alpha, alpha, sizeof s.alpha);
    memcpy(&s.beta, beta, sizeof s.beta);
    s.spoiled = ++counters.softmaxes == wrong;
    const size_t bytes = (size_t)all * (s.half ? 2 : 4);
    if (!standin_check_device(from, bytes, "cudnnSoftmaxForward: x") ||
        !standin_check_device(to, bytes, "cudnnSoftmaxForward: y"))
        return because(CUDNN_STATUS_BAD_PARAM, "no device memory");
    if (!standin_enqueue(handle->stream, "cudnnSoftmaxForward", [=] { run(s); }))
        return because(CUDNN_STATUS_EXECUTION_FAILED, "the stream takes no work");
    return CUDNN_STATUS_SUCCESS;
}
