/* backend.c -- the cuda backend's table. */
#include "kernels/cuda/cuda.h"

#ifdef CT_HAVE_CUBLASLT
#include "kernels/cuda/linear.h"
#define CT_CUDA_TABLE(OP) CT_CUDA_OPS(OP) CT_CUDA_PRODUCTS(OP)
#else
#define CT_CUDA_TABLE(OP) CT_CUDA_OPS(OP)
#endif

static struct CUstream_st *stream;
static ct_status (*after_each)(void);

void ct_cuda_use_stream(struct CUstream_st *used) {
    stream = used;
}
struct CUstream_st *ct_cuda_stream(void) {
    return stream;
}
void ct_cuda_after_each(ct_status (*call)(void)) {
    after_each = call;
}

static ct_status then(ct_status status) {
    return status == CT_OK && after_each ? after_each() : status;
}

#define RUN(name)                                                                                                      \
    static ct_status run_##name(const ct_params *params) {                                                             \
        return then(ct_cuda_##name(params, stream));                                                                   \
    }
CT_CUDA_TABLE(RUN)

#ifdef CT_HAVE_CUBLASLT
static bool pairs(ct_op op, const ct_params *p, ct_op next, const ct_params *q) {
    return ct_cuda_is_linear_gelu(op, p, next, q) || ct_cuda_is_linear_gelu_backward(op, p, next, q);
}
static ct_status run_pair(ct_op op, const ct_params *p, const ct_params *q) {
    return then(op == CT_OP_linear ? ct_cuda_linear_gelu(p, q, stream) : ct_cuda_linear_gelu_backward(p, q, stream));
}
#define PAIRS .pairs = pairs, .run_pair = run_pair,
#else
#define PAIRS
#endif

#define ENTRY(name) [CT_OP_##name] = run_##name,
const ct_backend *ct_backend_cuda(void) {
    static const ct_backend backend = {.name = "cuda", .bf16 = true, PAIRS.run = {CT_CUDA_TABLE(ENTRY)}};
    return &backend;
}
