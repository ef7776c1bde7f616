/* cudnn_none.c -- cudnn.h and sdpa.h where the program is built without cuDNN's headers: it is never there. */
#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/sdpa.h"

static ct_status missing(void) {
    return ct_fail(CT_EFAIL, "this program was built without cuDNN's headers (hint: make config says where they go)");
}

ct_status ct_cuda_cudnn_open(void) {
    return missing();
}
void ct_cuda_cudnn_close(void) {
}
const char *ct_cuda_cudnn_name(void) {
    return "cuDNN";
}
ct_status ct_cuda_log_softmax(const float *logits, float *to, int64_t rows, int64_t vocabulary,
                              struct CUstream_st *stream) {
    (void)logits, (void)to, (void)rows, (void)vocabulary, (void)stream;
    return missing();
}

ct_status ct_cuda_sdpa_support(const ct_sdpa_shape *shape) {
    (void)shape;
    return missing();
}
ct_status ct_cuda_sdpa_plan(const ct_sdpa_shape *shape, ct_sdpa_way way, ct_cuda_sdpa **out) {
    (void)shape, (void)way;
    *out = NULL;
    return missing();
}
size_t ct_cuda_sdpa_workspace(const ct_cuda_sdpa *plan) {
    (void)plan;
    return 0;
}
ct_status ct_cuda_sdpa_run(const ct_cuda_sdpa *plan, const ct_sdpa_arrays *arrays, struct CUstream_st *stream) {
    (void)plan, (void)arrays, (void)stream;
    return missing();
}
void ct_cuda_sdpa_free(ct_cuda_sdpa *plan) {
    (void)plan;
}
