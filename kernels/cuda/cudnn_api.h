/* cudnn_api.h -- cuDNN's calls, for the files that make them (cudnn.h, NVIDIA's, is included here alone).
 *
 * cuDNN is optional when the program runs: nothing is linked with it, and its calls are looked up in the library the
 * first time that one is wanted. The names here are NVIDIA's: dnn->cudnnCreate(...).
 *
 * Owner: library and handle are cudnn.c's. Fails: CT_EFAIL in one sentence where there is no cuDNN of version 9, or
 * none that will work with this GPU.
 */
#ifndef CT_CUDA_CUDNN_API_H
#define CT_CUDA_CUDNN_API_H

#include "kernels/cuda/cudnn.h"

#include <cudnn.h>

#define CT_CUDNN_CALLS(CALL)                                                                                           \
    CALL(cudnnGetVersion)                                                                                              \
    CALL(cudnnGetErrorString)                                                                                          \
    CALL(cudnnGetLastErrorString)                                                                                      \
    CALL(cudnnCreate)                                                                                                  \
    CALL(cudnnDestroy)                                                                                                 \
    CALL(cudnnSetStream)                                                                                               \
    CALL(cudnnCreateTensorDescriptor)                                                                                  \
    CALL(cudnnSetTensor4dDescriptor)                                                                                   \
    CALL(cudnnDestroyTensorDescriptor)                                                                                 \
    CALL(cudnnSoftmaxForward)
/* Its graphs, which the double of the tests has not. */
#define CT_CUDNN_GRAPH_CALLS(CALL)                                                                                     \
    CALL(cudnnBackendCreateDescriptor)                                                                                 \
    CALL(cudnnBackendDestroyDescriptor)                                                                                \
    CALL(cudnnBackendSetAttribute)                                                                                     \
    CALL(cudnnBackendGetAttribute)                                                                                     \
    CALL(cudnnBackendFinalize)                                                                                         \
    CALL(cudnnBackendExecute)

#define CT_CUDNN_MEMBER(name) __typeof__(&name) name;
typedef struct ct_cudnn {
    CT_CUDNN_CALLS(CT_CUDNN_MEMBER)
    CT_CUDNN_GRAPH_CALLS(CT_CUDNN_MEMBER) /* all or none: has_graphs */
    bool has_graphs;
} ct_cudnn;

/* The library, loaded; it needs no GPU for that. */
CT_NODISCARD ct_status ct_cudnn_load(const ct_cudnn **out);
/* Its handle, with this stream set. */
CT_NODISCARD ct_status ct_cudnn_handle(struct CUstream_st *stream, cudnnHandle_t *out);
/* A failure, with the call, the status, and what the library has to say of it. */
ct_status              ct_cudnn_failed(cudnnStatus_t status, const char *call, const char *file, int line);

#define CT_CUDNN_TRY(dnn, call, ...)                                                                                   \
    do {                                                                                                               \
        cudnnStatus_t dnn_status = (dnn)->call(__VA_ARGS__);                                                           \
        if (dnn_status != CUDNN_STATUS_SUCCESS) return ct_cudnn_failed(dnn_status, #call, __FILE__, __LINE__);         \
    } while (0)

#endif
