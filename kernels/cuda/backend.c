/* backend.c -- the cuda backend's table. */
#include "kernels/cuda/cuda.h"

#ifdef CT_HAVE_CUBLASLT
#define CT_CUDA_TABLE(OP) CT_CUDA_OPS(OP) CT_CUDA_PRODUCTS(OP)
#else
#define CT_CUDA_TABLE(OP) CT_CUDA_OPS(OP)
#endif

#define RUN(name)                                                                                                      \
    static ct_status run_##name(const ct_params *params) {                                                             \
        return ct_cuda_##name(params, NULL);                                                                           \
    }
CT_CUDA_TABLE(RUN)

#define ENTRY(name) [CT_OP_##name] = run_##name,
const ct_backend *ct_backend_cuda(void) {
    static const ct_backend backend = {.name = "cuda", .bf16 = true, .run = {CT_CUDA_TABLE(ENTRY)}};
    return &backend;
}
